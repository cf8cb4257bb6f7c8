"""The embedded server: started by the first process, shared, and stopped by the last one, killed ones not counted.

Nothing but its own folder decides whether it starts, and nothing but that is touched.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.database import open_database
from server.db.embedded.cluster import ENVIRON, Cluster
from server.db.embedded.embedded import EmbeddedServer, embedded_server, programs_folder
from server.db.errors import DatabaseUnavailableError
from tests.helpers.programs_of_postgres import NOBODY, LocalServer, run_program
from tests.helpers.server_process import ROOT

ENDS_S_MAX = 10.0
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

VISITOR = """
import sys
from pathlib import Path
from server.db.embedded.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


@pytest.fixture
def folder():
    parent = Path(tempfile.mkdtemp(prefix="getaway-pg-"))
    yield parent / "postgres"
    shutil.rmtree(parent, ignore_errors=True)


class Visitor:
    """Another process that uses the server."""

    def __init__(self, folder, program=VISITOR, **variables):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, str(folder)],
            stdin=-1,
            stdout=-1,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            start_new_session=True,
        )
        self.url = self._process.stdout.readline().strip()

    def hear_ctrl_c(self):
        """As its whole group does, from a terminal."""
        os.killpg(self._process.pid, signal.SIGINT)

    def leave(self):
        output, _ = self._process.communicate("\n", timeout=20)
        assert (output, self._process.returncode) == ("left\n", 0)

    def be_killed(self):
        self._process.kill()
        self._process.communicate(timeout=20)

    @contextmanager
    def killed_unnoticed(self):
        """Killed, and until the end of the block nobody has asked how it ended."""
        self._process.kill()
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        yield
        self._process.communicate(timeout=20)


def ask(url, statement):
    async def run():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def is_running(folder) -> bool:
    return (folder / "postmaster.pid").exists()


def processes_of(folder) -> dict[int, str]:
    """The processes that work in this folder, by their ids: what they run."""
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if (process / "cwd").resolve() == folder.resolve():
                    found[int(process.name)] = (process / "exe").resolve().name
    return found


def postmaster(folder) -> int:
    return int((folder / "postmaster.pid").read_text().split()[0])


def keeper_of(folder) -> int:
    """The parent of the server."""
    return int(Path(f"/proc/{postmaster(folder)}/stat").read_text().rpartition(")")[2].split()[1])


def eventually(holds, complaint, within_s=ENDS_S_MAX):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)


def test_the_last_process_to_leave_stops_the_server(folder):
    with embedded_server(folder) as url:
        visitor = Visitor(folder)
        assert visitor.url == url
        visitor.leave()
        assert ask(url, "CREATE TABLE kept AS SELECT 1 AS x") is None
        Visitor(folder).be_killed()
        assert ask(url, "SELECT x FROM kept") == 1
    assert not is_running(folder), "the killed process does not count"

    visitor = Visitor(folder)
    assert ask(visitor.url, "SELECT x FROM kept") == 1
    visitor.be_killed()
    eventually(lambda: not is_running(folder), "nobody uses it, but it goes on")
    with embedded_server(folder) as url:
        assert ask(url, "SELECT x FROM kept") == 1
    assert not is_running(folder)


def test_a_killed_process_does_not_count_before_its_parent_has_noticed(folder):
    visitor = Visitor(folder)
    with visitor.killed_unnoticed():
        with embedded_server(folder):
            assert is_running(folder)
        assert not is_running(folder)


def test_a_folder_that_can_not_be_one_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailableError) as caught, embedded_server(tmp_path / "file" / "postgres"):
        pass
    assert len(str(caught.value).splitlines()) == 1


# What may lie in the folder.


@pytest.fixture(scope="module")
def template():
    """A folder that was in use before."""
    parent = Path(tempfile.mkdtemp(prefix="getaway-pg-"))
    with embedded_server(parent / "postgres") as url:
        ask(url, "CREATE TABLE kept AS SELECT 1 AS x")
    yield parent / "postgres"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def used(folder, template):
    """A copy of one, which costs less than a new one."""
    subprocess.run(["cp", "-a", template, folder], check=True)
    return folder


def story(folder) -> None:
    """It starts, keeps what it is given, and stops."""
    with embedded_server(folder) as url:
        ask(url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS x")
    assert not is_running(folder)
    with embedded_server(folder) as url:
        assert ask(url, "SELECT x FROM kept") == 1
    assert not is_running(folder)


@pytest.fixture
def bystander():
    """Another program, which has the number of a server that has crashed."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        assert process.poll() is None, "it was signalled"
        process.kill()


def test_a_pid_file_that_names_another_program_is_the_rest_of_a_crash(used, bystander):
    rest = f"{bystander.pid}\n{used}\n1700000000\n5432\n{used}\n\n  2170431    294953\nready   \n"
    (used / "postmaster.pid").write_text(rest)
    (used / ".s.PGSQL.5432.lock").write_text(f"{bystander.pid}\n")
    (used / ".s.PGSQL.5432").touch()
    story(used)


def test_a_pid_file_that_names_the_server_of_another_folder_is_the_rest_of_a_crash(used, postgres):
    other = asyncio.run(_postmaster_of(postgres))
    (used / "postmaster.pid").write_text(f"{other}\n{used}\n1700000000\n5432\n{used}\n\n  1    2\nready   \n")
    story(used)
    postgres.execute("SELECT 1")


async def _postmaster_of(postgres) -> int:
    connection = await asyncpg.connect(postgres.url_of("postgres"))
    try:
        return int((await connection.fetchval("SELECT pg_read_file('postmaster.pid')")).split()[0])
    finally:
        await connection.close()


@pytest.mark.parametrize("rest", ["", "\n", "bogus\n", "0\n", "999999999\n", "17"])
def test_a_pid_file_that_was_cut_short_is_the_rest_of_a_crash(used, rest):
    (used / "postmaster.pid").write_text(rest)
    (used / ".s.PGSQL.5432.lock").write_text(rest)
    (used / "keeper.sock").touch()
    story(used)


@pytest.mark.parametrize("moment", ["making", "moving"])
def test_a_folder_whose_making_was_interrupted_is_made_anew_or_completed(used, moment):
    if moment == "making":
        password = (used / "getaway.password").read_text()
        shutil.rmtree(used)
        (used / ".new" / "base").mkdir(parents=True)
        (used / "getaway.password").write_text(password)
        (used / "getaway.lock").touch()
    else:
        (used / ".made").mkdir()
        for name in ("PG_VERSION", "base", "pg_hba.conf"):
            (used / name).rename(used / ".made" / name)
    story(used)
    assert not list(used.glob(".made")) + list(used.glob(".new"))


def test_a_folder_of_an_earlier_version_goes_on_and_asks_for_a_password_from_now_on(folder):
    """It let in whoever reached its socket, and belonged to somebody with an account."""
    folder.mkdir()
    folder.parent.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    run_program("initdb", "--auth=trust", "--auth-local=trust", "--encoding=utf8", "-U", "postgres", "-D", str(folder))
    server = LocalServer(folder)
    server.start()
    ask(server.url, "CREATE TABLE kept AS SELECT 1 AS x")
    server.kill()
    with (folder / "postgresql.conf").open("a") as text:
        text.write("lc_messages = 'xx_XX.UTF-8'\n")
    folder.parent.chmod(0o700)
    story(folder)
    assert "trust" not in (folder / "pg_hba.conf").read_text()
    with embedded_server(folder):
        assert_password_is_needed(folder)


def test_a_server_that_nobody_keeps_is_waited_for_and_then_replaced(used):
    """Of an earlier version, whose processes were killed."""
    used.parent.chmod(0o755)
    owner = used.stat().st_uid if os.geteuid() == 0 else None
    command = [programs_folder() / "postgres", "-D", used, "-h", "", "-k", used]
    left = subprocess.Popen(command, user=owner, stderr=subprocess.DEVNULL)
    eventually(lambda: is_running(used), "it does not start")
    story(used)
    assert left.wait(ENDS_S_MAX) == 0, "in order"


def test_other_files_are_left_alone_and_another_version_is_refused_in_one_line(folder):
    folder.mkdir()
    (folder / "holiday.jpg").touch()
    assert "not empty ('holiday.jpg' is in it)" in refusal(folder)
    (folder / "holiday.jpg").unlink()
    story(folder)
    (folder / "PG_VERSION").write_text("17\n")
    assert "it is of PostgreSQL 17" in refusal(folder)


def refusal(folder) -> str:
    with pytest.raises(DatabaseUnavailableError) as caught, embedded_server(folder):
        pass
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_server_that_does_not_start_says_why_in_one_line(used):
    with (used / "postgresql.conf").open("a") as text:
        text.write("shared_buffers = 'plenty'\n")
    assert "shared_buffers" in refusal(used) or "configuration file" in refusal(used)
    assert not processes_of(used)


# Where the folder may lie.


@pytest.mark.parametrize(
    "name", ["My Projects", "a,b;c'd\"e$f`g", "50%25 näh ☃", "x" * 200], ids=["space", "signs", "letters", "long"]
)
async def test_any_folder_will_do(folder, name):
    folder = folder.parent / name / "postgres"
    for _ in range(2):
        async with open_database("embedded", folder.parent) as database:
            assert await database.run(lambda connection: connection.fetchval("SELECT 1")) == 1
            with pytest.raises(LedgerUnavailableError, match="trouble"):
                await database.commit_group("{}")  # there is no schema, but it was asked


def test_no_folder_above_is_opened_to_others_and_ours_are_private(tmp_path):
    above = tmp_path / "above"
    above.mkdir(mode=0o700)
    folder = above / "data" / "postgres"
    before = {path: stat.S_IMODE(path.stat().st_mode) for path in (above, *above.parents)}
    owners = {path: path.stat().st_uid for path in before}
    story(folder)
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in before} == before
    assert {path: path.stat().st_uid for path in before} == owners
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    for path in (folder, *folder.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


# What is around it.


def test_a_locale_that_is_not_installed_and_others_variables_change_nothing(folder, tmp_path):
    strange = {"LANG": "xx_XX.UTF-8", "LC_ALL": "xx_XX.UTF-8", "PGPORT": "7", "PGDATA": "/no", "PGOPTIONS": "-c x=y"}
    visitor = Visitor(folder, **strange, TMPDIR=str(tmp_path), GETAWAY_MASTER_KEY=SECRET)
    assert visitor.url.startswith("postgresql://")
    processes = [*processes_of(folder), keeper_of(folder)]
    assert len(processes) > 3
    for pid in processes:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"GETAWAY" not in environ
        assert SECRET.encode() not in environ + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"xx_XX" not in environ
    assert ask(visitor.url, "SHOW lc_messages") == "C"
    assert ask(visitor.url, "SELECT datlocale FROM pg_database WHERE datname = current_database()") == "C.UTF-8"
    visitor.leave()
    assert list(tmp_path.iterdir()) == [], "in the folder for temporary files"


def test_programs_that_make_a_folder_get_nothing_of_our_environment(folder, monkeypatch):
    """Under root they run as somebody else, who could read it."""
    environs, popen = [], subprocess.Popen

    def start(*arguments, **options):
        environs.append(options["env"])
        return popen(*arguments, **options)

    monkeypatch.setenv("GETAWAY_MASTER_KEY", SECRET)
    monkeypatch.setattr(subprocess, "Popen", start)
    Cluster(folder, lambda: None)._run("initdb", "--version", user=None, descriptors=())
    assert environs == [dict(ENVIRON)] and environs[0].keys() == {"LC_ALL", "TZ", "PATH"}


def test_nobody_comes_in_without_the_password(used):
    with embedded_server(used) as url:
        assert_password_is_needed(used)
        assert ask(url, "SHOW listen_addresses") == "", "it can be reached by its socket alone"
        for name in (".s.PGSQL.5432", "keeper.sock"):
            assert stat.S_IMODE((used / name).stat().st_mode) & 0o077 == 0, name
        for name in ("getaway.password", "log"):
            assert stat.S_IMODE((used / name).stat().st_mode) == 0o600, name


def test_it_lets_in_as_many_as_are_asked_for_and_those_of_commands_besides(used):
    for wanted, allowed in ((60, 100), (61, 101), (10, 101)):
        with embedded_server(used, wanted) as url:
            assert ask(url, "SHOW max_connections") == str(allowed)


def test_a_log_that_has_grown_long_is_put_aside_at_the_next_start(used, monkeypatch):
    (used / "log").write_text("of before\n")
    story(used)
    assert "of before" in (used / "log").read_text()
    monkeypatch.setattr("server.db.embedded.cluster.LOG_BYTES_MAX", 5)
    with embedded_server(used):
        assert "of before" not in (used / "log").read_text()
        assert (used / "log.1").read_text().startswith("of before\n")


def assert_password_is_needed(folder):
    for credentials in ("postgres", "postgres:wrong"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://{credentials}@/postgres?host={folder}&passfile=/no/such/file", "SELECT 1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could give it away")
def test_under_root_it_belongs_to_nobody_else(folder):
    with embedded_server(folder):
        owner = folder.stat().st_uid
        assert owner not in {0, NOBODY}
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_of(folder)} == {owner}


AS_ANYBODY = """
import encodings.ascii, encodings.latin_1, ctypes, os, sys
from pathlib import Path
from server.db.embedded.embedded import embedded_server
folder, user, sys.executable = Path(sys.argv[1]), int(sys.argv[2]), "/usr/bin/python3"
os.chown(folder.parent, user, user)
os.setgroups([])
os.setgid(user)
os.setuid(user)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a program that was started by this user
with embedded_server(folder) as url:
    postmaster = (folder / "postmaster.pid").read_text().split()[0]
    print("it runs as", os.stat("/proc/" + postmaster).st_uid, flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize(("user", "said"), [(NOBODY, f"it runs as {NOBODY}"), (54_321, "the user id 54321 has none")])
def test_whoever_is_not_root_runs_it_as_himself_and_needs_an_account(folder, user, said):
    command = [sys.executable, "-c", AS_ANYBODY, str(folder), str(user)]
    environ = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr


# How it ends.


def test_a_killed_keeper_takes_the_server_with_it(used):
    visitor = Visitor(used)
    os.kill(keeper_of(used), signal.SIGKILL)
    eventually(lambda: not processes_of(used), "the server goes on")
    visitor.be_killed()
    story(used)


def test_ctrl_c_ends_a_process_and_not_what_others_use(used):
    visitor = Visitor(used)
    with embedded_server(used) as url:
        visitor.hear_ctrl_c()
        visitor.be_killed()
        assert ask(url, "SELECT 1") == 1
    assert not is_running(used)


def test_processes_that_come_and_go_at_once_all_find_it(used):
    """Also who comes while the last one leaves."""

    async def one(number):
        for _ in range(3):
            await trio.to_thread.run_sync(visit)

    def visit():
        with embedded_server(used) as url:
            assert ask(url, "SELECT 1") == 1

    async def all_of_them():
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(one, number)

    trio.run(all_of_them)
    assert not is_running(used)
    assert not processes_of(used)


async def test_a_start_that_waits_for_others_ends_when_it_is_cancelled(folder):
    folder.mkdir(mode=0o700)
    with (folder / "getaway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with trio.fail_after(5), trio.move_on_after(0.3) as scope:
            async with open_database("embedded", folder.parent):
                raise AssertionError
        assert scope.cancelled_caught


@pytest.mark.logs_errors("the embedded database has ended and is started again")
async def test_a_killed_server_is_started_again_under_the_same_url_and_no_other(used, nursery, caplog, monkeypatch):
    monkeypatch.setattr("server.db.embedded.embedded.LOOK_S", 0.02)
    server = EmbeddedServer(used)
    url = await trio.to_thread.run_sync(server.open)
    try:
        nursery.start_soon(server.keep_running)
        await trio.sleep(0.5)
        assert caplog.text == ""
        os.kill(postmaster(used), signal.SIGKILL)
        with trio.fail_after(20):
            while "runs again" not in caplog.text:
                await trio.sleep(0.05)
        assert await trio.to_thread.run_sync(ask, url, "SELECT 1") == 1
        await trio.sleep(0.5)
        assert caplog.text.count("has ended") == caplog.text.count("runs again") == 1
        nursery.cancel_scope.cancel()
    finally:
        server.close()
    assert not is_running(used)
