"""The books checked against themselves: what must hold of rounds, transactions and revenue, and where it does not.

Nothing here trusts a constraint or a trigger of the schema: the checks must find what a restored backup, a hand at the
database or a defect has done in spite of them. Everything is read on one connection, in the caller's snapshot.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from server.db.driver.database import Connection

SHOWN_MAX: Final = 20
"""How many findings of a check are kept; all are counted."""

OVERDUE_MS: Final = 600_000
DEAD_MS: Final = 60_000
UNATTENDED_MS: Final = 60_000
"""How long after the last moment at which it can have ended a round may be without its end."""
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What is reconciled: one operator or all, and the rounds that were created on these UTC days, both included."""

    operator_id: UUID | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def days(self) -> tuple[date, date]:
        """The days, with an end far away where there is none."""
        return self.first_day or date(1970, 1, 1), self.last_day or date(9999, 12, 30)

    @property
    def arguments(self) -> tuple[UUID | None, int, int]:
        """Operator, first millisecond, and the one after the last."""
        first, last = self.days
        return self.operator_id, _start_ms(first), _start_ms(last + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a check does not hold; ``subject`` names a round, a session, a transaction or a day."""

    operator_id: UUID
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's ``rule`` in words, how often it is broken, and the first places."""

    check: str
    rule: str
    total: int
    shown: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rounds, and transactions of theirs or of no round, a scope has."""

    rounds: int
    transactions: int


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A wallet call that has not ended, or has been given up until a person takes it up."""

    operator_id: UUID
    operator_tx_id: str
    kind: str
    amount_minor: int
    currency: str | None
    status: str
    attempts: int
    created_at_ms: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class CallList:
    """How many calls there are of a sort, and the oldest of them."""

    total: int
    shown: tuple[OpenCall, ...]


_IN_SCOPE = "($1::uuid IS NULL OR r.operator_id = $1) AND r.created_at_ms >= $2 AND r.created_at_ms < $3"

_MONEY = f"""
SELECT m.operator_id, 'round ' || m.round_id AS subject,
    format('%s, stake %s, payout %s; bets %s of %s (%s), wins %s of %s, refunds %s of %s', m.status, m.stake_minor,
           m.payout_minor, m.bets, m.bet_minor, coalesce(m.bet_status, 'none'), m.wins, m.win_minor, m.refunds,
           m.refund_minor) AS detail
FROM (
    SELECT r.operator_id, r.round_id, r.status, r.amount_minor AS stake_minor, r.payout_minor,
        count(*) FILTER (WHERE t.kind = 'bet') AS bets,
        coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'bet'), 0) AS bet_minor,
        string_agg(t.status, '+') FILTER (WHERE t.kind = 'bet') AS bet_status,
        count(*) FILTER (WHERE t.kind = 'win') AS wins,
        coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'win'), 0) AS win_minor,
        count(*) FILTER (WHERE t.kind = 'refund') AS refunds,
        coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 'refund'), 0) AS refund_minor
    FROM rounds r LEFT JOIN transactions t ON t.operator_id = r.operator_id AND t.round_id = r.round_id
    WHERE {_IN_SCOPE} GROUP BY r.operator_id, r.round_id
) m WHERE """

_UNTAKEN = "m.bet_status IS DISTINCT FROM 'acknowledged'"

_ORPHANS = """
SELECT t.operator_id, t.operator_tx_id AS subject, format('no round %s', t.round_id) AS detail FROM transactions t
WHERE ($1::uuid IS NULL OR t.operator_id = $1) AND t.created_at_ms >= $2 AND t.created_at_ms < $3
    AND NOT EXISTS (SELECT FROM rounds r WHERE r.round_id = t.round_id)
"""

_STRANGERS = """
SELECT t.operator_id, t.operator_tx_id AS subject,
    format('operator %s, session %s; its round %s: operator %s, session %s', t.operator_id, t.session_id, r.round_id,
           r.operator_id, r.session_id) AS detail
FROM transactions t JOIN rounds r ON r.round_id = t.round_id
WHERE ($1::uuid IS NULL OR $1 IN (t.operator_id, r.operator_id)) AND r.created_at_ms >= $2 AND r.created_at_ms < $3
    AND CASE WHEN t.operator_id = r.operator_id
        THEN t.session_id <> r.session_id OR t.operator_tx_id <> t.kind || '-' || t.round_id
        ELSE NOT EXISTS (SELECT FROM rounds o WHERE o.operator_id = t.operator_id AND o.round_id = t.round_id) END
"""

_SESSIONS = f"""
SELECT r.operator_id, 'round ' || r.round_id AS subject,
    CASE WHEN s.session_id IS NULL THEN format('no session %s', r.session_id)
    ELSE format('%s for %s in session %s: %s for %s', r.currency, r.operator_player_id, r.session_id, s.currency,
                s.operator_player_id) END AS detail
FROM rounds r LEFT JOIN sessions s ON s.operator_id = r.operator_id AND s.session_id = r.session_id
WHERE {_IN_SCOPE} AND (r.currency, r.operator_player_id) IS DISTINCT FROM (s.currency, s.operator_player_id)
"""

_ARITHMETIC = f"""
SELECT r.operator_id, 'round ' || r.round_id AS subject,
    format('%s %s, stake %s, realized %s, crash %s, payout %s, largest payout %s', r.status, coalesce(r.result, '-'),
           r.amount_minor, r.realized_hundredths, coalesce(r.crash_hundredths::text, '-'), r.payout_minor,
           r.max_payout_minor) AS detail
FROM rounds r
WHERE {_IN_SCOPE} AND (r.payout_minor <> div(r.amount_minor::numeric * r.realized_hundredths, 100)
    OR r.realized_hundredths > coalesce(r.crash_hundredths, 0) OR r.payout_minor > r.max_payout_minor
    OR (r.payout_minor = 0) <> (coalesce(r.result, 'crash') = 'crash')
    OR r.status <> 'settled' AND (r.payout_minor, r.realized_hundredths) <> (0, 0))
"""

_NONCES = """
SELECT s.operator_id, 'session ' || s.session_id AS subject,
    format('%s rounds, nonces from %s to %s, %s of them different, the next is %s', count(r.nonce),
           coalesce(min(r.nonce)::text, '-'), coalesce(max(r.nonce)::text, '-'), count(DISTINCT r.nonce),
           s.nonce) AS detail
FROM sessions s LEFT JOIN rounds r ON r.operator_id = s.operator_id AND r.session_id = s.session_id
WHERE $1::uuid IS NULL OR s.operator_id = $1
GROUP BY s.operator_id, s.session_id
HAVING (count(*) FILTER (WHERE r.created_at_ms >= $2 AND r.created_at_ms < $3) > 0
        OR s.created_at_ms >= $2 AND s.created_at_ms < $3)
    AND (coalesce(min(r.nonce), 1) <> 1 OR coalesce(max(r.nonce), 0) <> count(r.nonce)
         OR count(DISTINCT r.nonce) <> count(r.nonce) OR s.nonce <> count(r.nonce) + 1)
"""

_ABANDONED = f"""
SELECT r.operator_id, 'round ' || r.round_id AS subject,
    format('%s since %s ms, owner %s of epoch %s, last alive %s', r.status, $5 - r.created_at_ms, r.owner_node,
           r.owner_epoch, coalesce(to_char(to_timestamp(n.heartbeat_at_ms / 1000.0), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                                   'never')) AS detail
FROM rounds r LEFT JOIN nodes n ON n.node = r.owner_node AND n.epoch = r.owner_epoch
WHERE {_IN_SCOPE} AND r.status IN ('betting', 'flying')
    AND (n.epoch IS NULL OR n.heartbeat_at_ms < $5::bigint - {DEAD_MS} OR EXISTS (
        SELECT FROM nodes l WHERE l.node = n.node AND l.epoch > n.epoch AND l.started_at_ms < $5 - {DEAD_MS}))
"""

# A multiplier of x is reached after ln(x) / rate milliseconds, and nothing flies on after its largest one.
_UNATTENDED = f"""
SELECT r.operator_id, 'round ' || r.round_id AS subject,
    format('%s since %s ms, owner %s of epoch %s', r.status, $5 - coalesce(r.started_at_ms, r.created_at_ms), r.owner_node,
           r.owner_epoch) AS detail
FROM rounds r
WHERE {_IN_SCOPE} AND r.status IN ('betting', 'flying') AND $5::bigint - {UNATTENDED_MS} > CASE r.status
    WHEN 'betting' THEN r.created_at_ms
    ELSE r.started_at_ms
        + ln(least(coalesce(r.auto_cashout_hundredths / 100.0, r.max_win_multiplier), r.max_win_multiplier))
        / r.growth_rate_per_ms END
"""

CHECKS: Final = (
    ("bet", "a round has one bet, of its stake", f"{_MONEY} m.bets <> 1 OR m.bet_minor <> m.stake_minor"),
    (
        "paid",
        "a round that pays has an acknowledged bet and one win, of exactly the payout",
        f"{_MONEY} m.status = 'settled' AND m.payout_minor > 0"
        f" AND (m.wins <> 1 OR m.win_minor <> m.payout_minor OR {_UNTAKEN})",
    ),
    (
        "lost",
        "a settled round that pays nothing has an acknowledged bet and neither win nor refund",
        f"{_MONEY} m.status = 'settled' AND m.payout_minor = 0 AND (m.wins + m.refunds > 0 OR {_UNTAKEN})",
    ),
    (
        "refunded",
        "a refunded round has an acknowledged bet, one refund, of the stake, and no win",
        f"{_MONEY} m.status = 'refunded'"
        f" AND (m.refunds <> 1 OR m.refund_minor <> m.stake_minor OR m.wins > 0 OR {_UNTAKEN})",
    ),
    (
        "void",
        "a void round has a declined bet and no refund, or an unknown bet and one refund, of the stake",
        f"{_MONEY} m.status = 'void' AND (m.wins > 0 OR CASE m.bet_status WHEN 'declined' THEN m.refunds > 0"
        " WHEN 'unknown' THEN m.refunds <> 1 OR m.refund_minor <> m.stake_minor ELSE true END)",
    ),
    (
        "live",
        "a round that is not over has neither win nor refund, and a flight has an acknowledged bet",
        f"{_MONEY} m.status IN ('betting', 'flying')"
        f" AND (m.wins + m.refunds > 0 OR m.status = 'flying' AND {_UNTAKEN})",
    ),
    ("win_and_refund", "no round has a win and a refund", f"{_MONEY} m.wins > 0 AND m.refunds > 0"),
    ("round_of_transaction", "a transaction has a round", _ORPHANS),
    ("transaction", "a transaction has its round's operator and session, and the id made of both", _STRANGERS),
    ("session", "a round has a session, of its player and currency", _SESSIONS),
    (
        "payout",
        "a payout is the stake times what was realized, rounded down; nothing is realized after the crash",
        _ARITHMETIC,
    ),
    ("nonces", "the rounds of a session are numbered from 1 without gaps", _NONCES),
)
"""Name, rule, and the query of what breaks it: operator_id, subject, detail. $1 to $3 are ``Scope.arguments``."""

ABANDONED: Final = ("owner", "a round that is not over has an owner that was alive within the last minute", _ABANDONED)
"""Like ``CHECKS``; $5 is the present moment."""

UNATTENDED: Final = (
    "attended",
    "a round is over a minute after its bet was asked for, or after its flight must have ended",
    _UNATTENDED,
)
"""Like ``ABANDONED``."""

_CALLS = """
SELECT t.operator_id, t.operator_tx_id, t.kind, t.amount_minor, r.currency, t.status, t.attempts, t.created_at_ms,
    t.last_error, count(*) OVER () AS total
FROM transactions t LEFT JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
WHERE ($1::uuid IS NULL OR t.operator_id = $1) AND coalesce(r.created_at_ms, t.created_at_ms) >= $2
    AND coalesce(r.created_at_ms, t.created_at_ms) < $3 AND t.status = $5 AND t.created_at_ms < $6 AND t.attempts >= $7
ORDER BY t.created_at_ms, t.operator_tx_id LIMIT $4
"""


_COUNTS = f"""
SELECT (SELECT count(*) FROM rounds r WHERE {_IN_SCOPE}) AS rounds,
    (SELECT count(*) FROM transactions t LEFT JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
     WHERE ($1::uuid IS NULL OR t.operator_id = $1) AND coalesce(r.created_at_ms, t.created_at_ms) >= $2
         AND coalesce(r.created_at_ms, t.created_at_ms) < $3) AS transactions
"""


async def database_ms(connection: Connection) -> int:
    """The present moment by the clock that heartbeats and claims go by, not by that of the command's machine."""
    return int(await connection.fetchval("SELECT database_ms()"))


async def counted(connection: Connection, scope: Scope) -> Counts:
    """How much there is to check."""
    (row,) = await connection.fetch(_COUNTS, *scope.arguments)
    return Counts(**row)


async def check(connection: Connection, scope: Scope, now_ms: int) -> list[CheckResult]:
    """The checks that the database makes by itself, in their order."""
    results = [await _checked(connection, *rule, *scope.arguments, SHOWN_MAX) for rule in CHECKS]
    timed = [await _checked(connection, *rule, *scope.arguments, SHOWN_MAX, now_ms) for rule in (ABANDONED, UNATTENDED)]
    return [*results, *timed]


async def parked_calls(connection: Connection, scope: Scope) -> CallList:
    """Calls that a person must take up."""
    return await _call_list(connection, scope, "parked", 2**62)


async def overdue_calls(connection: Connection, scope: Scope, now_ms: int) -> CallList:
    """Calls that have been pending for longer than ``OVERDUE_MS``."""
    return await _call_list(connection, scope, "pending", now_ms - OVERDUE_MS)


async def repeated_refusals(connection: Connection, scope: Scope) -> CallList:
    """Bets that were declined after more than one sending: each sending was refused plainly, or so it was recorded. A wallet
    that debited one and refused another owes the player a stake."""
    return await _call_list(connection, scope, "declined", 2**62, attempts_min=2)


async def has_operator(connection: Connection, operator_id: UUID) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM operators WHERE operator_id = $1)", operator_id))


async def _checked(connection: Connection, name: str, rule: str, query: str, *arguments: Any) -> CheckResult:
    rows = await connection.fetch(
        f"SELECT f.*, count(*) OVER () AS total FROM ({query}) f ORDER BY operator_id, subject LIMIT $4", *arguments
    )
    shown = tuple(Finding(row["operator_id"], row["subject"], row["detail"]) for row in rows)
    return CheckResult(name, rule, rows[0]["total"] if rows else 0, shown)


async def _call_list(
    connection: Connection, scope: Scope, status: str, created_before_ms: int, attempts_min: int = 0
) -> CallList:
    rows = await connection.fetch(_CALLS, *scope.arguments, SHOWN_MAX, status, created_before_ms, attempts_min)
    calls = [{name: value for name, value in row.items() if name != "total"} for row in rows]
    return CallList(rows[0]["total"] if rows else 0, tuple(OpenCall(**call) for call in calls))


def _start_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000
