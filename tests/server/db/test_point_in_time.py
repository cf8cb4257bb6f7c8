"""A real recovery from a copy of the data folder: what a node reads of the database that comes of it."""

import shutil
from contextlib import suppress
from pathlib import Path

import trio

from actors.facts.records import Owner
from actors.ports.nodes import Pulse
from actors.rules.lineage import cut_reason
from server.db.driver.database import open_database
from server.db.embedded.embedded import embedded_server
from server.db.errors import DatabaseUnavailableError
from server.db.migrations.migrate import migrate
from server.secrets.vault import Vault
from tests.helpers.books import LEASE_MS
from tests.helpers.stores import EveryStore

RECOVERY = "restore_command = '/bin/false'\nrecovery_target_action = 'promote'\n"


def beaten(url: str, owner: Owner | None = None) -> tuple[Owner, Pulse]:
    """A node, new or known, after two heartbeats more."""

    async def beat():
        async with open_database(url, Path()) as database:
            await migrate(database)
            ledger = EveryStore(database, Vault(bytes(32)))
            known = owner or await ledger.register_node("node-a", 0)
            await ledger.heartbeat(known, 0, LEASE_MS)
            return known, await ledger.heartbeat(known, 0, LEASE_MS)

    return trio.run(beat)


def first_beat(url: str, owner: Owner) -> Pulse:
    """As soon as the recovery has ended: before it the server lets nobody write."""

    async def beat():
        with trio.fail_after(40):
            while True:
                with suppress(DatabaseUnavailableError):
                    async with open_database(url, Path()) as database:
                        return await EveryStore(database, Vault(bytes(32))).heartbeat(owner, 0, LEASE_MS)
                await trio.sleep(0.2)

    return trio.run(beat)


def test_a_recovered_database_is_told_from_the_one_that_was_written(tmp_path):
    present, backup = tmp_path / "present", tmp_path / "backup"
    with embedded_server(present) as url:
        owner, _ = beaten(url)
    shutil.copytree(present, backup, symlinks=True, copy_function=copy_with_owner)
    with embedded_server(present) as url:
        _, newest = beaten(url, owner)
        assert newest.lineage.has_moved is False, "a stop and a start is the same history"
    data = next(path.parent for path in backup.rglob("PG_VERSION") if (path.parent / "global").is_dir())
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(RECOVERY)
    (data / "recovery.signal").touch()
    stat = data.stat()
    shutil.chown(data / "recovery.signal", stat.st_uid, stat.st_gid)
    with embedded_server(backup) as url:
        pulse = first_beat(url, owner)
    assert pulse.lineage.has_moved is True, "it is on a new timeline"
    assert pulse.before_ms < newest.database_ms
    reason = cut_reason(pulse.lineage, recorded_ms=pulse.before_ms, written_ms=newest.database_ms)
    assert reason is not None and "heartbeats" in reason
    assert cut_reason(pulse.lineage, recorded_ms=pulse.before_ms, written_ms=None) is not None, "also after a restart"


def copy_with_owner(source: str, target: str) -> str:
    """As root the server's files belong to another user."""
    shutil.copy2(source, target)
    stat = Path(source).stat()
    shutil.chown(target, stat.st_uid, stat.st_gid)
    return target
