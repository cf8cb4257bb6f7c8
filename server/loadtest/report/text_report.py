"""The results as text for people. Pure: lines, without a terminal's colours."""

from collections.abc import Sequence
from typing import Final

from server.config.currencies import format_minor
from server.loadtest.plan.quantities import duration_text
from server.loadtest.report.results import Results, statistic_s

STATISTICS: Final = ("p50", "p90", "p99", "max")
DIFFERENCES_SHOWN_MAX: Final = 20
TITLES: Final = {
    "launch": "launch",
    "welcome": "connect to welcome",
    "bet_stored": "bet to bet_pending",
    "bet": "bet to round_started",
    "bet_service": "  from when it was sent",
    "cashout": "cash-out to round_ended",
    "cashout_service": "  by hand, from when it was sent",
    "crash": "crash to round_ended",
    "tick": "tick lateness",
    "round_trip": "ping to pong",
    "wallet": "stand-in wallet",
    "client": "load generator's own lateness",
}


def text_report(results: Results) -> list[str]:
    sections = [
        [headline(results)],
        _table(("latency, ms", "count", *STATISTICS), latency_rows(results)),
        _aligned(facts(results)),
        thresholds(results),
        [f"note: {note}" for note in results.notes()],
        differences(results),
    ]
    lines: list[str] = []
    for section in sections:
        lines += [*section, ""] if section else []
    return lines[:-1]


def headline(results: Results) -> str:
    plan = results.plan
    parts = [
        f"{len(plan.names)} players on {plan.target.origin}",
        f"{duration_text(plan.duration_s)} with a ramp of {duration_text(plan.ramp_s)}",
        f"{plan.strategy} of {format_minor(plan.stake_minor, plan.currency)}",
        f"{results.bets_per_second:.4g} bets/s due",
        f"{plan.processes} process{'' if plan.processes == 1 else 'es'}",
        f"seed {plan.seed}",
    ]
    return ", ".join(parts)


def latency_rows(results: Results) -> list[list[str]]:
    """Title, count and statistics of every latency that was measured."""
    rows = []
    for latency, title in TITLES.items():
        count = results.heard.measured.histogram(latency).count
        if count:
            values = (statistic_s(results.heard.measured, latency, statistic) for statistic in STATISTICS)
            rows.append([title, f"{count}", *("-" if value is None else f"{1000 * value:.2f}" for value in values)])
    return rows


def facts(results: Results) -> list[tuple[str, str]]:
    """Everything but the latencies, by name."""
    counts, errors = results.heard.measured.counts, results.heard.measured.errors
    told = ", ".join(f"{name}: {count}" for name, count in errors.most_common())
    facts = [
        ("errors", f"{results.errors}" + (f" ({told})" if told else "")),
        ("players", f"{counts['launched']} of {len(results.plan.names)} launched, {counts['reconnects']} reconnects"),
        (
            "bets",
            f"{counts['bets_due']} due, {counts['bets']} sent, {counts['waited']} waited for a free player, "
            f"{counts['skipped']} skipped",
        ),
        (
            "rounds",
            f"{counts['rounds']} ended, {results.rounds_played} of them flew, "
            f"{results.rounds_per_second:.2f} per second; "
            f"{counts['too_late']} cash-outs came after the crash, {counts['ticks_skipped']} ticks were skipped",
        ),
        ("money", money(results)),
        ("return", return_text(results)),
    ]
    if results.heard.clock is not None:
        ahead_ms, uncertain_ms = 1000 * results.heard.clock.ahead_s, 1000 * results.heard.clock.uncertainty_s
        facts.append(
            ("clock", f"the server's is {ahead_ms:+.2f} ms from this machine's, known to {uncertain_ms:.2f} ms")
        )
    facts.append(("books", books(results)))
    if results.failure is not None:
        facts.append(("failed", results.failure))
    return facts


def money(results: Results) -> str:
    """Stakes and payouts of settled rounds."""
    currency = results.plan.currency
    stakes, payouts = results.stakes_minor, results.payouts_minor
    kept = format_minor(stakes - payouts, currency)
    return f"stakes {format_minor(stakes, currency)}, payouts {format_minor(payouts, currency)}, the house keeps {kept}"


def return_text(results: Results) -> str:
    given = results.returned()
    if given is None:
        return "no round was settled"
    verdict = "inside" if given.is_inside else "OUTSIDE"
    band = f"{100 * given.low:.2f} to {100 * given.high:.2f} %"
    expected = f"expected {100 * given.expected:.2f} %"
    return f"{100 * given.seen:.2f} % of the stakes, {expected}; {verdict} the 95 % band {band} ({given.method})"


def books(results: Results) -> str:
    """What was compared, and how it came out."""
    compared = results.compared
    parts = [f"{compared.fair_rounds} rounds against their seeds"]
    if compared.wallet_rounds or compared.wallet_calls:
        wallet = (
            f"{compared.wallet_rounds} rounds, {compared.wallet_calls} calls and {compared.wallet_balances} balances"
        )
        parts.append(f"{wallet} with the stand-in wallet")
    parts.append(f"{compared.told_rounds} rounds with /round")
    count = len(compared.differences)
    return f"{', '.join(parts)}: {'no differences' if count == 0 else f'{count} DIFFERENCES'}"


def thresholds(results: Results) -> list[str]:
    """Each condition, and whether the run has failed by it."""
    values = results.values()
    return [f"{'FAILED' if one.is_missed(values) else 'kept  '}  {one.told(values)}" for one in results.plan.thresholds]


def differences(results: Results) -> list[str]:
    found = results.compared.differences
    lines = [f"difference: {one}" for one in found[:DIFFERENCES_SHOWN_MAX]]
    more = len(found) - len(lines)
    return lines + ([f"… and {more} more; --json lists more of them"] if more > 0 else [])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (head, *rows)
    ]


def _aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in facts)
    return [f"{name.ljust(width)}  {value}" for name, value in facts]
