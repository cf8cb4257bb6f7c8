"""The metronome: one actor that streams the ticks of all live rounds.

Rounds start on its beat, so all rounds that started together are one cohort and share the ready-made frame of their
n-th tick, whose bytes depend on nothing but ``n``. A tick that would come at or after the flight's end is never sent:
nothing that a player sees may exceed what the server would pay.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import trio

from actors.actor import Actor
from actors.clock import ServerClock
from actors.protocol import tick_frame
from actors.rules.growth import GrowthCurve


class TickTarget(Protocol):
    """Where a flight's ticks go; whoever watches may change during the flight."""

    def offer_tick(self, number: int, frame: bytes) -> None:
        """Take the tick or skip it, without waiting."""
        ...


@dataclass(slots=True, eq=False)
class Flight:
    """A live round to stream: it started on a beat and is silent from ``ends_at_ms`` on (unix milliseconds).

    ``over`` once it has left: whoever learns of the start late must not bring it back.
    """

    round_id: UUID
    started_at_ms: int
    ends_at_ms: int
    target: TickTarget
    over: bool = False


class Metronome(Actor[None]):
    """Beats at whole multiples of ``tick_ms`` of unix time. A late beat is skipped, never made up for."""

    def __init__(self, clock: ServerClock, curve: GrowthCurve, tick_ms: int) -> None:
        super().__init__("metronome", 1)
        self._clock = clock
        self._curve = curve
        self._tick_ms = tick_ms
        self._cohorts: defaultdict[int, dict[UUID, Flight]] = defaultdict(dict)
        self._frames: list[bytes] = []
        self._joined = trio.Event()

    def next_beat_ms(self) -> int:
        """The first beat at or after now, in unix milliseconds."""
        return -(-self._clock.now_ms() // self._tick_ms) * self._tick_ms

    def join(self, flight: Flight) -> None:
        """Stream the flight's ticks from the next beat on, unless it is over."""
        if flight.over:
            return
        assert flight.started_at_ms % self._tick_ms == 0, "a flight starts on a beat"
        self._cohorts[flight.started_at_ms][flight.round_id] = flight
        self._joined.set()

    def leave(self, flight: Flight) -> None:
        """Stream no more ticks of the flight; harmless if it has left."""
        flight.over = True
        cohort = self._cohorts.get(flight.started_at_ms)
        if cohort is not None:
            cohort.pop(flight.round_id, None)
            if not cohort:
                del self._cohorts[flight.started_at_ms]

    async def run(self) -> None:
        """Beat for ever, but not while there is nothing to stream."""
        beat_ms = self.next_beat_ms()
        while True:
            if not self._cohorts:
                self._joined = trio.Event()
                await self._joined.wait()
                beat_ms = self.next_beat_ms()
            await self._clock.sleep_until_ms(beat_ms)
            beat_ms = self._clock.now_ms() // self._tick_ms * self._tick_ms
            self._beat(beat_ms)
            beat_ms += self._tick_ms

    def _beat(self, beat_ms: int) -> None:
        for started_at_ms, cohort in self._cohorts.items():
            number = (beat_ms - started_at_ms) // self._tick_ms
            if number < 0:
                continue
            frame = self._frame(number)
            for flight in cohort.values():
                if beat_ms < flight.ends_at_ms:
                    flight.target.offer_tick(number, frame)

    def _frame(self, number: int) -> bytes:
        while len(self._frames) <= number:
            elapsed_ms = len(self._frames) * self._tick_ms
            self._frames.append(tick_frame(elapsed_ms, self._curve.hundredths_at(elapsed_ms)))
        return self._frames[number]
