"""The rooms are as docs/architecture.md draws them. Each check is first shown to complain."""

from pathlib import Path

from tests.tidy import rooms

ROOT = Path(__file__).resolve().parents[2]
ROWS = rooms.drawn((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for top in ("actors", "server")
    for path in (ROOT / top).rglob("*.py")
}

LOOSE = {
    "server": {"__init__.py", "app.py", "node.py", "settings.py"},
    "actors": {"__init__.py", "node.py"},
}
"""The only files that are in no room."""

ACTORS_FLOORS_MAX = 8

PAGE = """
## Rooms

Words.

```
server/app                  wires it
server/web    server/edge
──────────
actors/kit
```
"""


def test_a_drawing_is_read_row_by_row():
    assert rooms.drawn(PAGE) == [["server/app"], ["server/web", "server/edge"], ["actors/kit"]]


def test_an_import_that_runs_up_or_aside_is_found():
    sources = {
        "server/app.py": "from server.web import page\nimport actors.kit.clock",
        "server/web/page.py": "def f():\n    from server.web.deep.below import x",
        "server/web/deep/below.py": "from server.edge.listener import Edge",
        "server/edge/listener.py": "from server import app",
        "actors/kit/clock.py": "",
    }
    assert rooms.upward(rooms.drawn(PAGE), sources) == [
        "server.web.deep.below imports server.edge.listener: server/edge is not below server/web",
        "server.edge.listener imports server.app: server/app is not below server/edge",
    ]


def test_a_circle_of_folders_is_found_also_inside_a_room():
    sources = {
        "server/web/a.py": "from server.web.deep import b",
        "server/web/deep/b.py": "from server.web.deeper.c import x",
        "server/web/deeper/c.py": "from server.web.a import y",
        "server/app.py": "import server.web.a",
    }
    assert rooms.circles(sources) == [
        "server/web imports what imports it",
        "server/web/deep imports what imports it",
        "server/web/deeper imports what imports it",
    ]


def test_a_module_without_a_room_and_a_room_without_a_module_are_found():
    sources = {"server/app.py": "", "server/web/a.py": "", "server/b.py": "", "actors/kit/c.py": ""}
    complaints = rooms.homeless(rooms.drawn(PAGE), sources)
    assert complaints == ["server.b is in no room", "server/edge is drawn and not there"]


def test_every_module_has_its_room():
    assert rooms.homeless(ROWS, SOURCES) == []


def test_imports_run_down_the_drawing():
    assert rooms.upward(ROWS, SOURCES) == []


def test_no_folder_imports_what_imports_it():
    assert rooms.circles(SOURCES) == []


def test_no_more_files_lie_loose():
    for top, names in LOOSE.items():
        assert {path.name for path in (ROOT / top).glob("*.py")} == names


def test_actors_have_few_floors():
    assert len([row for row in ROWS if any(room.startswith("actors/") for room in row)]) <= ACTORS_FLOORS_MAX
