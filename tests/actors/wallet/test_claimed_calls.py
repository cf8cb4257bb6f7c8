"""What this node has claimed is sent by it, or said to be unsent: places and claims are kept for nothing else."""

from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.facts.records import CallKind
from actors.facts.transitions import AcknowledgeCall, Applied, PostponeCall, Rejected
from actors.ports.wallet import Acknowledged, Declined, Unclear
from actors.shared.game_settings import GameSettings
from actors.shared.messages import WalletNews
from actors.wallet.pool import WALLET_MARGIN_MS
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game
from tests.helpers.wallet_calls import call

SESSION_ID = UUID(int=77)


def owed(game, number: int = 1, *, claimed_ms: int = 0):
    """A win that a round's end owes, or that is claimed already."""
    now_ms = game.clock.now_ms()
    return replace(
        call(CallKind.WIN),
        operator_id=OPERATOR_ID,
        session_id=SESSION_ID,
        operator_tx_id=f"win-{number}",
        created_at_ms=now_ms,
        next_attempt_at_ms=now_ms + claimed_ms,
    )


@asynccontextmanager
async def quiet_game(**settings):
    """A game whose courier has looked once, and looks no more by itself."""
    async with open_game(settings=GameSettings(bet_limits={"USD": LIMITS}, courier_poll_ms=10**9, **settings)) as game:
        await trio.sleep(0.1)
        yield game


class Nudges(list):
    """In the courier's place: the operators that may have calls due."""

    def __init__(self, game):
        super().__init__()
        game.node.services.addresses.courier = SimpleNamespace(tell=self.append)


def open_the_breaker(game) -> None:
    bulkhead = game.node.pool.bulkheads.of(OPERATOR_ID)
    while bulkhead.permits:
        bulkhead.note(CallKind.BET, Unclear("as told"), was_trial=False)


async def test_who_claims_has_a_place_for_as_long_as_a_claim_lasts(autojump_clock):
    async with quiet_game() as game:
        pool, bulkhead, win = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID), owed(game)
        claimed = pool.claim(win)
        assert claimed == replace(win, next_attempt_at_ms=win.created_at_ms + game.node.services.settings.claim_ms)
        assert list(bulkhead.deliveries) == [win.operator_tx_id]
        pool.send_claimed(claimed, is_claimed=True)
        await trio.sleep(0.1)
        assert [sent.body for sent in game.wallet.calls] == [win.body]
        assert not bulkhead.is_busy and not pool._has_unsent_claims


@pytest.mark.parametrize("is_claimed", [False, True])
async def test_what_was_claimed_and_will_not_be_sent_is_left_to_the_courier(autojump_clock, is_claimed):
    async with quiet_game() as game:
        pool, bulkhead, nudges = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID), Nudges(game)
        claimed = pool.claim(owed(game))
        if is_claimed:
            open_the_breaker(game)
        pool.send_claimed(claimed, is_claimed=is_claimed)
        await trio.sleep(0.1)
        assert game.wallet.calls == []
        assert (bulkhead.is_busy, pool._has_unsent_claims, list(nudges)) == (False, True, [OPERATOR_ID])


async def test_nothing_is_handed_over_to_a_wallet_that_keeps_failing(autojump_clock):
    async with quiet_game() as game:
        pool, bulkhead = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID)
        open_the_breaker(game)
        assert not pool.hand_over(owed(game, claimed_ms=60_000))
        assert not bulkhead.is_busy


async def test_what_finds_no_room_with_its_wallet_keeps_no_place(autojump_clock):
    async with quiet_game(wallet_mailbox_max=1) as game:
        pool, bulkhead, game.wallet.delay_s = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID), 1.0
        took = []
        for number in range(3):
            took.append(pool.hand_over(owed(game, number, claimed_ms=60_000)))
            await wait_all_tasks_blocked()
        assert took == [True, True, False]
        assert sorted(bulkhead.deliveries) == ["win-0", "win-1"]


async def test_what_waited_while_the_wallet_began_to_fail_is_not_sent_and_is_said_to_be_unsent(autojump_clock):
    async with quiet_game(breaker_open_first_ms=10_000) as game:
        pool, bulkhead, game.wallet.delay_s = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID), 1.0
        for number in range(2):
            assert pool.hand_over(owed(game, number, claimed_ms=60_000))
        await wait_all_tasks_blocked()
        game.wallet.script[CallKind.WIN].append(Declined("404"))
        Nudges(game)
        open_the_breaker(game)
        await trio.sleep(1.5)
        assert [sent.operator_tx_id for sent in game.wallet.calls] == ["win-0"]
        assert not bulkhead.is_busy and pool._has_unsent_claims


@pytest.mark.logs_errors("an actor failed (wallet, RuntimeError)")
async def test_a_delivery_that_fails_in_us_gives_its_place_back(autojump_clock):
    async with quiet_game() as game:
        pool, bulkhead = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID)
        game.wallet.failures.append(RuntimeError("as told"))
        assert pool.hand_over(owed(game, claimed_ms=60_000))
        await trio.sleep(0.1)
        assert game.observer.failures == ["wallet"] and not bulkhead.is_busy


async def test_the_courier_is_nudged_when_a_backlog_has_room(autojump_clock):
    async with quiet_game() as game:
        pool, bulkhead = game.node.pool, game.node.pool.bulkheads.of(OPERATOR_ID)
        bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False)  # the first success is a reason of its own
        nudges = Nudges(game)
        for has_more in (False, True):
            bulkhead.has_more = has_more
            assert pool.hand_over(owed(game, claimed_ms=60_000))
            await trio.sleep(0.1)
            assert list(nudges) == [OPERATOR_ID] * has_more


@pytest.mark.parametrize(("left_ms", "is_sent"), [(10_000, True), (9_999, False)])
async def test_nothing_is_sent_whose_claim_could_end_before_its_answer(autojump_clock, left_ms, is_sent):
    async with quiet_game() as game:
        assert game.node.services.settings.delivery_timeout_ms == 10_000
        assert game.node.pool.hand_over(owed(game, claimed_ms=left_ms))
        await trio.sleep(0.1)
        assert len(game.wallet.calls) == is_sent


async def test_what_an_end_could_not_claim_is_told_to_the_courier(autojump_clock):
    async with quiet_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        game.node.pool.bulkheads.of(OPERATOR_ID).has_more = True
        await player.until("round_ended")
        await trio.sleep(0.1)
        assert len(game.wallet.sent(CallKind.WIN)) == 1, "though the courier never looks by itself"


class Stored:
    """What is committed and what is told, in order. ``answer`` is the ledger's to what became of a call."""

    def __init__(self, game, answer):
        self.events = []
        commit, facts = game.ledger.commit, (AcknowledgeCall, PostponeCall)

        async def noted(transitions):
            answers = await commit(transitions)
            self.events += [type(each) for each in transitions if isinstance(each, facts)]
            return [answer if isinstance(each, facts) else one for each, one in zip(transitions, answers, strict=True)]

        game.ledger.commit = noted
        game.node.services.addresses.sessions[SESSION_ID] = SimpleNamespace(tell=self.events.append)


@pytest.mark.parametrize("answer", [Applied(), Rejected()])
@pytest.mark.parametrize("ends", ["acknowledged", "parked", "postponed"])
async def test_a_session_is_told_what_is_stored_and_after_it_is_stored(autojump_clock, ends, answer):
    async with quiet_game(retry_period_ms=0 if ends == "parked" else 10**6) as game:
        stored = Stored(game, answer)
        if ends != "acknowledged":
            game.wallet.script[CallKind.WIN].append(Unclear("lost"))
        assert game.node.pool.hand_over(owed(game, claimed_ms=60_000))
        await trio.sleep(0.1)
        done, *news = stored.events
        assert done is (AcknowledgeCall if ends == "acknowledged" else PostponeCall)
        if ends == "acknowledged":  # a fact, whoever has stored it first
            assert news == [WalletNews("win-1", game.wallet.balance_minor)]
        elif ends == "parked" and isinstance(answer, Applied):
            assert news == [WalletNews("win-1", None, is_parked=True)]
        else:
            assert news == []


async def test_who_has_left_is_told_nothing(autojump_clock):
    async with quiet_game() as game:
        stored = Stored(game, Applied())
        del game.node.services.addresses.sessions[SESSION_ID]
        assert game.node.pool.hand_over(owed(game, claimed_ms=60_000))
        await trio.sleep(0.1)
        assert stored.events == [AcknowledgeCall]


async def test_a_courier_is_busy_from_the_nudge_to_the_end_of_its_claim(autojump_clock):
    """A node that stops waits for it: what is claimed at its end would be sent by nobody while the claim lasts."""
    async with quiet_game() as game:
        courier, claim = game.node.courier, game.ledger.claim_calls

        async def slowly(*arguments):
            await trio.sleep(1)
            return await claim(*arguments)

        game.ledger.claim_calls = slowly
        assert not courier.is_busy
        courier.tell(OPERATOR_ID)
        assert courier.is_busy
        await trio.sleep(0.5)
        assert courier.is_busy
        await trio.sleep(1)
        assert not courier.is_busy


async def test_a_bet_behind_a_delivery_that_hangs_is_answered_in_its_time(autojump_clock):
    """It waits for the wallet's actor, which hangs: whoever comes by has to end that."""
    async with quiet_game() as game:

        async def hangs(operator, call, timeout_ms):
            await trio.sleep_forever()

        game.wallet.send = hangs
        assert game.node.pool.hand_over(owed(game, claimed_ms=60_000))
        await wait_all_tasks_blocked()
        bet = replace(call(CallKind.BET), operator_id=OPERATOR_ID, session_id=SESSION_ID)
        began_at, patience_ms = trio.current_time(), game.node.services.settings.bet_timeout_ms + WALLET_MARGIN_MS
        with trio.fail_after(60):
            assert isinstance(await game.node.pool.send_bet(bet), Unclear), "it may be sent after all"
        assert patience_ms <= (trio.current_time() - began_at) * 1000 <= patience_ms + 1
