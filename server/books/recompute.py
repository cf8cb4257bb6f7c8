"""The books computed again: outcomes from their seeds, wallet calls from their bytes, revenue from transactions."""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from actors.rules import fairness
from actors.rules.money import split_revenue
from server.books.reconcile import DAY_MS, SHOWN_MAX, CheckResult, Finding, Scope
from server.db.driver.database import Connection
from server.db.stores.reports import read_revenue
from server.db.stores.rows import Row
from server.http.errors import MalformedError
from server.http.strict_json import parse_object
from server.ports.reports import RevenueRow

BATCH_ROWS: Final = 1_000

_ENDED = """
SELECT r.operator_id, r.round_id, r.client_seed, r.nonce, r.server_seed_hash, r.rtp_bps, r.max_win_multiplier,
    r.server_seed, r.crash_hundredths, r.map_seed, r.loot_seed, r.guard_seed
FROM rounds r
WHERE ($1::uuid IS NULL OR r.operator_id = $1) AND r.created_at_ms >= $2 AND r.created_at_ms < $3
    AND r.status NOT IN ('betting', 'flying')
"""

_SENT = """
SELECT t.operator_id, t.operator_tx_id, t.amount_minor, t.body, t.session_id, t.round_id, r.currency,
    r.operator_player_id
FROM transactions t JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
WHERE ($1::uuid IS NULL OR r.operator_id = $1) AND r.created_at_ms >= $2 AND r.created_at_ms < $3
"""

_EARNERS = """
SELECT operator_id FROM operators WHERE $1::uuid IS NULL OR operator_id = $1
UNION SELECT operator_id FROM rounds WHERE $1::uuid IS NULL OR operator_id = $1
ORDER BY operator_id
"""

# Neither the rounds' amounts nor their generated day: only when they were settled and on which terms.
_EARNED = f"""
SELECT date '1970-01-01' + (r.settled_at_ms / {DAY_MS})::int AS period_day,
    coalesce(s.currency, r.currency) AS currency, r.rev_share_bps, count(*) FILTER (WHERE t.kind = 'bet') AS rounds,
    sum(CASE t.kind WHEN 'bet' THEN t.amount_minor ELSE -t.amount_minor END) AS ggr_minor
FROM transactions t JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
LEFT JOIN sessions s ON s.operator_id = t.operator_id AND s.session_id = t.session_id
WHERE t.operator_id = $1 AND r.status = 'settled' AND r.settled_at_ms >= $2 AND r.settled_at_ms < $3
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def check_outcomes(connection: Connection, scope: Scope) -> CheckResult:
    """Every ended round from its seeds, in batches: a history of any length needs the same memory."""
    rule = "an ended round reveals the seed that was promised, and its outcome follows from the seeds"
    return await streamed(connection, "fairness", rule, (_ENDED, *scope.arguments), _outcome_finding)


async def check_bodies(connection: Connection, scope: Scope) -> CheckResult:
    """What the wallets were told of each transaction, in batches."""
    rule = "the stored bytes of a wallet call say what its transaction and its round say"
    return await streamed(connection, "body", rule, (_SENT, *scope.arguments), _body_finding)


async def check_revenue(connection: Connection, scope: Scope) -> CheckResult:
    """What ``/revenue`` tells against the sums of the transactions; the scope's days are those of settlement here."""
    found: list[Finding] = []
    for row in await connection.fetch(_EARNERS, scope.operator_id):
        operator_id: UUID = row["operator_id"]
        told = {(day.period_day, day.currency): day for day in await read_revenue(connection, operator_id, *scope.days)}
        shares = await connection.fetch(_EARNED, operator_id, *scope.arguments[1:])
        summed = {(day.period_day, day.currency): day for day in _earned(shares)}
        for key in sorted(told.keys() | summed.keys()):
            if told.get(key) != summed.get(key):
                detail = f"told: {_revenue_text(told.get(key))}; transactions: {_revenue_text(summed.get(key))}"
                found.append(Finding(operator_id, f"{key[0]} {key[1]}", detail))
    rule = "the revenue of a day and currency is the sum of its transactions"
    return CheckResult("revenue", rule, len(found), tuple(found[:SHOWN_MAX]))


async def streamed(
    connection: Connection, name: str, rule: str, query: tuple[Any, ...], judge: Callable[[Row], Finding | None]
) -> CheckResult:
    """A check that ``judge`` makes of each row of a query, in batches."""
    total = 0
    shown: list[Finding] = []
    async for row in connection.cursor(*query, prefetch=BATCH_ROWS):
        finding = judge(row)
        if finding is not None:
            total += 1
            if len(shown) < SHOWN_MAX:
                shown.append(finding)
    return CheckResult(name, rule, total, tuple(shown))


def _outcome_finding(row: Row) -> Finding | None:
    problems = ", ".join(_outcome_problems(row))
    return Finding(row["operator_id"], f"round {row['round_id']}", problems) if problems else None


def _outcome_problems(row: Row) -> Iterator[str]:
    seed = row["server_seed"]
    if seed is None or not fairness.is_server_seed(seed) or not fairness.is_client_seed(row["client_seed"]):
        yield "no seeds to compute from"
        return
    if fairness.commitment(seed) != row["server_seed_hash"]:
        yield f"server_seed has the hash {fairness.commitment(seed)}, promised was {row['server_seed_hash']}"
    due = fairness.outcome(seed, row["client_seed"], row["nonce"], row["rtp_bps"], row["max_win_multiplier"])
    for field in ("crash_hundredths", "map_seed", "loot_seed", "guard_seed"):
        if row[field] != getattr(due, field):
            yield f"{field} is {row[field]}, computed {getattr(due, field)}"


def _body_finding(row: Row) -> Finding | None:
    due: dict[str, object] = {name: str(row[name]) for name in ("session_id", "round_id")}
    due |= {name: row[name] for name in ("operator_tx_id", "amount_minor", "currency", "operator_player_id")}
    try:
        body = parse_object(row["body"])
        problems = ", ".join(
            f"{name} is {body.get(name)!r}, due {due[name]!r}" for name in due if body.get(name) != due[name]
        )
    except MalformedError:
        problems = "not a JSON object"
    return Finding(row["operator_id"], row["operator_tx_id"], problems) if problems else None


def _earned(shares: list[Row]) -> Iterator[RevenueRow]:
    for (day, currency), group in groupby(shares, key=lambda row: (row["period_day"], row["currency"])):
        rows = list(group)
        split = split_revenue((int(row["ggr_minor"]), row["rev_share_bps"]) for row in rows)
        yield RevenueRow(
            period_day=day,
            currency=currency,
            ggr_minor=split.ggr_minor,
            house_share_minor=split.house_share_minor,
            operator_share_minor=split.operator_share_minor,
            rounds=sum(row["rounds"] for row in rows),
        )


def _revenue_text(day: RevenueRow | None) -> str:
    if day is None:
        return "nothing"
    parts: dict[str, date | int] = {"GGR": day.ggr_minor, "house": day.house_share_minor}
    parts |= {"operator": day.operator_share_minor, "rounds": day.rounds}
    return ", ".join(f"{name} {value}" for name, value in parts.items())
