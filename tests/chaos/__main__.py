"""``make chaos``: every kill point several times, PostgreSQL killed and put back, nodes silenced, wallets rude, rows
locked. Ends with a summary in JSON."""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path

import trio

from tests.chaos.disasters import SILENCES, kill_postgres, silence_a_node
from tests.chaos.kills import kill_at
from tests.chaos.points import POINTS
from tests.chaos.proxied import through_bad_networks
from tests.chaos.restores import go_back
from tests.chaos.troubles import LOCKED_S, LONG_LOCKED_S, go_through, locked_rows, pause, rude_wallets
from tests.chaos.world import open_world


def options():
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--repetitions", type=int, default=5, help="kills at each point")
    parser.add_argument("--postgres", type=int, default=20, help="kills of PostgreSQL")
    parser.add_argument("--silences", type=int, default=len(SILENCES), help="nodes silenced beyond their lease")
    parser.add_argument("--troubles", type=int, default=3, help="times each: rude wallets, locked rows, pauses")
    parser.add_argument("--restores", type=int, default=4, help="times the database goes back")
    parser.add_argument("--networks", nargs="*", default=["wallet", "database"], help="that turn bad")
    parser.add_argument("--minutes", type=float, default=60, help="end after this, whatever is left")
    parser.add_argument("--seed", type=int, default=1, help="of the players' dice and the moments of the kills")
    parser.add_argument("--points", nargs="*", default=list(POINTS), help="only these points")
    parser.add_argument("--summary", type=Path, help="write the summary to this file as well")
    return parser.parse_args()


def plan(chosen, dice):
    """``(name, what to do)`` for each loss of the run: each kind of them comes early, the repetitions follow."""
    yield from kills(chosen, range(chosen.repetitions)[:1])
    for number in range(chosen.silences):
        point, finds_answers = SILENCES[number % len(SILENCES)]
        name = f"silence at {point or 'any moment'}, {'finds' if finds_answers else 'no'} answers"
        yield name, lambda world, how=(point, finds_answers): silence_a_node(world, *how)
    for number in range(chosen.troubles):
        yield "rude wallets", lambda world: go_through(world, rude_wallets)
        held_s = (LOCKED_S, LONG_LOCKED_S)[number % 2]
        locked = partial(locked_rows, held_s=held_s)
        yield f"rows locked for {held_s} s", lambda world, locked=locked: go_through(world, locked)
        yield "a pause", lambda world: go_through(world, pause)
    for number in range(chosen.restores):
        is_running = number % 2 == 0
        name = f"the database goes back under a {'running' if is_running else 'restarted'} server"
        yield name, lambda world, is_running=is_running: go_back(world, is_running=is_running)
    for _ in range(chosen.postgres):
        yield "postgres", lambda world: kill_postgres(world, 1, dice)
    yield from kills(chosen, range(chosen.repetitions)[1:])
    for where in chosen.networks:
        yield f"bad network to the {where}", lambda world, where=where: through_bad_networks(world, where)


def kills(chosen, repetitions):
    for repetition in repetitions:
        for name in chosen.points:
            yield name, lambda world, name=name, repetition=repetition: kill_at(world, name, repetition)


async def run(chosen, folder):
    """The figures of the run, and what went wrong by name: after a failure everything begins anew, on new books."""
    steps = list(plan(chosen, random.Random(chosen.seed)))
    failures, figures, done = [], [], 0
    ends_at = time.monotonic() + 60 * chosen.minutes
    while done < len(steps) and time.monotonic() < ends_at:
        life = folder / str(len(figures))
        life.mkdir()
        name = "the start"
        try:
            async with open_world(life, seed=chosen.seed) as world:
                figures.append(world.figures)
                while done < len(steps) and time.monotonic() < ends_at:
                    name, step = steps[done]
                    done += 1
                    began_at = time.monotonic()
                    await step(world)
                    took_s = time.monotonic() - began_at
                    print(f"{done:4}/{len(steps)} {took_s:5.1f} s {world.figures.rounds:6} rounds  {name}", flush=True)
        except Exception:
            failures.append({"step": done, "name": name, "folder": str(life), "what": traceback.format_exc()})
            print(f"{done:4}/{len(steps)} FAILED {name}\n{failures[-1]['what']}", flush=True)
            if name == "the start":
                break
    return figures, failures


def spread(values):
    """The median, the 99th percentile and the largest, of at least one value."""
    ordered = sorted(values)
    if not ordered:
        return None
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1}
    return {name: round(ordered[min(int(part * len(ordered)), len(ordered) - 1)]) for name, part in ranks.items()}


def summary(chosen, figures, failures, took_s):
    kills = {}
    for one in figures:
        for name, count in one.kills.items():
            kills[name] = kills.get(name, 0) + count
    missed = [name for name in chosen.points if kills.get(name, 0) < chosen.repetitions]
    return {
        "kills": sum(kills.values()),
        "points": len(chosen.points),
        "points_missed": missed,
        "postgres_kills": kills.get("postgres", 0),
        "silences": kills.get("silence", 0),
        "pauses": kills.get("pause", 0),
        "rows_locked": kills.get("locks", 0),
        "restores": sum(count for name, count in kills.items() if name.startswith("restore.")),
        "rude_answers": sum(one.rude_answers for one in figures),
        "rounds": sum(one.rounds for one in figures),
        "interrupted_rounds": sum(one.interrupted_rounds for one in figures),
        "interrupted_calls": sum(one.owed_calls for one in figures),
        "rounds_ended_after_start_ms": spread([value for one in figures for value in one.ended_ms]),
        "money_moved_after_start_ms": spread([value for one in figures for value in one.acknowledged_ms]),
        "resumed_after_postgres_ms": spread([value for one in figures for value in one.resumed_ms]),
        "resumed_after_network_ms": spread([value for one in figures for value in one.resumed_after_proxy_ms]),
        "seconds": round(took_s),
        "failures": [{name: failure[name] for name in ("step", "name", "folder")} for failure in failures],
        "by_point": kills,
    }


def main():
    chosen = options()
    unknown = set(chosen.points) - set(POINTS)
    if unknown:
        print(f"unknown points: {sorted(unknown)}", file=sys.stderr)
        return 2
    # Interrupted, it still stops what it has started.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    folder = Path(tempfile.mkdtemp(prefix="getaway-chaos-logs-"))
    began_at = time.monotonic()
    figures, failures = trio.run(run, chosen, folder)
    told = json.dumps(summary(chosen, figures, failures, time.monotonic() - began_at), indent=1)
    print(told)
    if chosen.summary is not None:
        chosen.summary.write_text(told + "\n")
    # A run in which nobody played has shown nothing.
    has_shown = any(one.rounds for one in figures)
    return 0 if has_shown and not failures and not json.loads(told)["points_missed"] else 1


if __name__ == "__main__":
    sys.exit(main())
