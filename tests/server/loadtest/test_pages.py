"""What is shown: the page escapes everything and holds what it says, and the live picture has its figures."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from actors.rules.limits import BetLimits
from server.loadtest.compare.comparison import LastBalance
from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.plan import Credentials, RunPlan
from server.loadtest.plan.quantities import target_origin
from server.loadtest.plan.strategy import parse_strategy
from server.loadtest.plan.thresholds import parse_threshold
from server.loadtest.play.probe import Terms
from server.loadtest.play.seen_round import SeenRound
from server.loadtest.report.beats import Beat, Clock, Done, Interval
from server.loadtest.report.document import results_document
from server.loadtest.report.html_report import html_report
from server.loadtest.report.progress import LineProgress, progress_view
from server.loadtest.report.results import Results
from server.loadtest.report.svg import Series, histogram_plot, line_plot, steps
from server.loadtest.report.text_report import text_report
from server.loadtest.run.lines import line_of, read

LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=1000, bet_step_minor=1, max_payout_minor=10**6)
EVIL = '<script>alert("1")</script>&\''


@pytest.fixture
def results():
    plan = RunPlan(
        target=target_origin("http://127.0.0.1:8080"),
        credentials=Credentials(operator_id="o", api_key="gk_key", hmac_secret="gs_secret"),
        currency="USD",
        names=("ann", "bob"),
        duration_s=10.0,
        ramp_s=1.0,
        landing_s=5.0,
        strategy=parse_strategy("fixed:1.5"),
        stake_minor=100,
        balance_minor=1000,
        bets_per_second=None,
        seed=1,
        processes=1,
        stand_in=None,
        compare_rounds_max=10,
        thresholds=(parse_threshold("bet_p99>50ms"), parse_threshold("errors>0")),
    )
    terms = Terms(rate_per_ms=0.00006, tick_ms=100, rtp_bps=9600, max_win_multiplier=2000, limits=LIMITS)
    made = Results(plan, terms, 2.0)
    for second in range(3):
        interval = Interval(connected=2, flying=1)
        for value_s in (0.005, 0.010, 0.060):
            interval.measured.took("bet", value_s * (second + 1))
        interval.measured.counts["rounds"] = 1
        made.heard.intervals.append(interval)
        made.heard.measured.merge(interval.measured)
        made.heard.seen.append(
            SeenRound(f"r{second}", "ann", "settled", "cashout", 100, 150, 150, 400, 150, 9600, False, ())
        )
    return made


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(results):
    text = html_report(results)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert not re.search(r"https?://(?!127\.0\.0\.1)|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert "bet_p99 is 180ms" in text
    assert "thresholds missed: 1" in text


def test_everything_is_escaped(results):
    results.compared.differences.append(EVIL)
    results.heard.measured.failed(EVIL, EVIL)
    results.failure = EVIL
    text = html_report(results)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 3


def test_no_secret_is_shown(results):
    for text in (html_report(results), "\n".join(text_report(results)), repr(results.plan)):
        assert "gk_key" not in text
        assert "gs_secret" not in text


def test_the_table_has_the_figures(results):
    lines = text_report(results)
    (bet,) = (line for line in lines if line.startswith("bet to round_started"))
    assert bet.split()[3:] == ["9", "20.03", "179.71", "179.71", "180.00"]
    assert "FAILED  bet_p99>50ms: bet_p99 is 180ms" in lines
    assert "kept    errors>0: errors is 0" in lines
    assert any("stakes 3.00 USD, payouts 4.50 USD, the house keeps -1.50 USD" in line for line in lines)
    assert not results.is_good
    assert [one.name for one in results.missed()] == ["bet_p99"]


def test_a_run_without_a_round_that_was_played_is_no_success(results):
    """As when the wallet refuses every bet: all books agree, for there is nothing in them."""
    results.plan = replace(results.plan, thresholds=())
    assert (results.rounds_played, results.is_good, results.has_failed) == (3, True, False)
    results.heard.seen = [SeenRound("r", "ann", "void", None, 100, 0, 0, 400, 150, 9600, False, ())]
    assert (results.rounds_played, results.is_good, results.has_failed) == (0, False, False)
    assert results_document(results)["ok"] is False
    assert any("no round was played" in line for line in text_report(results))
    assert "Failed: no round was played." in html_report(results)


def test_a_run_that_broke_off_has_failed_however_good_its_figures_are(results):
    results.plan = replace(results.plan, thresholds=())
    assert results.is_good
    results.failure = "a process of players has died"
    assert (results.is_good, results.has_failed) == (False, True)


def test_beats_of_all_processes_add_up(results):
    def beat(rounds=0, clock=None, done=None):
        measured = Measurements()
        measured.counts["rounds"] = rounds
        sent = Beat(measured=measured, gauges={"connected": 2, "flying": 1}, rounds=[], clock=clock, done=done)
        return read(line_of(sent).rstrip(), Beat)

    def done(unfinished):
        return Done((LastBalance("ann", 1_000, 0),), unfinished)

    run = Results(results.plan, results.terms, 2.0)
    run.heard.take(0, beat(rounds=3, clock=Clock(0.5, 0.02)), 1.4)
    run.heard.take(1, beat(rounds=4, clock=Clock(0.4, 0.01)), 1.4)
    run.heard.take(0, beat(rounds=1, clock=Clock(0.6, 0.03)), 1.6)
    run.heard.take(0, beat(done=done(1)), 2.0)
    run.heard.take(1, beat(done=done(2)), 2.0)
    assert (run.heard.measured.counts["rounds"], run.heard.unfinished, len(run.heard.balances)) == (8, 3, 2)
    assert run.heard.clock is not None and run.heard.clock.ahead_s == 0.4, "the surest"
    assert [each.measured.counts["rounds"] for each in run.heard.intervals] == [7, 1], (
        "a beat comes a moment after its second"
    )
    assert (run.heard.intervals[0].connected, run.heard.intervals[0].flying) == (4, 2)


def test_the_live_picture(results):
    out = StringIO()
    results.heard.measured.failed("bet", "wallet_unavailable")
    Console(file=out, width=100, force_terminal=False).print(progress_view(results, 3.0, "playing"))
    for words in ("3 of 10 s", "2 of 2, 1 flying", "bet wallet_unavailable: 1", "180.0"):
        assert words in out.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then(results):
    lines = []
    progress = LineProgress(lines.append)
    for now_s in (1, 4, 5, 6, 9, 10.5, 11):
        progress.update(results, now_s)
    assert [line.split(":")[0] for line in lines] == ["5 s", "10 s"]
    assert "2 of 2 players, 1 flying" in lines[0]


@pytest.mark.parametrize("largest", [0.003, 0.9, 1, 7, 12.5, 99, 100, 12345])
def test_axes_have_round_marks_that_reach_the_largest_value(largest):
    marks = steps(largest)
    assert marks[0] == 0
    assert marks[-1] >= largest > marks[-2]
    assert 3 <= len(marks) <= 6


def test_plots_of_nothing_and_of_holes():
    assert "Nothing was measured" in line_plot([Series("p50", 1, [(1.0, None)])], "s", "ms")
    assert "Nothing was measured" in histogram_plot([], "ms")
    plot = line_plot([Series("p50", 1, [(1.0, 2.0), (2.0, None), (3.0, 4.0), (4.0, 1.0)])], "s", "ms")
    assert (plot.count("<circle"), plot.count("<polyline")) == (1, 1)
    bars = histogram_plot([(1.0, 1.1, 5), (10.0, 11.0, 7)], "ms")
    assert re.findall(r": (\d+)</title>", bars) == ["5", "7"]
