"""Millions of rounds in a real schema, written by SQL: playing them would take days.

They are a month of several operators and currencies, about evenly spread, and as the rules of the schema want them:
each with its session, its acknowledged bet and, if it was cashed out, its acknowledged win. The schema's checks are on
while they are written, its triggers and foreign keys are not. Seeds and outcomes have the right shape and size, but
only the seed's hash is true to its seed.

Each row has the codes that the server would have given it, and ``revenue_days`` counts them all.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

import asyncpg

from server.secrets.row_macs import BET, CALL, END, SESSION, START, RowMacs
from tests.bench.report import progress
from tests.bench.sql_macs import NULL, bytes_field, code, number_field, text_field, uuid_field

DAYS = 31
DAY_MS = 86_400_000
ROUNDS_PER_SESSION = 100
ROUND_MS = 30_000
WRITERS = 2
CHUNK = 50_000
TABLES = ("transactions", "rounds", "sessions")
CURRENCIES = ("EUR", "JPY", "USD")
STATEMENT_S_MAX = 1_800

# For the time of the loading alone: whatever crashes meanwhile is loaded again.
_QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "'8GB'"}
_SESSION = ("session_replication_role = replica", "synchronous_commit = off", "work_mem = '256MB'")
_SESSION += ("maintenance_work_mem = '1GB'", "statement_timeout = 0")

_SESSIONS = """
INSERT INTO sessions (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest,
    created_at_ms, expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, mac)
SELECT *, CODE_OF_SESSION FROM (
    SELECT ($1::uuid[])[(s % cardinality($1::uuid[]))::integer + 1] AS operator_id,
        md5(s || 's')::uuid AS session_id, 'player-' || s / 3 AS player,
        ($2::text[])[(s / cardinality($1::uuid[]) % cardinality($2::text[]))::integer + 1] AS currency,
        500000, sha256((s || 't')::bytea) AS token_digest,
        $3::bigint + s * $4::bigint AS created, $3::bigint + s * $4::bigint + 86400000 AS expires, 'player', 101,
        md5(s || 'h') || md5(s || 'g'), decode(repeat(md5(s || 'e'), 6), 'hex')
    FROM generate_series(0, $5::bigint - 1) s OFFSET 0
) made
"""

_ROUNDS = """
WITH drawn AS (
    SELECT i, i / 100 AS s, i % 100 + 1 AS nonce, md5(i || 'r')::uuid AS round_id,
        md5(i || 'a') || md5(i || 'b') AS seed,
        $3::bigint + i / 100 * $4::bigint + i % 100 * 30000 AS created, 100 + i % 50 * 10 AS amount,
        (110 + i % 300)::integer AS target
    FROM generate_series($5::bigint, $6::bigint - 1) i OFFSET 0
), crashed AS (
    SELECT *, encode(sha256(seed::bytea), 'hex') AS hash,
        least(200000, greatest(100, floor(
            96 / (1 - ('x' || left(seed, 8))::bit(32)::bigint / 4294967296.0))))::integer AS crash
    FROM drawn OFFSET 0
), valued AS (
    SELECT *, ($1::uuid[])[(s % cardinality($1::uuid[]))::integer + 1] AS operator_id,
        md5(s || 's')::uuid AS session_id, 'player-' || s / 3 AS player,
        ($2::text[])[(s / cardinality($1::uuid[]) % cardinality($2::text[]))::integer + 1] AS currency,
        created + 20 AS started, created + 20 + (ln(least(target, crash) / 100.0) / 0.00006)::bigint AS settled,
        CASE WHEN crash >= target THEN 'cashout' ELSE 'crash' END AS result,
        CASE WHEN crash >= target THEN target ELSE 0 END AS realized,
        CASE WHEN crash >= target THEN amount * target / 100 ELSE 0 END AS payout
    FROM crashed OFFSET 0
), written AS (
    INSERT INTO rounds (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, client_seed,
        nonce, server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
        growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms, started_at_ms, settled_at_ms, result,
        realized_hundredths, payout_minor, server_seed, crash_hundredths, map_seed, loot_seed, guard_seed,
        bet_mac, start_mac, end_mac)
    SELECT operator_id, round_id, session_id, player, currency, amount, 'player', nonce, hash,
        decode(hash || seed || hash, 'hex'), 9600, 2000, 1500, 10000000, 0.00006, 'settled', 'gone', 1, created,
        started, settled, result, realized, payout, seed, crash, reverse(seed), reverse(hash), hash,
        CODE_OF_BET, CODE_OF_START, CODE_OF_END
    FROM valued
    RETURNING operator_id, round_id, session_id, operator_player_id, currency, amount_minor, payout_minor, nonce,
        created_at_ms, settled_at_ms
)
INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status,
    attempts, created_at_ms, next_attempt_at_ms, acknowledged_at_ms, mac)
SELECT *, CODE_OF_CALL FROM (
SELECT operator_id, kind || '-' || round_id AS tx_id, round_id, session_id, kind, paid,
    convert_to(format('{"operator_tx_id":"%s-%s","operator_player_id":"%s","session_id":"%s","round_id":"%s",'
        '"currency":"%s","amount_minor":%s}', kind, round_id, operator_player_id, session_id, round_id, currency, paid),
        'UTF8') AS body,
    2 * nonce + is_win AS place, 'acknowledged', 1, at_ms AS called, at_ms, at_ms + 8
FROM written, LATERAL (VALUES ('bet', amount_minor, 0, created_at_ms), ('win', payout_minor, 1, settled_at_ms))
    AS call (kind, paid, is_win, at_ms)
WHERE paid > 0 OFFSET 0
) made
"""

_OF_ROUND = {"operator_id": uuid_field("operator_id"), "round_id": uuid_field("round_id")}
_OF_ROUND |= {"session_id": uuid_field("session_id")}
_TERMS = {"rtp_bps": 9600, "max_win_multiplier": 2000, "rev_share_bps": 1500, "max_payout_minor": 10_000_000}
_FIELDS = {
    SESSION: {
        "operator_id": uuid_field("operator_id"),
        "session_id": uuid_field("session_id"),
        "operator_player_id": text_field("player"),
        "currency": text_field("currency"),
        "token_digest": bytes_field("token_digest"),
        "created_at_ms": number_field("created"),
        "expires_at_ms": number_field("expires"),
        "lang": NULL,
        "reality_check_minutes": NULL,
        "lobby_url": NULL,
    },
    BET: _OF_ROUND
    | {name: text_field(f"'{value}'") for name, value in _TERMS.items()}
    | {
        "operator_player_id": text_field("player"),
        "currency": text_field("currency"),
        "amount_minor": number_field("amount"),
        "auto_cashout_hundredths": NULL,
        "client_seed": text_field("'player'"),
        "nonce": number_field("nonce"),
        "server_seed_hash": text_field("hash"),
        "growth_rate_per_ms": text_field("'0.00006'"),
        "created_at_ms": number_field("created"),
    },
    START: _OF_ROUND | {"started_at_ms": number_field("started")},
    END: _OF_ROUND
    | {
        "status": text_field("'settled'"),
        "result": text_field("result"),
        "reason": NULL,
        "realized_hundredths": number_field("realized"),
        "payout_minor": number_field("payout"),
        "server_seed": text_field("seed"),
        "crash_hundredths": number_field("crash"),
        "map_seed": text_field("reverse(seed)"),
        "loot_seed": text_field("reverse(hash)"),
        "guard_seed": text_field("hash"),
        "settled_at_ms": number_field("settled"),
    },
    CALL: _OF_ROUND
    | {
        "operator_tx_id": text_field("tx_id"),
        "kind": text_field("kind"),
        "amount_minor": number_field("paid"),
        "body": bytes_field("body"),
        "position": number_field("place"),
        "created_at_ms": number_field("called"),
    },
}
_NAMES = {SESSION: "SESSION", BET: "BET", START: "START", END: "END", CALL: "CALL"}

_REVENUE = """
INSERT INTO revenue_days
SELECT operator_id, settled_day, currency, rev_share_bps, 'gone', sum(amount_minor), sum(payout_minor), count(*)
FROM rounds GROUP BY operator_id, settled_day, currency, rev_share_bps
"""

_CONSTRAINTS = """
SELECT conrelid::regclass::text AS of_table, quote_ident(conname) AS name, contype::text AS kind,
    pg_get_constraintdef(oid) AS definition
FROM pg_constraint
WHERE contype IN ('p', 'u', 'f') AND (conrelid = ANY ($1::regclass[]) OR confrelid = ANY ($1::regclass[]))
ORDER BY contype = 'f' DESC
"""

_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = ANY ($1::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def statements(macs: RowMacs) -> tuple[str, str]:
    """What writes sessions, and what writes a chunk of their rounds, with the codes of a master key."""
    sessions, rounds = _SESSIONS, _ROUNDS
    for kind, fields in _FIELDS.items():
        name, made = f"CODE_OF_{_NAMES[kind]}", code(macs, kind, fields)
        sessions, rounds = sessions.replace(name, made), rounds.replace(name, made)
    return sessions, rounds


def round_id(number: int) -> UUID:
    """The id of the n-th stored round, from 0."""
    return UUID(hashlib.md5(f"{number}r".encode(), usedforsecurity=False).hexdigest())


def operator_of(number: int, operators: Sequence[UUID]) -> UUID:
    """Whose round it is."""
    return operators[number // ROUNDS_PER_SESSION % len(operators)]


class Loader:
    """Writes rounds into the database at ``url``, whose schema has only been made. Its methods block."""

    def __init__(self, url: str, macs: RowMacs, operators: Sequence[UUID], first_day_ms: int, rounds: int) -> None:
        assert rounds % ROUNDS_PER_SESSION == 0, "sessions have equally many rounds"
        self._url = url
        self._sessions_sql, self._rounds_sql = statements(macs)
        self._rounds = rounds
        sessions = rounds // ROUNDS_PER_SESSION
        # The last session must end within the days, too.
        apart_ms = (DAYS * DAY_MS - 2 * ROUNDS_PER_SESSION * ROUND_MS) // sessions
        self._terms = ([str(each) for each in operators], list(CURRENCIES), first_day_ms, apart_ms)
        self._done = 0
        self._began = time.monotonic()

    def load(self) -> None:
        """Write all rounds; then the database is as durable as before."""
        asyncio.run(self._load())
        os.sync()

    async def _load(self) -> None:
        await self._one([f"ALTER SYSTEM SET {name} = {value}" for name, value in _QUICK.items()])
        await self._one(["SELECT pg_reload_conf()"])
        again = await self._strip()
        await self._at_once([self._sessions, *(self._writer(number) for number in range(WRITERS))])
        await self._one([_REVENUE])
        progress(f"  {self._elapsed()} indexes")
        for stage in again:
            await self._statements(stage)
        await self._one([f"ALTER SYSTEM RESET {name}" for name in _QUICK])
        await self._one(["SELECT pg_reload_conf()"])
        progress(f"  {self._elapsed()} vacuum and analyze")
        await self._one(["VACUUM (ANALYZE)", "CHECKPOINT"])
        progress(f"  {self._elapsed()} loaded")

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:4.0f} s:"

    async def _connected(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(self._url, command_timeout=STATEMENT_S_MAX)
        for setting in _SESSION:
            await connection.execute(f"SET {setting}")
        return connection

    async def _one(self, statements: Iterable[str]) -> None:
        connection = await self._connected()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _strip(self) -> list[list[str]]:
        """Drop keys and indexes; the statements that make them again, in stages. Filling a table first is quicker."""
        connection = await self._connected()
        try:
            constraints = await connection.fetch(_CONSTRAINTS, list(TABLES))
            indexes = await connection.fetch(_INDEXES, list(TABLES))
            for row in constraints:
                await connection.execute(f"ALTER TABLE {row['of_table']} DROP CONSTRAINT {row['name']}")
            for row in indexes:
                await connection.execute(f"DROP INDEX {row['name']}")
        finally:
            await connection.close()
        keys, foreign = [], []
        for row in constraints:
            statement = f"ALTER TABLE {row['of_table']} ADD CONSTRAINT {row['name']} {row['definition']}"
            if row["kind"] == "f":  # it holds for what is written from now on
                foreign.append(statement if "NOT VALID" in statement else f"{statement} NOT VALID")
            else:
                keys.append(statement)
        return [[row["definition"] for row in indexes], keys, foreign]

    async def _statements(self, statements: list[str]) -> None:
        """All of them, a few at a time: they are taken from the end of one list."""
        waiting = list(reversed(statements))

        async def work() -> None:
            while waiting:
                await self._one([waiting.pop()])

        if any("ADD CONSTRAINT" in statement for statement in statements):
            await work()  # each wants the table for itself
        else:
            await self._at_once([work] * WRITERS)

    async def _at_once(self, works: Iterable[Callable[[], Awaitable[None]]]) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work())

    async def _sessions(self) -> None:
        connection = await self._connected()
        try:
            await connection.execute(self._sessions_sql, *self._terms, self._rounds // ROUNDS_PER_SESSION)
        finally:
            await connection.close()

    def _writer(self, number: int) -> Callable[[], Awaitable[None]]:
        """Every ``WRITERS``-th chunk, so that the table is filled about in the order of time."""

        async def write() -> None:
            connection = await self._connected()
            try:
                for first in range(number * CHUNK, self._rounds, WRITERS * CHUNK):
                    last = min(first + CHUNK, self._rounds)
                    await connection.execute(self._rounds_sql, *self._terms, first, last)
                    self._done += last - first
                    if self._done % 500_000 < CHUNK:
                        progress(f"  {self._elapsed()} {self._done:>10,} rounds")
            finally:
                await connection.close()

        return write
