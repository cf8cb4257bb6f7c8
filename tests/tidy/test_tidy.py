"""The code's own shape. Each check is first shown to complain about what it is there for."""

from pathlib import Path

import pytest

from tests.tidy import checks

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = {"server.cli.__main__", "server.loadtest.run.worker", "server.sandbox.operator", "server.cli.program"}
ENTRY_POINTS |= {"server.workers.__main__"}


def texts(*patterns: str) -> dict[str, str]:
    """The text of the project's files by path."""
    files = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    found = {str(path.relative_to(ROOT)): path for path in files if "__pycache__" not in path.parts}
    assert found, f"nothing matches {patterns}"
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}


CODE = texts("actors/**/*.py", "server/**/*.py")

BAD = [
    (checks.wrong_direction, "actors/play/session.py", "from server.web import app"),
    (checks.wrong_direction, "actors/play/session.py", "import server"),
    (checks.wrong_direction, "actors/rules/money.py", "from actors.facts.records import Owner"),
    (checks.wrong_direction, "actors/rules/money.py", "def f():\n    from actors import records"),
    (checks.impure_rules, "actors/rules/money.py", "import trio"),
    (checks.unknown_libraries, "server/app.py", "import asyncpg"),
    (checks.unknown_libraries, "actors/wallet/wallet.py", "from httpx import AsyncClient"),
    (checks.unknown_libraries, "server/web/routes.py", "import trio_websocket"),
    (checks.unknown_libraries, "server/app.py", "from anyio import from_thread"),
    (checks.unknown_libraries, "server/web/routes.py", "import random"),
    (checks.libraries_of_actors, "actors/wallet/wallet.py", "import os"),
    (checks.libraries_of_actors, "actors/wallet/wallet.py", "from click import echo"),
    (checks.too_long, "server/app.py", "def f():\n" + "    pass\n" * 60),
    (checks.large_classes, "server/app.py", "class A:\n" + "".join(f"    def f{n}(self): ...\n" for n in range(21))),
    (
        checks.large_classes,
        "server/app.py",
        "class A:\n" + 2 * "    def f(self): ...\n" + "".join(f"    f{n}: int\n" for n in range(13)),
    ),
    (checks.large_classes, "server/app.py", f"class A:\n    __slots__ = {tuple('abcdefghijklm')}"),
    (
        checks.large_classes,
        "server/app.py",
        "class A:\n    def __init__(self):\n        " + " = ".join(f"self.a{n}" for n in range(13)) + " = 1",
    ),
    (checks.unexplained, "server/app.py", "x = 1  # noqa"),
    (checks.unexplained, "server/app.py", "x = 1  # noqa - it is so"),
    (checks.unexplained, "server/app.py", "x = 1  # noqa: S104"),
    (checks.unexplained, "server/app.py", "x = 1  # noqa: S104 -"),
    (checks.unexplained, "server/app.py", "x = 1  # type: ignore"),
    (checks.unexplained, "server/app.py", "x = 1  # type: ignore[arg-type]"),
    (checks.unexplained, "server/app.py", "x = 1  # pragma: no cover"),
    (checks.short_docstrings, "server/app.py", '"""The wiring."""'),
    (checks.short_docstrings, "server/app.py", 'class A:\n    def run(self):\n        """Run it for ever."""'),
    (checks.clocks_read, "actors/play/round.py", "import time\ntime.time()"),
    (checks.clocks_read, "actors/play/round.py", "from time import time_ns"),
    (checks.clocks_read, "actors/play/round.py", "def f(now=time.time): ..."),
    (checks.clocks_read, "server/db/stores/reports.py", "datetime.now(UTC)"),
    (checks.clocks_read, "server/db/stores/reports.py", "datetime.datetime.now(UTC)"),
    (checks.dice_thrown, "actors/play/round.py", "from uuid import UUID, uuid4"),
    (checks.dice_thrown, "server/app.py", "secrets.token_hex(16)"),
    (checks.printed, "server/app.py", "print(1)"),
    (checks.leftovers, "server/app.py", "# TO" + "DO: later"),
    (checks.leftovers, "server/app.py", "# XX" + "X: really?"),
    (checks.leftovers, "server/db/migrations/0001_books.sql", "-- XX" + "X"),
    (checks.leftovers, "docs/a.md", "see /ho" + "me/me/x"),
    (checks.loaded_from_elsewhere, "static/index.html", '<script src="https://cdn.example/x.js">'),
    (checks.loaded_from_elsewhere, "static/style.css", "@import url(x.css)"),
    (checks.loaded_from_elsewhere, "static/style.css", "background: url(//cdn.example/x.png)"),
    (checks.loaded_from_elsewhere, "static/main.js", "fetch(`https://cdn.example/x`)"),
    (checks.loaded_from_elsewhere, "static/main.js", 'new WebSocket("wss://cdn.example")'),
    (checks.loaded_from_elsewhere, "static/main.js", 'import x from "//cdn.example/x.js"'),
    (checks.loaded_from_elsewhere, "static/index.html", "<img src=//cdn.example/x.png>"),
]
GOOD = [
    (checks.wrong_direction, "actors/play/session.py", "from actors.rules import money"),
    (checks.wrong_direction, "server/app.py", "from actors import node"),
    (checks.unknown_libraries, "server/db/driver/bridge.py", "import asyncio"),
    (checks.too_long, "server/app.py", "def f():\n" + "    pass\n" * 59),
    (checks.clocks_read, "server/node.py", "time.time()"),
    (checks.libraries_of_actors, "actors/play/round.py", "import logging\nimport trio"),
    (checks.clocks_read, "server/edge/listen/listener.py", "trio.current_time()"),
    (checks.dice_thrown, "actors/play/round.py", "from uuid import UUID"),
    (checks.dice_thrown, "server/web/authentication.py", "secrets.compare_digest(a, b)"),
    (checks.leftovers, "tests/server/config/test_config.py", '(7, "XXX", "7 minor XXX")'),
    (checks.loaded_from_elsewhere, "static/icon.svg", '<svg xmlns="http://www.w3.org/2000/svg">'),
    (checks.loaded_from_elsewhere, "static/main.js", "const x = 1; // a remark"),
]

LARGE_CLASSES: dict[str, tuple[int, int, str]] = {
    "server/edge/http/http_connection.py:HttpStream": (13, 15, "a stream of trio's, as hypercorn asks for it"),
    "actors/shared/contact.py:LedgerContact": (0, 16, "to be cut by idea"),
    "actors/wallet/bulkheads.py:Bulkhead": (0, 13, "to be cut by idea"),
    "server/db/embedded/cluster.py:Cluster": (22, 0, "to be cut by idea"),
    "server/edge/listen/connection.py:Connection": (23, 0, "to be cut by idea"),
    "server/edge/listen/listener.py:Edge": (0, 13, "to be cut by idea"),
    "server/edge/player/player_sink.py:SocketSink": (0, 18, "to be cut by idea"),
    "server/edge/player/player_stream.py:PlayerStream": (21, 17, "to be cut by idea"),
    "server/loadtest/play/attempt.py:Attempt": (0, 13, "to be cut by idea"),
}
"""Methods and attributes of the classes that are too large, at most, and why they are. The list may only shrink."""

LIBRARIES_PRIVATES = {"connection._transport"}
"""asyncpg does not show its connection's socket, and whether a peer has gone is the socket's to notice."""


@pytest.mark.parametrize(("check", "path", "source"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_complains_about_what_is_bad(check, path, source):
    assert check(path, source)


@pytest.mark.parametrize(("check", "path", "source"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_is_content_with_what_is_good(check, path, source):
    assert not check(path, source)


def test_classes_that_grow_and_exceptions_that_are_not_needed_are_found():
    found = {"a.py:A": (21, 3), "b.py:B": (25, 13), "c.py:C": (25, 12)}
    excepted = {"b.py:B": (25, 12, "why"), "c.py:C": (25, 0, "why"), "d.py:D": (30, 0, "why")}
    assert checks.not_as_excepted(found, excepted) == [
        "a.py:A has 21 methods and 3 attributes",
        "b.py:B has 25 methods and 13 attributes",
        "d.py:D is no exception any more",
    ]


def test_privates_of_another_folder_are_found():
    sources = {
        "server/web/a.py": "from server.edge.b import _x\nfrom server.web.c import _y\n"
        "other._own\nother._z\ntrio._core\nrow._asdict()",
        "server/web/c.py": "def _y(): ...\nclass C:\n    def __init__(self):\n        self._own = 1",
        "server/edge/b.py": "_x = _z = 1",
    }
    assert checks.strangers_privates(sources) == [
        "server/web/a.py:1 imports server.edge.b._x",
        "server/web/a.py:4 uses other._z",
        "server/web/a.py:5 uses trio._core",
    ]


def test_folders_that_are_let_off_without_a_comment_are_found():
    project = '[tool.ruff.lint.per-file-ignores]\n# Why.\n"a/**" = ["S"]\n"b/**" = ["S"]\n[tool.x]\n"c" = 1'
    assert checks.unexplained_ignores(project) == ['pyproject.toml: "b/**" = ["S"] lacks its reason']


def test_a_name_that_reads_and_writes_is_found():
    writes = ["self.x = 1", "self.x += 1", "del self.x[0]", "self.x.y.pop()", "self.x[0] = 1"]
    for line in writes:
        source = (
            f"class A:\n    def is_x(self): {line}\n    @property\n    def x(self): {line}\n    def note(self): {line}"
        )
        complaints = checks.writing_reads("a.py", source)
        assert [complaint.split()[1] for complaint in complaints] == ["is_x", "x"], line
    assert (
        checks.writing_reads("a.py", "class A:\n    def is_x(self):\n        x = self.x\n        x[0] = self.y.get(1)")
        == []
    )


def test_migrations_out_of_order_and_unused_modules_are_found():
    assert checks.unnumbered(["0001_books.sql", "0003_more.sql"]) == ["0003_more.sql should begin with 0002_"]
    sources = {
        "server/a.py": "def f():\n    from server import b",
        "server/b.py": "",
        "server/c.py": "import server.d",
        "server/d.py": "import server.c",
    }
    assert checks.unused_modules(sources, {"server.a"}) == [
        "server/c.py is reached from no entry point",
        "server/d.py is reached from no entry point",
    ]


@pytest.mark.parametrize(
    "check",
    [
        checks.wrong_direction,
        checks.impure_rules,
        checks.unknown_libraries,
        checks.libraries_of_actors,
        checks.too_long,
        checks.unexplained,
        checks.short_docstrings,
        checks.clocks_read,
        checks.dice_thrown,
        checks.printed,
        checks.writing_reads,
    ],
    ids=lambda check: check.__name__,
)
def test_the_code(check):
    assert [complaint for path, source in CODE.items() for complaint in check(path, source)] == []


def test_classes_hold_no_more_than_they_did():
    found = {name: size for path, source in CODE.items() for name, size in checks.large_classes(path, source).items()}
    assert checks.not_as_excepted(found, LARGE_CLASSES) == []


def test_nobody_uses_what_another_folder_keeps_to_itself():
    uses = checks.strangers_privates(CODE)
    assert {use.partition(" uses ")[2] for use in uses} == LIBRARIES_PRIVATES, uses


def test_what_is_switched_off_in_tests_is_explained():
    read = texts("tests/**/*.py")
    assert [complaint for path, source in read.items() for complaint in checks.unexplained(path, source)] == []


def test_what_is_switched_off_for_folders_is_explained():
    assert checks.unexplained_ignores((ROOT / "pyproject.toml").read_text()) == []


def test_nothing_is_left_over():
    read = CODE | texts(
        *("static/*", "server/db/*/*.sql", "server/sandbox/pages/*", "tests/**/*.py", "tests/**/*.js"),
        *("docs/*.md", "docs/*.conf", "*.md", "*.toml", "*.txt", "Makefile", ".ci/run"),
    )
    assert [complaint for path, text in read.items() for complaint in checks.leftovers(path, text)] == []


def test_pages_load_nothing_from_elsewhere():
    read = texts("static/*", "server/sandbox/pages/*")
    assert [complaint for path, text in read.items() for complaint in checks.loaded_from_elsewhere(path, text)] == []


def test_migrations_are_numbered():
    assert checks.unnumbered(path.name for path in (ROOT / "server/db/migrations").glob("*.sql")) == []


def test_every_module_is_used():
    assert checks.unused_modules(CODE, ENTRY_POINTS) == []
