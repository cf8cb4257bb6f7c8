"""What a process leaves to others on its machine: no memory, no core, no file of its own."""

import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.process.preparation import allow_open_files, warn_of_open_folder
from server.secrets.vault import load_master_key
from tests.helpers.server_process import ROOT, ServerProcess

LOOK = """
import ctypes, os, resource
from server.process.preparation import keep_to_itself
keep_to_itself()
open("made", "w").close()
is_dumpable, mode = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), oct(os.stat("made").st_mode & 0o777)
print(resource.getrlimit(resource.RLIMIT_CORE), is_dumpable, mode, flush=True)
os.abort()
"""


def test_a_process_that_dies_leaves_no_core_and_its_files_are_its_own(tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$0" -c "$1"', sys.executable, LOOK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split("\n")[0] == "(0, 0) 0 0o600", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def limits_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max core file size"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_and_its_workers_keep_to_themselves(workers, database_url, tmp_path):
    server = ServerProcess(database_url, tmp_path, GETAWAY_SERVER_WORKERS=str(workers))
    server.start()
    try:
        for pid in (server.pid, *server.children().values()):
            assert limits_of(pid).split()[4:6] == ["0", "0"]
            umask = next(
                line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Umask")
            )
            assert umask.split()[1] == "0077"
    finally:
        server.kill()


def test_the_folder_of_the_key_is_its_owners_alone(tmp_path):
    folder = tmp_path / "var" / "deep"
    load_master_key({}, folder, may_create=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "master.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(("mode", "is_told"), [(0o700, False), (0o750, True), (0o701, True), (0o755, True)])
def test_a_folder_that_others_may_enter_is_told_and_left_alone(mode, is_told, tmp_path, caplog):
    folder = tmp_path / "var"
    folder.mkdir()
    folder.chmod(mode)
    warn_of_open_folder(folder)
    assert [record.folder for record in caplog.records] == ([str(folder)] if is_told else [])
    assert stat.S_IMODE(folder.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("soft", "hard", "set_to", "is_told"),
    [
        (1_024, 4_096, (1_200, 4_096), False),
        (1_024, resource.RLIM_INFINITY, (1_200, resource.RLIM_INFINITY), False),
        (1_024, 1_100, (1_100, 1_100), True),
        (1_200, 4_096, None, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, False),
    ],
)
def test_there_are_open_files_for_all_connections_and_200_besides(soft, hard, set_to, is_told, caplog, monkeypatch):
    asked = []
    monkeypatch.setattr("resource.getrlimit", lambda _what: (soft, hard))
    monkeypatch.setattr("resource.setrlimit", lambda _what, limits: asked.append(limits))
    allow_open_files(1_000)
    assert asked == ([] if set_to is None else [set_to])
    assert len(caplog.records) == is_told


def test_a_folder_that_is_not_there_yet_is_no_matter(tmp_path, caplog):
    warn_of_open_folder(tmp_path / "none")
    assert caplog.records == []
