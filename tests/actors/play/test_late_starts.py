"""A start that is durable too late for its player to be told in time is refunded instead of flown from the past."""

import pytest
import trio

from actors.facts.ends import LATE_START
from actors.facts.records import CallKind, RoundStatus
from actors.facts.transitions import StartRound
from actors.kit.clock import ServerClock
from actors.play.round import START_TOLD_MS_MAX
from actors.ports.ledger import LedgerUnavailableError
from tests.helpers.books import NOON_MS
from tests.helpers.game import open_game
from tests.helpers.memory_ledger import MemoryLedger


class SlowStarts(MemoryLedger):
    """Starts are durable so long after their own moment. ``loses``: the answer of the first commit is lost instead, and
    the repetition is answered then, when the house's time has made a step of ``step_ms``."""

    def __init__(self, clock: ServerClock, late_ms: int, *, loses: bool = False, step_ms: int = 0) -> None:
        super().__init__()
        self._clock = clock
        self._late_ms = late_ms
        self._loses_answer = loses
        self._step_ms = step_ms
        self.started_at_ms: int | None = None

    async def commit(self, transitions):
        starts = [each for each in transitions if isinstance(each, StartRound)]
        if starts and self.started_at_ms is None:
            self.started_at_ms = starts[0].started_at_ms
            if self._loses_answer:
                await super().commit(transitions)
                self._clock.follow_house(self._clock.unix_of(0) + self._step_ms, 0)
                raise LedgerUnavailableError("the answer is lost")
        if starts:
            await self._clock.sleep_until_ms(self.started_at_ms + self._late_ms)
        return await super().commit(transitions)


@pytest.mark.parametrize("loses", [False, True])
async def test_one_that_is_told_just_in_time_flies(autojump_clock, loses):
    clock = ServerClock(NOON_MS)
    ledger = SlowStarts(clock, START_TOLD_MS_MAX, loses=loses)
    async with open_game(clock=clock, ledger=ledger) as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.01)
        started = await player.until("round_started")
        assert started["started_at"] == ledger.started_at_ms
        ended = await player.until("round_ended")
        assert (ended["status"], ended["realized_multiplier"]) == ("settled", 1.01), (
            "it had passed: 166 ms after the start"
        )


@pytest.mark.parametrize("step_ms", [-5_000, 5_000])
async def test_a_start_that_is_repeated_flies_from_its_moment_though_the_houses_time_has_stepped(
    autojump_clock, step_ms
):
    clock = ServerClock(NOON_MS)
    ledger = SlowStarts(clock, 0, loses=True, step_ms=step_ms)
    async with open_game(clock=clock, ledger=ledger) as game:
        player = await game.play(300)
        began_at = trio.current_time()
        player.say("bet", amount_minor=1_000, auto_cashout=1.10)
        assert (await player.until("round_started"))["started_at"] == ledger.started_at_ms
        assert (await player.until("round_ended"))["realized_multiplier"] == 1.10
        assert 1.5 < trio.current_time() - began_at < 1.8, "1.10 is shown after 1.588 s"


@pytest.mark.parametrize("loses", [False, True])
@pytest.mark.parametrize("crash", [100, 300])
async def test_one_that_is_told_a_millisecond_too_late_is_refunded(autojump_clock, crash, loses):
    """Whatever it would have come to: its player has seen nothing of it."""
    clock = ServerClock(NOON_MS)
    ledger = SlowStarts(clock, START_TOLD_MS_MAX + 1, loses=loses)
    async with open_game(clock=clock, ledger=ledger) as game:
        player = await game.play(crash, 300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.01, id="b1")
        ended = await player.until("round_ended")
        assert (ended["id"], ended["status"], ended["reason"]) == ("b1", "refunded", LATE_START)
        assert (ended["payout_minor"], ended["started_at"]) == (0, ledger.started_at_ms)
        assert ended["balance_minor"] == 9_000, "the wallet has taken the stake"
        owed = await player.until("balance")
        assert (owed["balance_minor"], owed["pending_minor"]) == (9_000, 1_000)
        paid = await player.until("balance")
        assert (paid["balance_minor"], paid["pending_minor"]) == (10_000, 0)
        assert [call.amount_minor for call in game.wallet.sent(CallKind.REFUND)] == [1_000]
        assert game.wallet.sent(CallKind.WIN) == []
        assert "round_started" not in [frame["type"] for frame in player.frames]
        assert player.ticks == []
        assert ended["totals"]["rounds"] == 0
        (session,) = game.node.lobby._sessions._actors.values()
        remembered = game.node.services.flights.known_in(session.session_id)
        assert {str(round_id) for round_id in remembered} == {ended["round_id"]}, "nobody flies it on"
        # The session plays on.
        ledger._late_ms = 0
        player.say("bet", amount_minor=1_000, auto_cashout=1.01)
        assert (await player.until("round_ended"))["status"] == "settled"


async def test_a_stake_that_was_taken_and_whose_start_can_not_be_stored_is_shown_as_taken(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        game.ledger.loses = (StartRound,)
        player.say("bet", amount_minor=1_000, id="b1")
        ended = await player.until("round_ended")
        (stored,) = game.ledger.rounds.values()
        assert stored.finished.status is RoundStatus.VOID
        assert (ended["id"], ended["status"], ended["balance_minor"]) == ("b1", "void", 9_000)
        await player.until("balance")
        assert (await player.until("balance"))["balance_minor"] == 10_000
