"""What the actors need from the outside, as protocols.

Real adapters live in ``server``, in-memory twins in ``tests``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Protocol
from uuid import UUID

from actors.facts.records import (
    Backlog,
    FinishedRound,
    LiveRound,
    OpenedSession,
    Operator,
    Owner,
    RoundKey,
    SessionRequest,
    WalletCall,
)
from actors.facts.transitions import Answer, Busy, Transition
from actors.rules.call_fates import Fate, merged
from actors.rules.lineage import Lineage

REQUESTS_MAX = 500
"""Requests for sessions that are read at once; the rest is read when these are gone."""


NOT_AHEAD: Final[Mapping[UUID, int]] = {}
"""Of no operator more than what is due."""


class LedgerUnavailableError(Exception):
    """The ledger could not say whether it applied anything: repeat the same transitions, or read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What the ledger answers to a heartbeat."""

    database_ms: int
    """The database's clock when it recorded the beat: unix milliseconds. All nodes judge each other by it."""
    before_ms: int | None
    """The beat of this life that it had recorded before; ``None``: it knows of no such life."""
    is_recorded: bool
    """Whether the beat is stored."""
    is_superseded: bool
    """A newer life of this node exists: nothing was recorded, and this one must stop."""
    is_over: bool
    """Its lease ran out before this beat, or somebody knew it dead: nothing was recorded, and others may have what it
    had."""
    newest_end_ms: int | None
    """When it last became known that a life, of any node, was over."""
    lineage: Lineage
    """Of the database: whether it is the one that was written to."""


class Ledger(Protocol):
    """Durable state. Every method is one crossing to the database and raises ``LedgerUnavailableError`` on trouble.

    Who lives, and what is due, is judged by the database's clock, which all nodes share.
    """

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        """Apply each transition atomically, all in one durable commit; one answer for each, in order.

        At most one transition of a session may be in a group. One that cannot be applied is ``Rejected``, one whose
        session somebody else has locked is ``Busy``; neither disturbs or delays the others.
        """
        ...

    async def register_node(self, node: str, flown_ms: int) -> Owner:
        """Begin a new life of a node: a larger epoch than any before it; earlier epochs of it are dead from now on.

        ``flown_ms`` as in ``heartbeat``.
        """
        ...

    async def heartbeat(self, owner: Owner, flown_ms: int, lease_ms: int, written_ms: int | None = None) -> Pulse:
        """Record that the owner is alive, by the database's clock, and that its flights have flown up to ``flown_ms``
        of the time in which their starts are stored (``ServerClock.cautious_ms``).

        A life that is not known, or has a newer one, is not recorded. Nor is one that is over, as every life is after a
        silence of ``lease_ms``: up to when its flights have certainly flown stays what it was before. Nor is one whose
        stored beat is older than ``written_ms``, the last one that it was answered (unix ms by the database's clock):
        that history was cut. The answer may get lost, and then the next beat must find the same.
        """
        ...

    async def end_silent(self, owner: Owner, silent_ms: int) -> list[Owner]:
        """Note that lives are over, other than ``owner``, whose processes are gone: which. None whose last beat is
        younger than ``silent_ms``: a living process may have lost its connection, and has another one by then."""
        ...

    async def end_life(self, owner: Owner) -> None:
        """The last word of a life: nothing acts for it any more, and what it has left is anybody's."""
        ...

    async def note_cut(self, owner: Owner, history_id: str, reason: str, own_history_id: str | None = None) -> None:
        """``owner`` has found that this history was cut: all nodes are to stop bets until it is restored.

        What was noted before stays, and a history that is not the present one is let be. Nor is anything noted if the
        one that ``owner`` was registered in, ``own_history_id``, has been restored: it slept through all that, and the
        present history is whole.
        """
        ...

    async def adopt_place(self, history_id: str) -> None:
        """The history goes on where the database is written now: a standby that lacked nothing was promoted."""
        ...

    async def open_session(
        self, token_digest: bytes, owner: Owner, lease_ms: int, server_seed: str
    ) -> OpenedSession | None:
        """Take a session's ownership and read it. ``None``: no such token. An expired session is returned, too.

        A promise is never continued by somebody who did not make it: the next round's seed becomes ``server_seed``,
        whoever had the session before, and the one that nobody will play is ``discarded``. The seed must be a new one
        for each call, a repeated one, too. A bet on the old promise that is still on its way is refused from now on.

        A round of it is either live in what is read or, once settled, among its totals.

        A session owned by another node that is alive, with a heartbeat younger than ``lease_ms``, is not taken:
        raises ``SessionElsewhereError``: ``request_session`` asks for it.
        """
        ...

    async def request_session(self, token_digest: bytes, asker: Owner) -> None:
        """Ask the session's living owner for it. Asked again, the request is as young as the last time."""
        ...

    async def withdraw_request(self, token_digest: bytes, asker: Owner) -> None:
        """``asker`` wants the session no more. What it was given meanwhile stays for it to take up."""
        ...

    async def end_request(self, request: SessionRequest) -> None:
        """The asker has taken up what it was given."""
        ...

    async def session_requests(self, owner: Owner, lease_ms: int, age_ms_max: int) -> list[SessionRequest]:
        """What living nodes have wanted of ``owner`` for at most ``age_ms_max``, the oldest first, at most
        ``REQUESTS_MAX``; and, however old, what ``owner`` itself was given and has not taken up."""
        ...

    async def move_session(self, owner: Owner, request: SessionRequest, lease_ms: int) -> bool:
        """Give a session of ``owner``, and the flight that ``owner`` plays in it, to the asker; whether it is there.

        Not if ``owner`` has lost the session, if the asker is dead or has withdrawn, nor while a bet of it is undecided
        or its round was interrupted. May be repeated. A round that a third node has taken stays there.
        """
        ...

    async def has_company(self, owner: Owner, lease_ms: int) -> bool:
        """Whether any other node is alive."""
        ...

    async def history(
        self, operator_id: UUID, operator_player_id: str, before: UUID | None, limit: int
    ) -> tuple[list[FinishedRound], bool]:
        """A player's finished rounds, newest first, older than ``before``; and whether there are more."""
        ...

    async def live_round(self, operator_id: UUID, round_id: UUID) -> LiveRound | None:
        """A round in ``betting`` or ``flying`` as stored; ``None`` once it has ended."""
        ...

    async def finished_round(self, operator_id: UUID, round_id: UUID) -> FinishedRound | None:
        """A round that has ended, as stored."""
        ...

    async def take_orphans(
        self, owner: Owner, lease_ms: int, limit: int, written_ms: int | None = None
    ) -> list[LiveRound]:
        """Take live rounds whose owner is dead (a superseded epoch, a life that is over, silent for ``lease_ms``).

        None in a history that was cut, as far as the database can tell: that is noted, or it is written at another
        place, or has no beat of ``owner`` as new as ``written_ms``, the last one that was answered. Who has not noticed
        yet would end again what has ended and was paid, and take all for dead, whose newest beats are missing.

        From then on they carry ``interrupted_at_ms``: up to when their owner's flights had flown by its last heartbeat.
        A round whose taker dies, too, keeps it. What ``owner`` has taken before comes again until it has ended: the
        answer may have been lost. Oldest first, at most ``limit``.
        """
        ...

    async def own_live_rounds(self, owner: Owner, before_ms: int, limit: int) -> list[RoundKey]:
        """Live rounds of ``owner`` created before that, but for those that ``take_orphans`` tells and those of sessions
        that it was given and has not taken up. Oldest first, at most ``limit``."""
        ...

    async def pending_calls(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        """A session's wins and refunds that are neither acknowledged nor parked, in order."""
        ...

    async def balance_minor(self, operator_id: UUID, session_id: UUID) -> int:
        """The balance that the session's wallet told last, whoever heard it. The session exists."""
        ...

    async def claim_due_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        """Claim pending wins and refunds that are due, the longest due first, at most ``quotas`` of each operator.

        Of a session only its oldest pending call, and none while another one is claimed. A claimed call is due again
        after ``claim_ms``, which its ``next_attempt_at_ms`` says; until then nobody else gets it. Of an operator in
        ``ahead_until_ms`` (unix ms) what is due until then counts as due, too, unless it is claimed, or its
        ``not_before_ms`` is yet to come.
        """
        ...

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        """Make calls due that ``owner`` itself has claimed, but for the transactions ``in_flight``; how many.

        Calls that were created at ``now_ms``, of the house's time, or later stay: ``in_flight`` may not know them yet.
        """
        ...

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        """Make calls due that the dead had claimed, at most ``limit``; how many. See ``take_orphans`` for who is."""
        ...

    async def backlogs(self) -> list[Backlog]:
        """What is pending or parked, for each operator that has any."""
        ...


class SessionElsewhereError(Exception):
    """Another live node owns the session."""


class OperatorSource(Protocol):
    """Where provisioned operators come from."""

    async def operators_version(self) -> int:
        """The number of the last change. What is loaded afterwards has it, and all before it.

        Raises ``LedgerUnavailableError`` on trouble, as the others do.
        """
        ...

    async def load_operators(self) -> list[Operator]:
        """All operators that open, their secrets opened."""
        ...

    async def confirm_operators(self, owner: Owner, version: int) -> None:
        """This node goes by the operators as of ``version``: whoever has changed one may be waiting for that."""
        ...


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The call has had its effect: 200 with ``ok: true``, or a win or refund that is ``already_booked``.

    ``balance_minor`` is ``None`` if the answer did not say it in a way that can be read, which only the answer to a win
    or refund may. ``sends``: see the gateway.
    """

    balance_minor: int | None
    sends: int = 1
    fate: ClassVar[Fate] = Fate.ACKNOWLEDGED


@dataclass(frozen=True, slots=True)
class Declined:
    """A plain refusal: another 4xx, or 200 with ``ok: false``. The call certainly had no effect.

    ``retry_after_ms``: so long the wallet asks to be left alone (its ``Retry-After``).
    """

    detail: str
    sends: int = 1
    retry_after_ms: int | None = None
    fate: ClassVar[Fate] = Fate.REFUSED


@dataclass(frozen=True, slots=True)
class Unclear:
    """Unknown whether the call had its effect: no answer in time, a lost connection, 408, 425, 429, 5xx, garbage.

    ``retry_after_ms``: see ``Declined``.
    """

    detail: str
    sends: int = 1
    retry_after_ms: int | None = None
    fate: ClassVar[Fate] = Fate.UNKNOWN


@dataclass(frozen=True, slots=True)
class NotSent:
    """The call never left this process, so it certainly had no effect.

    ``is_unreachable``: because there was no connection to the wallet; otherwise the reason lies with us.
    """

    detail: str
    is_unreachable: bool = False
    sends: ClassVar[int] = 0
    retry_after_ms: ClassVar[int | None] = None
    fate: ClassVar[Fate] = Fate.NEVER_LEFT


WalletAnswer = Acknowledged | Declined | Unclear | NotSent


def answer_of_all(sendings: Sequence[WalletAnswer]) -> WalletAnswer:
    """What all sendings of one call come to, the last one's words where several say the same.

    An answer to one of them is not the call's: see ``merged``.
    """
    fate, last = merged(sending.fate for sending in sendings), sendings[-1]
    telling = [sending for sending in sendings if sending.fate is fate][-1]
    if isinstance(telling, NotSent):
        return telling
    sends = sum(sending.sends for sending in sendings)
    if isinstance(telling, Unclear) and isinstance(last, Declined | NotSent):
        return Unclear(f"{telling.detail}; sent again: {last.detail}", sends, last.retry_after_ms)
    return replace(telling, sends=sends)


class WalletGateway(Protocol):
    """One attempt at a signed call to an operator's wallet.

    A connection that was kept from an earlier call may be closed just as the next one goes out. Then the same bytes are
    sent once more on a new one, within what is left of the time. The answer is what all sendings come to
    (``answer_of_all``); its ``sends`` are those that may have reached the wallet.
    """

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        """Sign the frozen body with a fresh timestamp, send it, classify the answer. It ends within ``timeout_ms``, for
        which nobody else looks, and never raises but for cancellation; ``detail`` is short, printable and free of
        secrets and player ids."""
        ...


class Entropy(Protocol):
    """Unpredictable values, from the system's CSPRNG in production."""

    def server_seed(self) -> str:
        """64 lower-case hex characters."""
        ...

    def client_seed(self) -> str:
        """A default client seed: 16 characters of ``[A-Za-z0-9_-]``."""
        ...

    def identifier(self) -> UUID:
        """A UUID with at least 74 random bits."""
        ...

    def token(self) -> str:
        """A session token: 256 random bits as 43 URL-safe characters."""
        ...

    def fraction(self) -> float:
        """From 0 inclusive to 1 exclusive, for the jitter of retries."""
        ...


class TickTarget(Protocol):
    """Where a live round's ticks go, as ``actors.node.Ports.framed`` made them."""

    write: Callable[[bytes], int] | None
    """Takes as much of a tick as can be taken at once, and tells how many bytes that was; raises ``OSError`` if it is
    none. ``None`` while something else comes first."""
    changed: Callable[[], None] | None
    """Called whenever ``write`` has changed. Set by who sends the ticks, while they come here."""

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        """Take or skip, without waiting, tick ``number``, of which ``write`` has taken so many bytes, but not all."""
        ...


class PlayerSink(Protocol):
    """The writing side of one player's socket. Neither method waits."""

    @property
    def outlet(self) -> TickTarget:
        """Where the socket takes the ticks of the live round."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether some of what was sent has not been taken by the player's side yet."""
        ...

    def send(self, *frames: bytes) -> None:
        """Queue JSON text frames. A full queue closes the socket: frames are delivered in order or not at all."""
        ...

    def close(self) -> None:
        """Close the socket after what is queued was written."""
        ...
