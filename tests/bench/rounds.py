"""Whole rounds on the real server: ``python -m tests.bench.rounds [--quick]``. Three rows come from it.

Server, embedded PostgreSQL (fsync on), a wallet and the players share two cores.

*In flight*: tickload's players bet again as soon as they may, and fly until they crash.

*Bet accepted*, *cash-out*, *CPU of a round*: ``players.c`` makes 100 bets/s, and 120 for the CPU, whatever the server
does, and cashes most of them out. Its latencies are what a player sees, from the moment the player is due to act until
the frame is there, so they hold its own ticking (1 ms) and its share of the two cores besides what the server takes.

CPU of a round is what the server's process used while they played beyond what the same sockets take while nobody
plays (pings, which have a row of their own), without ticks, by the rounds that ended. What the ticks cost is measured
apart, on a server whose growth rate is so small that no flight ends within 9.9 s: with as many players in flight, what
the process uses beyond what it uses with the same sockets open and nobody in flight, by the ticks.
"""

from statistics import median
from typing import Any

from tests.bench.house import Play, make_tokens, open_house, played
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.yardsticks import BenchError, Tools

IN_FLIGHT = 2_000
BETS_PER_S = 100
BUSY_BETS_PER_S = 120
"""The goal of a round's CPU is set for 120 rounds/s; what it is at 100 is told beside it."""
SLOW_GROWTH = {"GETAWAY_GAME_GROWTH_RATE_PER_MS": "0.000001"}
"""A round that crashes at 1.00x, the earliest, flies for ln(1.01) / 0.000001 = 9,950 ms."""

Figures = dict[str, Any]


def fly(tools: Tools, options: Options, **variables: str) -> Figures:
    """Tickload's players, of which all are in flight but for the moments between two rounds."""
    with open_house(**variables) as house:
        tokens = make_tokens(house, tools.folder / "tokens", IN_FLIGHT)
        load = tools.tickload(
            house.port, IN_FLIGHT, options.pick(12, 5), tokens=tokens, warm_s=options.pick(18, 8), core=None
        )
    return {
        "flying": load.flying,
        "rounds_per_s": load.rounds_per_s,
        "late_p99_ms": load.late_p99_ms,
        "per_flying": load.per_flying,
        "errors": load.errors,
    }


def play(tools: Tools, options: Options, bets_per_s: int) -> Figures:
    """So many bets, whatever the server does."""
    with open_house() as house:
        tokens = make_tokens(house, tools.folder / "tokens", IN_FLIGHT)
        idle = played(tools, house, tokens, Play(IN_FLIGHT, options.pick(10, 4), 4, 0, "idle"))
        chosen = Play(IN_FLIGHT, options.pick(20, 6), options.pick(12, 5), bets_per_s, "play")
        figures = played(tools, house, tokens, chosen)
    return figures | {"idle_s": idle["cpu_s"] / idle["seconds"] * figures["seconds"]}


def tick_cost_s(tools: Tools, flying: int) -> float:
    """Seconds of CPU for one tick to one player, of so many in flight."""
    with open_house(**SLOW_GROWTH) as house:
        tokens = make_tokens(house, tools.folder / "tokens", flying)
        idle = played(tools, house, tokens, Play(flying, 4, 2, 0, "idle"))
        busy = played(tools, house, tokens, Play(flying, 4, 5, flying / 3, "hold"))
    if not busy["ticks"] or busy["cashouts"] + busy["crashes"]:
        raise BenchError(f"the flights for the cost of a tick did not go on: {busy}")
    return max(busy["cpu_s"] / busy["seconds"] - idle["cpu_s"] / idle["seconds"], 0) * busy["seconds"] / busy["ticks"]


def cpu_of_a_round(figures: Figures, cost_s: float) -> float:
    """Milliseconds of CPU for a complete round, ticks excluded."""
    rounds = figures["cashouts"] + figures["crashes"]
    return (figures["cpu_s"] - figures["idle_s"] - figures["ticks"] * cost_s) / rounds * 1000


def measure(tools: Tools, options: Options) -> list[Line]:
    flights, plays, costs_ms, calm_costs_ms = [], [], [], []
    for repetition in range(options.repetitions):
        progress(f"rounds: repetition {repetition + 1} of {options.repetitions}, {IN_FLIGHT} players in flight")
        flights.append(fly(tools, options))
        show(row="rounds", part="in flight", **flights[-1])
        progress(f"rounds: {BETS_PER_S} bets/s")
        plays.append(play(tools, options, BETS_PER_S))
        show(row="rounds", part="play", **plays[-1])
        progress(f"rounds: {BUSY_BETS_PER_S} bets/s")
        busy = play(tools, options, BUSY_BETS_PER_S)
        show(row="rounds", part="busy play", **busy)
        progress("rounds: the cost of a tick")
        cost_s = tick_cost_s(tools, round(busy["flying"]))
        costs_ms.append(cpu_of_a_round(busy, cost_s))
        calm_costs_ms.append(cpu_of_a_round(plays[-1], cost_s))
        show(
            row="rounds",
            part="cpu",
            tick_us=round(cost_s * 1e6, 2),
            round_ms=round(costs_ms[-1], 2),
            calm_round_ms=round(calm_costs_ms[-1], 2),
        )
    return lines(flights, plays, (costs_ms, calm_costs_ms))


def lines(flights: list[Figures], plays: list[Figures], costs_ms: tuple[list[float], list[float]]) -> list[Line]:
    """The medians. A round's CPU is given at 120 and at 100 bets/s."""
    flight = {name: median(each[name] for each in flights) for name in flights[0]}
    seen = {name: median(each[name] for each in plays) for name in plays[0]}
    cost_ms, calm_cost_ms = (median(each) for each in costs_ms)
    is_flown = flight["flying"] >= 0.95 * IN_FLIGHT and flight["late_p99_ms"] < 50 and flight["rounds_per_s"] >= 120
    wrong = sum(each["wrong"] + each["unanswered"] for each in plays)
    trouble = f"; {wrong} bets or rounds went wrong" if wrong else ""
    accepts = seen["bet_p50_ms"] <= 8 and seen["bet_p99_ms"] <= 30
    return [
        Line(
            what="whole rounds: 2,000 players that bet again at once, 10 ticks/s each, on two cores with all the rest",
            goal="2,000 in flight, lateness p99 < 50 ms, 120 rounds/s",
            measured=f"{flight['flying']:,.0f} in flight at the end, lateness p99 {flight['late_p99_ms']:.1f} ms,"
            f" {flight['rounds_per_s']:.0f} rounds/s, {flight['per_flying']:.2f} ticks/s each",
            met=is_flown and not flight["errors"],
        ),
        Line(
            what="CPU of a complete round, ticks excluded, at 120 rounds/s",
            goal="<= 3 ms",
            measured=f"{cost_ms:.2f} ms (of {seen['cashouts'] / (seen['cashouts'] + seen['crashes']):.0%} cashed out);"
            f" {calm_cost_ms:.2f} ms at 100 rounds/s",
            met=cost_ms <= 3,
        ),
        Line(
            what="bet accepted, at 100 rounds/s: due to `round_started`, as the player sees it",
            goal="p50 <= 8 ms, p99 <= 30 ms",
            measured=f"p50 {seen['bet_p50_ms']:.1f} ms, p99 {seen['bet_p99_ms']:.1f} ms{trouble}",
            met=accepts and not wrong,
        ),
        Line(
            what="cash-out, at 100 rounds/s: due to `round_ended`, as the player sees it",
            goal="p99 <= 15 ms",
            measured=f"p50 {seen['cashout_p50_ms']:.1f} ms, p99 {seen['cashout_p99_ms']:.1f} ms;"
            f" auto cash-out p50 {seen['auto_p50_ms']:.1f} ms, p99 {seen['auto_p99_ms']:.1f} ms{trouble}",
            met=seen["cashout_p99_ms"] <= 15 and not wrong,
        ),
    ]


if __name__ == "__main__":
    run_row(measure)
