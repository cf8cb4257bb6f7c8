"""Which faults a world has: drawn from its seed, injected one by one, counted by kind."""

import random
from collections import Counter
from dataclasses import dataclass

WALLET_KINDS = (
    "request lost",
    "reply lost",
    "late request",
    "late reply",
    "refused 4xx",
    "failed 5xx",
    "odd status",
    "garbage body",
    "truncated body",
    "delivered twice",
    "slow wallet",
    "no connection",
    "hangs up",
    "hangs up, then refuses",
    "answers twice differently",
    "untold balance",
    "retry after",
)
LEDGER_KINDS = ("slow ledger", "ledger answer lost", "ledger refuses once")
REFUSALS = (400, 401, 403, 404, 409, 410, 422)
FAILURES = (500, 502, 503, 504)
ODD_STATUSES = (204, 302, 408, 425, 429)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often something goes wrong, and what: every world has its own mixture, so that rare pairs meet."""

    wallet: float
    wallet_kinds: tuple[str, ...]
    ledger: float
    ledger_kinds: tuple[str, ...]
    actors: float
    """How often an actor of ours raises when it calls a port."""


def draw_rates(rng: random.Random) -> Rates:
    return Rates(
        wallet=rng.choice((0.05, 0.2, 0.35, 0.5)),
        wallet_kinds=tuple(rng.sample(WALLET_KINDS, rng.randint(2, len(WALLET_KINDS)))),
        ledger=rng.choice((0.0, 0.01, 0.03, 0.08)),
        ledger_kinds=tuple(rng.sample(LEDGER_KINDS, rng.randint(1, len(LEDGER_KINDS)))),
        actors=rng.choice((0.0, 0.0, 0.0, 0.001, 0.01)),
    )


class Faults:
    """Draws faults until ``stop``; ``counts`` is what was really injected."""

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.rng = rng
        self.rates = draw_rates(rng)
        self.stopped = False
        self.ledger_down_until: dict[str | None, float] = {}
        self.commits_down_until = 0.0
        self.beats_held_until = 0.0

    def stop(self) -> None:
        self.stopped = True
        self.ledger_down_until.clear()
        self.commits_down_until = self.beats_held_until = 0.0

    def count(self, kind: str) -> None:
        self.counts[kind] += 1

    def of_wallet(self) -> str | None:
        """What happens to a request to an operator."""
        if self.stopped or self.rng.random() >= self.rates.wallet:
            return None
        kind = self.rng.choice(self.rates.wallet_kinds)
        self.count(kind)
        return kind

    def of_actor(self) -> bool:
        """Whether the actor that calls a port fails at it."""
        return not self.stopped and self.rates.actors > 0 and self.rng.random() < self.rates.actors

    def of_ledger(self) -> str | None:
        """What happens to a crossing to the ledger."""
        if self.stopped or self.rng.random() >= self.rates.ledger:
            return None
        kind = self.rng.choice(self.rates.ledger_kinds)
        self.count(kind)
        return kind

    def hold_beats(self, until: float) -> None:
        """Heartbeats get stuck on their way, and nothing else."""
        self.count("heartbeats late")
        self.beats_held_until = until

    def take_ledger_away(self, node: str | None, until: float) -> None:
        """From one node, or (``None``) from all."""
        self.count("ledger unavailable")
        self.ledger_down_until[node] = until

    def ledger_is_down(self, node: str, method: str, now: float) -> bool:
        down = self.ledger_down_until
        if method == "commit" and self.commits_down_until > now:
            return True
        return bool(down) and max(down.get(node, 0.0), down.get(None, 0.0)) > now
