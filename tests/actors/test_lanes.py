"""What a lane remembers of the calls to one operator."""

from dataclasses import replace
from uuid import uuid4

from actors.clock import ServerClock
from actors.lanes import Lane
from actors.ports import Acknowledged
from actors.records import CallKind
from actors.settings import GameSettings
from tests.helpers.game import LIMITS, NOON_MS, OPERATOR_ID, CountingObserver
from tests.helpers.wallet_calls import call

QUOTA = 10


async def test_a_call_that_was_claimed_ahead_and_not_sent_has_its_chance_again():
    clock = ServerClock(NOON_MS)
    lane = Lane(OPERATOR_ID, GameSettings(bet_limits={"USD": LIMITS}), clock, CountingObserver(), lambda _id: None)
    lane.note(CallKind.WIN, Acknowledged(1), was_trial=False)
    assert lane.ahead_until_ms is not None, "the wallet answers again: what waits is claimed ahead"
    sent, unsent = (
        replace(call(CallKind.WIN), operator_tx_id=f"win-{uuid4()}", next_attempt_at_ms=NOON_MS + 60_000)
        for _ in range(2)
    )
    lane.note_claimed([sent, unsent], QUOTA)
    lane.reserve(sent)
    assert lane.was_ahead(sent) and lane.was_ahead(unsent)
    lane.note_claimed([], QUOTA)
    assert lane.was_ahead(sent) and not lane.was_ahead(unsent)
    lane.release(sent)
    assert not lane.was_ahead(sent)
