"""How many players one core streams to, beside the yardsticks: ``python -m tests.bench.streaming [--quick]``.

Each server has one core and tickload the other, in turns, because the machine's speed drifts. The capacity is the
largest number of flying players with the 99th percentile of lateness below 25 ms and the ticks of each player within
2 % of 20/s. It counts ``WARM_S`` after the last one's welcome: our server takes their bets in the first of these
seconds, and what is meant is how many can fly. ``tests/bench/streaming_server.py`` says what our server is here.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

from tests.bench.arithmetic import capacity
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.yardsticks import Load, Tools, free_port, pinned, running

TICK_MS = 50
LATE_MS_MAX = 25
DEVIATION_MAX = 0.02
PLAYERS_MAX = 10_000
WARM_S = 8
GUESSES = {"floor": 7_500, "peer": 3_750, "ours": 5_000}
PEER_FACTOR = 1.2
FLOOR_FACTOR = 0.7

Target = tuple[int, Path | None]
"""A port, and the file of its sessions' tokens if it asks for any."""


def holds(load: Load, players: int) -> bool:
    """Whether the server kept up with so many."""
    rate = 1000 / TICK_MS
    is_steady = abs(load.per_flying - rate) <= DEVIATION_MAX * rate
    return load.flying == players and load.late_p99_ms < LATE_MS_MAX and is_steady and not load.errors


@contextmanager
def floor(tools: Tools, _players: int) -> Iterator[Target]:
    port = free_port()
    with running(pinned(0, tools.folder / "floor", port, TICK_MS), port):
        yield port, None


@contextmanager
def peer(tools: Tools, _players: int) -> Iterator[Target]:
    port = free_port()
    with running(pinned(0, "node", tools.peer, port, TICK_MS), port):
        yield port, None


@contextmanager
def ours(tools: Tools, players: int) -> Iterator[Target]:
    port, tokens = free_port(), tools.folder / "tokens"
    command = (sys.executable, "-m", "tests.bench.streaming_server", port, players, tokens, TICK_MS)
    with running(pinned(0, *command), port):
        yield port, tokens


Server = Callable[[Tools, int], AbstractContextManager[Target]]
SERVERS: dict[str, Server] = {"floor": floor, "peer": peer, "ours": ours}


def search(tools: Tools, name: str, guess: int, options: Options) -> tuple[int, Load | None]:
    """The capacity of a server, and what was seen at it."""
    seen: dict[int, Load] = {}

    def is_seen_to_hold(players: int) -> bool:
        with SERVERS[name](tools, players) as (port, tokens):
            load = seen[players] = tools.tickload(
                port, players, options.pick(4, 3), tokens=tokens, warm_s=options.pick(WARM_S, 3)
            )
        verdict = holds(load, players)
        progress(
            f"  {name}: {players} players, late p99 {load.late_p99_ms} ms, {load.per_flying} ticks/s each:"
            f" {'holds' if verdict else 'does not hold'}"
        )
        return verdict

    def holds_with(players: int) -> bool:
        # What else the machine does can only make it worse, so each server has a second try.
        return is_seen_to_hold(players) or (not options.quick and is_seen_to_hold(players))

    found = capacity(holds_with, guess, options.pick(250, 500), PLAYERS_MAX)
    return found, seen.get(found)


def measure(tools: Tools, options: Options) -> list[Line]:
    names = [name for name in SERVERS if name != "peer" or tools.has_peer]
    found: dict[str, list[int]] = {name: [] for name in names}
    for repetition in range(options.repetitions):
        for name in names if repetition % 2 == 0 else reversed(names):
            guess = int(median(found[name])) if found[name] else GUESSES[name]
            progress(f"streaming: {name}, repetition {repetition + 1} of {options.repetitions}")
            players, load = search(tools, name, guess, options)
            found[name].append(players)
            show(
                row="streaming",
                server=name,
                players=players,
                late_p99_ms=load and load.late_p99_ms,
                per_flying=load and load.per_flying,
            )
    return [line(found)]


def line(found: dict[str, list[int]]) -> Line:
    """The goal is met if both ratios are, each the median over the repetitions, which share the machine's mood."""
    players = {name: int(median(values)) for name, values in found.items()}
    of_floor = ratio(found["ours"], found["floor"])
    texts = [f"{players['ours']:,} players", f"C floor {players['floor']:,} ({of_floor:.2f} x)"]
    is_met = of_floor >= FLOOR_FACTOR
    if "peer" in players:
        of_peer = ratio(found["ours"], found["peer"])
        texts.append(f"Node `ws` {players['peer']:,} ({of_peer:.2f} x)")
        is_met = is_met and of_peer >= PEER_FACTOR
    return Line(
        what="streaming: players in flight on one core at 20 ticks/s, lateness p99 < 25 ms",
        goal=f"{PEER_FACTOR} x the Node `ws` peer and {FLOOR_FACTOR} x the C floor",
        measured="; ".join(texts),
        met=is_met if "peer" in players else None if is_met else False,
    )


def ratio(ours: list[int], theirs: list[int]) -> float:
    """The median of the ratios, repetition by repetition."""
    return median(our / max(their, 1) for our, their in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    run_row(measure)
