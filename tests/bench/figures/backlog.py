"""How fast a backlog of undelivered wins drains: ``python -m tests.bench.figures.backlog [WINS]``.

The operator was away; WINS sessions are owed a win each when the server starts. One win is played through the ledger
and copied with new ids, because playing all of them would take longer than delivering them.
"""

import sys
import time
from pathlib import Path
from uuid import UUID

import trio

from server.db.driver.database import Connection, open_database
from server.secrets.vault import Vault
from tests.bench.figures.stand import MASTER_KEY, Stand, open_stand, progress, show
from tests.helpers import books
from tests.helpers.game import operator
from tests.helpers.signed_rows import sign_all
from tests.helpers.stores import EveryStore

WINS = 100_000
DRAIN_S_MAX = 900

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_name = $1 AND table_schema = 'public' AND is_generated = 'NEVER' ORDER BY ordinal_position
"""
_COPIES = {
    "sessions": {"session_id": "i.session_id", "token_digest": "sha256(uuid_send(i.session_id))"},
    "rounds": {"session_id": "i.session_id", "round_id": "i.round_id"},
    "transactions": {
        "session_id": "i.session_id",
        "round_id": "i.round_id",
        "operator_tx_id": "t.kind || '-' || i.round_id",
        "body": "replace(replace(convert_from(t.body, 'UTF8'), t.round_id::text, i.round_id::text),"
        " t.session_id::text, i.session_id::text)::bytea",
    },
}


async def play_one(stand: Stand, operator_id: UUID) -> None:
    """A session whose first round was won and whose win could not be delivered."""
    async with open_database(stand.database_url, Path()) as database:
        ledger = EveryStore(database, Vault(MASTER_KEY))
        now_ms = time.time_ns() // 1_000_000
        owner = await ledger.register_node("gone", now_ms)
        created = books.new_session(
            operator(operator_id=operator_id), created_at_ms=now_ms - 60_000, expires_at_ms=now_ms + books.HOUR_MS
        )
        await ledger.commit([created])
        await books.opened(ledger, created, owner, now_ms)
        live = books.new_round(created, created_at_ms=now_ms - 50_000)
        flight = books.flying(live)
        await ledger.commit([books.place(owner, live), books.start(owner, live), books.cash_out(owner, flight)])


async def copy_all(stand: Stand, wins: int) -> None:
    """``wins`` in all, each of a session of its own."""

    async def work(connection: Connection) -> None:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "CREATE TEMPORARY TABLE ids ON COMMIT DROP AS SELECT gen_random_uuid() AS session_id,"
            f" gen_random_uuid() AS round_id FROM generate_series(2, {wins:d})"
        )
        for table, changes in _COPIES.items():
            columns = [row["column_name"] for row in await connection.fetch(_COLUMNS, table)]
            values = ", ".join(changes.get(column, f"t.{column}") for column in columns)
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} t, ids i"
            )

    async with open_database(stand.database_url, Path()) as database:
        await database.in_transaction(work, timeout_ms=600_000)
        await database.in_transaction(lambda connection: sign_all(connection, Vault(MASTER_KEY)), timeout_ms=600_000)
        await database.run(lambda connection: connection.execute("VACUUM ANALYZE"), timeout_ms=600_000)


def drain(stand: Stand, wins: int) -> None:
    """Start the server and watch the wallet until it has every win."""
    stand.server.start()
    deadline = time.monotonic() + DRAIN_S_MAX
    while (counts := stand.counts())["distinct"] < wins:
        progress(f"  {counts['distinct']:>7} delivered")
        assert time.monotonic() < deadline, "the backlog does not drain"
        time.sleep(2)
    while stand.query("SELECT FROM transactions WHERE status = 'pending' LIMIT 1"):
        time.sleep(0.2)
    took_s = counts["last_s"] - counts["first_s"]
    show(
        what="backlog",
        wins=wins,
        took_s=round(took_s, 1),
        wins_per_s=round(wins / took_s),
        sent_twice=counts["calls"] - counts["distinct"],
    )


def main(wins: int) -> None:
    with open_stand() as stand:
        stand.start_wallet()
        created = stand.server.create_operator(stand.wallet_url)
        progress(f"backlog: making {wins} undelivered wins")
        trio.run(play_one, stand, UUID(created["operator_id"]))
        trio.run(copy_all, stand, wins)
        drain(stand, wins)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WINS)
