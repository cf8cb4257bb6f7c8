"""An operator's turn to read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.kit.fair_queue import QueueFullError
from server.http.errors import answered_within, rate_limited
from server.web.request_facts import signed
from server.web.services import WebServices

FULL_WAIT_MS = 1_000
"""What an operator is told to wait whose reads pile up."""


@asynccontextmanager
async def read_turn(services: WebServices) -> AsyncIterator[None]:
    """The turn of whoever signed the request at hand.

    Raises the refusals ``rate_limited`` (too many of its reads wait already) and ``unavailable`` (the turn, or the
    answer, did not come in time).
    """
    with answered_within(services.settings.answer_timeout_ms):
        try:
            async with services.read_share.turn(signed().caller.operator.operator_id):
                yield
        except QueueFullError:
            raise rate_limited(FULL_WAIT_MS) from None
