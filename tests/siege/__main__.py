"""``make siege``: quiet, each attack in turn, all at once; a table, which is also written into docs/security.md.

Everything is bounded: ``--seconds`` a phase, ``--repeat`` times, medians of the repetitions.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence

from tests.helpers.server_process import ROOT
from tests.siege.attacks import ATTACKS
from tests.siege.siege import Phase, besieged, p

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- siege: written by make siege -->", "<!-- end of siege -->"
PLAYERS = 24


def main() -> int:
    """0 if nobody honest lost a socket."""
    parser = argparse.ArgumentParser(prog="make siege", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="rewrite the table in docs/security.md")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)}; all of them")
    options = parser.parse_args()
    unknown = set(options.attacks) - ATTACKS.keys()
    if unknown:
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    chosen = options.attacks or list(ATTACKS)
    rows: list[tuple[str, list[str]]] = [("quiet", []), *((name, [name]) for name in chosen)]
    if len(chosen) > 1:
        rows.append(("all at once", chosen))
    table = [_HEAD]
    lost = 0
    with besieged() as siege:
        # Round and round, so that what else the machine does meets all rows alike.
        seen: dict[str, list[Phase]] = {name: [] for name, _ in rows}
        for _ in range(options.repeat):
            for name, attacks in rows:
                seen[name].append(siege.phase(attacks, options.seconds, PLAYERS))
                print(name, seen[name][-1].troubles, file=sys.stderr, flush=True)
        for name, phases in seen.items():
            lost += sum(phase.lost for phase in phases)
            table.append(_row(name, phases))
        for line, count in Counter(siege.warnings()).most_common(20):
            print(count, line, file=sys.stderr)
    table.append(f"\nRepetitions: {options.repeat}, of {options.seconds:g} s each.")
    text = "\n".join(table)
    print(text)
    if options.write:
        _write(text)
    return 1 if lost else 0


_HEAD = """| attack | ping p50 | ping p99 | cash-out p50 | cash-out p99 | launch p99 | sockets lost | MiB | CPU |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def _row(name: str, phases: Sequence[Phase]) -> str:
    """The medians of the repetitions."""

    def middle(values: str, part: float) -> str:
        return f"{statistics.median(p(getattr(phase, values), part) for phase in phases):.0f}"

    attack = ATTACKS.get(name)
    words = name if attack is None else " ".join((attack.__doc__ or name).split()).rstrip(".")
    cells = [
        words,
        middle("pings", 0.5),
        middle("pings", 0.99),
        middle("cashouts", 0.5),
        middle("cashouts", 0.99),
        middle("launches", 0.99),
        str(sum(phase.lost for phase in phases)),
        str(max(phase.memory_kib for phase in phases) // 1024),
        f"{statistics.median(phase.cpu_part for phase in phases):.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _write(table: str) -> None:
    """Between the marks; a page that has none gets them at its end."""
    page = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else "# Security\n"
    before, begin, rest = page.partition(BEGIN)
    after = rest.partition(END)[2] if begin else "\n"
    if not begin:
        before = f"{page.rstrip()}\n\n## Under siege\n\n"
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
