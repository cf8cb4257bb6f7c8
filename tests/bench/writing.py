"""How fast the ledger writes whole rounds: the transitions of many sessions in groups, as a busy node commits them."""

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import trio

from actors.facts.records import Owner
from actors.facts.transitions import Applied, CreateSession, Launched, Started, Transition
from actors.kit.clock import ServerClock
from actors.ports.ledger import Ledger
from server.db.driver.database import Database, open_database
from server.secrets.entropy import SystemEntropy
from server.secrets.vault import Vault
from tests.bench.figures.stand import MASTER_KEY
from tests.bench.house import HOUR_MS
from tests.helpers import books
from tests.helpers.game import operator
from tests.helpers.stores import EveryStore

GROUP = 64
LOOK_S = 0.01
_WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


class Written(NamedTuple):
    """``lock_part``: of the writers' time, how much they spent waiting for a row that another one had."""

    rounds_per_s: float
    lock_part: float


async def prepare(ledger: Ledger, operator_id: UUID, rounds: int) -> list[list[Transition]]:
    """The groups of one writer, a node of its own: ``GROUP`` sessions, and of each ``rounds`` rounds, won and paid."""
    now_ms = time.time_ns() // 1_000_000
    entropy = SystemEntropy(ServerClock(now_ms))  # ids as the server makes them: where they lie in an index matters
    owner = await ledger.register_node(f"writer-{uuid4().hex[:8]}", now_ms)
    chosen = operator(operator_id=operator_id)
    times = {"created_at_ms": now_ms, "expires_at_ms": now_ms + HOUR_MS}
    sessions = [books.new_session(chosen, uuid4(), session_id=entropy.identifier(), **times) for _ in range(GROUP)]
    assert all(isinstance(answer, Launched) for answer in await ledger.commit(sessions))
    for created in sessions:
        await books.opened(ledger, created, owner, now_ms)
    return [group for nonce in range(1, rounds + 1) for group in _round(owner, entropy, sessions, nonce)]


def _round(owner: Owner, entropy: SystemEntropy, sessions: list[CreateSession], nonce: int) -> list[list[Transition]]:
    """One round of each session: bet, start, win, acknowledgement."""
    live = [books.new_round(created, nonce, round_id=entropy.identifier()) for created in sessions]
    return [
        [books.place(owner, each) for each in live],
        [books.start(owner, each) for each in live],
        [books.cash_out(owner, books.flying(each)) for each in live],
        [books.acknowledge(each) for each in live],
    ]


async def write(url: str, operator_id: UUID, writers: int, rounds: int) -> Written:
    """``writers`` at once, each with connections of its own as a node has them, all for one operator, one currency and
    one day: where a hot row would be."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(url, Path(), pool_size=2)) for _ in range(writers)]
        ledgers = [EveryStore(database, Vault(MASTER_KEY)) for database in databases]
        prepared = [await prepare(ledger, operator_id, rounds) for ledger in ledgers]
        looks: list[int] = []
        async with trio.open_nursery() as watching:
            watching.start_soon(watch, databases[0], looks)
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for ledger, groups in zip(ledgers, prepared, strict=True):
                    nursery.start_soon(_commit_all, ledger, groups)
            took_s = trio.current_time() - began
            watching.cancel_scope.cancel()
    return Written(writers * rounds * GROUP / took_s, sum(looks) / max(len(looks) * writers, 1))


async def _commit_all(ledger: Ledger, groups: list[list[Transition]]) -> None:
    for group in groups:
        answers = await ledger.commit(group)
        assert all(isinstance(answer, (Applied, Started)) for answer in answers), answers


async def watch(database: Database, looks: list[int]) -> None:
    """Count again and again the sessions that wait for a lock that another one has, for ever."""
    while True:
        looks.append(await database.run(lambda connection: connection.fetchval(_WAITING)))
        await trio.sleep(LOOK_S)
