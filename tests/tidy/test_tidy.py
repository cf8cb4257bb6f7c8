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
    (checks.unknown_libraries, "server/web/app.py", "import trio_websocket"),
    (checks.unknown_libraries, "server/app.py", "from anyio import from_thread"),
    (checks.unknown_libraries, "server/web/app.py", "import random"),
    (checks.libraries_of_actors, "actors/wallet/wallet.py", "import os"),
    (checks.libraries_of_actors, "actors/wallet/wallet.py", "from click import echo"),
    (checks.too_long, "server/app.py", "\n" * 601),
    (checks.too_long, "server/app.py", "def f():\n" + "    pass\n" * 60),
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


@pytest.mark.parametrize(("check", "path", "source"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_complains_about_what_is_bad(check, path, source):
    assert check(path, source) != []


@pytest.mark.parametrize(("check", "path", "source"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_is_content_with_what_is_good(check, path, source):
    assert check(path, source) == []


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
        checks.clocks_read,
        checks.dice_thrown,
        checks.printed,
        checks.writing_reads,
    ],
    ids=lambda check: check.__name__,
)
def test_the_code(check):
    assert [complaint for path, source in CODE.items() for complaint in check(path, source)] == []


def test_no_file_is_too_long_to_read():
    read = texts("tests/**/*.py", "tests/**/*.js", "static/*.js", "static/*.css", "server/sandbox/pages/*")
    long = {path: text.count("\n") for path, text in read.items() if text.count("\n") > checks.FILE_LINES_MAX}
    assert long == {}


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
