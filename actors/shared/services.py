"""What every actor of a node shares: its clock, its owner's mark, its ports and settings, and who counts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import trio

from actors.facts.records import Backlog, CallKind, Owner
from actors.facts.transitions import Answer, Transition
from actors.kit.clock import ServerClock
from actors.kit.fair_queue import Share
from actors.kit.timers import Timers
from actors.ports import Entropy, Ledger, LedgerUnavailableError, WalletGateway
from actors.shared.contact import LedgerContact
from actors.shared.flights import FlightMemory
from actors.shared.ledger import LedgerActor
from actors.shared.metronome import Metronome
from actors.shared.operators import OperatorDirectory
from actors.shared.settings import GameSettings
from actors.shared.void_rounds import RoundTally

REPEAT_FIRST_MS = 50
REPEAT_MAX_MS = 1_000


READS_AT_ONCE = 2
READS_REST = 1.0
"""Where somebody waits to read, each place rests for as long as it worked: so two places take one at the most."""
READS_WAITING_MAX = 5_000
READS_WAITING_OF_ONE_MAX = 20


def read_share() -> Share:
    """The part of a process for reading books: players' history, operators' rounds and revenue. Turns go by session and
    operator. Overflow: ``rate_limited``."""
    return Share(READS_AT_ONCE, READS_REST, waiting_max=READS_WAITING_MAX, waiting_of_one_max=READS_WAITING_OF_ONE_MAX)


class Observer(Protocol):
    """Counts what happens, without identities."""

    def ledger_group(self, size: int, duration_s: float) -> None:
        """A group of ``size`` transitions was committed in ``duration_s``."""
        ...

    def round_ended(self, status: str, result: str | None) -> None:
        """A round reached its end."""
        ...

    def breaker(self, operator_id: UUID, *, is_open: bool) -> None:
        """An operator's breaker opened or closed."""
        ...

    def wallet_retry(self, operator_id: UUID) -> None:
        """A win or refund was not acknowledged and is due again later."""
        ...

    def backlogs(self, backlogs: Sequence[Backlog], now_ms: int) -> None:
        """What all operators are owed, as of ``now_ms``."""
        ...

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        """One attempt: ``acknowledged``, ``declined``, ``unclear`` or ``not_sent``."""
        ...

    def mailbox_overflow(self, actor: str) -> None:
        """A message was refused because ``actor``'s mailbox was full."""
        ...

    def history_cut(self, *, is_cut: bool) -> None:
        """Whether bets have stopped because the database has gone back."""
        ...

    def clock_stepped(self, clock: str, step_ms: int) -> None:
        """The ``wall`` or the ``house`` clock was corrected by ``step_ms``, forward or, below 0, back."""
        ...

    def clock_differs(self, difference_ms: float) -> None:
        """So far is the machine's clock ahead of the database's, or behind it if below 0."""
        ...

    def actor_failed(self, actor: str) -> None:
        """An actor of this kind failed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Handed to every actor of a node."""

    settings: GameSettings
    owner: Owner
    clock: ServerClock
    entropy: Entropy
    reads: Ledger
    ledger: LedgerActor
    operators: OperatorDirectory
    gateway: WalletGateway
    metronome: Metronome
    observer: Observer
    contact: LedgerContact
    flights: FlightMemory
    timers: Timers = field(default_factory=Timers)
    read_share: Share = field(default_factory=read_share)
    tally: RoundTally


async def until_known(change: Callable[[], Awaitable[Answer]], give_up_at: float = float("inf")) -> Answer:
    """Repeat a change until the ledger says what became of it, or raise its last error after ``give_up_at``.

    ``give_up_at`` is on trio's clock. Every transition may be repeated, so a lost answer does no harm.
    """
    wait_ms = REPEAT_FIRST_MS
    while True:
        try:
            return await change()
        except LedgerUnavailableError:
            if trio.current_time() >= give_up_at:
                raise
        await trio.sleep(wait_ms / 1000)
        wait_ms = min(wait_ms * 2, REPEAT_MAX_MS)


async def commit_until_known(services: Services, transition: Transition) -> Answer:
    """Commit one transition, repeating it for as long as the ledger is unavailable."""
    return await until_known(lambda: services.ledger.commit(transition))
