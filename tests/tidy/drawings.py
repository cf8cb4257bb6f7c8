"""What docstrings and pages draw and name: complaints about what is not so, one line each."""

import builtins
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from types import ModuleType

_BRANCH = re.compile(
    r"[│ ]*(?:[├└]── )?(?P<name>(?:[a-z_]+\.)?(?:[A-Z]\w*)?(?:Error|Exception))(?:$| +(?:\((?P<place>[a-z_.]+)\) )?)"
)
_PATH = re.compile(r"(?<![\w./-])(?:actors|server|tests|static|docs)/[\w./-]*\w/?")
_TASK = re.compile(r"^[│ ]*[├└]─ (?P<name>[a-z]+) ", re.MULTILINE)
_KIND = re.compile(r"^    kind: Final = \"([a-z]+)\"|^        super\(\).__init__\(\"([a-z]+)\", ", re.MULTILINE)


def error_tree(docstring: str) -> dict[str, tuple[str | None, str | None]]:
    """The errors of a docstring's tree: name -> the one above, and the module that is named behind it, if any."""
    drawn: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        match = _BRANCH.match(line)
        if match is None:
            above = []
            continue
        depth = match.start("name")
        above = [each for each in above if each[0] < depth]
        drawn[match["name"]] = (above[-1][1] if above else None, match["place"])
        above.append((depth, match["name"]))
    return drawn if any(parent for parent, _ in drawn.values()) else {}


def wrong_tree(module: ModuleType) -> list[str]:
    """Errors that a module's docstring draws below one that is not their base, and its own that are left out."""
    tree = error_tree(inspect.getdoc(module) or "")
    if not tree:
        return []

    def found(name: str) -> type | None:
        place, _, last = name.rpartition(".")
        place = place or tree[name][1] or ""
        home = importlib.import_module(place) if place else module
        error: type | None = getattr(home, last, None) or getattr(builtins, last, None)
        return error

    missing = [f"{module.__name__} draws {name}, which is not there" for name in tree if found(name) is None]
    wrong = [
        f"{module.__name__} draws {name} below {parent}"
        for name, (parent, _) in tree.items()
        if parent is not None and found(parent) not in getattr(found(name), "__bases__", ())
    ]
    errors = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Exception)]
    own = [name for name in errors if getattr(module, name).__module__ == module.__name__]
    return missing + wrong + [f"{module.__name__} does not draw {name}" for name in own if name not in tree]


def paths_named(page: str) -> Iterator[str]:
    """The files and folders of the project that a page names."""
    yield from (match[0].rstrip("/.") for match in _PATH.finditer(page))


def tasks_drawn(page: str) -> set[str]:
    """The leaves of the actor tree: what has a line of its own with ``one`` or ``one per`` in it."""
    return {match["name"] for match in _TASK.finditer(page) if page[match.end() :].lstrip().startswith("one")}


def tasks_there(sources: Iterable[str]) -> set[str]:
    """What actors and tasks are called where they are defined."""
    return {name or other for source in sources for name, other in _KIND.findall(source)}
