"""What is shown while a run goes on, on the error stream: a live table on a terminal, else a line now and then."""

from collections.abc import Callable
from typing import Final, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from server.loadtest.report.results import Results, statistic_s

LINE_S: Final = 5.0
_SHOWN: Final = ("launch", "bet", "cashout", "tick", "round_trip", "client")


class Progress(Protocol):
    """Is told of the run, every second or so."""

    def say(self, words: str) -> None: ...

    def update(self, results: Results, now_s: float) -> None:
        """How it goes, ``now_s`` seconds after the start."""

    def close(self) -> None:
        """Leave the stream as it was found."""


class LineProgress:
    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next_s = LINE_S

    def say(self, words: str) -> None:
        self._write(words)

    def update(self, results: Results, now_s: float) -> None:
        """A line if it is time for one."""
        if now_s < self._next_s or not results.heard.intervals:
            return
        self._next_s = now_s + LINE_S
        interval, counts = results.heard.intervals[-1], results.heard.measured.counts
        bet_s = statistic_s(results.heard.measured, "bet", "p99")
        bet = "" if bet_s is None else f", bet p99 {1000 * bet_s:.1f} ms"
        self._write(
            f"{now_s:.0f} s: {interval.connected} of {len(results.plan.names)} players, {interval.flying} flying, "
            f"{counts['bets']} bets, {counts['rounds']} rounds{bet}, {results.errors} errors"
        )

    def close(self) -> None:
        """Nothing is left to do."""


class LiveProgress:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._words = ""
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, words: str) -> None:
        """Shown until there is something newer."""
        self._words = words
        self._live.update(Text(words), refresh=True)

    def update(self, results: Results, now_s: float) -> None:
        self._live.update(progress_view(results, now_s, self._words), refresh=True)

    def close(self) -> None:
        """Take the table away: the results come to standard output."""
        self._live.stop()


def progress_view(results: Results, now_s: float, words: str) -> Group:
    """The whole picture: how far, how many, how quick, and what went wrong."""
    plan, counts = results.plan, results.heard.measured.counts
    interval = results.heard.intervals[-1] if results.heard.intervals else None
    head = Table.grid(padding=(0, 2))
    head.add_row(
        ProgressBar(total=plan.duration_s, completed=min(now_s, plan.duration_s), width=40),
        f"{min(now_s, plan.duration_s):.0f} of {plan.duration_s:.0f} s",
        Text(words, style="bold"),
    )
    facts = Table.grid(padding=(0, 2))
    if interval is not None:
        facts.add_row("players", f"{interval.connected} of {len(plan.names)}, {interval.flying} flying")
        seconds = results.heard.interval_s
        rates = f"{interval.measured.counts['bets'] / seconds:.1f} bets/s"
        facts.add_row("now", f"{rates}, {interval.measured.counts['rounds'] / seconds:.1f} rounds/s")
    facts.add_row("so far", f"{counts['bets']} bets, {counts['rounds']} rounds, {counts['skipped']} skipped")
    errors = ", ".join(f"{name}: {count}" for name, count in results.heard.measured.errors.most_common(4))
    facts.add_row("errors", Text(errors, style="bold red") if errors else Text("none", style="green"))
    table = Table(box=None, padding=(0, 2))
    for column in ("latency, ms", "p50", "p90", "p99", "max"):
        table.add_column(column, justify="left" if column[0] == "l" else "right")
    for latency in _SHOWN:
        values = [statistic_s(results.heard.measured, latency, statistic) for statistic in ("p50", "p90", "p99", "max")]
        table.add_row(latency, *("-" if value is None else f"{1000 * value:.1f}" for value in values))
    return Group(head, facts, table)


def progress_on(stream: TextIO, write: Callable[[str], None]) -> Progress:
    """What suits the stream; ``write`` puts one line on it."""
    return LiveProgress(stream) if stream.isatty() else LineProgress(write)
