"""What a second worker process brings: ``python -m tests.bench.workers [--quick]``.

The rows *launches* and *whole rounds* again, with one worker and with two, in turns. On two cores the workers share
them with PostgreSQL, the wallet and the load.
"""

from statistics import median
from typing import Any

from tests.bench.house import open_house
from tests.bench.launches import launch
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.rounds import IN_FLIGHT, fly
from tests.bench.yardsticks import Tools

WORKERS = (1, 2)


def run(tools: Tools, options: Options, workers: int) -> dict[str, Any]:
    """The figures with so many workers."""
    variables = {"GETAWAY_SERVER_WORKERS": str(workers)}
    with open_house(**variables) as house:
        launched = launch(house, options.pick(6, 3))
    flown = fly(tools, options, **variables)
    return {
        "launches_per_s": launched["per_s"],
        "late_p99_ms": flown["late_p99_ms"],
        "rounds_per_s": flown["rounds_per_s"],
        "errors": flown["errors"],
    }


def measure(tools: Tools, options: Options) -> list[Line]:
    runs: dict[int, list[dict[str, Any]]] = {workers: [] for workers in WORKERS}
    for repetition in range(options.repetitions):
        for workers in WORKERS:
            progress(f"workers: {workers}, repetition {repetition + 1} of {options.repetitions}")
            runs[workers].append(run(tools, options, workers))
            show(row="workers", workers=workers, **runs[workers][-1])
    texts = []
    for workers, each in runs.items():
        seen = {name: median(figures[name] for figures in each) for name in each[0]}
        errors = sum(figures["errors"] for figures in each)
        texts.append(
            f"{workers}: {seen['launches_per_s']:,.0f} launches/s; {IN_FLIGHT:,} players with lateness p99"
            f" {seen['late_p99_ms']:.1f} ms, {seen['rounds_per_s']:.0f} rounds/s"
            + (f", {errors} errors" if errors else "")
        )
    return [Line("from 1 worker to 2, on two cores with all the rest", "-", "; ".join(texts), None)]


if __name__ == "__main__":
    run_row(measure)
