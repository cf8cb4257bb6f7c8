"""The life of a node in this process: open, serve, drain, close. The nesting is the shutdown order.

::

    wallet gateway, node (the actors)    drained first when told to stop: live rounds end, sessions are told
      metrics port, public port          closed after the drain, so that players read how their rounds ended
"""

import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final, NamedTuple

import trio

from actors.facts.records import Owner
from actors.kit.clock import ServerClock
from actors.node import Node, Ports, open_node
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.services import Services
from server.config.configuration import Config
from server.db.driver.database import EMBEDDED, Database
from server.db.errors import DatabaseError
from server.db.stores.bad_rows import PutAside
from server.db.stores.nodes import PostgresNodes
from server.db.stores.operators import PostgresOperatorStore
from server.db.stores.reports import PostgresReports
from server.db.stores.session_frames import PostgresSessionFrames
from server.db.stores.stores import postgres_stores
from server.edge.listen.listener import Edge, ListeningAddress, serve_edge
from server.edge.listen.listening_addresses import ListeningAddressError, TlsFilesError
from server.edge.player.player_stream import text_frame
from server.http.security_log import EdgeSecurity, OperatorWatch, SecurityLog
from server.metrics.metrics import EdgeMetrics, Metrics, WebMetrics
from server.metrics.observer import MetricsObserver
from server.process.exits import EXIT_CONFIGURATION, EXIT_DATABASE, EXIT_FAILED
from server.process.garbage import calm_garbage_collector, collect_garbage
from server.process.high_water import HighWater, Mark
from server.process.sampling import WINDOW_S
from server.process.stopping import StoppedAtOnceError
from server.secrets.entropy import SystemEntropy
from server.secrets.vault import MasterKeyError, Vault, VaultError
from server.settings import game_settings, gateway_settings, web_settings
from server.wallet.gateway import HttpWalletGateway
from server.web.application import WebApp
from server.web.authentication import has_key
from server.web.metrics_app import create_metrics_app
from server.web.routes import create_app
from server.web.services import WebServices
from server.web.static_files import StaticFilesError

log = logging.getLogger("getaway.server")

REGISTER_AGAIN_S: Final = 0.5

GAUGES_INTERVAL_S: Final = 1
"""How often the gauges of sessions and rounds are set."""

_EXITS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (MasterKeyError, EXIT_CONFIGURATION),
    (StaticFilesError, EXIT_CONFIGURATION),
    (LedgerUnavailableError, EXIT_DATABASE),
    (DatabaseError, EXIT_DATABASE),
    (VaultError, EXIT_CONFIGURATION),
    (StoppedAtOnceError, EXIT_FAILED),
    (TlsFilesError, EXIT_CONFIGURATION),
    (ListeningAddressError, EXIT_FAILED),
    (OSError, EXIT_FAILED),
)
"""What may prevent or end the run, each with a text for a person, and the exit status that says so."""


def exit_status(serve: Callable[[], int]) -> int:
    """What ``serve`` returns, or the exit status for what it raised, which is told in one line of the log."""
    try:
        return serve()
    except Exception as error:
        cause = _leaf(error)
        for kind, status in _EXITS:
            if isinstance(cause, kind):
                what = "the server has stopped" if kind is StoppedAtOnceError else "the server can't run"
                log.error("%s: %s", what, " ".join(str(cause).split()))  # noqa: TRY400 - a line, no trace
                return status
        log.exception("the server failed")
        return EXIT_FAILED


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class TakenPorts(NamedTuple):
    """The ports of this process, not yet served."""

    private: ListeningAddress
    public: ListeningAddress

    def close(self) -> None:
        """Nobody serves them after the copies that are served now."""
        self.private.close()
        self.public.close()


class NodeEnd(Enum):
    """What ended a node's life."""

    TOLD = auto()
    FENCED = auto()
    """A newer process has taken its name."""
    LIFE_OVER = auto()
    """Its lease ran out, or the database has gone back or was restored: the process begins another life, under a new
    epoch."""


async def serve_lives(
    config: Config,
    database: Database,
    vault: Vault,
    told: trio.Event,
    taken: TakenPorts,
    *,
    on_serving: Callable[[], None] | None = None,
) -> NodeEnd:
    """Serve one life of the node after the other on ports that are taken, until it is ``told`` to stop, or fenced.

    Connections wait at the ports from one life to the next, also for a database that is away just then. ``on_serving``
    is called once both ports are served. Raises what keeps the first life from beginning.
    """
    async with trio.open_nursery() as nursery:
        if database.embedded is not None:  # for workers their parent starts it
            nursery.start_soon(partial(database.embedded.keep_running, may_start=config.server.workers == 1))
        end = await _serve_life(config, database, vault, told, taken, on_serving=on_serving or _nothing)
        while end is NodeEnd.LIFE_OVER and not told.is_set():
            log.warning("the node registers anew")
            try:
                end = await _serve_life(config, database, vault, told, taken, on_serving=_nothing)
            except LedgerUnavailableError as error:
                log.warning("the node can't register anew yet", extra={"error": str(error)})
                with trio.move_on_after(REGISTER_AGAIN_S):
                    await told.wait()
        nursery.cancel_scope.cancel()
    return NodeEnd.TOLD if told.is_set() else end


def _nothing() -> None:
    """Nobody waits for a later life to serve."""


async def _serve_life(
    config: Config,
    database: Database,
    vault: Vault,
    told: trio.Event,
    taken: TakenPorts,
    *,
    on_serving: Callable[[], None],
) -> NodeEnd:
    # Nothing is in it: a node that can't commit does not begin, and the first bet need not wait for a connection.
    await database.commit_group("{}")
    await PostgresOperatorStore(database, vault).claim_database()
    metrics, clock = Metrics(), ServerClock(time.time() * 1000, lambda: time.time() * 1000)
    aside = PutAside(metrics.ledger.rows_put_aside)
    high_water = HighWater(config.database.data_dir, config.server.node)
    if (mark := high_water.read()) is not None:
        await PostgresNodes(database).compare(Owner(config.server.node, mark.epoch), mark.history_id, mark.beat_ms)
    async with HttpWalletGateway(gateway_settings(config), clock) as gateway:
        ports = Ports(
            stores=postgres_stores(database, vault, aside),
            operators=PostgresOperatorStore(database, vault, aside),
            gateway=gateway,
            entropy=SystemEntropy(clock),
            observer=MetricsObserver(metrics),
            framed=text_frame,
        )
        node_name, settings = config.server.node, game_settings(config)
        async with open_node(node_name, settings, clock, ports) as node, trio.open_nursery() as nursery:
            told_of = _security(vault, node, metrics.edge)
            reports, frames = PostgresReports(database, vault, aside), PostgresSessionFrames(database, vault, aside)
            web = _web_services(config, reports, frames, node, metrics=metrics.web, security=told_of.log)
            app = create_app(web)
            serve_metrics = partial(serve_edge, taken.private.copy(), lobby=None, clock=clock)
            private: Edge = await nursery.start(serve_metrics, create_metrics_app(metrics.registry, web.log))
            serve_public = partial(
                serve_edge,
                taken.public.copy(),
                lobby=node.lobby,
                clock=clock,
                observer=told_of,
                security=told_of,
                is_caller=partial(has_key, web.operators),
            )
            public: Edge = await nursery.start(serve_public, app)
            nursery.start_soon(_set_gauges, metrics, node, public)
            nursery.start_soon(_tell_left_out, told_of.log, app)
            nursery.start_soon(high_water.keep, partial(_mark_of, node.services))
            nursery.start_soon(collect_garbage, lambda: node.lobby.rounds_live)
            _announce(config, public, private)
            calm_garbage_collector()
            on_serving()
            await _until_either(told, node.fenced)
            if _end_of(node, told) is not NodeEnd.LIFE_OVER:
                taken.close()
            await _stop(node, public, private)
            nursery.cancel_scope.cancel()
        return _end_of(node, told)


def _mark_of(services: Services) -> Mark | None:
    contact = services.contact
    if contact.history_id is None or contact.written_ms is None:
        return None
    return Mark(contact.history_id, services.owner.epoch, contact.written_ms)


def _end_of(node: Node, told: trio.Event) -> NodeEnd:
    if told.is_set() or not node.fenced.is_set():
        return NodeEnd.TOLD
    return NodeEnd.LIFE_OVER if node.services.contact.must_register else NodeEnd.FENCED


def _web_services(
    config: Config,
    reports: PostgresReports,
    frames: PostgresSessionFrames,
    node: Node,
    *,
    metrics: WebMetrics,
    security: SecurityLog,
) -> WebServices:
    return WebServices(
        ledger=node.services.ledger,
        operators=node.services.operators,
        sessions=frames,
        reports=reports,
        limits=node.lobby,
        entropy=node.services.entropy,
        clock=node.services.clock,
        metrics=metrics,
        security=security,
        log=logging.getLogger("getaway.web"),
        settings=web_settings(config),
        is_draining=lambda: node.lobby.draining or node.services.contact.is_cut,
        is_ready=lambda: node.services.contact.is_ready and node.services.operators.is_fresh,
        read_share=node.services.read_share,
    )


def _announce(config: Config, public: Edge, private: Edge) -> None:
    log.info(
        "serving",
        extra={
            "public_url": config.server.public_url,
            "address": f"{public.host}:{public.port}",
            "metrics": f"http://{private.host}:{private.port}/metrics",
            "database": "embedded" if config.database.url == EMBEDDED else "external",
            "node": config.server.node,
        },
    )


async def _until_either(one: trio.Event, other: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait, one)
        nursery.start_soon(wait, other)


async def _stop(node: Node, public: Edge, private: Edge) -> None:
    """In order: no new bets, rounds end, sessions are told, requests in flight are answered, sockets close.

    A fenced node has lost its rounds to a newer process: it has nothing to end. One whose lease ran out may have them
    still.
    """
    contact = node.services.contact
    if not node.fenced.is_set():
        log.info("draining", extra={"rounds": node.lobby.rounds_live, "sessions": node.lobby.sessions_open})
        await node.drain()
    elif contact.must_register and not contact.is_cut:
        await node.store_ends()
    await public.stop()
    await private.stop()
    log.info("stopped")


def _security(vault: Vault, node: Node, metrics: EdgeMetrics) -> EdgeSecurity:
    """Who keeps the security log of a node, its operators' changes included."""
    node.services.operators.on_change(OperatorWatch(node.services.operators))
    return EdgeSecurity(metrics, SecurityLog(vault.address_key))


async def _tell_left_out(security: SecurityLog, app: WebApp) -> None:
    while True:
        await trio.sleep(WINDOW_S)
        security.tell_left_out()
        app.request_log.tell_left_out()


async def _set_gauges(metrics: Metrics, node: Node, public: Edge) -> None:
    edge, play = metrics.edge, metrics.play
    gave_way = 0
    while True:
        edge.connections_gave_way.inc(public.gave_way - gave_way)
        gave_way = public.gave_way
        edge.connections_open.set(public.connections_open)
        edge.sockets_open.set(public.players_open)
        play.sessions_open.set(node.lobby.sessions_open)
        play.rounds_live.set(node.lobby.rounds_live)
        metrics.ledger.operators_age.set(node.services.operators.age_s)
        for (operator_id, status), count in node.services.tally.take().items():
            play.operator_rounds.labels(operator_id, status).inc(count)
        await trio.sleep(GAUGES_INTERVAL_S)
