"""The results as a JSON document. Pure. Nothing in it is secret."""

from dataclasses import asdict

from server.loadtest.figures.measurements import LATENCIES
from server.loadtest.figures.returns import Return
from server.loadtest.plan.thresholds import STATISTICS
from server.loadtest.report.results import Results, statistic_s

DIFFERENCES_MAX: int = 1000


def results_document(results: Results) -> dict[str, object]:
    """Durations in milliseconds, money in minor units, the return in percent."""
    plan, counts, compared = results.plan, results.heard.measured.counts, results.compared
    given, values = results.returned(), results.values()
    return {
        "ok": results.is_good,
        "was_interrupted": results.was_interrupted,
        "failure": results.failure,
        "rounds_played": results.rounds_played,
        "run": {
            "target": plan.target.origin,
            "players": len(plan.names),
            "duration_s": plan.duration_s,
            "ramp_s": plan.ramp_s,
            "betting_s": round(results.betting_s, 3),
            "strategy": str(plan.strategy),
            "stake_minor": plan.stake_minor,
            "currency": plan.currency,
            "bets_per_second": round(results.bets_per_second, 3),
            "processes": plan.processes,
            "seed": plan.seed,
            "wallet": "operator" if plan.stand_in is None else "stand-in",
        },
        "latencies_ms": {latency: _latency(results, latency) for latency in LATENCIES},
        "counts": {name: counts[name] for name in sorted(counts)},
        "rounds_per_second": round(results.rounds_per_second, 3),
        "errors": dict(sorted(results.heard.measured.errors.items())),
        "money": {
            "stakes_minor": results.stakes_minor,
            "payouts_minor": results.payouts_minor,
            "return": None if given is None else _return(given),
        },
        "clock": None
        if results.heard.clock is None
        else {name: 1000 * value for name, value in _clock(results).items()},
        "books": {
            **{name: value for name, value in asdict(compared).items() if name != "differences"},
            "differences": compared.differences[:DIFFERENCES_MAX],
            "differences_count": len(compared.differences),
            "wallet_calls_received": results.wallet_calls,
        },
        "thresholds": [
            {"text": one.text, "missed": one.is_missed(values), "told": one.told(values)} for one in plan.thresholds
        ],
        "notes": results.notes(),
    }


def _latency(results: Results, latency: str) -> dict[str, float | int | None]:
    told: dict[str, float | int | None] = {"count": results.heard.measured.histogram(latency).count}
    for statistic in STATISTICS:
        value_s = statistic_s(results.heard.measured, latency, statistic)
        told[statistic] = None if value_s is None else round(1000 * value_s, 3)
    return told


def _return(given: Return) -> dict[str, object]:
    percents = {name: round(100 * getattr(given, name), 4) for name in ("seen", "expected", "low", "high")}
    return {f"{name}_percent": value for name, value in percents.items()} | {
        "is_inside": given.is_inside,
        "method": given.method,
    }


def _clock(results: Results) -> dict[str, float]:
    assert results.heard.clock is not None
    return {"ahead_ms": results.heard.clock.ahead_s, "uncertainty_ms": results.heard.clock.uncertainty_s}
