"""When launches and bets are due: decided by the clock and dice alone, never by how the server fares. Pure."""

import math
import random
from collections.abc import Iterator
from typing import Final

_BUSY_MIN: Final = 0.4
_BUSY_MAX: Final = 0.8
_SPARE: Final = 1.5
PAUSE_S: Final = 0.2
"""What a round takes besides its flight: the wallet, the beat on which it starts, the acknowledgement of its win."""


def launch_due_s(player: int, players: int, ramp_s: float) -> float:
    """When the launch of a player (from 0) is due, in seconds from the start: evenly over the ramp."""
    return ramp_s * player / players


def bets_per_second(players: int, flight_s_mean: float) -> float:
    """How many bets a second keep so many players busy, with so many to spare that hardly any bet waits for one.

    How many are busy at a moment varies by about the square root of their number: few players need a larger part of
    them to spare than many.
    """
    busy = min(max(1 - _SPARE / math.sqrt(players), _BUSY_MIN), _BUSY_MAX)
    return busy * players / (flight_s_mean + PAUSE_S)


def bet_dues_s(rate: float, ramp_s: float, duration_s: float, dice: random.Random) -> Iterator[float]:
    """The instants, in seconds from the start, at which bets are due: a Poisson process of ``rate`` per second.

    During the ramp its rate grows from 0 in step with the number of players. Processes with parts of the rate add up
    to one with the whole, so that several of them need not talk to each other.
    """
    due_s = 0.0
    while rate > 0:
        due_s += dice.expovariate(rate)
        if due_s >= duration_s:
            return
        if due_s >= ramp_s or dice.random() < due_s / ramp_s:
            yield due_s
