"""The screen alone: one socket at a time, and where the ticks go."""

from uuid import UUID

import trio

from actors.facts.frames_out import BalanceOut
from actors.play.screen import Screen
from actors.shared.metronome import Flight
from tests.helpers.game import Player

FRAME = BalanceOut(balance_minor=1, pending_minor=0)


async def test_what_is_shown_to_nobody_is_lost(autojump_clock):
    screen, player = Screen(), Player(None)
    screen.show(FRAME)
    screen.seat(player)
    screen.show(FRAME, FRAME)
    assert [frame["type"] for frame in player.frames] == ["balance", "balance"]


async def test_ticks_follow_the_flight_to_whichever_socket_is_there(autojump_clock):
    screen, first, second = Screen(), Player(None), Player(None)
    flight, next_flight = (Flight(UUID(int=number), 0, 1_000) for number in (1, 2))
    screen.follow(flight)
    assert flight.target is None
    screen.seat(first)
    assert flight.target is first
    screen.end("replaced")
    assert flight.target is None
    screen.seat(second)
    assert flight.target is second
    screen.follow(None)
    screen.follow(next_flight)
    screen.leave(second)
    assert (flight.target, next_flight.target) == (second, None), "one that is over is left as it is"


async def test_a_socket_that_went_after_another_took_its_place_takes_nothing_away(autojump_clock):
    screen, first, second = Screen(), Player(None), Player(None)
    screen.seat(first)
    screen.end("replaced")
    screen.seat(second)
    screen.leave(first)
    assert screen.is_attended
    assert (first.closed, second.closed) == (True, False)
    assert [frame["type"] for frame in first.frames] == ["session_ended"]


async def test_it_is_alone_since_the_last_socket_went(autojump_clock):
    screen, player = Screen(), Player(None)
    assert screen.alone_since == trio.current_time()
    screen.seat(player)
    await trio.sleep(5)
    assert screen.alone_since == float("inf")
    screen.leave(player)
    await trio.sleep(5)
    assert screen.alone_since == trio.current_time() - 5
    screen.end("expired")
    assert not player.closed, "it had gone"


async def test_a_refusal_is_in_the_words_for_its_code_unless_told_otherwise(autojump_clock):
    screen, player = Screen(), Player(None)
    screen.seat(player)
    screen.refuse("rate_limited", "a")
    screen.refuse("rate_limited", "b", "Not now.")
    assert [(error["id"], error["message"]) for error in player.frames] == [
        ("a", "Too many requests at once. Wait a moment."),
        ("b", "Not now."),
    ]
