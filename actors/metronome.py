"""The metronome: one actor that streams the ticks of all live rounds.

Rounds start on its beat, so all rounds that started together are one cohort and share the ready-made frame of their
n-th tick, whose bytes depend on nothing but ``n``. It beats up to ten times a tick, and each cohort gets its ticks on
the beats of its own start: thousands of frames at one moment would make the last of them late, and everybody else wait.
No tick of a moment at or after the flight's end is ever made, nor is one sent then that is late: nothing that a player
sees may exceed what the server would pay.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import trio

from actors.actor import Actor
from actors.clock import ServerClock
from actors.protocol import tick_frame
from actors.rules.growth import GrowthCurve

BEATS_MAX = 10
"""In a tick; so many as divide it into whole milliseconds, of which each has ``BEAT_MS_MIN`` or more."""
BEAT_MS_MIN = 10
"""Each beat wakes the process, which costs as much as to send ten ticks; and nobody sees a hundredth of a second."""


class TickTarget(Protocol):
    """Where a flight's ticks go."""

    def offer_tick(self, number: int, frame: bytes) -> None:
        """Take the tick or skip it, without waiting."""
        ...


@dataclass(slots=True, eq=False)
class Flight:
    """A live round to stream: it started on a beat and is silent from ``ends_at_ms`` on (unix milliseconds).

    ``target`` is who watches, which may change during the flight: nobody, at first. ``over`` once it has left: whoever
    learns of the start late must not bring it back.
    """

    round_id: UUID
    started_at_ms: int
    ends_at_ms: int
    target: TickTarget | None = None
    over: bool = False


class Metronome(Actor[None]):
    """Beats at whole multiples of ``beat_ms`` of unix time. A beat that is late by a tick is skipped: the next tick of
    its cohorts is due already. ``framed`` makes of a tick's JSON what the targets take."""

    def __init__(self, clock: ServerClock, curve: GrowthCurve, tick_ms: int, framed: Callable[[bytes], bytes]) -> None:
        super().__init__("metronome", 1)
        self._clock = clock
        self._curve = curve
        self._tick_ms = tick_ms
        self._framed = framed
        beats_max = min(BEATS_MAX, max(tick_ms // BEAT_MS_MIN, 1))
        self.beat_ms = tick_ms // max(beats for beats in range(1, beats_max + 1) if tick_ms % beats == 0)
        self._cohorts: defaultdict[int, dict[int, dict[UUID, Flight]]] = defaultdict(dict)
        """The flights of each start, by the moment within a tick at which theirs are due."""
        self._frames: list[bytes] = []
        self._joined = trio.Event()

    def next_beat_ms(self) -> int:
        """The first beat at or after now, in unix milliseconds."""
        return -(-self._clock.now_ms() // self.beat_ms) * self.beat_ms

    def join(self, flight: Flight) -> None:
        """Stream the flight's ticks from the next beat on, unless it is over."""
        if flight.over:
            return
        cohorts = self._cohorts[self._phase_ms(flight)]
        cohorts.setdefault(flight.started_at_ms, {})[flight.round_id] = flight
        self._joined.set()

    def leave(self, flight: Flight) -> None:
        """Stream no more ticks of the flight; harmless if it has left."""
        flight.over = True
        phase_ms = self._phase_ms(flight)
        cohorts = self._cohorts.get(phase_ms, {})
        cohort = cohorts.get(flight.started_at_ms, {})
        cohort.pop(flight.round_id, None)
        if not cohort:
            cohorts.pop(flight.started_at_ms, None)
        if not cohorts:
            self._cohorts.pop(phase_ms, None)

    def _phase_ms(self, flight: Flight) -> int:
        """When, within a tick, the flight's ticks are due: at its start, or the first beat after it.

        A round that another node has started may have begun on another beat than ours.
        """
        return -(-flight.started_at_ms // self.beat_ms) * self.beat_ms % self._tick_ms

    async def run(self) -> None:
        """Beat for ever, but not while there is nothing to stream."""
        beat_ms = self.next_beat_ms()
        while True:
            if not self._cohorts:
                self._joined = trio.Event()
                await self._joined.wait()
                beat_ms = self.next_beat_ms()
            await self._clock.sleep_until_ms(beat_ms)
            now_ms = self._clock.now_ms()
            late_ms = now_ms - beat_ms
            if late_ms >= self._tick_ms:
                beat_ms += late_ms // self._tick_ms * self._tick_ms
            self._beat(beat_ms, max(now_ms, beat_ms))
            beat_ms += self.beat_ms

    def _beat(self, beat_ms: int, now_ms: int) -> None:
        for started_at_ms, cohort in self._cohorts.get(beat_ms % self._tick_ms, {}).items():
            number = (beat_ms - started_at_ms) // self._tick_ms
            if number < 0:
                continue
            frame = self._frame(number)
            for flight in cohort.values():
                if now_ms < flight.ends_at_ms and (target := flight.target) is not None:
                    target.offer_tick(number, frame)

    def _frame(self, number: int) -> bytes:
        while len(self._frames) <= number:
            elapsed_ms = len(self._frames) * self._tick_ms
            self._frames.append(self._framed(tick_frame(elapsed_ms, self._curve.hundredths_at(elapsed_ms))))
        return self._frames[number]
