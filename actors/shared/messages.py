"""Messages between actors, by who gets them. ``...In`` frames of players are in ``actors.facts.frames_in``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actors.facts.frames_in import HISTORY_WELCOME, SessionIn
from actors.facts.records import FinishedRound, LiveRound, WalletCall
from actors.kit.actor import Reply
from actors.ports.sink import PlayerSink
from actors.ports.wallet import WalletAnswer
from actors.shared.metronome import Flight

# To a wallet.


@dataclass(frozen=True, slots=True, eq=False)
class SendBet:
    """Send a stored bet once."""

    call: WalletCall
    reply: Reply[WalletAnswer]


@dataclass(frozen=True, slots=True, eq=False)
class SendClaimed:
    """Send a claimed win or refund once, and call ``ended`` then, with whether it was tried at all."""

    call: WalletCall
    ended: Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class WalletNews:
    """A win or refund is pending no more: acknowledged, or parked. ``balance_minor`` is what the wallet said then.

    ``None`` if it said none that can be read, or if the call is parked (``is_parked``).
    """

    operator_tx_id: str
    balance_minor: int | None
    is_parked: bool = False


# To a round, and its news to the session.


@dataclass(frozen=True, slots=True)
class Cashout:
    """A player's cash-out, received at ``received_at_ms`` by the steady clock."""

    frame_id: str | None
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The server stops before the flight ends: refund the stake."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Another node flies the round on, unless a cash-out that was received before decides it."""


@dataclass(frozen=True, slots=True)
class FlightEnds:
    """The moment has come at which the flight ends by itself."""


@dataclass(frozen=True, slots=True)
class BetStored:
    """The intent is durable; the operator's wallet is being asked."""


@dataclass(frozen=True, slots=True)
class BetTrouble:
    """Whether the intent was stored is not known; the wallet was not asked."""


@dataclass(frozen=True, slots=True)
class BetNotStored:
    """The intent was never stored: nothing happened. ``refused``: the ledger would not take it."""

    refused: bool


@dataclass(frozen=True, slots=True)
class RoundFlies:
    """The operator took the stake and the start is durable. ``flight`` is to be streamed once the player was told."""

    live: LiveRound
    flight: Flight
    balance_minor: int


@dataclass(frozen=True, slots=True)
class RoundOver:
    """The end is durable. ``frame_id`` is that of the cash-out that ended it.

    ``balance_minor`` is what the wallet said when it took the stake, if no ``RoundFlies`` has told it.
    """

    finished: FinishedRound
    outbox_minor: int
    frame_id: str | None
    balance_minor: int | None = None


@dataclass(frozen=True, slots=True)
class CashoutRefused:
    """A cash-out that changed nothing: ``too_early`` or ``too_late``."""

    frame_id: str | None
    code: str


@dataclass(frozen=True, slots=True)
class RoundLost:
    """Another owner has taken the round: this process must not say anything about it any more."""


RoundMessage = Cashout | Interrupt | HandOver | FlightEnds
RoundNews = BetStored | BetTrouble | BetNotStored | RoundFlies | RoundOver | CashoutRefused | RoundLost


# To a session.


@dataclass(frozen=True, slots=True, eq=False)
class Attach:
    """A socket has said hello; ``history`` was read for its welcome just now: at most ``history_max`` rounds, ``None``
    where it wants none."""

    sink: PlayerSink
    history: Sequence[FinishedRound] | None
    frame_id: str | None
    history_max: int = HISTORY_WELCOME


@dataclass(frozen=True, slots=True, eq=False)
class Detach:
    """The session's socket has gone."""

    sink: PlayerSink


@dataclass(frozen=True, slots=True)
class FromPlayer:
    """A frame of the player. A cash-out is one only if no round of this node is to be asked."""

    frame: SessionIn


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """A page of finished rounds that its player wanted, newest first, and whether there are ``more``; or why
    there is none: an error's code, and its words if they are not the usual ones."""

    frame_id: str | None
    rounds: Sequence[FinishedRound] = ()
    more: bool = False
    refusal: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Something outside has changed: the operator's status, or the server drains."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The session goes to another node: tell its socket and stop. What becomes of its round is not its business."""


SessionMessage = Attach | Detach | FromPlayer | HistoryRead | RoundNews | WalletNews | Look | Leave
