"""Backups and restores as docs/restore.md tells them: each block of commands is run as it stands there."""

import re
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from server.db.embedded.embedded import programs_folder
from tests.helpers.programs_of_postgres import LocalServer, run_program, servers_folder, unprivileged
from tests.helpers.server_process import ROOT, ServerProcess
from tests.whole.house import House, finished_round
from tests.whole.test_restored import in_thread, launched, listed, until
from tests.whole.wallet import Wallet

NOON = "2026-07-31 12:00:00+00"
SINCE = "2026-07-31T12:00:00Z"
BLOCK_S_MAX = 60
BACK_S_MAX = 60
"""A quiet machine needs about two. What must not happen is that it never comes."""


def block_with(part: str) -> str:
    """The one block of the page in which this is."""
    page = (ROOT / "docs" / "restore.md").read_text(encoding="utf-8")
    (found,) = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if part in block]
    return found


def test_every_block_of_the_page_is_run_here():
    page = (ROOT / "docs" / "restore.md").read_text(encoding="utf-8")
    parts = ("getaway restored", "archive_mode", "pg_basebackup", "recovery.signal", "pg_dump", "pg_restore")
    assert len({block_with(part) for part in parts}) == len(parts) == page.count("```sh")


class Commands:
    """A shell of PostgreSQL's user beside one server."""

    def __init__(self, server: LocalServer, backups: Path) -> None:
        self._folder = server.folder
        self._environ = {
            "LC_ALL": "C",
            "PATH": f"{programs_folder()}:/usr/bin:/bin",
            "PGDATA": str(server.folder),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "BACKUPS": str(backups),
        }

    def run(self, block: str, **variables: str) -> None:
        said = self._folder.parent / "said"
        with said.open("ab") as output:  # no pipe: a server that was started would hold it open
            done = subprocess.run(
                ["sh", "-eu", "-c", block],
                env=self._environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                timeout=BLOCK_S_MAX,
                check=False,
                **unprivileged(),
            )
        assert done.returncode == 0, f"{block}\n{said.read_text()}"


@contextmanager
def cluster(folder: Path, name: str):
    """A server whose end is not ours to wait for: the commands start and stop it, too."""
    server = LocalServer(folder / name).initialize().start()
    try:
        yield server
    finally:
        if (server.folder / "postmaster.pid").exists():
            run_program("pg_ctl", "-D", str(server.folder), "-m", "immediate", "stop")
        server.kill()


@pytest.fixture
def folder():
    with servers_folder() as folder:
        yield folder


@pytest.fixture
def wallet():
    wallet = Wallet()
    yield wallet
    wallet.close()


@contextmanager
def served(url, folder, wallet):
    server = ServerProcess(url, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS="0.0006")
    try:
        yield House(server, wallet, "0.0006")
    finally:
        server.kill()


async def a_round(house, session):
    """A bet of 10.00 that is lost or won, booked by both sides."""
    async with house.playing(session) as player:
        round_id = (await player.bet(1000, auto_cashout=1.05))["round_id"]
        await player.until("round_ended")
    return (await in_thread(finished_round, house.operator, round_id))["round_id"]


def restored(house, path, moment, *options):
    """The command of the page, for this moment and this list."""
    block = block_with("getaway restored").replace(SINCE, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    words = [{"ID": house.operator.operator_id, "theirs.csv": path}.get(word, word) for word in shlex.split(block)]
    assert words[0] == "getaway" and {house.operator.operator_id, path} < set(words)
    done = house.server.getaway(*words[1:], *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_recovery_to_a_moment_is_noticed_seen_to_and_played_on(folder, wallet, tmp_path):
    backups = folder / "backups"
    with cluster(folder, "here") as leader, served(leader.url, tmp_path, wallet) as house:
        commands = Commands(leader, backups)
        await in_thread(commands.run, block_with("archive_mode"))
        await in_thread(house.add_operator)
        await in_thread(house.server.start)
        session = await in_thread(house.operator.session)
        before = await a_round(house, session)
        await in_thread(commands.run, block_with("pg_basebackup"))
        after_backup = await a_round(house, session)
        await trio.sleep(2.1)
        moment = datetime.now(UTC)
        await trio.sleep(2.1)
        lost = await a_round(house, session)

        block = block_with("recovery.signal")
        assert NOON in block
        await in_thread(commands.run, block.replace(NOON, moment.isoformat()))
        await until(lambda: "the database's history was cut" in house.server.log(), BACK_S_MAX)
        assert not await in_thread(house.server.is_ready)
        statuses = []
        await until(lambda: launched(house, statuses), BACK_S_MAX)
        assert statuses == [503]
        path = await in_thread(listed, house, tmp_path / "theirs.csv")
        told = await in_thread(restored, house, path, moment)
        assert lost in told and before not in told and after_backup not in told
        await in_thread(restored, house, path, moment, "--yes")
        booked = {call.kind for call in wallet.calls if call.body["round_id"] == lost}
        assert booked in ({"bet", "win"}, {"bet", "refund"}), "it was won, and is; or it was lost, and is given back"
        await until(house.server.is_ready, BACK_S_MAX)
        for round_id in (before, after_backup):
            assert (await in_thread(house.operator.round, round_id))["status"] == "settled"
        await a_round(house, await in_thread(house.operator.session))


async def test_a_dump_goes_into_another_server_and_is_told_from_the_first(folder, wallet, tmp_path):
    backups = folder / "backups"
    with cluster(folder, "here") as leader, cluster(folder, "there") as other:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        await in_thread(Commands(leader, backups).run, 'mkdir -p "$BACKUPS"')
        with served(leader.url, tmp_path / "first", wallet) as house:
            await in_thread(house.add_operator)
            await in_thread(house.server.start)
            known = await a_round(house, await in_thread(house.operator.session))
            dump = Commands(leader, backups).run
            await in_thread(lambda: dump(block_with("pg_dump"), GETAWAY_DATABASE_URL=leader.url))
            house.server.tell_to_stop()
            assert await in_thread(house.server.wait) == 0
        await in_thread(Commands(other, backups).run, block_with("pg_restore"))
        url = other.url.removesuffix("postgres") + "getaway"
        with served(url, tmp_path / "second", wallet) as again:
            again.operators = {key: replace(each, url=again.url) for key, each in house.operators.items()}
            again.server.spawn()
            await until(lambda: "the database's history was cut" in again.server.log(), BACK_S_MAX)
            assert not await in_thread(again.server.is_ready)
            path = await in_thread(listed, again, tmp_path / "theirs.csv")
            await in_thread(restored, again, path, datetime.now(UTC), "--yes")
            await until(again.server.is_ready, BACK_S_MAX)
            assert (await in_thread(again.operator.round, known))["status"] == "settled"
            await a_round(again, await in_thread(again.operator.session))
