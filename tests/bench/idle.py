"""What an open session costs while nobody plays: ``python -m tests.bench.idle [--quick]``.

Players open their sockets, say hello and are welcomed; nothing else happens. The memory of the server's process is read
with the first 1,000 of them, so that what it needs once does not count, and with 15,000. What the kernel holds for a
socket is not in it. The CPU that they take while they do nothing but answer pings is read, too.
"""

import time

from tests.bench.house import House, Play, cpu_s, make_tokens, next_line, open_house, playing, resident_bytes
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.yardsticks import Tools

FIRST = 1_000
ALL = 15_000
SETTLE_S = 3
WATCH_S = 20
"""A ping interval, so that every socket was pinged once."""
HOLD_S = 600
KIB_MAX = 30


def settled_bytes(house: House) -> int:
    """The process's memory once what the arrivals have left behind is gone."""
    time.sleep(SETTLE_S)
    return resident_bytes(house.pid)


def measure(tools: Tools, options: Options) -> list[Line]:
    sessions = options.pick(ALL, 4_000)
    with open_house() as house:
        progress(f"idle: {sessions} sessions")
        first = make_tokens(house, tools.folder / "first", FIRST)
        rest = make_tokens(house, tools.folder / "rest", sessions - FIRST)
        empty_bytes = settled_bytes(house)
        with playing(tools, house, first, Play(FIRST, 1, HOLD_S, 0, "idle")) as one:
            next_line(one, "ready")
            before_bytes = settled_bytes(house)
            began = time.monotonic()
            with playing(tools, house, rest, Play(sessions - FIRST, 1, HOLD_S, 0, "idle")) as other:
                next_line(other, "ready")
                opened_per_s = (sessions - FIRST) / (time.monotonic() - began)
                after_bytes = settled_bytes(house)
                before_s = cpu_s(house.pid)
                time.sleep(WATCH_S)
                core_part = (cpu_s(house.pid) - before_s) / WATCH_S
    session_kib = (after_bytes - before_bytes) / (sessions - FIRST) / 1024
    show(
        row="idle",
        sessions=sessions,
        session_kib=round(session_kib, 1),
        empty_mib=round(empty_bytes / 2**20, 1),
        all_mib=round(after_bytes / 2**20, 1),
        opened_per_s=round(opened_per_s),
        core_part=round(core_part, 3),
    )
    return [
        Line(
            what="idle sessions with an open socket, in one process",
            goal=f"{ALL:,}, at most {KIB_MAX} KiB each",
            measured=f"{sessions:,}, {session_kib:.1f} KiB each ({after_bytes / 2**20:.0f} MiB in all),"
            f" opened at {opened_per_s:.0f}/s; pinged every {WATCH_S} s they take {core_part:.0%} of a core",
            met=sessions >= ALL and session_kib <= KIB_MAX,
        )
    ]


if __name__ == "__main__":
    run_row(measure)
