"""What a run is to do: as the command line has said it, and as each process of players is told."""

from dataclasses import dataclass, field

from server.loadtest.plan.quantities import Address, Target
from server.loadtest.plan.strategy import Strategy
from server.loadtest.plan.thresholds import Threshold

ANSWER_S: float = 15.0
"""How long anything that must be answered may take: above every timeout that the server has for itself."""
SETTLE_S: float = 15.0
"""How long after the last round wins and refunds may still be on their way."""
STOPPED_LANDING_S: float = 3.0
"""How long rounds may fly on after the run was interrupted."""
NAME_PREFIX: str = "loadtest-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An operator's. Neither secret is ever shown."""

    operator_id: str
    api_key: str = field(repr=False)
    hmac_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """The wallet of our own: where it listens, how long it thinks, and its certificate if it speaks TLS."""

    listen: Address
    latency_s: float
    certificate_file: str | None
    key_file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run. ``stand_in`` is ``None`` if the operator's wallet answers; times in seconds, money in minor units."""

    target: Target
    credentials: Credentials
    currency: str
    names: tuple[str, ...]
    duration_s: float
    ramp_s: float
    landing_s: float
    strategy: Strategy
    stake_minor: int
    balance_minor: int
    bets_per_second: float | None
    seed: int
    processes: int
    stand_in: StandIn | None
    compare_rounds_max: int
    thresholds: tuple[Threshold, ...]

    @property
    def ttl_s(self) -> int:
        """How long sessions live: a little longer than they are needed, since nobody can end them earlier."""
        needed_s = self.duration_s + self.landing_s + ANSWER_S + SETTLE_S + 60
        return min(max(round(needed_s), 60), 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """The part of one process. ``players``: name, and when its launch is due in seconds from the start.

    It holds the secrets, so that it goes through a pipe and nowhere else.
    """

    target: str
    credentials: Credentials
    currency: str
    players: tuple[tuple[str, float], ...]
    duration_s: float
    ramp_s: float
    landing_s: float
    strategy: str
    stake_minor: int
    cap_hundredths: int
    balance_minor: int
    ttl_s: int
    bets_per_second: float
    seed: int
