"""The whole benchmark: ``python -m tests.bench [--quick] [ROW ...]``. Takes about 25 minutes.

Progress goes to standard error, a JSON line of figures for each measurement to standard output, and the table into
docs/performance.md: all of it anew, or with ROWs only theirs. The short form writes none, unless ``--table`` is given.
"""

import sys

from tests.bench import idle, launches, rounds, start, streaming, ten_million, workers
from tests.bench.options import Measure, measured, parser
from tests.bench.report import write_table
from tests.bench.yardsticks import BenchError
from tests.helpers.server_process import ROOT

ROWS: dict[str, Measure] = {
    "streaming": streaming.measure,
    "rounds": rounds.measure,
    "launches": launches.measure,
    "idle": idle.measure,
    "start": start.measure,
    "workers": workers.measure,
    "ten_million": ten_million.measure,
}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("row", nargs="*", metavar="ROW", help=f"rows to measure, of {', '.join(ROWS)} (default: all)")
    chosen = options.parse_args()
    if chosen.table is None and not chosen.quick:
        chosen.table = ROOT / "docs" / "performance.md"
    unknown = [name for name in chosen.row if name not in ROWS]
    if unknown:
        options.error(f"there is no row {', '.join(unknown)}: choose of {', '.join(ROWS)}")
    try:
        if chosen.table:
            write_table(chosen.table, [], keep=bool(chosen.row))
        failed = measured([(name, ROWS[name]) for name in chosen.row or ROWS], chosen)
    except (BenchError, ValueError, OSError) as error:
        options.exit(2, f"{error}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
