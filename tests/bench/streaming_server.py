"""The server of the streaming row: ``python -m tests.bench.streaming_server PORT PLAYERS TOKENS_FILE TICK_MS``.

The real edge and the real actors in one process, as ``getaway serve`` wires them. Three things are not the real ones,
so that what is measured is what the yardsticks do, and that is streaming: the ledger is in memory, the wallet
acknowledges at once, and every server seed is one that lets its flight outlast the measurement (``FLIGHT_S_MIN``).

It writes the tokens of PLAYERS sessions to TOKENS_FILE, one a line, before it listens.
"""

import hashlib
import sys
import time
from itertools import count
from pathlib import Path

import trio

from actors.facts.records import Operator, WalletCall
from actors.facts.transitions import CreateSession, Launched
from actors.kit.clock import ServerClock
from actors.node import Node, Ports, open_node
from actors.ports.wallet import Acknowledged
from actors.rules import fairness
from actors.rules.growth import GrowthCurve
from server.config.configuration import Config
from server.config.loading import load_config
from server.edge.listen.listener import listen, serve_edge
from server.edge.player.player_stream import text_frame
from server.metrics.metrics import Metrics
from server.metrics.observer import MetricsObserver
from server.process.garbage import calm_garbage_collector
from server.secrets.entropy import SystemEntropy
from server.settings import edge_settings, game_settings
from tests.bench.quiet_ledger import QuietLedger
from tests.helpers.game import OPERATOR_ID, operator
from tests.helpers.stores import stores_of

CLIENT_SEED = "bench"
FLIGHT_S_MIN = 120
RTP_BPS = 9_600
MAX_WIN_MULTIPLIER = 2_000
HOUR_MS = 3_600_000


class ReadyWallet:
    """Implements ``actors.ports.wallet.WalletGateway``: says yes at once."""

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> Acknowledged:
        await trio.lowlevel.checkpoint()
        return Acknowledged(balance_minor=1_000_000)


class LoadedEntropy(SystemEntropy):
    """Unpredictable but for the seeds: the first round of every session flies for ``FLIGHT_S_MIN`` or longer."""

    def __init__(self, clock: ServerClock, curve: GrowthCurve) -> None:
        super().__init__(clock)
        self._server_seed = _seed_of_a_long_flight(curve)

    def server_seed(self) -> str:
        return self._server_seed

    def client_seed(self) -> str:
        return CLIENT_SEED


def _seed_of_a_long_flight(curve: GrowthCurve) -> str:
    for attempt in count():
        seed = hashlib.sha256(f"long flight {attempt}".encode()).hexdigest()
        drawn = fairness.digest(seed, CLIENT_SEED, 1, "crash")
        crash_hundredths = fairness.crash_hundredths(drawn, RTP_BPS, MAX_WIN_MULTIPLIER)
        if curve.crashes_at_ms(crash_hundredths) >= FLIGHT_S_MIN * 1000:
            return seed
    raise AssertionError


async def launch(node: Node, players: int) -> list[str]:
    """The tokens of so many new sessions."""
    entropy, now_ms = node.services.entropy, node.services.clock.now_ms()
    tokens = []
    for number in range(players):
        token = entropy.token()
        tokens.append(token)
        launched = await node.services.ledger.commit(
            CreateSession(
                operator_id=OPERATOR_ID,
                session_id=entropy.identifier(),
                operator_player_id=f"player-{number}",
                currency="USD",
                balance_minor=1_000_000,
                token_digest=hashlib.sha256(token.encode()).digest(),
                created_at_ms=now_ms,
                expires_at_ms=now_ms + HOUR_MS,
                client_seed=CLIENT_SEED,
                server_seed=entropy.server_seed(),
                signature_digest=hashlib.sha256(b"signature" + token.encode()).digest(),
                sealed_token=token.encode(),
                replay_until_ms=now_ms - 1,
            )
        )
        assert isinstance(launched, Launched)
    return tokens


async def nothing_here(scope: dict, receive: object, send: object) -> None:
    """The application behind the edge: players' sockets never reach it."""
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def serve(config: Config, players: int, tokens_file: Path) -> None:
    """Until the process is killed."""
    ledger, metrics, clock = QuietLedger(), Metrics(), ServerClock(time.time() * 1000)
    ledger.operators.append(operator(rtp_bps=RTP_BPS, max_win_multiplier=MAX_WIN_MULTIPLIER))
    settings = game_settings(config)
    ports = Ports(
        stores=stores_of(ledger),
        operators=ledger,
        gateway=ReadyWallet(),
        entropy=LoadedEntropy(clock, GrowthCurve(settings.growth_rate_per_ms)),
        observer=MetricsObserver(metrics),
        framed=text_frame,
    )
    async with open_node(config.server.node, settings, clock, ports) as node:
        # Before it listens, so that whoever can connect can read them.
        await trio.Path(tokens_file).write_text("".join(f"{token}\n" for token in await launch(node, players)))
        with await listen(edge_settings(config)) as listening:
            calm_garbage_collector()
            await serve_edge(listening, nothing_here, lobby=node.lobby, clock=clock, observer=metrics.edge)


def main(port: str, players: str, tokens_file: str, tick_ms: str) -> None:
    config = load_config(
        None,
        {
            "GETAWAY_SERVER_PORT": port,
            "GETAWAY_SERVER_METRICS_PORT": "0",
            "GETAWAY_SERVER_CONNECTIONS_MAX": "20000",
            "GETAWAY_SERVER_NODE": "bench",
            "GETAWAY_GAME_TICK_MS": tick_ms,
        },
    )
    trio.run(serve, config, int(players), Path(tokens_file))


if __name__ == "__main__":
    main(*sys.argv[1:])
