"""Packages and locks. Each check is first shown to complain about what it is there for."""

import tomllib
from pathlib import Path

import pytest

from tests.tidy import lock_checks

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = [*EXTRAS["build"], *PROJECT["build-system"]["requires"]]
LOCKS = {
    "requirements.txt": [*RUNTIME, *BUILD],
    "requirements-dev.txt": [*RUNTIME, *BUILD, *EXTRAS["dev"]],
}
HASH = "--hash=sha256:" + "0" * 64
GOOD_LOCK = f"anyio==4.16.0 \\\n    {HASH} \\\n    {HASH}\n    # via httpx\nTrio_Websocket==0.12.2 \\\n    {HASH}\n"


@pytest.mark.parametrize(
    "line",
    [
        "--find-links wheels",
        "--index-url https://index.example",
        "anyio==4.16.0",
        f"anyio>=4 \\\n    {HASH}",
        f"anyio @ https://a.example/anyio.whl \\\n    {HASH}",
        "anyio==4.16.0 \\\n    --hash=md5:00",
    ],
)
def test_an_entry_that_is_no_version_with_hashes_is_found(line):
    assert lock_checks.not_a_lock(GOOD_LOCK) == []
    assert len(lock_checks.not_a_lock(line + "\n" + GOOD_LOCK)) == 1


def test_a_stale_lock_and_a_loose_requirement_are_found():
    assert lock_checks.unpinned(["trio==0.35.0", "httpx>=0.28", "click"]) == [
        "httpx>=0.28 is not one version",
        "click is not one version",
    ]
    assert lock_checks.out_of_date(["anyio==4.16.0", "trio-websocket==0.12.2"], GOOD_LOCK) == []
    assert lock_checks.out_of_date(["anyio==4.17.0", "trio==0.35.0"], GOOD_LOCK) == [
        "anyio is 4.16.0 in the lock, 4.17.0 in pyproject.toml",
        "trio is None in the lock, 0.35.0 in pyproject.toml",
    ]


def test_undeclared_and_unused_libraries_and_unpackaged_folders_are_found():
    sources = ["import os\nfrom server import app\nimport trio", "def f():\n    from quart_trio import QuartTrio"]
    assert lock_checks.undeclared_or_unused(["trio[tls,x]==1", "quart-trio==2"], sources) == []
    assert lock_checks.undeclared_or_unused(["trio==1", "click==3"], sources) == [
        "quart-trio is imported and not declared",
        "click is declared and not imported",
    ]
    assert lock_checks.unpackaged({"packages": ["server"]}, ["server", "server.new"]) == ["server.new is in no wheel"]


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_holds_what_is_declared_and_every_entry_has_hashes(name):
    text = (ROOT / name).read_text()
    assert lock_checks.unpinned(LOCKS[name]) == []
    assert lock_checks.out_of_date(LOCKS[name], text) == []
    assert lock_checks.not_a_lock(text) == []


def test_both_locks_agree():
    runtime, development = ((ROOT / name).read_text() for name in LOCKS)
    assert lock_checks.out_of_date([requirement for requirement, _ in lock_checks.locked(runtime)], development) == []


def test_what_is_imported_is_declared():
    sources = [path.read_text() for top in ("actors", "server") for path in (ROOT / top).rglob("*.py")]
    assert lock_checks.undeclared_or_unused(RUNTIME, sources) == []


def test_every_folder_is_in_the_wheel():
    files = [path for top in ("actors", "server") for path in (ROOT / top).rglob("*") if path.is_file()]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in files if "__pycache__" not in path.parts}
    assert lock_checks.unpackaged(PROJECT["tool"]["setuptools"], folders) == []
