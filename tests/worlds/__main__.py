"""``python -m tests.worlds --seeds 10000 --first 1``: many worlds on all cores, or one again that failed."""

import argparse
import multiprocessing
import os
import sys
import time

from tests.worlds.run import Outcome, Totals, simulate
from tests.worlds.trace import SimulationFailedError

CHUNK = 20
PROGRESS_S = 5.0


def attempt(seed: int) -> Outcome | SimulationFailedError:
    try:
        return simulate(seed)
    except SimulationFailedError as failure:
        return failure


def summary(totals: Totals, took_s: float) -> str:
    faults = "\n".join(f"  {count:9,}  {kind}" for kind, count in totals.faults.most_common())
    return (
        f"{totals.seeds:,} seeds, {totals.faults.total():,} faults, {totals.rounds:,} rounds, "
        f"{totals.simulated_s / 3600:,.1f} simulated hours in {took_s:,.0f} s: "
        f"{totals.rounds / max(took_s, 0.001) * 60:,.0f} rounds a minute\n{faults}"
    )


def at_least_one(text: str) -> int:
    """A number of worlds: no world at all would find nothing wrong with nothing."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--seeds", type=at_least_one, default=1_000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--digests", action="store_true", help="print each world's seed and the hash of its trace")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    began_at = told_at = time.monotonic()
    totals = Totals()
    cores = min(len(os.sched_getaffinity(0)), max(1, options.seeds // CHUNK))
    with multiprocessing.Pool(cores) as pool:
        for outcome in pool.imap(attempt, seeds, chunksize=min(CHUNK, max(1, options.seeds // cores))):
            if isinstance(outcome, SimulationFailedError):
                print(outcome, flush=True)
                return 1
            totals.add(outcome)
            if options.digests:
                print(outcome.seed, outcome.digest)
            if time.monotonic() - told_at >= PROGRESS_S:
                told_at = time.monotonic()
                print(f"{totals.seeds:,} of {options.seeds:,} seeds", file=sys.stderr, flush=True)
    print(summary(totals, time.monotonic() - began_at))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
