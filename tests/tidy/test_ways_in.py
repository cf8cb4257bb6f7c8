"""There is one way into an actor, its mailbox: nobody calls it to do something, or writes to it."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.test_tidy import CODE

OWN = {"run", "leave_unread"}
"""What its task calls."""
MAILBOX = {"tell", "ask"}


def actors(source: str) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            bases = (base.value for base in node.bases if isinstance(base, ast.Subscript))
            if any(isinstance(base, ast.Name) and base.id == "Actor" for base in bases):
                yield node


def of_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def written(method: ast.AST) -> Iterator[ast.Attribute]:
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and of_self(node) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node


def is_property(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "property" for each in method.decorator_list)


def ways_in(path: str, source: str) -> list[str]:
    found = []
    for actor in actors(source):
        for method in actor.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if method.name != "__init__":
                public = [node for node in written(method) if not node.attr.startswith("_")]
                found += [
                    f"{path}:{node.lineno} {actor.name}.{node.attr} changes, and others may change it"
                    for node in public
                ]
            if method.name.startswith("_") or method.name in OWN:
                continue
            if is_property(method):
                found += [
                    f"{path}:{node.lineno} {actor.name}.{method.name} reads and writes" for node in written(method)
                ]
                continue
            used = {node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute) and of_self(node)}
            if used - MAILBOX:
                found.append(f"{path}:{method.lineno} {actor.name}.{method.name} does more than to tell or to ask")
    return found


HEAD = "class Session(Actor[Message]):\n    "


@pytest.mark.parametrize(
    "body",
    [
        "def watch(self):\n        self._watchers += 1",
        "def watch(self):\n        return self._watchers",
        "def watch(self):\n        self._handle(Watch())",
        "async def run(self):\n        self.is_over = True",
        "@property\n    def is_over(self):\n        self._asked = True",
    ],
)
def test_another_way_in_is_found(body: str) -> None:
    assert ways_in("actors/x.py", HEAD + body)
    assert not ways_in("actors/x.py", f"class Table:\n    {body}")


@pytest.mark.parametrize(
    "body",
    [
        "def __init__(self):\n        self.placed = 1",
        "def watch(self):\n        self.tell(Watch())",
        "async def watch(self):\n        return await self.ask(Watch, 1)",
        "async def run(self):\n        self._is_over = True",
        "@property\n    def is_over(self):\n        return self._is_over",
    ],
)
def test_a_mailbox_and_what_is_shown_are_none(body: str) -> None:
    assert not ways_in("actors/x.py", HEAD + body)


def test_the_actors() -> None:
    assert sum(len(list(actors(source))) for source in CODE.values()) >= 5
    assert [complaint for path, source in CODE.items() for complaint in ways_in(path, source)] == []
