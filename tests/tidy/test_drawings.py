"""Trees, tables and paths in docstrings and pages are true. Each check is first shown to complain."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.tidy import drawings

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]}
ARCHITECTURE = PAGES["architecture.md"]
SOURCES = {
    path: path.read_text(encoding="utf-8") for top in ("actors", "server") for path in (ROOT / top).rglob("*.py")
}
DRAWING = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path, source in SOURCES.items()
    if re.search(r'\A"""[^"]*^[│ ]*(?:[├└]── |    )\w+Error\b', source, re.MULTILINE)
}


def is_there(path: str) -> bool:
    """A file may be named as a room is, without its ending."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


TREE = """Errors. The tree::

Exception
├── FirstError
│   └── SecondError   (a.b) words
└── click.UsageError      words

That is all of ThirdError.
"""


def test_a_tree_of_errors_is_read():
    assert drawings.error_tree(TREE) == {
        "Exception": (None, None),
        "FirstError": ("Exception", None),
        "SecondError": ("FirstError", "a.b"),
        "click.UsageError": ("Exception", None),
    }
    assert drawings.error_tree("AnError\n    AnotherError   400") == {
        "AnError": (None, None),
        "AnotherError": ("AnError", None),
    }


def test_a_tree_that_is_wrong_is_found():
    module = ModuleType("errors", "Exception\n├── FirstError\n└── SecondError\n    └── NoError")
    exec(
        "class FirstError(Exception): ...\nclass SecondError(FirstError): ...\nclass LastError(Exception): ...",
        vars(module),
    )
    for name in ("FirstError", "SecondError", "LastError"):
        getattr(module, name).__module__ = "errors"
    assert drawings.wrong_tree(module) == [
        "errors draws NoError, which is not there",
        "errors draws SecondError below Exception",
        "errors draws NoError below SecondError",
        "errors does not draw LastError",
    ]


def test_paths_and_tasks_are_read():
    assert list(drawings.paths_named("See `actors/kit/`, /server/x and [it](docs/a.md).")) == [
        "actors/kit",
        "docs/a.md",
    ]
    assert drawings.tasks_drawn("├─ rounds\n│  ├─ round   one per live round\n└─ sessions   ends first") == {"round"}
    sources = ['class A:\n    kind: Final = "beat"\n', '        super().__init__("wallet", 1)\n', 'kind = "x"\n']
    assert drawings.tasks_there(sources) == {"beat", "wallet"}


def test_there_are_trees_of_errors():
    assert len(DRAWING) >= 4


@pytest.mark.parametrize("name", sorted(DRAWING))
def test_a_tree_of_errors_is_as_the_errors_are(name):
    module = importlib.import_module(name)
    assert drawings.error_tree(module.__doc__ or "")
    assert drawings.wrong_tree(module) == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_a_page_names_is_there(name):
    assert [path for path in drawings.paths_named(PAGES[name]) if not is_there(path)] == []


def test_what_a_docstring_names_is_there():
    named = {path: drawings.paths_named(source) for path, source in SOURCES.items()}
    assert [
        f"{path}: {other}" for path, others in named.items() for other in others if not (ROOT / other).exists()
    ] == []


def test_the_actor_tree_has_every_task():
    assert drawings.tasks_drawn(ARCHITECTURE) == drawings.tasks_there(SOURCES.values())


def test_the_policies_name_every_task():
    table = ARCHITECTURE[ARCHITECTURE.index("| who fails |") :].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in row.split("|")[1].replace(",", " ").split()}
    assert named == drawings.tasks_there(SOURCES.values())


def test_the_life_of_a_round_speaks_in_messages_that_are_there():
    life = ARCHITECTURE[ARCHITECTURE.index("## The life of a round") :]
    drawn = set(re.findall(r"\b[A-Z][a-z]+[A-Z][A-Za-z]+\b", life.split("```")[1])) - {"PostgreSQL"}
    classes = {name for source in SOURCES.values() for name in re.findall(r"^class (\w+)", source, re.MULTILINE)}
    assert drawn, life
    assert drawn - classes == set()


def test_every_folder_is_in_the_table():
    rows = [row for row in ARCHITECTURE.splitlines() if row.startswith("| `")]
    listed = {path for row in rows for path in drawings.paths_named(row.split("|")[1])}
    folders = {str(path.parent.relative_to(ROOT)) for path in SOURCES} - {"actors", "server"}
    parents = {folder.rpartition("/")[0] for folder in folders}
    unlisted = {
        folder for folder in folders - parents if not any((folder + "/").startswith(path + "/") for path in listed)
    }
    assert unlisted == set()
