"""The beat: how often, and what a late one still sends."""

from decimal import Decimal
from uuid import UUID

import pytest
import trio

from actors.rules.growth import GrowthCurve
from actors.shared.metronome import Cohort, Flight, Metronome

NOON_MS = 1_782_820_800_000
CURVE = GrowthCurve(Decimal("0.00006"))


class LateClock:
    """Wakes everybody so many milliseconds after the time that was asked for."""

    def __init__(self, late_ms: int) -> None:
        self._late_ms = late_ms
        self._now_ms = NOON_MS

    def steady_ms(self) -> int:
        return self._now_ms

    async def sleep_until_ms(self, until_ms: int) -> None:
        await trio.lowlevel.checkpoint()
        self._now_ms = max(self._now_ms, until_ms + self._late_ms)


class Target:
    def __init__(self, clock: LateClock, started_at_ms: int, enough: int) -> None:
        self.seen: list[tuple[int, int]] = []
        """Number, and milliseconds of the flight when it came."""
        self.all_seen = trio.Event()
        self._clock, self._started_at_ms, self._enough = clock, started_at_ms, enough

    write = changed = None

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        self.seen.append((number, self._clock.steady_ms() - self._started_at_ms))
        if len(self.seen) == self._enough:
            self.all_seen.set()


async def streamed(clock: LateClock, metronome: Metronome, *flights: Flight, until: Target) -> None:
    for flight in flights:
        metronome.join(flight)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metronome.run)
        with trio.fail_after(10):
            await until.all_seen.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("tick_ms", "beat_ms"), [(5, 5), (10, 10), (25, 25), (45, 15), (50, 10), (100, 10), (1_000, 100), (97, 97)]
)
def test_beats_divide_the_tick_and_are_not_too_close(tick_ms, beat_ms):
    assert Metronome(LateClock(0), CURVE, tick_ms, bytes).beat_ms == beat_ms


@pytest.mark.parametrize("late_ms", [0, 7, 30])
async def test_no_tick_comes_when_the_flight_has_ended(late_ms):
    clock = LateClock(late_ms)
    target, other = Target(clock, NOON_MS, 0), Target(clock, NOON_MS, 8)
    flight = Flight(UUID(int=1), NOON_MS, NOON_MS + 312, target)
    longer = Flight(UUID(int=2), NOON_MS, NOON_MS + 100_000, other)
    await streamed(clock, Metronome(clock, CURVE, 100, bytes), flight, longer, until=other)
    numbers = [number for number, _ in target.seen]
    assert numbers == list(range(4 if late_ms < 12 else 3))
    assert all(at_ms < 312 for _, at_ms in target.seen)


class PausingClock(LateClock):
    """Its machine sleeps for a second, once."""

    def __init__(self) -> None:
        super().__init__(0)
        self._wakes = 0

    async def sleep_until_ms(self, until_ms: int) -> None:
        self._wakes += 1
        await super().sleep_until_ms(until_ms + (1_000 if self._wakes == 25 else 0))


async def test_after_a_pause_what_was_missed_is_left_out():
    clock = PausingClock()
    target = Target(clock, NOON_MS, 20)
    flight = Flight(UUID(int=1), NOON_MS, NOON_MS + 100_000, target)
    await streamed(clock, Metronome(clock, CURVE, 100, bytes), flight, until=target)
    assert target.seen[-1][0] > 20 + 5, "the pause was noticed"
    assert all(0 <= at_ms - 100 * number < 100 for number, at_ms in target.seen)


def test_a_flight_begins_on_a_beat_that_has_not_passed():
    clock = LateClock(0)
    metronome = Metronome(clock, CURVE, 100, bytes)
    for now_ms, beat_ms in ((0, 0), (1, 10), (9, 10), (10, 10)):
        clock._now_ms = NOON_MS + now_ms
        assert metronome.next_beat_ms() == NOON_MS + beat_ms


async def test_a_frame_is_made_once_for_all():
    clock, made = LateClock(0), []

    def framed(tick: bytes) -> bytes:
        made.append(tick)
        return b"<" + tick + b">"

    targets = [Target(clock, NOON_MS, 5), Target(clock, NOON_MS + 10, 5)]
    flights = [
        Flight(UUID(int=number), NOON_MS + 10 * number, NOON_MS + 10_000, target)
        for number, target in enumerate(targets)
    ]
    await streamed(clock, Metronome(clock, CURVE, 100, framed), *flights, until=targets[1])
    assert len(made) == 5 == len(set(made))


def test_a_flight_that_has_left_is_not_brought_back():
    """Whoever learns of its start late has it join after its end."""
    clock = LateClock(0)
    flight, metronome = Flight(UUID(int=1), NOON_MS, NOON_MS + 10_000), Metronome(clock, CURVE, 100, bytes)
    metronome.join(flight)
    assert flight.cohort is not None
    for _ in range(2):
        metronome.leave(flight)
        metronome.join(flight)
        assert flight.over and flight.cohort is None and not metronome._cohorts


async def test_who_watches_may_change_in_mid_flight():
    clock = LateClock(0)
    first, second = Target(clock, NOON_MS, 3), Target(clock, NOON_MS, 3)
    flight, metronome = Flight(UUID(int=1), NOON_MS, NOON_MS + 10_000), Metronome(clock, CURVE, 100, bytes)
    flight.show_to(first)
    await streamed(clock, metronome, flight, until=first)
    flight.show_to(None)
    metronome.leave(flight)
    metronome.join(flight)
    assert first.seen == [(0, 0), (1, 100), (2, 200)]
    flight.over = False
    flight.show_to(second)
    await streamed(clock, metronome, flight, until=second)
    assert len(first.seen) == 3


class Writer:
    """Takes so much of a tick at once: all, a few bytes, or nothing because it is full."""

    def __init__(self, bytes_max: int) -> None:
        self.written: list[bytes] = []
        self.offered: list[tuple[int, bytes, int]] = []
        self.bytes_max = bytes_max
        self.changed = None
        self.let()

    def let(self) -> None:
        self.write = self.take
        self.tell()

    def tell(self) -> None:
        if self.changed is not None:
            self.changed()

    def take(self, frame: bytes) -> int:
        if not self.bytes_max:
            raise BlockingIOError
        self.written.append(frame[: self.bytes_max])
        return len(self.written[-1])

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        self.offered.append((number, frame, sent))
        self.write = None
        self.tell()


def cohort_of(*targets: Writer, ends_at_ms: int = 1_000) -> tuple[Cohort, list[Flight]]:
    cohort = Cohort()
    flights = [Flight(UUID(int=place), 0, ends_at_ms + place, target) for place, target in enumerate(targets)]
    for flight in flights:
        cohort.add(flight)
    return cohort, flights


def test_who_cannot_take_a_tick_at_once_is_offered_it_and_the_others_get_it():
    quick, slow, full = Writer(99), Writer(2), Writer(0)
    cohort, _ = cohort_of(slow, quick, full)
    cohort.send(0, b"tick 0", 0)
    assert quick.written == [b"tick 0"] and quick.offered == []
    assert slow.written == [b"ti"] and slow.offered == [(0, b"tick 0", 2)]
    assert full.written == [] and full.offered == [(0, b"tick 0", 0)]
    cohort.send(1, b"tick 1", 50)
    assert quick.written == [b"tick 0", b"tick 1"]
    assert slow.written == [b"ti"], "the rest of the first one comes first"
    assert slow.offered[1:] == full.offered[1:] == [(1, b"tick 1", 0)]


def test_who_has_room_again_gets_the_next_tick_at_once():
    target = Writer(0)
    cohort, _ = cohort_of(target)
    for number in range(2):
        cohort.send(number, b"tick", 50 * number)
    target.bytes_max = 99
    target.let()
    cohort.send(2, b"tick", 100)
    assert target.written == [b"tick"] and len(target.offered) == 2


def test_a_flight_that_has_ended_gets_no_tick_and_the_others_of_its_cohort_do():
    first, second = Writer(99), Writer(99)
    cohort, _ = cohort_of(first, second, ends_at_ms=100)
    for now_ms in (99, 100, 101):
        cohort.send(0, b"tick", now_ms)
    assert len(first.written) == 1 and len(second.written) == 2


def test_who_watches_no_more_is_told_nothing_and_gets_nothing():
    before, after = Writer(99), Writer(99)
    cohort, (flight,) = cohort_of(before)
    cohort.send(0, b"tick", 0)
    flight.show_to(after)
    assert before.changed is None and after.changed is not None
    cohort.send(1, b"tick", 50)
    cohort.remove(flight)
    cohort.send(2, b"tick", 100)
    assert len(before.written) == len(after.written) == 1
    assert after.changed is None
    flight.show_to(before)
    assert before.changed is None, "a flight that is over concerns nobody"


def test_what_becomes_of_an_old_flight_does_not_disturb_the_next_one():
    target = Writer(99)
    cohort, (old, _) = cohort_of(target, Writer(99))
    cohort.remove(old)
    cohort.add(Flight(UUID(int=9), 0, 1_000, target))
    old.show_to(None)
    target.bytes_max = 2
    cohort.send(0, b"tick 0", 0)
    target.let()
    cohort.send(1, b"tick 1", 50)
    assert target.written == [b"ti", b"ti"], "found to be busy, and to be free again"
