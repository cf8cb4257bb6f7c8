"""What the web part needs from the rest of the server. ``server.node`` fills it in."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol
from uuid import UUID

from actors.facts.records import Operator
from actors.facts.transitions import Answer, Transition
from actors.kit.fair_queue import Share
from actors.ports.entropy import Entropy
from actors.rules.limits import BetLimits
from actors.shared.services import read_share
from server.http.security_log import SecurityLog
from server.metrics.metrics import WebMetrics
from server.ports.reports import Reports
from server.ports.session_frames import SessionFrames


class Clock(Protocol):
    """The server's clock: see ``actors.kit.clock``. All in milliseconds."""

    def now_ms(self) -> int:
        """The house's time: for what is stored."""

    def wall_ms(self) -> int:
        """The machine's time: for what others have signed."""

    def steady_ms(self) -> int:
        """A clock that never steps: for what lasts."""


class TransitionLedger(Protocol):
    async def commit(self, transition: Transition, /) -> Answer:
        """The durable answer. Raises ``actors.ports.LedgerUnavailableError``."""


class OperatorLookup(Protocol):
    """The directory of provisioned operators."""

    @property
    def is_fresh(self) -> bool:
        """Whether it was read lately enough to launch sessions on what it says."""

    def find(self, operator_id: UUID, /) -> Operator | None:
        """The operator, suspended ones included, or ``None``."""


class LimitsLookup(Protocol):
    """Bet limits: an operator's own or the configured defaults."""

    def limits_for(self, operator: Operator, currency: str, /) -> BetLimits | None:
        """The limits of one of the operator's currencies; ``None`` where it can't be played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Settings of the web part. ``public_url`` is the origin that players and operators see, without a path."""

    public_url: str
    static_dir: Path
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    requests_per_second: int = 200
    """Authenticated requests of one operator, on the average; more are refused with 429."""
    requests_burst: int = 400
    failures_per_second: int = 50
    """Requests of one address that fail to authenticate, on the average; above it they are refused unread with 429."""
    failures_burst: int = 400
    addresses_max: int = 20_000
    """Addresses whose failures are remembered; the one that was quiet for longest is forgotten."""
    body_bytes_max: int = 65_536
    """A larger body is refused with 413."""
    discard_bytes_max: int = 1_048_576
    """How much of a refused body is read and thrown away, so that its sender can read the refusal; more is cut off."""
    body_timeout_ms: int = 10_000
    """A body that takes longer is refused with 408."""
    discard_timeout_ms: int = 1_000
    answer_timeout_ms: int = 5_000
    """A ledger or report that takes longer is answered with 503."""
    allow_insecure_lobbies: bool = False
    """A ``lobby_url`` may be http on loopback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything that the web part uses. ``is_ready``: whether a load balancer should send requests here."""

    ledger: TransitionLedger
    operators: OperatorLookup
    sessions: SessionFrames
    reports: Reports
    limits: LimitsLookup
    entropy: Entropy
    clock: Clock
    metrics: WebMetrics
    log: logging.Logger
    settings: WebSettings
    is_draining: Callable[[], bool]
    is_ready: Callable[[], bool]
    security: SecurityLog | None = None
    """``None``: nobody keeps one."""
    read_share: Share = field(default_factory=read_share)
    """Shared with the players' histories."""
