"""How often a wallet is asked: less and less if it refuses, when it likes, and at once when it is back."""

from itertools import pairwise

import trio

from actors.facts.records import CallKind, CallStatus
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game

MINUTE_S, HOUR_S = 60, 3_600


def settings(**changes) -> GameSettings:
    """With slow polls: a test that waits for days should cost little."""
    slow = {"courier_poll_ms": 20_000, "operator_refresh_ms": 20_000, "lease_ms": 10**9}
    rare = ("outbox_watch_ms", "heartbeat_ms", "handover_poll_ms", "orphan_sweep_ms")
    slow |= dict.fromkeys(rare, 600_000)
    return GameSettings(bet_limits={"USD": LIMITS}, **(slow | changes))


class Timed:
    """When each call went to the wallet, by seconds of trio's clock."""

    def __init__(self, game) -> None:
        self.at: dict[str, list[float]] = {}
        self._send = game.wallet.send
        game.wallet.send = self.send

    async def send(self, operator, call, timeout_ms):
        self.at.setdefault(call.operator_tx_id, []).append(trio.current_time())
        return await self._send(operator, call, timeout_ms)

    def pauses(self, kind: str) -> list[float]:
        ((_tx_id, at),) = [each for each in self.at.items() if each[0].startswith(kind)]
        return [later - earlier for earlier, later in pairwise(at)]


async def win(game, *answers):
    """A player who has won, and whose win is answered so."""
    game.wallet.script[CallKind.WIN].extend(answers)
    player = await game.play(300, 300)
    player.say("bet", amount_minor=1_000, auto_cashout=1.1)
    await player.until("round_ended")
    return player


def wins(game):
    return [stored for stored in game.ledger.calls.values() if stored.call.kind is CallKind.WIN]


async def test_a_win_that_is_refused_for_ever_slows_down_and_is_parked_after_its_period(autojump_clock):
    async with open_game(settings=settings()) as game:
        timed = Timed(game)
        await win(game, *[Declined("the wallet answered 404")] * 2_000)
        await trio.sleep(HOUR_S)
        pauses = timed.pauses("win")
        assert max(pauses) <= 81 and len(pauses) >= 50, "as ever for the first hour"
        await trio.sleep(10.5 * HOUR_S)
        assert all(285 <= pause <= 335 for pause in timed.pauses("win")[len(pauses) + 1 :])
        assert [each.status for each in wins(game)] == [CallStatus.PENDING]
        (count,) = await game.node.services.stores.outbox.outbox_counts()
        assert (count.pending, count.refused) == (1, 1)
        await trio.sleep(66 * HOUR_S)
        assert all(1_700 <= pause <= 1_910 for pause in timed.pauses("win")[-100:])
        (refused,) = wins(game)
        assert refused.status is CallStatus.PARKED
        assert 76 * HOUR_S <= sum(timed.pauses("win")) <= 76.6 * HOUR_S
        assert refused.call.attempts == len(timed.pauses("win")) + 1 < 400, "it were 6,000"


async def test_an_unclear_answer_ends_a_row_of_refusals(autojump_clock):
    async with open_game(settings=settings()) as game:
        await win(game, *[Declined("the wallet answered 404")] * 3, Unclear("lost"), NotSent("no connection", True))
        await trio.sleep(5 * MINUTE_S)
        assert [each.call.refused_since_ms for each in wins(game)] == [None]
        assert [each.status for each in wins(game)] == [CallStatus.ACKNOWLEDGED]


async def test_what_never_left_does_not_end_it(autojump_clock):
    async with open_game(settings=settings()) as game:
        await win(game, Declined("the wallet answered 404"), *[NotSent("no connection", True)] * 50)
        (stored,) = wins(game)
        await trio.sleep(1)
        since_ms = stored.call.refused_since_ms
        assert since_ms is not None
        await trio.sleep(2 * MINUTE_S)
        assert stored.call.refused_since_ms == since_ms


async def test_a_wish_to_be_left_alone_is_kept_whatever_the_answer_and_whatever_others_are_answered(autojump_clock):
    async with open_game(settings=settings()) as game:
        timed, game.wallet.balance_minor = Timed(game), 10**6
        await win(
            game,
            Unclear("the wallet answered 503", retry_after_ms=100_000),
            Declined("the wallet answered 409", retry_after_ms=600_000),
        )
        for _ in range(20):
            player = await game.play(300)
            player.say("bet", amount_minor=1_000)
            await player.until("round_started")
            await trio.sleep(30)
        await trio.sleep(HOUR_S)
        first, second = timed.pauses("win")
        assert 100 <= first <= 131
        assert 600 <= second <= 681
        assert [each.status for each in wins(game)] == [CallStatus.ACKNOWLEDGED]


async def test_the_first_success_of_any_call_makes_what_was_put_off_due_at_once(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=100)) as game:
        answers = [NotSent("no connection", True)] * 100
        game.wallet.script[CallKind.WIN].extend(answers)
        players = [await game.play(300, 300) for _ in range(5)]
        for player in players:
            player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        for player in players:
            await player.until("round_ended")
        await trio.sleep(40)
        game.wallet.script[CallKind.WIN].clear()
        assert all(each.call.next_attempt_at_ms > game.clock.now_ms() + 5_000 for each in wins(game)), "as they are"
        other = await game.play(300)
        other.say("bet", amount_minor=1_000)
        await other.until("round_started")
        await trio.sleep(0.1)
        assert [each.status for each in wins(game)] == [CallStatus.ACKNOWLEDGED] * 5
        players[0].say("bet", amount_minor=1_000)
        await players[0].until("round_started")


async def test_what_is_hurried_goes_bulkhead_by_bulkhead(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=100, operator_deliveries_max=3)) as game:
        game.wallet.script[CallKind.WIN].extend([NotSent("no connection", True)] * 100)
        players = [await game.play(300) for _ in range(12)]
        for player in players:
            player.say("bet", amount_minor=100, auto_cashout=1.1)
        for player in players:
            await player.until("round_ended")
        await trio.sleep(30)
        game.wallet.script[CallKind.WIN].clear()
        game.wallet.delay_s, game.wallet.in_flight_max = 0.1, 0
        other = await game.play(300)
        other.say("bet", amount_minor=1_000)
        await other.until("round_started")
        await trio.sleep(2)
        assert [each.status for each in wins(game)] == [CallStatus.ACKNOWLEDGED] * 12
        assert game.wallet.in_flight_max == 3


async def test_a_call_that_always_fails_is_not_hurried_by_each_success_of_another(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=1_000, courier_poll_ms=500)) as game:
        timed = Timed(game)
        await win(game, *[Unclear("the wallet answered 500")] * 1_000)
        await trio.sleep(HOUR_S)
        before = len(timed.pauses("win"))
        for _ in range(300):
            game.node.pool.bulkheads.of(OPERATOR_ID).note(CallKind.BET, Acknowledged(5), was_trial=False)
            await trio.sleep(1)
        tried = len(timed.pauses("win")) - before
        assert 5 <= tried <= 22, "twice a minute instead of once, and not once a second"


async def test_another_node_s_failures_are_a_reason_to_look_too(autojump_clock):
    """A bulkhead knows of its own failures only: the watch over the books tells it that something waits."""
    watchful = settings(outbox_watch_ms=1_000)
    hardy = settings(breaker_failures_max=100, courier_poll_ms=500)
    async with open_game(settings=hardy) as game, open_game(settings=watchful, beside=game, name="node-b") as second:
        bulkhead = second.node.pool.bulkheads.of(OPERATOR_ID)
        bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False)
        await trio.sleep(1)
        assert bulkhead.ahead_until_ms is None, "nothing waited"
        await win(game, *[Unclear("lost")] * 100)
        await trio.sleep(30)
        game.wallet.script[CallKind.WIN].clear()
        (stored,) = wins(game)
        assert stored.call.next_attempt_at_ms > game.clock.now_ms() + 1_000
        bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False)
        await trio.sleep(0.1)
        assert stored.status is CallStatus.ACKNOWLEDGED
