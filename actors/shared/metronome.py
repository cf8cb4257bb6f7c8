"""The metronome streams the ticks of all live rounds: no actor, but a table of flights and the task that sends them.

Rounds start on its beat, so all rounds that started together are one cohort and share the ready-made frame of their
n-th tick, whose bytes depend on nothing but ``n``. It beats up to ten times a tick, and each cohort gets its ticks on
the beats of its own start: thousands of frames at one moment would make the last of them late, and everybody else wait.
No tick of a moment at or after the flight's end is ever made, nor is one sent then that is late: nothing that a player
sees may exceed what the server would pay.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import trio

from actors.facts.frames_out import TickOut, encode
from actors.kit.clock import ServerClock
from actors.ports.sink import TickTarget
from actors.rules.growth import GrowthCurve
from actors.rules.money import multiplier_number

BEATS_MAX = 10
"""In a tick; so many as divide it into whole milliseconds, of which each has ``BEAT_MS_MIN`` or more."""
BEAT_MS_MIN = 10
"""Each beat wakes the process, which costs as much as to send ten ticks; and nobody sees a hundredth of a second."""


@dataclass(slots=True, eq=False)
class Flight:
    """A live round to stream: it started on a beat and is silent from ``ends_at_ms`` on, both by the steady clock.

    ``target`` is who watches: nobody, at first. ``over`` once it has left: whoever learns of the start late must not
    bring it back. ``cohort`` while it is streamed.
    """

    round_id: UUID
    started_at_ms: int
    ends_at_ms: int
    target: TickTarget | None = None
    over: bool = False
    cohort: "Cohort | None" = None

    def show_to(self, target: TickTarget | None) -> None:
        """Send the ticks there from now on."""
        before, self.target = self.target, target
        if self.cohort is not None:  # otherwise it concerns another flight, if any
            if before is not None:
                before.changed = None
            self.cohort.watch(self)


class Cohort:
    """The flights that started together.

    Ticks to thousands of players cost what has to be fetched from memory for each of them, more than what is done with
    it. So nobody's flight, socket and state are looked at with each tick, but when one of them has changed.
    """

    __slots__ = ("_good_until_ms", "_others", "_ready", "_writes", "flights")

    def __init__(self) -> None:
        self.flights: dict[UUID, Flight] = {}
        self._writes: list[Callable[[bytes], int]] = []
        self._ready: list[TickTarget] = []
        """Whose those are."""
        self._others: list[TickTarget] = []
        """Who watches, but can't take a tick at once."""
        self._good_until_ms = 0
        """All this is true until then, the end of a flight, unless something changes before."""

    def add(self, flight: Flight) -> None:
        """Send the flight's ticks, too; twice is harmless."""
        flight.cohort = self
        self.flights[flight.round_id] = flight
        self.watch(flight)

    def remove(self, flight: Flight) -> None:
        """Send no more of them."""
        flight.cohort = None
        if flight.target is not None:
            flight.target.changed = None
        del self.flights[flight.round_id]
        self.forget()

    def watch(self, flight: Flight) -> None:
        """Somebody else, or nobody, watches one of the flights."""
        if flight.target is not None:
            flight.target.changed = self.forget
        self.forget()

    def forget(self) -> None:
        """Look again before the next tick."""
        self._good_until_ms = 0

    def send(self, number: int, frame: bytes, now_ms: int) -> None:
        """Send a tick to all who watch a flight that has not ended."""
        if now_ms >= self._good_until_ms:
            self._look(now_ms)
        size = len(frame)
        for place, write in enumerate(self._writes):
            try:
                sent = write(frame)
            except OSError:
                sent = 0  # full, or broken: then whoever reads learns it
            if sent != size:
                self._ready[place].offer_tick(number, frame, sent)
        for target in self._others:
            target.offer_tick(number, frame)

    def _look(self, now_ms: int) -> None:
        aloft = [flight for flight in self.flights.values() if now_ms < flight.ends_at_ms]
        targets = [flight.target for flight in aloft if flight.target is not None]
        self._ready = [target for target in targets if target.write is not None]
        self._writes = [target.write for target in self._ready if target.write is not None]
        self._others = [target for target in targets if target.write is None]
        self._good_until_ms = min((flight.ends_at_ms for flight in aloft), default=0)


class Metronome:
    """Beats at whole multiples of ``beat_ms`` of the steady clock. A beat that is late by a tick is skipped: the next
    tick of its cohorts is due already. ``framed`` makes of a tick's JSON what the targets take."""

    kind: Final = "metronome"

    def __init__(self, clock: ServerClock, curve: GrowthCurve, tick_ms: int, framed: Callable[[bytes], bytes]) -> None:
        self._clock = clock
        self._curve = curve
        self._tick_ms = tick_ms
        self._framed = framed
        beats_max = min(BEATS_MAX, max(tick_ms // BEAT_MS_MIN, 1))
        self.beat_ms = tick_ms // max(beats for beats in range(1, beats_max + 1) if tick_ms % beats == 0)
        self._cohorts: defaultdict[int, dict[int, Cohort]] = defaultdict(dict)
        """By the moment within a tick at which their ticks are due, then by the number that their first has among all
        ticks of that clock."""
        self._frames: list[bytes] = []
        self._joined = trio.Event()

    def next_beat_ms(self) -> int:
        """The first beat at or after now, by the steady clock."""
        return -(-self._clock.steady_ms() // self.beat_ms) * self.beat_ms

    def join(self, flight: Flight) -> None:
        """Stream the flight's ticks from the next beat on, unless it is over."""
        if flight.over:
            return
        first, phase_ms = self._first_tick(flight)
        self._cohorts[phase_ms].setdefault(first, Cohort()).add(flight)
        self._joined.set()

    def leave(self, flight: Flight) -> None:
        """Stream no more ticks of the flight; harmless if it has left."""
        flight.over = True
        cohort = flight.cohort
        if cohort is None:
            return
        cohort.remove(flight)
        if not cohort.flights:
            first, phase_ms = self._first_tick(flight)
            del self._cohorts[phase_ms][first]
            if not self._cohorts[phase_ms]:
                del self._cohorts[phase_ms]

    def _first_tick(self, flight: Flight) -> tuple[int, int]:
        """The tick of that clock that is the flight's first, and when, within a tick, it is due: at the flight's start,
        or the first beat after it.

        A round that another node has started may have begun on another beat than ours.
        """
        return divmod(-(-flight.started_at_ms // self.beat_ms) * self.beat_ms, self._tick_ms)

    async def run(self) -> None:
        """Beat for ever, but not while there is nothing to stream."""
        beat_ms = self.next_beat_ms()
        while True:
            if not self._cohorts:
                self._joined = trio.Event()
                await self._joined.wait()
                beat_ms = self.next_beat_ms()
            await self._clock.sleep_until_ms(beat_ms)
            now_ms = self._clock.steady_ms()
            late_ms = now_ms - beat_ms
            if late_ms >= self._tick_ms:
                beat_ms += late_ms // self._tick_ms * self._tick_ms
            self._beat(beat_ms, max(now_ms, beat_ms))
            beat_ms += self.beat_ms

    def _beat(self, beat_ms: int, now_ms: int) -> None:
        tick, phase_ms = divmod(beat_ms, self._tick_ms)
        frames = self._frames
        for first, cohort in self._cohorts.get(phase_ms, {}).items():
            number = tick - first
            if number < 0:
                continue
            frame = frames[number] if number < len(frames) else self._frame(number)
            cohort.send(number, frame, now_ms)

    def _frame(self, number: int) -> bytes:
        while len(self._frames) <= number:
            elapsed_ms = len(self._frames) * self._tick_ms
            tick = TickOut(e=elapsed_ms, x=multiplier_number(self._curve.hundredths_at(elapsed_ms)))
            self._frames.append(self._framed(encode(tick)))
        return self._frames[number]
