"""A player's rounds on the twins: bets, cash-outs, crashes, and the money they move."""

import pytest
import trio
import trio.lowlevel

from actors.facts.records import CallKind
from actors.kit.supervisor import RESTART_FIRST_MS
from actors.kit.timers import SLACK_MS
from actors.play.round import RoundActor
from actors.ports.wallet import Declined, Unclear
from actors.rules import fairness
from actors.rules.growth import GrowthCurve
from actors.shared.ledger import LOSS_PATIENCE_MS
from actors.shared.messages import Cashout, FlightEnds
from tests.helpers.game import LIMITS, open_game


async def test_a_cash_out_pays_its_multiplier_and_the_wallet_agrees(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, id="b1")
        pending = await player.until("bet_pending")
        started = await player.until("round_started")
        await game.clock.sleep_until_ms(started["started_at"] + 11_553)
        player.say("cashout", round_id=started["round_id"], id="c1")
        ended = await player.until("round_ended")
        assert (pending["id"], started["id"], ended["id"]) == ("b1", "b1", "c1")
        assert (ended["result"], ended["realized_multiplier"], ended["payout_minor"]) == ("cashout", 2, 2_000)
        assert ended["balance_minor"] == 9_000
        owed = await player.until("balance")
        assert (owed["balance_minor"], owed["pending_minor"]) == (9_000, 2_000)
        paid = await player.until("balance")
        assert (paid["balance_minor"], paid["pending_minor"]) == (11_000, 0)
        assert [call.amount_minor for call in game.wallet.sent(CallKind.WIN)] == [2_000]


async def test_the_end_reveals_what_the_commitment_promised(autojump_clock):
    async with open_game() as game:
        player = await game.enter(await game.launch(150))
        promised = (await player.until("welcome"))["next"]
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        ended = await player.until("round_ended")
        assert promised["server_seed_hash"] == started["server_seed_hash"]
        assert fairness.commitment(ended["server_seed"]) == promised["server_seed_hash"]
        outcome = fairness.outcome(ended["server_seed"], ended["client_seed"], ended["nonce"], 9_600, 2_000)
        assert outcome.crash_hundredths == 150
        assert (ended["crash_point"], ended["guard_seed"]) == (1.5, outcome.guard_seed)
        assert ended["next"]["nonce"] == 2
        assert ended["next"]["server_seed_hash"] != promised["server_seed_hash"]


async def test_nothing_before_the_end_tells_the_crash(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        await player.until("round_ended")
        before = [frame for frame in player.frames if frame["type"] != "round_ended"]
        ended = player.frames[-1]
        for secret in (ended["server_seed"], ended["guard_seed"]):
            assert secret not in str(before)
        for frame in before:
            assert not {"crash_point", "guard_seed", "server_seed"} & frame.keys()


async def test_ticks_follow_the_curve_start_on_the_beat_and_stop_before_the_crash(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        await player.until("round_ended")
        curve = GrowthCurve(game.node.services.settings.growth_rate_per_ms)
        assert started["started_at"] % 100 == 0
        numbers = [number for number, _ in player.ticks]
        assert numbers[0] in {0, 1}, "the beat of the start itself may have passed while the start was stored"
        assert numbers == list(range(numbers[0], curve.crashes_at_ms(150) // 100 + 1))
        for number, tick in player.ticks:
            assert tick == {
                "type": "tick",
                "e": 100 * number,
                "x": pytest.approx(curve.hundredths_at(100 * number) / 100),
            }
            assert tick["x"] <= 1.5


async def test_ticks_go_to_who_watches(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        first = await game.enter(token)
        first.say("bet", amount_minor=1_000)
        await first.until("round_started")
        await trio.sleep(2)
        first.door.leave()
        await trio.lowlevel.checkpoint()
        seen = len(first.ticks)
        assert seen > 10
        await trio.sleep(2)
        second = await game.enter(token)
        await second.until("welcome")
        await trio.sleep(2)
        third = await game.enter(token)
        await second.until_closed()
        replaced_at = second.ticks[-1][0]
        await third.until("round_ended")
        assert len(first.ticks) == seen
        assert second.ticks[-1][0] == replaced_at < third.ticks[0][0]


async def test_a_crash_sends_the_wallet_nothing(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["result"], ended["payout_minor"], ended["realized_multiplier"]) == ("crash", 0, 0)
        assert [call.kind for call in game.wallet.calls] == [CallKind.BET]


async def test_an_automatic_cash_out_pays_exactly_its_target(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000, auto_cashout=1.5)
        ended = await player.until("round_ended")
        assert (ended["result"], ended["realized_multiplier"], ended["payout_minor"]) == ("cashout", 1.5, 1_500)


async def test_the_largest_multiplier_ends_the_flight(autojump_clock):
    async with open_game(max_win_multiplier=2) as game:
        player = await game.play()
        while True:
            player.say("bet", amount_minor=1_000)
            ended = await player.until("round_ended")
            if ended["result"] != "crash":
                break
        assert (ended["result"], ended["realized_multiplier"], ended["crash_point"]) == ("max_win", 2, 2)


async def test_a_cash_out_received_in_time_counts_although_it_is_handled_at_the_crash(autojump_clock):
    """The receipt decides: the frame was in the mailbox when the crash's moment came."""
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        crash_ms = GrowthCurve(game.node.services.settings.growth_rate_per_ms).crashes_at_ms(300)
        await game.clock.sleep_until_ms(started["started_at"] + crash_ms - 1)
        player.say("cashout", round_id=started["round_id"])
        ended = await player.until("round_ended")
        assert (ended["result"], ended["realized_multiplier"]) == ("cashout", 3)


async def test_a_cash_out_after_the_crash_is_too_late(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        player.say("cashout", round_id=ended["round_id"], id="late")
        error = await player.until("error")
        assert (error["code"], error["id"]) == ("too_late", "late")


async def test_a_cash_out_that_is_read_before_the_crash_was_noticed_is_too_late_and_not_what_ended_it(autojump_clock):
    async with open_game() as game:
        game.node.services.timers._make_due = lambda: None
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        (stored,) = game.ledger.rounds.values()
        await game.clock.sleep_until_ms(started["started_at"] + stored.live.plan().ends_at_ms + 1)
        player.say("cashout", round_id=started["round_id"], id="late")
        error = await player.until("error")
        assert (error["code"], error["id"]) == ("too_late", "late")
        ended = await player.until("round_ended")
        assert (ended["result"], ended["payout_minor"], ended.get("id")) == ("crash", 0, None)


async def test_a_cash_out_below_the_lowest_is_too_early_and_the_round_goes_on(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        player.say("cashout", round_id=started["round_id"])
        assert (await player.until("error"))["code"] == "too_early"
        assert (await player.until("round_ended"))["result"] == "crash"


async def test_two_cash_outs_at_once_have_one_winner(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        await game.clock.sleep_until_ms(started["started_at"] + 11_553)
        player.say("cashout", round_id=started["round_id"], id="one")
        player.say("cashout", round_id=started["round_id"], id="two")
        await player.until("round_ended")
        while (await player.until("balance"))["pending_minor"]:
            pass
        ends = [frame for frame in player.frames if frame["type"] == "round_ended"]
        errors = [frame for frame in player.frames if frame["type"] == "error"]
        assert [(end["id"], end["payout_minor"]) for end in ends] == [("one", 2_000)]
        assert [(error["code"], error["id"]) for error in errors] == [("too_late", "two")]
        assert len(game.wallet.sent(CallKind.WIN)) == 1


async def test_a_bet_while_betting_or_flying_is_refused_and_moves_nothing(autojump_clock):
    async with open_game() as game:
        game.wallet.delay_s = 1.0
        player = await game.play(150)
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending")
        player.say("bet", amount_minor=1_000, id="again")
        error = await player.until("error")
        assert (error["code"], error["id"]) == ("round_in_progress", "again")
        await player.until("round_started")
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "round_in_progress"
        await player.until("round_ended")
        assert len(game.wallet.sent(CallKind.BET)) == 1


async def test_a_declined_bet_is_void_revealed_and_owes_nothing(autojump_clock):
    async with open_game() as game:
        player = await game.play(150)
        game.wallet.script[CallKind.BET].append(Declined("402"))
        player.say("bet", amount_minor=1_000, id="b")
        ended = await player.until("round_ended")
        error = await player.until("error")
        assert (ended["status"], ended["reason"], ended["id"]) == ("void", "bet_declined", "b")
        assert ended["server_seed"] and ended["result"] is None and ended["payout_minor"] == 0
        assert (error["code"], error["id"]) == ("bet_declined", "b")
        assert [call.kind for call in game.wallet.calls] == [CallKind.BET]
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_started"))["nonce"] == 2


async def test_an_unclear_bet_is_void_and_its_refund_is_delivered(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        game.wallet.script[CallKind.BET].append(Unclear("no answer in time"))
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "wallet_unavailable")
        assert (await player.until("error"))["code"] == "wallet_unavailable"
        assert (await player.until("balance"))["pending_minor"] == 1_000
        assert (await player.until("balance"))["pending_minor"] == 0
        refund = game.wallet.sent(CallKind.REFUND)[0]
        assert refund.operator_tx_id == f"refund-{ended['round_id']}"


async def test_a_win_is_repeated_with_the_same_bytes_until_it_is_acknowledged(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        game.wallet.script[CallKind.WIN].extend([Unclear("500"), Declined("404"), Unclear("lost")])
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        while (await player.until("balance"))["pending_minor"]:
            pass
        wins = game.wallet.sent(CallKind.WIN)
        assert len(wins) == 4
        assert len({(call.operator_tx_id, call.body) for call in wins}) == 1


async def test_a_bet_waits_for_a_pending_win_and_then_goes_out(autojump_clock):
    async with open_game() as game:
        player = await game.play(300, 150)
        game.wallet.script[CallKind.WIN].append(Unclear("500"))
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        player.say("bet", amount_minor=1_000, id="second")
        assert (await player.until("bet_pending"))["id"] == "second"
        await player.until("round_started")
        assert [call.kind for call in game.wallet.calls] == [CallKind.BET, CallKind.WIN, CallKind.WIN, CallKind.BET]


async def test_a_bet_that_waits_too_long_for_a_pending_win_is_refused(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        game.wallet.script[CallKind.WIN].extend([Unclear("500")] * 5)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        player.say("bet", amount_minor=1_000, id="second")
        error = await player.until("error")
        assert (error["code"], error["id"]) == ("wallet_pending", "second")
        assert len(game.wallet.sent(CallKind.BET)) == 1


async def test_calls_of_one_session_never_overlap(autojump_clock):
    async with open_game() as game:
        game.wallet.delay_s = 0.7
        player = await game.play(300, 300)
        for _ in range(2):
            player.say("bet", amount_minor=1_000, auto_cashout=1.2)
            await player.until("round_ended")
        assert game.wallet.in_flight_max == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount_minor": LIMITS.min_bet_minor - 1}, "stake_too_low"),
        ({"amount_minor": -1_000}, "stake_too_low"),
        ({"amount_minor": LIMITS.max_bet_minor + 10}, "stake_too_high"),
        ({"amount_minor": 1_005}, "stake_step"),
        ({"amount_minor": 20_000}, "insufficient_funds"),
        ({"amount_minor": 1_000, "auto_cashout": 1}, "bad_auto_cashout"),
        ({"amount_minor": 1_000, "auto_cashout": 2_000.01}, "bad_auto_cashout"),
        ({"amount_minor": 1_000, "auto_cashout": 1.505}, "bad_auto_cashout"),
        ({"amount_minor": 1_000, "auto_cashout": "2"}, "bad_auto_cashout"),
        ({"amount_minor": 1_000, "client_seed": "no spaces"}, "bad_client_seed"),
        ({"amount_minor": True}, "bad_message"),
        ({"amount_minor": 10.5}, "bad_message"),
        ({}, "bad_message"),
    ],
)
async def test_a_bad_bet_gets_its_error_and_changes_nothing(autojump_clock, fields, code):
    async with open_game() as game:
        player = await game.play()
        player.say("bet", id="bad", **fields)
        error = await player.until("error")
        assert (error["code"], error["id"]) == (code, "bad")
        assert game.wallet.calls == []
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_started"))["nonce"] == 1


async def in_flight(game, crash_hundredths):
    """A player whose round flies, and the round's actor."""
    player = await game.play(crash_hundredths)
    player.say("bet", amount_minor=1_000)
    await player.until("round_started")
    (actor,) = game.node.lobby._rounds._actors.values()
    return player, actor


async def test_a_cash_out_that_was_received_in_time_counts_behind_the_news_of_the_end(autojump_clock):
    async with open_game() as game:
        player, actor = await in_flight(game, 200)
        await trio.sleep(1)
        actor._note_end()
        actor.tell(Cashout("c", game.clock.steady_ms()))
        assert (await player.until("round_ended"))["result"] == "cashout"


async def test_what_was_received_in_time_counts_although_the_end_has_come_when_it_is_read(autojump_clock):
    async with open_game() as game:
        player, actor = await in_flight(game, 200)
        seen = actor.seen
        flown = seen.flies.live
        late = RoundActor(game.node.services, game.node.pool, flown, next_commitment=seen.after)
        late.tell(FlightEnds())
        late.tell(Cashout("c", late.flight.ends_at_ms - 1))
        await player.until("round_ended")
        settlement, frame_id = await late._until_end(flown.plan(), late.flight)
        assert (settlement.result, settlement.realized_hundredths, frame_id) == ("cashout", 200, "c")


def fail_once(timers):
    """A call that is due at once raises."""

    def fail():
        raise RuntimeError("as told")

    timers.timer(fail).set(trio.current_time())


@pytest.mark.logs_errors(
    "an actor failed (metronome, TypeError)", "an actor failed (timers, RuntimeError)", sometimes=True
)
@pytest.mark.parametrize("fails", ["nothing", "metronome", "timers"])
async def test_a_flight_ends_in_time_whatever_fails(autojump_clock, fails):
    async with open_game() as game:
        player, actor = await in_flight(game, 150)
        if fails == "metronome":
            game.node.services.metronome._beat = None
        elif fails == "timers":
            fail_once(game.node.services.timers)
        await trio.sleep(1)
        await player.until("round_ended")
        late_ms = game.clock.steady_ms() - actor.placed.plan().ends_at_ms - actor.flight.started_at_ms
        assert 0 <= late_ms <= SLACK_MS + LOSS_PATIENCE_MS + 1
        assert set(game.observer.failures) == {fails} - {"nothing"}


@pytest.mark.logs_errors("an actor failed (timers, RuntimeError)")
async def test_a_flight_that_ends_while_the_timers_are_down_ends_when_they_run_again(autojump_clock):
    async with open_game() as game:
        player, actor = await in_flight(game, 150)
        await game.clock.sleep_until_ms(actor.flight.ends_at_ms - SLACK_MS - 1)
        fail_once(game.node.services.timers)
        await player.until("round_ended")
        late_ms = game.clock.steady_ms() - actor.flight.ends_at_ms
        assert SLACK_MS < late_ms <= RESTART_FIRST_MS + SLACK_MS + LOSS_PATIENCE_MS + 1
        assert game.observer.failures == ["timers"]


async def test_a_flight_s_end_finds_a_full_mailbox_and_harms_nobody(autojump_clock):
    async with open_game() as game:
        player, actor = await in_flight(game, 150)
        actor.tell(Cashout("early", 0))  # wakes it: from now on all others queue
        for _ in range(actor.mailbox_max - 1):
            actor.tell(Cashout("early", 0))
        actor._note_end()
        assert (await player.until("round_ended"))["result"] == "crash"
        assert game.observer.failures == []


async def test_rounds_leave_nothing_behind(autojump_clock):
    async with open_game() as game:
        player = await game.play(150, 300, 300)
        for number in range(3):
            player.say("bet", amount_minor=1_000)
            started = await player.until("round_started")
            if number:
                await trio.sleep(5)
                player.say("cashout", round_id=started["round_id"])
            await player.until("round_ended")
            await trio.sleep(1)
        node = game.node
        assert len(game.wallet.sent(CallKind.WIN)) == 2
        assert len(node.services.timers) == 1, "the session's own end"
        assert not node.lobby._rounds and not node.pool._wallets
        assert not node.services.metronome._cohorts
