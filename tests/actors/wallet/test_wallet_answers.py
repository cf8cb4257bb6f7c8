"""What becomes of calls that were not sent, not heard of, or acknowledged without a balance."""

import logging
from dataclasses import replace
from uuid import UUID

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.facts.records import CallKind, CallStatus
from actors.kit.errors import ActorStoppedError
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game
from tests.helpers.memory_outbox import StoredCall
from tests.helpers.wallet_calls import call


def settings(**changes) -> GameSettings:
    return GameSettings(bet_limits={"USD": LIMITS}, **changes)


def only(game, kind) -> StoredCall:
    (stored,) = [each for each in game.ledger.calls.values() if each.call.kind is kind]
    return stored


# Acknowledged, the balance unknown


async def test_a_win_without_a_balance_is_done_and_the_wallet_judges_the_next_stake(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300, 300, 300, balance_minor=1_000)
        player = await game.enter(token)
        game.wallet.balance_minor = 1_000
        game.wallet.script[CallKind.WIN].append(Acknowledged(None))
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        assert (await player.until("balance"))["pending_minor"] == 2_000
        shown = await player.until("balance")
        assert (shown["balance_minor"], shown["pending_minor"]) == (0, 0), "the last that is known"
        win = only(game, CallKind.WIN)
        assert (win.status, win.call.attempts) == (CallStatus.ACKNOWLEDGED, 1)
        game.wallet.balance_minor = 2_000
        player = await game.enter(token)
        assert (await player.until("welcome"))["balance_minor"] == 0
        player.say("bet", amount_minor=1_500)
        started = await player.until("round_started")
        assert started["balance_minor"] == 500


async def test_a_balance_that_was_not_told_stays_unknown_where_the_session_is_opened_next(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300, 300, balance_minor=1_000)
        player = await game.enter(token)
        game.wallet.script[CallKind.WIN].append(Acknowledged(None))
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        await trio.sleep(1)
        stored, clock = game.ledger, game.clock
    async with open_game(ledger=stored, clock=clock, name="node-z", balance_minor=2_000) as game:
        player = await game.enter(token)
        player.say("bet", amount_minor=1_500)
        assert (await player.until("round_started"))["balance_minor"] == 500
        player = await game.enter(token)
        await trio.sleep(60)
        player.say("bet", amount_minor=5_000)
        assert (await player.until("error"))["code"] == "insufficient_funds", "it is known again"


# Not sent


@pytest.mark.parametrize("answer", [NotSent("the wallet callback URL must be https"), NotSent("no connection", True)])
async def test_a_bet_that_never_left_says_so_and_owes_nothing(autojump_clock, caplog, answer):
    caplog.set_level(logging.WARNING)
    async with open_game() as game:
        game.wallet.script[CallKind.BET].append(answer)
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "wallet_unavailable"), "nobody has declined it"
        bet = only(game, CallKind.BET)
        assert (bet.status, bet.call.attempts) == (CallStatus.DECLINED, 0)
        assert bet.last_error == f"not sent: {answer.detail}"
        told = [vars(record) for record in caplog.records if record.message == "a bet was not sent"]
        assert [(each["detail"], each["attempts"]) for each in told] == [(bet.last_error, 0)], "log and books agree"
        await trio.sleep(60)
        assert not game.wallet.sent(CallKind.REFUND)


async def test_a_win_that_cannot_be_sent_is_no_attempt_and_comes_after_growing_pauses(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=1_000)) as game:
        game.wallet.script[CallKind.WIN].extend([NotSent("no connection", True)] * 12)
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_ended")
        await trio.sleep(100)
        tried = len(game.wallet.sent(CallKind.WIN))
        assert 6 <= tried <= 10, "doubling from a second"
        assert only(game, CallKind.WIN).call.attempts == 0
        await trio.sleep(600)
        assert only(game, CallKind.WIN).status is CallStatus.ACKNOWLEDGED
        assert only(game, CallKind.WIN).call.attempts == 1


async def test_a_bet_that_waited_for_its_turn_is_not_sent_if_the_breaker_opened_meanwhile(autojump_clock):
    async with open_game(settings=settings(operator_bets_max=1, breaker_failures_max=1)) as game:
        game.wallet.delay_s = 3
        game.wallet.script[CallKind.BET].append(Unclear("the wallet answered 500"))
        players = [await game.play(300) for _ in range(2)]
        for player in players:
            player.say("bet", amount_minor=1_000)
            await wait_all_tasks_blocked()
        ends = [await player.until("round_ended") for player in players]
        assert [end["reason"] for end in ends] == ["wallet_unavailable"] * 2
        assert len(game.wallet.sent(CallKind.BET)) == 1
        second = game.ledger.calls[f"bet-{ends[1]['round_id']}"]
        assert (second.status, second.call.attempts) == (CallStatus.DECLINED, 0)


async def test_a_win_that_waited_for_its_turn_is_not_sent_if_the_breaker_opened_meanwhile(autojump_clock):
    """Its claim is given up, so that it comes as soon as the breaker lets it."""
    async with open_game(settings=settings(breaker_failures_max=1, courier_poll_ms=200)) as game:
        player = await game.play(300, 300)
        game.wallet.script[CallKind.WIN].append(Unclear("the wallet answered 500"))
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_ended")
        await trio.sleep(0.01)
        win, pool = only(game, CallKind.WIN), game.node.pool
        bulkhead = pool.bulkheads.of(OPERATOR_ID)
        assert bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False) is None
        game.wallet.delay_s = 2
        game.wallet.script[CallKind.BET].append(Unclear("the wallet answered 500"))
        sent = len(game.wallet.sent(CallKind.WIN))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.send_bet, replace(only(game, CallKind.BET).call, position=99))
            await wait_all_tasks_blocked()
            assert pool.hand_over(replace(win.call, next_attempt_at_ms=game.clock.now_ms() + 20_000))
        await trio.sleep(0.1)
        assert len(game.wallet.sent(CallKind.WIN)) == sent, "the bet has opened the breaker"
        assert not bulkhead.is_busy
        await trio.sleep(10)
        assert win.status is CallStatus.ACKNOWLEDGED, "claims last for 20 s"


@pytest.mark.parametrize("trouble", [trio.TooSlowError(), ActorStoppedError("wallet")])
async def test_a_queued_bet_that_nobody_answers_for_is_never_not_sent(autojump_clock, trouble):
    async with open_game() as game:
        game.wallet.delay_s = 1
        first = await game.play(300)
        first.say("bet", amount_minor=1_000)
        await wait_all_tasks_blocked()
        (wallet,) = game.node.pool._wallets.values()
        bet = only(game, CallKind.BET).call
        answers = []

        async def ask():
            answers.append(await game.node.pool.send_bet(bet))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            for reply in list(wallet._open_replies):
                reply.fail(trouble)
        (answer,) = answers
        assert isinstance(answer, Unclear)
        assert answer.sends == 1


# The breaker


@pytest.mark.parametrize("answer", [Unclear("the wallet answered 500"), NotSent("no connection", is_unreachable=True)])
async def test_a_win_that_is_refused_again_and_again_does_not_hide_that_all_else_fails(autojump_clock, answer):
    async with open_game(settings=settings(breaker_failures_max=2)) as game:
        bulkhead = game.node.pool.bulkheads.of(OPERATOR_ID)
        bulkhead.note(CallKind.BET, answer, was_trial=False)
        bulkhead.note(CallKind.WIN, Declined("the wallet answered 404"), was_trial=False)
        bulkhead.note(CallKind.BET, answer, was_trial=False)
        assert game.observer.breakers == [True]
        bulkhead.note(CallKind.REFUND, Declined("the wallet answered 404"), was_trial=True)
        assert game.observer.breakers == [True], "an open one stays open for it, too"
        bulkhead.note(CallKind.BET, Declined("the wallet answered 402"), was_trial=True)
        assert game.observer.breakers == [True, False]


async def test_what_does_not_leave_for_a_reason_of_ours_opens_no_breaker(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=1)) as game:
        bulkhead = game.node.pool.bulkheads.of(OPERATOR_ID)
        bulkhead.note(CallKind.BET, NotSent("too many bets of this operator are in flight"), was_trial=False)
        assert bulkhead.permits
        assert not game.observer.breakers


@pytest.mark.parametrize("answer", [Acknowledged(9_000, sends=2), Declined("402", sends=2), Unclear("lost", sends=2)])
async def test_how_often_a_bet_was_sent_is_stored_whatever_became_of_it(autojump_clock, answer):
    """`getaway reconcile` lists bets that were declined after more than one sending."""
    async with open_game() as game:
        player = await game.play(300)
        game.wallet.script[CallKind.BET].append(answer)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started" if isinstance(answer, Acknowledged) else "round_ended")
        assert only(game, CallKind.BET).call.attempts == 2


async def test_each_attempt_is_counted_as_what_it_came_to_and_measured(autojump_clock):
    """The operators' graphs: `getaway_wallet_calls_total` and the time that their wallets take."""
    async with open_game(settings=settings(courier_poll_ms=100)) as game:
        game.wallet.delay_s = 0.25
        game.wallet.script[CallKind.WIN].extend([Unclear("lost"), Declined("402"), NotSent("no connection")])
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_ended")
        while only(game, CallKind.WIN).status is CallStatus.PENDING:
            await trio.sleep(1)
        assert [(kind, outcome) for kind, outcome, _ in game.observer.wallet_calls] == [
            ("bet", "acknowledged"),
            ("win", "unclear"),
            ("win", "declined"),
            ("win", "not_sent"),
            ("win", "acknowledged"),
        ]
        assert {round(duration_s, 3) for *_, duration_s in game.observer.wallet_calls} == {0.25}


async def test_a_call_of_an_operator_that_this_node_has_not_read_yet_has_not_left(autojump_clock):
    """It is no refusal of the wallet's, and no trouble with it: it may have been made a second ago."""
    async with open_game() as game:
        unknown = replace(call(CallKind.BET), operator_id=UUID(int=404))
        answer = await game.node.pool.send_bet(unknown)
        assert isinstance(answer, NotSent)
        assert (answer.sends, answer.is_unreachable, game.wallet.calls) == (0, False, [])
