"""What every actor of a node shares: its clock, its owner's mark, its ports and settings, and who counts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from actors.facts.records import Owner
from actors.facts.transitions import Answer, Transition
from actors.kit.clock import ServerClock
from actors.kit.fair_queue import Share
from actors.kit.timers import Timers
from actors.ports.entropy import Entropy
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.observer import Observer
from actors.ports.stores import Stores
from actors.ports.wallet import WalletGateway
from actors.shared.addresses import Addresses
from actors.shared.contact import LedgerContact
from actors.shared.flights import FlightMemory
from actors.shared.game_settings import GameSettings
from actors.shared.ledger import LedgerActor
from actors.shared.metronome import Metronome
from actors.shared.operators import OperatorDirectory
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Handed to every actor of a node."""

    settings: GameSettings
    owner: Owner
    clock: ServerClock
    entropy: Entropy
    stores: Stores
    ledger: LedgerActor
    operators: OperatorDirectory
    gateway: WalletGateway
    metronome: Metronome
    observer: Observer
    contact: LedgerContact
    flights: FlightMemory
    timers: Timers = field(default_factory=Timers)
    addresses: Addresses = field(default_factory=Addresses)
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
