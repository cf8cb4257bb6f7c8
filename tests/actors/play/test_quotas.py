"""What one session, one player and one operator may have: void rounds, open sessions."""

from dataclasses import replace
from uuid import UUID

import trio
from trio.testing import wait_all_tasks_blocked

from actors.facts.records import CallKind, OperatorStatus, RoundStatus
from actors.kit.clock import ServerClock
from actors.ports.wallet import Declined
from actors.shared.game_settings import GameSettings
from actors.shared.void_rounds import SESSIONS_OF_PLAYER, RoundTally
from tests.helpers.game import LIMITS, NOON_MS, open_game, operator

ONE, OTHER = UUID(int=1), UUID(int=2)


def settings(**changes):
    return GameSettings(bet_limits={"USD": LIMITS}, **changes)


async def refused_bet(player):
    """The code of what a bet came to, and what was said."""
    player.say("bet", amount_minor=100)
    refusal = await player.until("error")
    return refusal["code"], refusal["message"]


async def void_until_limited(player, most):
    for count in range(most):
        code, message = await refused_bet(player)
        if code == "rate_limited":
            assert "bets" in message
            return count
    return None


async def test_a_session_has_so_many_void_rounds_and_then_waits(autojump_clock):
    chosen = settings(session_void_rounds_burst=5, session_void_rounds_per_minute=6)
    async with open_game(settings=chosen) as game:
        game.wallet.script[CallKind.BET].extend([Declined("402")] * 100)
        player = await game.play(150)
        other = await game.play(150)
        assert await void_until_limited(player, 10) == 5
        rounds = len(game.observer.ends)
        assert (await refused_bet(player))[0] == "rate_limited"
        assert len(game.observer.ends) == rounds, "a bet that is refused leaves nothing behind"
        assert (await refused_bet(other))[0] == "bet_declined", "another session's bets go on"
        await trio.sleep(10)
        assert (await refused_bet(player))[0] == "bet_declined"
        assert (await refused_bet(player))[0] == "rate_limited"


async def test_void_rounds_are_bounded_however_wrong_the_machines_clock_was_at_the_start(autojump_clock):
    chosen = settings(session_void_rounds_burst=3, session_void_rounds_per_minute=6)
    clock = ServerClock(NOON_MS - 3_600_000, lambda: NOON_MS + trio.current_time() * 1000)
    async with open_game(settings=chosen, clock=clock) as game:
        game.wallet.script[CallKind.BET].extend([Declined("402")] * 100)
        assert await void_until_limited(await game.play(150), 10) == 3


async def test_a_session_that_is_opened_again_does_not_begin_anew(autojump_clock):
    chosen = settings(session_void_rounds_burst=3, session_void_rounds_per_minute=1, session_linger_ms=10)
    async with open_game(settings=chosen) as game:
        game.wallet.script[CallKind.BET].extend([Declined("402")] * 100)
        token = await game.launch(150)
        player = await game.enter(token)
        assert await void_until_limited(player, 10) == 3
        player.door.leave()
        await trio.sleep(1)
        assert game.node.lobby.sessions_open == 0
        again = await game.enter(token)
        await again.until("welcome")
        assert (await refused_bet(again))[0] == "rate_limited"


async def test_an_operator_has_so_many_void_rounds_over_all_its_sessions(autojump_clock):
    chosen = settings(operator_void_rounds_burst=6, operator_void_rounds_per_second=1)
    async with open_game(settings=chosen) as game:
        game.wallet.script[CallKind.BET].extend([Declined("402")] * 100)
        players = [await game.play(150) for _ in range(4)]
        codes = [(await refused_bet(player))[0] for _ in range(3) for player in players]
        assert codes.count("bet_declined") in (6, 7) and codes.count("rate_limited") in (5, 6)
        await trio.sleep(6)
        assert (await refused_bet(players[0]))[0] == "bet_declined"


def test_each_of_many_operators_has_its_own_bound_and_none_is_forgotten_for_another():
    tally = RoundTally(settings(operator_void_rounds_burst=1, operator_void_rounds_per_second=0.1))
    operators = [UUID(int=number) for number in range(1_000)]
    for operator_id in operators:
        tally.ended(operator_id, "player", operator_id, RoundStatus.VOID, 1_000)
        tally.ended(operator_id, "player", operator_id, RoundStatus.VOID, 1_000)
    waits_ms = {tally.wait_ms(operator_id, "another", ONE, 1_000) for operator_id in operators[2:]}
    assert len(waits_ms) == 1 and 0 not in waits_ms


def test_one_player_with_many_sessions_leaves_the_others_of_the_operator_theirs():
    tally, bets = RoundTally(settings()), 0
    for now_ms in range(0, 60_000, 50):
        for session in range(50):
            whose = ONE, "refused", UUID(int=session)
            if tally.wait_ms(*whose, now_ms) == 0:
                tally.ended(*whose, RoundStatus.VOID, now_ms)
                bets += 1
        assert tally.wait_ms(ONE, "honest", UUID(int=99), now_ms) == 0
    assert bets > 100, "more than one session may have"


def test_all_sessions_of_a_player_together_have_as_many_void_rounds_as_four():
    bounds = {"session_void_rounds_burst": 5, "session_void_rounds_per_minute": 6}
    tally, bets = RoundTally(settings(**bounds, operator_void_rounds_burst=10_000)), 0
    for now_ms in range(1_000_000, 1_060_000, 100):
        for session in range(20):
            whose = ONE, "refused", UUID(int=session)
            if tally.wait_ms(*whose, now_ms) == 0:
                tally.ended(*whose, RoundStatus.VOID, now_ms)
                bets += 1
    assert abs(bets - SESSIONS_OF_PLAYER * (5 + 6)) <= 1


def test_only_void_rounds_count_and_what_ended_is_told_by_operator():
    tally = RoundTally(settings(operator_void_rounds_burst=2, operator_void_rounds_per_second=1))
    for number in range(50):
        tally.ended(ONE, str(number), UUID(int=number), RoundStatus.SETTLED, 1_000)
        tally.ended(ONE, str(number), UUID(int=number), RoundStatus.REFUNDED, 1_000)
    assert tally.wait_ms(ONE, "1", UUID(int=1), 1_000) == 0
    for number in range(3):
        tally.ended(OTHER, str(number), UUID(int=number), RoundStatus.VOID, 1_000)
    assert tally.wait_ms(OTHER, "99", UUID(int=99), 1_000) > 0
    assert tally.wait_ms(ONE, "1", UUID(int=1), 1_000) == 0
    assert tally.take() == {(ONE, "settled"): 50, (ONE, "refunded"): 50, (OTHER, "void"): 3}
    assert tally.take() == {}


async def test_a_player_has_so_many_sessions_open(autojump_clock):
    async with open_game(settings=settings(sessions_of_player_max=3)) as game:
        players = [await game.play(150) for _ in range(3)]
        token = await game.launch(150)
        late = await game.enter(token)
        refusal = await late.until("error")
        assert (refusal["code"], late.closed) == ("rate_limited", True) and "open" in refusal["message"]
        players[0].door.leave()
        await wait_all_tasks_blocked()
        await (await game.enter(token)).until("welcome")


async def test_a_player_comes_back_to_a_session_however_many_are_open(autojump_clock):
    async with open_game(settings=settings(sessions_of_player_max=2)) as game:
        token = await game.launch(150)
        await (await game.enter(token)).until("welcome")
        await game.play(150)
        await (await game.enter(token)).until("welcome")


async def test_an_operator_has_so_many_sessions_open(autojump_clock):
    async with open_game(settings=settings(sessions_of_operator_max=2, session_linger_ms=10)) as game:
        first, _ = [await game.play(150) for _ in range(2)]
        late = await game.enter(await game.launch(150))
        assert (await late.until("error"))["code"] == "rate_limited"
        first.door.leave()
        await trio.sleep(1)
        await game.play(150)
        assert game.node.lobby.sessions_open == 2


async def test_who_comes_with_a_flight_comes_in_however_many_sessions_its_operator_has(autojump_clock):
    chosen = settings(sessions_of_operator_max=1)
    async with open_game(settings=chosen) as first, open_game(settings=chosen, beside=first, name="node-b") as full:
        await trio.sleep(1.1)  # until each knows that it is not alone
        await full.play(150)
        token = await first.launch(400)
        player = await first.enter(token)
        player.say("bet", amount_minor=100)
        started = await player.until("round_started")
        welcome = await (await full.enter(token)).until("welcome")
        assert welcome["round"]["round_id"] == started["round_id"]
        late = await full.enter(await full.launch(150))
        assert (await late.until("error"))["code"] == "rate_limited"


async def test_players_of_two_operators_are_two_although_their_names_are_one(autojump_clock):
    async with open_game(settings=settings(sessions_of_player_max=1)) as game:
        game.ledger.operators.append(operator(operator_id=OTHER))
        await trio.sleep(3)
        await game.play(150)
        await game.play(150, operator_id=OTHER)
        late = await game.enter(await game.launch(150, operator_id=OTHER))
        assert (await late.until("error"))["code"] == "rate_limited"


async def test_an_operator_leaves_room_while_another_one_is_active(autojump_clock):
    chosen = settings(sessions_of_operator_max=4, sessions_of_operator_beside_others_max=2)
    async with open_game(settings=chosen) as game:
        for _ in range(3):
            await game.play(150)
        directory, other = game.node.services.operators, operator(operator_id=UUID(int=77))
        game.ledger.operators.append(other)
        await directory.refresh()
        token = await game.launch(150)
        assert (await (await game.enter(token)).until("error"))["code"] == "rate_limited"
        assert game.node.lobby.sessions_open == 3, "who is in stays"
        game.ledger.operators[-1] = replace(other, status=OperatorStatus.SUSPENDED)
        await directory.refresh()
        await (await game.enter(token)).until("welcome")
