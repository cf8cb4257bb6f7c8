"""Clocks that are wrong, are put right, or stop with their machine: what a node does with them."""

from dataclasses import replace

import pytest
import trio

from actors.kit.clock import FLIGHT_MS_MAX, STAND_MS_MAX, STEP_MS_MIN, ServerClock
from actors.ports.nodes import Pulse
from actors.rules.lineage import Lineage
from actors.shared.contact import DIFFERENCE_MS_MAX, LedgerContact
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, NOON_MS, open_game
from tests.helpers.memory_ledger import MemoryLedger

SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000
STEPS_MS = [sign * step for step in (SECOND_MS, 15 * SECOND_MS, 2 * MINUTE_MS, 2 * HOUR_MS) for sign in (1, -1)]
PULSE = Pulse(
    database_ms=NOON_MS,
    before_ms=None,
    is_recorded=True,
    is_superseded=False,
    is_over=False,
    newest_end_ms=None,
    lineage=Lineage(history_id="one", cut_reason=None, has_moved=False, was_synchronous=False),
)


class Machine:
    """A machine whose clock can be set. It begins right, at noon."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def system_ms(self) -> float:
        return true_ms() + self.ahead_ms

    def clock(self) -> ServerClock:
        return ServerClock(self.system_ms(), self.system_ms)


def true_ms() -> float:
    return NOON_MS + trio.current_time() * 1000


# The clock itself.


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_the_wall_clock_is_right_again_after_a_look(autojump_clock, step_ms):
    machine = Machine()
    clock = machine.clock()
    await trio.sleep(10)
    steady_ms, before_ms = clock.steady_ms(), clock.wall_ms()
    machine.ahead_ms += step_ms
    assert clock.wall_ms() == before_ms, "nobody has looked"
    assert clock.look() == step_ms
    assert clock.steady_ms() == steady_ms, "what flies does not jump"
    stands = -STAND_MS_MAX <= step_ms < 0
    assert clock.wall_ms() == (before_ms if stands else before_ms + step_ms)
    await trio.sleep(STAND_MS_MAX / 1000)
    assert abs(clock.wall_ms() - machine.system_ms()) <= 1


async def test_a_small_step_back_is_a_stand(autojump_clock):
    machine = Machine()
    clock = machine.clock()
    shown = [clock.wall_ms()]
    machine.ahead_ms = -5 * SECOND_MS
    for _ in range(80):
        clock.look()
        shown.append(clock.wall_ms())
        await trio.sleep(0.1)
    assert shown == sorted(shown)
    assert shown[0] == shown[49] < shown[52] < shown[54]


async def test_what_reading_costs_is_no_step(autojump_clock):
    machine = Machine()
    clock = machine.clock()
    machine.ahead_ms = STEP_MS_MIN - 1
    assert clock.look() == 0


async def test_a_look_that_took_long_is_no_step(autojump_clock):
    """The machine's clock was read at some moment of it, and nobody knows at which."""

    def read_slowly() -> float:
        read_ms = true_ms()
        autojump_clock.jump(0.2)
        return read_ms

    clock = ServerClock(NOON_MS, read_slowly)
    assert clock.look() == 0
    assert abs(clock.wall_ms() - true_ms()) <= 1


async def test_an_answer_that_took_long_is_doubt_and_no_difference_of_the_clocks(autojump_clock):
    clock = Machine().clock()
    contact = LedgerContact(GameSettings(bet_limits={"USD": LIMITS}), clock)
    asked_at, database_ms = trio.current_time(), round(true_ms())
    await trio.sleep(3)
    contact.beat(replace(PULSE, database_ms=database_ms), asked_at)
    assert contact.difference_ms == 0 and contact.is_in_time
    contact.beat(replace(PULSE, database_ms=round(true_ms())), trio.current_time())
    assert abs(contact.difference_ms) <= 1 and abs(clock.now_ms() - true_ms()) <= 1


async def test_a_leap_forward_is_left_out_of_what_has_certainly_flown(autojump_clock):
    clock = ServerClock(NOON_MS)
    clock.follow_house(0, 0)
    assert clock.cautious_ms() == clock.now_ms()
    assert clock.follow_house(2 * HOUR_MS, 5) == 2 * HOUR_MS
    assert clock.now_ms() - clock.cautious_ms() == 2 * HOUR_MS
    await trio.sleep(FLIGHT_MS_MAX / 1000 + 1)
    assert clock.cautious_ms() == clock.now_ms(), "what flew then has landed"


async def test_a_step_within_the_doubt_is_not_taken(autojump_clock):
    clock = ServerClock(NOON_MS)
    clock.follow_house(0, 0)
    assert clock.follow_house(1_400, 1_500) == 0
    assert clock.follow_house(1_400, 3) == 1_400


async def test_moments_are_turned_from_one_clock_to_the_other_and_back(autojump_clock):
    clock = ServerClock(NOON_MS)
    clock.follow_house(-HOUR_MS, 0)
    for moment_ms in (NOON_MS, NOON_MS + 1, NOON_MS - HOUR_MS):
        assert clock.steady_of(clock.unix_of(moment_ms)) == moment_ms


async def test_a_stored_start_lies_where_it_was_before_the_houses_time_stepped(autojump_clock):
    clock = ServerClock(NOON_MS)
    clock.follow_house(HOUR_MS, 0)
    starts: list[tuple[int, int]] = []
    for step_ms in (2 * SECOND_MS, -2 * SECOND_MS, 100, -50):
        starts.append((clock.steady_ms(), clock.unix_of(clock.steady_ms())))
        await trio.sleep(10)
        assert clock.follow_house(clock.unix_of(0) + step_ms, 0) == step_ms
    assert [clock.began_ms(started_at_ms) for _, started_at_ms in starts] == [steady_ms for steady_ms, _ in starts]
    leapt_over_ms = clock.unix_of(clock.steady_ms()) + 50
    assert clock.follow_house(clock.unix_of(0) + 100, 0) == 100
    assert clock.began_ms(leapt_over_ms) == clock.steady_ms(), "not in the future"


# A node.


@pytest.mark.parametrize("ahead_ms", STEPS_MS)
async def test_a_node_that_began_wrong_has_the_databases_time_for_what_it_stores(autojump_clock, ahead_ms):
    async with open_game(clock=Machine(ahead_ms).clock()) as game:
        assert abs(game.clock.now_ms() - true_ms()) <= 1
        assert abs(game.clock.wall_ms() - true_ms() - ahead_ms) <= 1


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_a_flight_goes_on_as_if_no_clock_had_stepped(autojump_clock, step_ms):
    machine = Machine()
    async with open_game(clock=machine.clock()) as game:
        player = await game.play(1_000)
        player.say("bet", amount_minor=1_000, auto_cashout=3.0)
        started = await player.until("round_started")
        await trio.sleep(5)
        machine.ahead_ms += step_ms
        game.ledger.clock_ms = None
        await trio.sleep(5)
        assert game.clock.steady_ms() - NOON_MS == pytest.approx(trio.current_time() * 1000, abs=1)
        player.say("cashout", round_id=started["round_id"])
        ended = await player.until("round_ended")
        assert ended["result"] == "cashout"
        assert ended["realized_multiplier"] == pytest.approx(1.82, abs=0.01), "e to the 0.00006 times 10,000"


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_a_flight_goes_on_when_the_databases_clock_steps(autojump_clock, step_ms):
    ledger = SteppingLedger()
    async with open_game(ledger=ledger) as game:
        player = await game.play(1_000)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        await trio.sleep(5)
        ledger.ahead_ms += step_ms
        await trio.sleep(5)
        player.say("cashout", round_id=started["round_id"])
        assert (await player.until("round_ended"))["realized_multiplier"] == pytest.approx(1.82, abs=0.01)
        await trio.sleep(STAND_MS_MAX / 1000)
        assert abs(game.clock.now_ms() - ledger.now_ms()) <= 2


class SteppingLedger(MemoryLedger):
    """Whose database's clock can be set."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_a_node_far_from_the_databases_time_takes_no_bets_until_it_agrees(autojump_clock, step_ms):
    machine = Machine()
    async with open_game(clock=machine.clock()) as game:
        contact = game.node.services.contact
        player = await game.play(200)
        machine.ahead_ms += step_ms + (1 if step_ms > 0 else -1) * 10
        await trio.sleep(2)
        assert abs(step_ms) < DIFFERENCE_MS_MAX or not contact.is_ready
        assert game.observer.clock_difference_ms == pytest.approx(step_ms, abs=15)
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "wallet_unavailable"
        machine.ahead_ms = 0
        await trio.sleep(2)
        assert contact.is_ready
        assert ("wall", -step_ms - (1 if step_ms > 0 else -1) * 10) in game.observer.clock_steps
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")


@pytest.mark.parametrize("ahead_ms", [-15 * SECOND_MS, 15 * SECOND_MS, -2 * HOUR_MS, 2 * HOUR_MS])
async def test_two_nodes_whose_clocks_differ_leave_each_others_flights_alone(autojump_clock, ahead_ms):
    """One began 15 s slow and was corrected: it lost 10 of its 12 flights to the other one."""
    machine = Machine()
    async with open_game(clock=machine.clock()) as game:
        players = [await game.play(1_000) for _ in range(3)]
        for player in players:
            player.say("bet", amount_minor=1_000)
            await player.until("round_started")
        wrong = Machine(ahead_ms)
        async with open_game(name="node-b", ledger=game.ledger, clock=wrong.clock()) as other:
            await trio.sleep(15)
            wrong.ahead_ms = 0
            await trio.sleep(15)
            assert other.observer.ends == []
            assert all(stored.finished is None for stored in game.ledger.rounds.values())
            assert {stored.owner for stored in game.ledger.rounds.values()} == {game.node.services.owner}


@pytest.mark.parametrize("flown_s", [5, 16])
@pytest.mark.parametrize("step_ms", [-2 * SECOND_MS, SECOND_MS, 2 * SECOND_MS])
async def test_a_flight_that_moves_goes_on_as_if_the_houses_time_had_not_stepped(autojump_clock, step_ms, flown_s):
    """One of 23.1 s had crashed 2 s before its time, at the other node, when its player had seen 2.60."""
    ledger, machine = SteppingLedger(), Machine()
    async with (
        open_game(ledger=ledger, clock=machine.clock()) as game,
        open_game(ledger=ledger, clock=machine.clock(), name="node-b") as other,
    ):
        await trio.sleep(1.1)
        token = await game.launch(400)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        round_id = (await player.until("round_started"))["round_id"]
        await trio.sleep(flown_s)
        ledger.ahead_ms = machine.ahead_ms = step_ms
        await trio.sleep(22.5 - flown_s)
        player = await other.enter(token)
        assert (await player.until("welcome"))["round"]["round_id"] == round_id
        player.say("cashout", round_id=round_id)
        ended = await player.until("round_ended")
        assert (ended["result"], ended["realized_multiplier"]) == ("cashout", pytest.approx(3.88, abs=0.05))


@pytest.mark.parametrize(
    ("flown_s", "leap_ms", "lived_s"),
    [(5, HOUR_MS, 5), (35, 3 * SECOND_MS, 2)],
    ids=["by an hour", "within the lease, by more than the 1.4 s that the flight had to go"],
)
async def test_a_flight_of_the_dead_is_not_taken_for_ended_because_a_clock_leapt(
    autojump_clock, flown_s, leap_ms, lived_s
):
    ledger = SteppingLedger()
    async with open_game(ledger=ledger) as game:
        player = await game.play(1_000)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await trio.sleep(flown_s)
        ledger.ahead_ms = leap_ms
        await trio.sleep(lived_s)
        died = ledger.copy_at_death()
    async with open_game(ledger=died, clock=ServerClock(died.now_ms())):
        await trio.sleep(20)
        (stored,) = died.rounds.values()
        assert stored.finished.status == "refunded"


async def test_a_player_reckons_a_flights_age_by_one_clock(autojump_clock):
    """While the house's time stands, because it was ahead, starts of flights are shown in the right time already."""
    ledger = SteppingLedger()
    async with open_game(ledger=ledger) as game:
        token = await game.launch(1_000)
        player = await game.enter(token)
        ledger.ahead_ms -= DIFFERENCE_MS_MAX - 50
        while game.clock.now_ms() - ledger.now_ms() < DIFFERENCE_MS_MAX - 100 or game.clock.unix_of(0) == 0:
            await trio.sleep(0.01)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        player.say("ping", t=1)
        shown = [(await player.until("pong"))["server_time"]]
        shown.append((await (await game.enter(token)).until("welcome"))["server_time"])
        assert game.clock.now_ms() - ledger.now_ms() > 500, "it stands"
        assert all(abs(server_time - started["started_at"]) < 250 for server_time in shown)


async def test_a_node_far_from_the_databases_time_sends_its_players_to_the_others(autojump_clock):
    """Who flies flies on to the end. Alone it keeps them, and refuses bets in words."""
    machine = Machine()
    async with open_game(clock=machine.clock()) as game:
        async with open_game(ledger=game.ledger, name="node-b") as other:
            await trio.sleep(2)
            token = await game.launch(200)
            idle, flying = await game.enter(token), await game.play(130)
            flying.say("bet", amount_minor=1_000)
            await flying.until("round_started")
            machine.ahead_ms += 5_000
            assert (await idle.until("session_ended"))["reason"] == "shutdown"
            assert (await flying.until("round_ended"))["result"] == "crash"
            assert (await flying.until("session_ended"))["reason"] == "shutdown"
            assert (await (await game.enter(token)).until("session_ended"))["reason"] == "shutdown"
            await (await other.enter(token)).until("welcome")
        await trio.sleep(2)
        player = await game.play(200)
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "wallet_unavailable"
