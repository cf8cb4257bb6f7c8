"""The results as one page that needs nothing else: its style and its plots are inside. Pure; everything is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from server.loadtest.report.beats import Interval
from server.loadtest.report.results import Results, statistic_s
from server.loadtest.report.svg import Series, histogram_plot, line_plot
from server.loadtest.report.text_report import STATISTICS, TITLES, facts, headline, latency_rows

DIFFERENCES_MAX: Final = 500
_OVER_TIME: Final = ("bet", "cashout", "tick", "launch")
_HISTOGRAMS: Final = ("bet", "cashout", "tick", "launch")

_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d2430; --soft: #667080; --line: #e2e4e8; --card: #ffffff;
  --c1: #2563c9; --c2: #d97706; --c3: #c62f4b; --c4: #16856b; --good: #16794f; --bad: #c62f4b; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161d; --ink: #e6e9ef; --soft: #98a2b3; --line: #2a313d;
  --card: #1a202a; --c1: #6ea2ff; --c2: #f2a63b; --c3: #ff7088; --c4: #45c7a2; --good: #45c78c; --bad: #ff7088; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 1380px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 32px 0 8px; }
h3 { font-size: 15px; margin: 0 0 8px; }
.verdict { font-weight: 700; } .good { color: var(--good); } .bad { color: var(--bad); } .none { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 20px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } .figures td + td, .figures th + th { text-align: right; }
.figures td:first-child { white-space: pre-wrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 16px; }
.plots > div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--line); } .mark, .name { fill: var(--soft); font-size: 12px; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .bar { fill: var(--c1); }
.line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); } .line.c3 { stroke: var(--c3); }
.line.c4 { stroke: var(--c4); } .dot.c1 { fill: var(--c1); } .dot.c2 { fill: var(--c2); } .dot.c3 { fill: var(--c3); }
.dot.c4 { fill: var(--c4); }
.legend { margin: 6px 0 0; color: var(--soft); display: flex; gap: 18px; flex-wrap: wrap; }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 6px; vertical-align: middle; }
.legend .c1 { background: var(--c1); } .legend .c2 { background: var(--c2); } .legend .c3 { background: var(--c3); }
.legend .c4 { background: var(--c4); }
li { overflow-wrap: anywhere; }
"""


def html_report(results: Results) -> str:
    sections = [
        _head(results),
        _section("Figures", _facts(results)),
        _section("Latencies, in milliseconds", _latencies(results)),
        _section("Over time", _plots(_over_time(results))),
        _section("How latencies are spread", _plots(_histograms(results))),
        _list("Notes", results.notes()),
        _list("Differences between the books", results.compared.differences[:DIFFERENCES_MAX]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Getaway load test: {escape(results.plan.target.origin)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body>\n{''.join(sections)}</body>\n</html>\n"
    )


def _head(results: Results) -> str:
    if results.is_good:
        verdict, kind = (
            "Every threshold kept, and all books agree." if results.plan.thresholds else "All books agree.",
            "good",
        )
    else:
        reasons = [f"thresholds missed: {len(results.missed())}"] if results.missed() else []
        count = len(results.compared.differences)
        reasons += [f"differences between the books: {count}"] if count else []
        reasons += [results.failure] if results.failure is not None else []
        reasons += ["no round was played"] if results.rounds_played == 0 else []
        verdict, kind = f"Failed: {'; '.join(reasons)}.", "bad"
    if results.was_interrupted:
        verdict += " The run was interrupted."
    return (
        f"<h1>Getaway load test</h1><p>{escape(headline(results))}</p>"
        f'<p class="verdict {kind}">{escape(verdict)}</p>{_thresholds(results)}'
    )


def _thresholds(results: Results) -> str:
    values = results.values()
    rows = []
    for one in results.plan.thresholds:
        kind, word = ("bad", "failed") if one.is_missed(values) else ("good", "kept")
        rows.append(f'<tr><td class="{kind}">{word}</td><td>{escape(one.told(values))}</td></tr>')
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _facts(results: Results) -> str:
    rows = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(results))
    return f"<table>{''.join(rows)}</table>"


def _latencies(results: Results) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", "count", *STATISTICS))
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in latency_rows(results))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="figures"><tr>{head}</tr>{body}</table>'


def _over_time(results: Results) -> Iterable[tuple[str, str]]:
    seconds = results.heard.interval_s

    def counted(name: str) -> list[tuple[float, float | None]]:
        return [(x, one.measured.counts[name] / seconds) for x, one in _timed(results)]

    rates = [Series("rounds ended", 1, counted("rounds")), Series("bets sent", 2, counted("bets"))]
    yield "Rounds and bets", line_plot(rates, "s from the start", "per second")
    seats = [
        Series("connected", 1, [(x, one.connected) for x, one in _timed(results)]),
        Series("flying", 4, [(x, one.flying) for x, one in _timed(results)]),
    ]
    yield "Players", line_plot(seats, "s from the start", "players")
    for latency in _OVER_TIME:
        if results.heard.measured.histogram(latency).count:
            yield f"{TITLES[latency].strip()}", line_plot(_percentiles(results, latency), "s from the start", "ms")


def _percentiles(results: Results, latency: str) -> list[Series]:
    made = []
    for colour, statistic in ((1, "p50"), (2, "p90"), (3, "p99")):
        points: list[tuple[float, float | None]] = []
        for x, one in _timed(results):
            value_s = statistic_s(one.measured, latency, statistic)
            points.append((x, None if value_s is None else 1000 * value_s))
        made.append(Series(statistic, colour, points))
    return made


def _timed(results: Results) -> Iterable[tuple[float, Interval]]:
    return (((number + 1) * results.heard.interval_s, one) for number, one in enumerate(results.heard.intervals))


def _histograms(results: Results) -> Iterable[tuple[str, str]]:
    for latency in _HISTOGRAMS:
        histogram = results.heard.measured.histogram(latency)
        if histogram.count:
            buckets = [(least / 1000, largest / 1000, count) for least, largest, count in histogram.buckets()]
            yield TITLES[latency].strip(), histogram_plot(buckets, "ms, logarithmic")


def _plots(plots: Iterable[tuple[str, str]]) -> str:
    cards = (f"<div><h3>{escape(title)}</h3>{plot}</div>" for title, plot in plots)
    return f'<div class="plots">{"".join(cards)}</div>'


def _section(title: str, content: str) -> str:
    return f'<h2>{escape(title)}</h2><div class="scroll">{content}</div>\n'


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return _section(title, f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")
