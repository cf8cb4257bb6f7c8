"""A session's calls go out one at a time and in order."""

from uuid import UUID

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.facts.records import CallKind, WalletCall
from actors.ports.wallet import Acknowledged, NotSent, Unclear
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game

SESSION_ID = UUID(int=77)


def call(game, number: int, kind: CallKind, session_id: UUID = SESSION_ID) -> WalletCall:
    now_ms = game.clock.now_ms()
    return WalletCall(
        operator_id=OPERATOR_ID,
        session_id=session_id,
        round_id=UUID(int=1_000 + number),
        operator_tx_id=f"{kind.value}-{number}",
        kind=kind,
        amount_minor=100,
        body=b"{}",
        position=number,
        created_at_ms=now_ms,
        next_attempt_at_ms=now_ms + 60_000,
    )


class Sender:
    """Sends bets, each in a task of its own, and keeps the answers."""

    def __init__(self, game, nursery: trio.Nursery) -> None:
        self.game, self.nursery = game, nursery
        self.answers: dict[str, object] = {}

    def bet(self, number: int, session_id: UUID = SESSION_ID) -> None:
        self.nursery.start_soon(self._bet, call(self.game, number, CallKind.BET, session_id))

    async def _bet(self, bet: WalletCall) -> None:
        self.answers[bet.operator_tx_id] = await self.game.node.pool.send_bet(bet)

    def sent(self) -> list[str]:
        return [call.operator_tx_id for call in self.game.wallet.calls]


async def test_what_comes_while_a_bet_is_out_goes_out_after_it_and_in_order(autojump_clock):
    async with open_game() as game, trio.open_nursery() as nursery:
        sender, game.wallet.delay_s = Sender(game, nursery), 1.0
        sender.bet(1)
        await wait_all_tasks_blocked()
        assert game.node.pool.hand_over(call(game, 2, CallKind.WIN))
        sender.bet(3)
        await wait_all_tasks_blocked()
        assert sender.sent() == ["bet-1"]
        await trio.sleep(1.5)
        assert sender.sent() == ["bet-1", "win-2"] and list(sender.answers) == ["bet-1"]
        await trio.sleep(2)
        assert sender.sent() == ["bet-1", "win-2", "bet-3"]
        assert game.wallet.in_flight_max == 1
        assert isinstance(sender.answers["bet-3"], Acknowledged)


async def test_a_bet_that_comes_while_a_win_is_out_waits_for_it(autojump_clock):
    async with open_game() as game, trio.open_nursery() as nursery:
        sender, game.wallet.delay_s = Sender(game, nursery), 1.0
        game.node.pool.hand_over(call(game, 1, CallKind.WIN))
        await wait_all_tasks_blocked()
        sender.bet(2)
        await trio.sleep(0.5)
        assert sender.sent() == ["win-1"]
        await trio.sleep(2)
        assert sender.sent() == ["win-1", "bet-2"] and game.wallet.in_flight_max == 1
        sender.bet(3)
        await trio.sleep(1.5)
        assert isinstance(sender.answers["bet-3"], Acknowledged), "all is over, and the next one begins anew"


async def test_other_sessions_wait_for_nobody(autojump_clock):
    async with open_game() as game, trio.open_nursery() as nursery:
        sender, game.wallet.delay_s = Sender(game, nursery), 1.0
        for number in range(5):
            sender.bet(number, UUID(int=number))
        await trio.sleep(0.1)
        assert len(sender.sent()) == 5 == game.wallet.in_flight_max


async def test_a_mailbox_that_is_full_sends_nothing(autojump_clock):
    settings = GameSettings(bet_limits={"USD": LIMITS}, wallet_mailbox_max=2)
    async with open_game(settings=settings) as game, trio.open_nursery() as nursery:
        sender, game.wallet.delay_s = Sender(game, nursery), 1.0
        for number in range(4):
            sender.bet(number)
            await wait_all_tasks_blocked()
        assert isinstance(sender.answers["bet-3"], NotSent)
        await trio.sleep(5)
        assert sender.sent() == ["bet-0", "bet-1", "bet-2"]


@pytest.mark.logs_errors("an actor failed (wallet, RuntimeError)")
@pytest.mark.parametrize("behind", [0, 1])
async def test_a_failure_is_the_wallets_and_what_waits_is_left_to_the_courier_at_once(autojump_clock, behind):
    async with open_game() as game, trio.open_nursery() as nursery:
        sender, failing = Sender(game, nursery), trio.Event()
        send = game.wallet.send

        async def fails(*how):
            await failing.wait()
            game.wallet.send = send
            raise RuntimeError("as told")

        game.wallet.send = fails
        sender.bet(1)
        await wait_all_tasks_blocked()
        for number in range(behind):
            game.node.pool.hand_over(call(game, 10 + number, CallKind.WIN))
        failing.set()
        await wait_all_tasks_blocked()
        assert isinstance(sender.answers["bet-1"], Unclear) and game.observer.failures == ["wallet"]
        assert not game.node.pool.bulkheads.is_busy and game.node.pool._has_unsent_claims is bool(behind)
        sender.bet(2)
        await trio.sleep(1)
        assert isinstance(sender.answers["bet-2"], Acknowledged)


async def test_a_bet_that_gets_no_place_in_time_has_not_left(autojump_clock):
    settings = GameSettings(bet_limits={"USD": LIMITS}, operator_bets_max=1)
    async with open_game(settings=settings) as game:
        places, began_at = game.node.pool.bulkheads.of(OPERATOR_ID).bets, trio.current_time()
        places.acquire_on_behalf_of_nowait(game)
        assert isinstance(await game.node.pool.send_bet(call(game, 1, CallKind.BET)), NotSent)
        waited_ms = round((trio.current_time() - began_at) * 1_000)
        assert waited_ms == settings.bet_timeout_ms and game.wallet.calls == []
        places.release_on_behalf_of(game)
        assert isinstance(await game.node.pool.send_bet(call(game, 2, CallKind.BET)), Acknowledged)
        assert places.borrowed_tokens == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_bet_that_got_its_place_late_has_what_is_left_and_is_not_sent_to_a_wallet_that_failed_meanwhile(
    autojump_clock, fails
):
    settings = GameSettings(bet_limits={"USD": LIMITS}, operator_bets_max=1, breaker_failures_max=1)
    async with open_game(settings=settings) as game, trio.open_nursery() as nursery:
        sender, bulkhead, timeouts = Sender(game, nursery), game.node.pool.bulkheads.of(OPERATOR_ID), []
        send = game.wallet.send

        async def timed(operator, bet, timeout_ms):
            timeouts.append(timeout_ms)
            return await send(operator, bet, timeout_ms)

        game.wallet.send = timed
        bulkhead.bets.acquire_on_behalf_of_nowait(game)
        sender.bet(1)
        await trio.sleep(1.5)
        if fails:
            bulkhead.note(CallKind.BET, Unclear("lost"), was_trial=False)
        bulkhead.bets.release_on_behalf_of(game)
        await trio.sleep(0.1)
        assert isinstance(sender.answers["bet-1"], NotSent if fails else Acknowledged)
        assert timeouts == ([] if fails else [settings.bet_timeout_ms - 1_500])
        assert bulkhead.bets.borrowed_tokens == 0


async def test_who_asks_and_is_cancelled_cancels_nothing(autojump_clock):
    async with open_game() as game:
        game.wallet.delay_s = 1.0
        async with trio.open_nursery() as nursery:
            sender = Sender(game, nursery)
            sender.bet(1)
            await wait_all_tasks_blocked()
            game.node.pool.hand_over(call(game, 2, CallKind.WIN))
            nursery.cancel_scope.cancel()
        await trio.sleep(2.1)
        assert sender.sent() == ["bet-1", "win-2"] and not sender.answers
        assert not game.node.pool.bulkheads.is_busy
