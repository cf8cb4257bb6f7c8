"""Heartbeats on real connections: a process that is gone is known by its lock, one that is silent has its lease."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from actors.facts.records import Owner
from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.helpers.books import NOON_MS
from tests.helpers.server_process import ROOT
from tests.helpers.stores import EveryStore
from tests.server.db.test_concurrency import WAITING, rival

LEASE_MS = 60_000
SILENT_MS = 300
FOUND_S_MAX = 10

A_LIFE = """
import sys, trio
from pathlib import Path
from server.db.driver.database import open_database
from tests.helpers.stores import EveryStore
from server.secrets.vault import Vault

async def live():
    async with open_database(sys.argv[1], Path(), pool_size=1) as database:
        owner = await EveryStore(database, Vault(bytes(32))).register_node("elsewhere", 0)
        print(owner.epoch, flush=True)
        await trio.sleep_forever()

trio.run(live)
"""
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = $1"


@pytest.fixture
def ledger(database):
    return EveryStore(database, Vault(bytes(32)))


@contextmanager
def life(url):
    """A process with a life of a node, and that life."""
    process = subprocess.Popen(
        [sys.executable, "-c", A_LIFE, url],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        yield process, Owner("elsewhere", int(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()


async def found_gone(ledger, owner, seconds):
    """Whether the life is found gone within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := await ledger.end_silent(Owner("test", 1), SILENT_MS):
            assert found == [owner]
            return True
        await trio.sleep(0.02)
    return False


async def test_a_killed_process_is_found_gone_long_before_its_lease(ledger, emptied_database_url):
    with life(emptied_database_url) as (process, owner):
        assert not await found_gone(ledger, owner, 2 * SILENT_MS / 1000), "it holds its lock"
        process.kill()
        assert await found_gone(ledger, owner, FOUND_S_MAX)


async def test_a_stopped_process_has_its_lease(ledger, emptied_database_url):
    with life(emptied_database_url) as (process, owner):
        process.send_signal(signal.SIGSTOP)
        assert not await found_gone(ledger, owner, 3 * SILENT_MS / 1000)


async def holder(database, owner):
    return await database.run(lambda connection: connection.fetchval(HOLDERS, owner.epoch))


async def test_a_beat_makes_a_new_connection_and_holds_the_lock_again(database, ledger):
    owner = await ledger.register_node("node-a", NOON_MS)
    first = await holder(database, owner)
    await database.run(lambda connection: connection.execute("SELECT pg_terminate_backend($1)", first))
    pulse = await ledger.heartbeat(owner, NOON_MS, LEASE_MS)
    assert (pulse.is_recorded, pulse.is_over) == (True, False)
    assert await holder(database, owner) not in {None, first}


async def test_a_lock_that_somebody_tries_just_then_is_got_with_the_next_beat(database, ledger):
    owner = await ledger.register_node("node-a", NOON_MS)
    first = await holder(database, owner)

    async def try_it(connection):
        await connection.execute("SELECT pg_terminate_backend($1, 5000)", first)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", owner.epoch)

    async with rival(database, try_it):
        trying = await holder(database, owner)
        assert (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).is_recorded
        assert await holder(database, owner) == trying != first
    assert (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).is_recorded
    assert await holder(database, owner) not in {None, trying}


async def test_a_beat_waits_for_nobody(emptied_database_url):
    """Not for the pool's connections, however busy they are."""
    async with open_database(emptied_database_url, Path(), pool_size=1) as database, trio.open_nursery() as nursery:
        ledger = EveryStore(database, Vault(bytes(32)))
        owner = await ledger.register_node("node-a", NOON_MS)
        nursery.start_soon(database.run, lambda connection: connection.execute("SELECT pg_sleep(30)"))
        await trio.sleep(0.1)
        with trio.fail_after(FOUND_S_MAX):
            assert (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).is_recorded
        nursery.cancel_scope.cancel()


async def test_a_locked_row_delays_its_beat_for_a_second_and_keeps_the_connection(database, ledger):
    owner = await ledger.register_node("node-a", NOON_MS)
    before = await holder(database, owner)

    async def lock_it(connection):
        await connection.execute("SELECT FROM nodes WHERE epoch = $1 FOR UPDATE", owner.epoch)
        await connection.execute("SELECT pg_sleep(1.3)")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.in_transaction, lock_it)
        await trio.sleep(0.1)
        with pytest.raises(LedgerUnavailableError):
            await ledger.heartbeat(owner, NOON_MS, LEASE_MS)
    assert (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).is_recorded
    assert await holder(database, owner) == before


async def test_who_looks_for_the_dead_waits_for_nobody(database, ledger):
    """The look goes by the connection of the heartbeats: whoever waits there for a locked row does not beat."""
    locked, owner = await ledger.register_node("node-a", NOON_MS), await ledger.register_node("node-b", NOON_MS)

    async def lock_it(connection):
        await connection.execute("SELECT FROM nodes WHERE epoch = $1 FOR UPDATE", locked.epoch)

    silent = "UPDATE nodes SET heartbeat_at_ms = heartbeat_at_ms - 10000 WHERE node = 'node-a'"
    await database.run(lambda connection: connection.execute(silent))
    await ledger.database.on_line(lambda line: line.connection.execute("SELECT pg_advisory_unlock($1)", locked.epoch))
    async with rival(database, lock_it):
        assert await ledger.end_silent(owner, SILENT_MS) == []
    assert await ledger.end_silent(owner, SILENT_MS) == [locked]


@pytest.mark.logs_errors("the database's history was cut while nothing ran")
async def test_a_mark_is_compared_with_the_present_history_alone(database, ledger):
    owner = await ledger.register_node("node-a", NOON_MS)
    pulse = await ledger.heartbeat(owner, NOON_MS, LEASE_MS)
    history_id = pulse.lineage.history_id

    async def is_cut():
        return (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).lineage.cut_reason

    await ledger.compare(owner, history_id, pulse.database_ms)
    await ledger.compare(owner, "another", pulse.database_ms + 60_000)
    await ledger.compare(Owner("node-b", 1), "another", 1)
    assert await is_cut() is None
    await ledger.compare(owner, history_id, pulse.database_ms + 60_000)
    assert "lacks" in await is_cut()
    await database.run(
        lambda connection: connection.execute("UPDATE histories SET cut_at_ms = NULL, cut_reason = NULL, cut_by = NULL")
    )
    await ledger.compare(Owner("node-b", 1), history_id, 1)
    assert "registration" in await is_cut()


async def test_a_beat_that_waits_for_whoever_ends_its_life_is_not_recorded(database, ledger):
    owner = await ledger.register_node("node-a", NOON_MS)
    answers = []

    async def beat():
        answers.append(await ledger.heartbeat(owner, NOON_MS + 7, LEASE_MS))

    async def end(connection):
        await connection.execute("UPDATE nodes SET ended_at_ms = database_ms() WHERE epoch = $1", owner.epoch)

    async with trio.open_nursery() as nursery, rival(database, end):
        nursery.start_soon(beat)
        while not await database.run(lambda connection: connection.fetchval(WAITING)):
            await trio.sleep(0.01)
    assert [pulse.is_recorded for pulse in answers] == [False]
    assert (await ledger.heartbeat(owner, NOON_MS, LEASE_MS)).is_over
