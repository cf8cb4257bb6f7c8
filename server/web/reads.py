"""What operators read: ``GET /round/<round_id>`` and ``GET /revenue``, below ``/api/public/rgs``."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime

from actors.facts.records import RoundStatus
from actors.kit.fair_queue import QueueFullError
from actors.rules.fairness import ALGORITHM, Outcome
from actors.rules.money import multiplier_number
from server.http.errors import MalformedError, answered_within, not_found, not_ours, rate_limited
from server.http.exchange import Request, Response, json_response, only_values
from server.ports.reports import NotOursError, RevenueRow, RoundReport
from server.web.authentication import Caller, parse_uuid
from server.web.services import WebServices

ROUND_PREFIX = "/api/public/rgs/round/"
REVENUE_DAYS_MAX = 366
FULL_WAIT_MS = 1_000
"""What an operator is told to wait whose reads pile up."""

_DAY = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_REVENUE_PARAMETERS = frozenset({"from", "to"})
_ROUND_PARAMETERS: frozenset[str] = frozenset()
_ENDED = (RoundStatus.SETTLED, RoundStatus.VOID, RoundStatus.REFUNDED)


class ReadsApi:
    """Answers reads. A suspended operator may still read: it has books to close."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @asynccontextmanager
    async def _turn(self, caller: Caller) -> AsyncIterator[None]:
        """The operator's turn to read. Raises the refusals ``rate_limited`` (too many of its reads wait already) and
        ``unavailable`` (the turn, or the answer, did not come in time)."""
        services = self._services
        with answered_within(services.settings.answer_timeout_ms):
            try:
                async with services.read_share.turn(caller.operator.operator_id):
                    yield
            except QueueFullError:
                raise rate_limited(FULL_WAIT_MS) from None

    async def round(self, request: Request, caller: Caller, body: bytes) -> Response:
        """One of the operator's rounds; what is no round id names no round."""
        only_values(request.query, _ROUND_PARAMETERS)
        round_id = parse_uuid(request.path.removeprefix(ROUND_PREFIX))
        if round_id is None:
            raise not_found()
        async with self._turn(caller):
            try:
                report = await self._services.reports.round_report(caller.operator.operator_id, round_id)
            except NotOursError:
                raise not_ours() from None
        if report is None or report.operator_id != caller.operator.operator_id:
            raise not_found()
        return json_response(round_document(report))

    async def revenue(self, request: Request, caller: Caller, body: bytes) -> Response:
        """The operator's revenue by day and currency."""
        first_day, last_day = _days(request.query)
        async with self._turn(caller):
            rows = await self._services.reports.revenue(caller.operator.operator_id, first_day, last_day)
        return json_response({"ok": True, "days": [_day_document(row) for row in rows]})


def round_document(report: RoundReport) -> dict[str, object]:
    """A round as the contract shows it: seed, outcome and realized multiplier only after its end."""
    ended = report.status in _ENDED
    realized = report.realized_hundredths if ended else None
    return {
        "ok": True,
        "round_id": str(report.round_id),
        "status": report.status.value,
        "result": None if report.result is None else report.result.value,
        "reason": report.reason,
        "session_id": str(report.session_id),
        "operator_player_id": report.operator_player_id,
        "currency": report.currency,
        "amount_minor": report.amount_minor,
        "rtp_target": multiplier_number(report.rtp_bps),
        "max_win_multiplier": report.max_win_multiplier,
        "algorithm": ALGORITHM,
        "server_seed": report.server_seed if ended else None,
        "server_seed_hash": report.server_seed_hash,
        "client_seed": report.client_seed,
        "nonce": report.nonce,
        "outcome": _outcome_document(report.outcome) if ended and report.outcome is not None else None,
        "realized_multiplier": None if realized is None else multiplier_number(realized),
        "payout_minor": report.payout_minor,
        "started_at": _time_text(report.started_at_ms),
        "settled_at": _time_text(report.settled_at_ms),
        "transactions": [
            {
                "operator_tx_id": call.operator_tx_id,
                "kind": call.kind.value,
                "amount_minor": call.amount_minor,
                "attempts": call.attempts,
                "status": call.status.value,
                "last_error": call.last_error,
            }
            for call in report.calls
        ],
    }


def _outcome_document(outcome: Outcome) -> dict[str, object]:
    return {
        "crashPoint": multiplier_number(outcome.crash_hundredths),
        "mapSeed": outcome.map_seed,
        "lootSeed": outcome.loot_seed,
        "guardSeed": outcome.guard_seed,
    }


def _day_document(row: RevenueRow) -> dict[str, object]:
    return {
        "period_day": row.period_day.isoformat(),
        "currency": row.currency,
        "ggr_minor": row.ggr_minor,
        "house_share_minor": row.house_share_minor,
        "operator_share_minor": row.operator_share_minor,
        "rounds": row.rounds,
    }


def _time_text(unix_ms: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, from integers so that nothing is rounded."""
    if unix_ms is None:
        return None
    seconds, milliseconds = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def _days(query: str) -> tuple[date, date]:
    values = only_values(query, _REVENUE_PARAMETERS)
    first_day, last_day = _day(values, "from"), _day(values, "to")
    if first_day > last_day:
        raise MalformedError("to", "to must not be before from.")
    if (last_day - first_day).days >= REVENUE_DAYS_MAX:
        raise MalformedError("to", f"from and to may span at most {REVENUE_DAYS_MAX} days.")
    return first_day, last_day


def _day(values: dict[str, list[bytes]], name: str) -> date:
    given = values.get(name, [])
    if len(given) != 1:
        raise MalformedError(name, f"{name} is required, exactly once.")
    if _DAY.fullmatch(given[0]):
        try:
            return date.fromisoformat(given[0].decode("ascii"))
        except ValueError:
            pass  # such as the 30th of February
    raise MalformedError(name, f"{name} must be a day as YYYY-MM-DD.")
