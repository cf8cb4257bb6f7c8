"""``GET /api/public/rgs/revenue``. A suspended operator may still read: it has books to close."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response
from quart_schema import document_querystring, document_response

from server.http.errors import MalformedError
from server.web.members import json_answer, read_query
from server.web.read_turns import read_turn
from server.web.request_facts import signed
from server.web.services import WebServices

REVENUE_DAYS_MAX = 366

_Day = Annotated[date, Meta(description="a day as YYYY-MM-DD")]


class RevenueQuery(msgspec.Struct, frozen=True):
    """Days in UTC, both included."""

    first_day: _Day = msgspec.field(name="from")
    last_day: _Day = msgspec.field(name="to")

    def __post_init__(self) -> None:
        if self.first_day > self.last_day:
            raise MalformedError("to", "to must not be before from.")
        if (self.last_day - self.first_day).days >= REVENUE_DAYS_MAX:
            raise MalformedError("to", f"from and to may span at most {REVENUE_DAYS_MAX} days.")


class RevenueDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day in one currency: what was staked less what was paid out, and its shares."""

    period_day: str
    currency: str
    ggr_minor: int
    house_share_minor: int
    operator_share_minor: int
    rounds: int


class RevenueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Days that have settled rounds, in order of day and currency."""

    ok: bool = True
    days: list[RevenueDay]


class RevenueApi:
    """Answers what is asked of revenue."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @document_querystring(RevenueQuery)
    @document_response(RevenueAnswer)
    async def revenue(self) -> Response:
        """The operator's revenue by day and currency."""
        asked = read_query(RevenueQuery)
        async with read_turn(self._services):
            rows = await self._services.reports.revenue(
                signed().caller.operator.operator_id, asked.first_day, asked.last_day
            )
        days = [
            RevenueDay(
                period_day=row.period_day.isoformat(),
                currency=row.currency,
                ggr_minor=row.ggr_minor,
                house_share_minor=row.house_share_minor,
                operator_share_minor=row.operator_share_minor,
                rounds=row.rounds,
            )
            for row in rows
        ]
        return json_answer(RevenueAnswer(days=days))
