"""A node: the tree of actors of one process. The order of its nested nurseries is the shutdown order.

::

    foundation   ledger, timers, operators, heartbeat  ends last: everything above stores through it
      wallets    one per session with calls            may finish what is in flight
        rounds   one per live round, metronome, orphan sweeper, hand-overs
          sessions  one per open session               ends first
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from actors.cluster.handover import HandOvers
from actors.cluster.heartbeat import Heartbeat
from actors.kit.clock import ServerClock
from actors.kit.supervisor import Supervisor
from actors.play.lobby import Lobby
from actors.ports.entropy import Entropy
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.observer import Observer
from actors.ports.operators import OperatorSource
from actors.ports.stores import Stores
from actors.ports.wallet import WalletGateway
from actors.rules.growth import GrowthCurve
from actors.shared.contact import LedgerContact
from actors.shared.flights import FlightMemory
from actors.shared.game_settings import GameSettings
from actors.shared.ledger import LedgerActor
from actors.shared.metronome import Metronome
from actors.shared.operators import OperatorDirectory
from actors.shared.services import Services
from actors.shared.void_rounds import RoundTally
from actors.wallet.courier import Courier, OutboxWatch
from actors.wallet.pool import WalletPool
from actors.wallet.wallet import WalletActor

log = logging.getLogger("getaway.node")

LAST_WORD_MS_MAX = 1_000
"""How long a life may take to record its end. Without it the end of its connection tells, or of its lease."""
REST_CHECK_S = 0.005
"""How often a draining node looks whether its deliveries have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside of a node. ``framed`` makes of a tick's JSON what the sockets take: once for all who see it."""

    stores: Stores
    operators: OperatorSource
    gateway: WalletGateway
    entropy: Entropy
    observer: Observer
    framed: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running node. ``fenced`` is set when its life is over: a newer process has taken its name, its lease ran out,
    or the database has gone back."""

    services: Services
    lobby: Lobby
    pool: WalletPool
    courier: Courier
    fenced: trio.Event

    async def drain(self) -> None:
        """End all rounds and sessions in order, then give calls in flight ``delivery_drain_ms_max`` to finish."""
        await self.lobby.drain()
        with trio.move_on_after(self.services.settings.delivery_drain_ms_max / 1000):
            while self.courier.is_busy or self.pool.bulkheads.is_busy:  # noqa: ASYNC110 - many owners, one short wait
                await trio.sleep(REST_CHECK_S)

    async def store_ends(self) -> None:
        """After the end of its lease: take no more bets, and store for ``ends_drain_ms_max`` what has been decided,
        where nobody has taken the round meanwhile. What still flies is ended by what is stored."""
        self.lobby.begin_drain()
        with trio.move_on_after(self.services.settings.ends_drain_ms_max / 1000):
            while self.lobby.rounds_ending:  # noqa: ASYNC110 - many owners, one short wait
                await trio.sleep(REST_CHECK_S)


@asynccontextmanager
async def open_node(name: str, settings: GameSettings, clock: ServerClock, ports: Ports) -> AsyncIterator[Node]:
    """Run a node's actors while the block runs; the caller drains it before leaving.

    Raises ``LedgerUnavailableError`` if the node can't be registered or the operators can't be loaded.
    """
    clock.look()
    owner = await ports.stores.nodes.register_node(name, clock.cautious_ms())
    directory = OperatorDirectory(ports.operators, owner, settings.operator_refresh_ms, settings.operators_age_ms_max)
    await directory.refresh()
    services = Services(
        settings=settings,
        owner=owner,
        clock=clock,
        entropy=ports.entropy,
        stores=ports.stores,
        ledger=LedgerActor(ports.stores.ledger, settings, ports.observer),
        operators=directory,
        gateway=ports.gateway,
        metronome=Metronome(clock, GrowthCurve(settings.growth_rate_per_ms), settings.tick_ms, ports.framed),
        observer=ports.observer,
        contact=LedgerContact(settings, clock),
        tally=RoundTally(settings),
        flights=FlightMemory(clock),
    )
    fenced = trio.Event()
    heartbeat = Heartbeat(services, fenced.set)
    async with (
        _life(services, heartbeat),
        _supervised(services) as foundation,
        _supervised(services) as wallets,
        _supervised(services) as rounds,
        _supervised(services) as sessions,
    ):
        pool = WalletPool(services, _wallet_starter(wallets))
        lobby = Lobby(services, sessions, rounds, pool)
        foundation.keep(services.ledger)
        foundation.keep(services.timers)
        foundation.keep(directory)
        foundation.keep(heartbeat)
        rounds.keep(services.metronome)
        rounds.keep(lobby.sweeper)
        rounds.keep(lobby.unattended)
        rounds.keep(HandOvers(services, lobby.giving, rounds.run_beside))
        courier = services.addresses.courier = Courier(services, pool)
        wallets.keep(courier)
        wallets.keep(OutboxWatch(services, pool.bulkheads))
        yield Node(services=services, lobby=lobby, pool=pool, courier=courier, fenced=fenced)


@asynccontextmanager
async def _life(services: Services, heartbeat: Heartbeat) -> AsyncIterator[None]:
    """While the block runs actors of this life act; its last word is that none does any more."""
    try:
        # Before anything is stored or judged by this node its clock is the house's.
        await heartbeat.beat()
        yield
    finally:
        with trio.move_on_after(LAST_WORD_MS_MAX / 1000, shield=True):
            try:
                await services.stores.nodes.end_life(services.owner)
            except LedgerUnavailableError as error:
                log.warning("a life's end was not recorded", extra={"error": str(error)})


@asynccontextmanager
async def _supervised(services: Services) -> AsyncIterator[Supervisor]:
    async with trio.open_nursery() as nursery:
        yield Supervisor(nursery, services.observer.actor_failed)
        nursery.cancel_scope.cancel()


def _wallet_starter(supervisor: Supervisor) -> Callable[[WalletActor, Callable[[], None]], None]:
    """A wallet is temporary: its calls are rows, and the courier or a bet starts a new one."""

    def start(wallet: WalletActor, ended: Callable[[], None]) -> None:
        async def on_end(_failed: bool) -> None:
            ended()

        supervisor.start(wallet, on_end)

    return start
