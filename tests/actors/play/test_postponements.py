"""What is stored of a win or refund that was not acknowledged: when it is tried again, and why."""

from dataclasses import replace
from uuid import UUID

import pytest
import trio

from actors.facts.records import CallKind
from actors.facts.transitions import PostponeCall
from actors.ports.wallet import Declined, NotSent, Unclear
from actors.rules.retries import HOUR_MS, SLOWER_MS, SLOWEST_MS
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game
from tests.helpers.wallet_calls import call

# The twin's chance is always a half: a pause of 60 s is one of 45.
FIRST_MS, LONGEST_MS = 750, 45_000
SETTINGS = GameSettings(bet_limits={"USD": LIMITS}, courier_poll_ms=10**9)
PERIOD_MS = SETTINGS.retry_period_ms


async def stored(answer, *, age_ms=0, refused_for_ms=None, **changes):
    """The ``PostponeCall`` of a win that is so old, and the moment at which its wallet said ``answer``."""
    commits = []
    async with open_game(settings=SETTINGS) as game:
        commit, now_ms = game.ledger.commit, game.clock.now_ms()

        async def noted(transitions):
            commits.extend(transitions)
            return await commit(transitions)

        game.ledger.commit = noted
        game.wallet.script[CallKind.WIN].append(answer)
        owed = replace(
            call(CallKind.WIN),
            operator_id=OPERATOR_ID,
            session_id=UUID(int=77),
            created_at_ms=now_ms - age_ms,
            next_attempt_at_ms=now_ms + 20_000,
            refused_since_ms=None if refused_for_ms is None else now_ms - refused_for_ms,
            **changes,
        )
        assert game.node.pool.hand_over(owed)
        await trio.sleep(0.01)
    (postponed,) = [each for each in commits if isinstance(each, PostponeCall)]
    assert postponed.owner == game.node.services.owner
    assert (postponed.operator_id, postponed.session_id) == (owed.operator_id, owed.session_id)
    assert postponed.operator_tx_id == owed.operator_tx_id
    return postponed, now_ms


NO_ANSWER = Unclear("lost", sends=2)
REFUSAL = Declined("the wallet answered 404")
UNSENT = NotSent("no connection", is_unreachable=True)


@pytest.mark.parametrize(
    ("answer", "before", "after_ms", "is_held_back"),
    [
        (NO_ANSWER, {}, 1_500, False),
        (REFUSAL, {}, FIRST_MS, False),
        (REFUSAL, {"attempts": 9}, LONGEST_MS, False),
        (UNSENT, {}, FIRST_MS, False),
        (UNSENT, {"age_ms": 40_000}, 30_000, False),
        (UNSENT, {"age_ms": HOUR_MS}, LONGEST_MS, False),
        (NO_ANSWER, {"age_ms": HOUR_MS}, 1_500, False),
        (REFUSAL, {"refused_for_ms": HOUR_MS - 1}, FIRST_MS, False),
        (REFUSAL, {"refused_for_ms": HOUR_MS}, SLOWER_MS, True),
        (REFUSAL, {"refused_for_ms": 12 * HOUR_MS}, SLOWEST_MS, True),
        (UNSENT, {"refused_for_ms": HOUR_MS}, SLOWER_MS, True),
        (NO_ANSWER, {"refused_for_ms": HOUR_MS}, 1_500, False),
        (replace(REFUSAL, retry_after_ms=100_000), {}, 105_000, True),
        (replace(NO_ANSWER, retry_after_ms=100_000), {}, 105_000, True),
        (replace(NO_ANSWER, retry_after_ms=1_000), {"attempts": 9}, LONGEST_MS, True),
        (replace(REFUSAL, retry_after_ms=1_000), {"refused_for_ms": HOUR_MS}, SLOWER_MS, True),
        (replace(REFUSAL, retry_after_ms=600_000), {"refused_for_ms": HOUR_MS}, 630_000, True),
    ],
)
async def test_the_longest_of_all_reasons_to_wait_counts(autojump_clock, answer, before, after_ms, is_held_back):
    postponed, now_ms = await stored(answer, **before)
    assert postponed.next_attempt_at_ms - now_ms == after_ms
    assert postponed.not_before_ms == (postponed.next_attempt_at_ms if is_held_back else None)
    assert not postponed.parked


@pytest.mark.parametrize(
    ("answer", "attempts", "detail"),
    [
        (NO_ANSWER, 5, "lost"),
        (REFUSAL, 4, "the wallet answered 404"),
        (UNSENT, 3, "not sent: no connection"),
    ],
)
async def test_all_sendings_are_counted_and_the_reason_is_kept(autojump_clock, answer, attempts, detail):
    postponed, _now_ms = await stored(answer, attempts=3)
    assert (postponed.attempts, postponed.last_error) == (attempts, detail)


@pytest.mark.parametrize(
    ("answer", "refused_for_ms", "then_ms"),
    [
        (REFUSAL, None, 0),
        (REFUSAL, 5_000, 5_000),
        (UNSENT, 5_000, 5_000),
        (UNSENT, None, None),
        (NO_ANSWER, 5_000, None),
    ],
)
async def test_refusals_in_a_row_count_from_the_first(autojump_clock, answer, refused_for_ms, then_ms):
    postponed, now_ms = await stored(answer, refused_for_ms=refused_for_ms)
    assert postponed.refused_since_ms == (None if then_ms is None else now_ms - then_ms)


@pytest.mark.parametrize("answer", [NO_ANSWER, REFUSAL, UNSENT])
@pytest.mark.parametrize(("age_ms", "is_parked"), [(PERIOD_MS - 1, False), (PERIOD_MS, True)])
async def test_a_call_is_parked_at_its_age_whatever_it_was_answered_and_since_when(
    autojump_clock, answer, age_ms, is_parked
):
    postponed, _now_ms = await stored(answer, age_ms=age_ms, refused_for_ms=60_000)
    assert postponed.parked is is_parked
