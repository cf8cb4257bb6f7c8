"""How fast interrupted rounds come to their right end: ``python -m tests.bench.figures.recovery [ROUNDS]``.

A node died with ROUNDS rounds in flight. The figures count from the moment the new process is started, its imports and
its way to the database included. Meanwhile an operator launches sessions.
"""

import sys
import threading
import time
from pathlib import Path
from uuid import UUID

import trio

from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.bench.figures.stand import MASTER_KEY, Stand, open_stand, progress, quantile, show
from tests.helpers import books
from tests.helpers.game import operator
from tests.helpers.stores import EveryStore
from tests.whole.casino import Operator

ROUNDS = 10_000
RECOVERY_S_MAX = 300
GROUP = 250
NODE = "test-node"


async def die_in_flight(stand: Stand, operator_id: UUID, rounds: int) -> None:
    """Leave flying rounds of a node that has just died."""
    async with open_database(stand.database_url, Path()) as database:
        ledger = EveryStore(database, Vault(MASTER_KEY))
        now_ms = time.time_ns() // 1_000_000
        owner = await ledger.register_node(NODE, now_ms)
        for first in range(0, rounds, GROUP):
            sessions = [
                books.new_session(
                    operator(operator_id=operator_id), name, created_at_ms=now_ms, expires_at_ms=now_ms + books.HOUR_MS
                )
                for name in range(first, min(first + GROUP, rounds))
            ]
            await ledger.commit(sessions)
            for created in sessions:
                await books.opened(ledger, created, owner, now_ms)
            live = [books.new_round(created, created_at_ms=now_ms) for created in sessions]
            await ledger.commit([books.place(owner, each) for each in live])
            await ledger.commit([books.start(owner, each) for each in live])
        await ledger.heartbeat(owner, time.time_ns() // 1_000_000, 60_000)


class Launches(threading.Thread):
    """An operator that launches sessions all the time; how long each took, in milliseconds."""

    def __init__(self, caller: Operator) -> None:
        super().__init__(daemon=True)
        self._caller = caller
        self.took_ms: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            began = time.monotonic()
            self._caller.session()
            self.took_ms.append((time.monotonic() - began) * 1000)
            time.sleep(0.02)


def main(rounds: int) -> None:
    with open_stand(GETAWAY_LIMITS_REQUESTS_PER_SECOND="10000", GETAWAY_LIMITS_REQUESTS_BURST="10000") as stand:
        stand.start_wallet()
        created = stand.server.create_operator(stand.wallet_url)
        progress(f"recovery: leaving {rounds} rounds in flight")
        trio.run(die_in_flight, stand, UUID(created["operator_id"]), rounds)
        began_ms = time.time() * 1000
        stand.server.start()
        ready_ms = time.time() * 1000 - began_ms
        launches = Launches(Operator(stand.server.url, **{name: created[name] for name in _CREDENTIALS}))
        launches.start()
        deadline = time.monotonic() + RECOVERY_S_MAX
        while stand.query("SELECT FROM rounds WHERE status IN ('betting', 'flying') LIMIT 1"):
            assert time.monotonic() < deadline, "the rounds are not brought to their end"
            time.sleep(0.2)
        launches.done.set()
        launches.join()
        ended_ms = [row["settled_at_ms"] - began_ms for row in stand.query("SELECT settled_at_ms FROM rounds")]
        show(
            what="recovery",
            rounds=len(ended_ms),
            ready_s=round(ready_ms / 1000, 2),
            p50_s=round(quantile(ended_ms, 0.5) / 1000, 2),
            p99_s=round(quantile(ended_ms, 0.99) / 1000, 2),
            all_s=round(max(ended_ms) / 1000, 2),
            launches=len(launches.took_ms),
            launch_p99_ms=round(quantile(launches.took_ms, 0.99), 1) if launches.took_ms else None,
        )


_CREDENTIALS = ("operator_id", "api_key", "hmac_secret")

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
