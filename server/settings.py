"""From the configuration to the settings of each part.

What the configuration allows the whole server, each of its workers gets an equal part of, rounded up: connections,
requests, and calls in flight to an operator. What bounds one process (mailboxes, sessions in memory) or one socket
(messages) is the same for each.
"""

from dataclasses import replace

from actors.shared.game_settings import GameSettings
from server.config.configuration import Config
from server.edge.settings import EdgeSettings
from server.process.places import static_dir
from server.wallet.gateway import WalletGatewaySettings
from server.web.services import WebSettings

VOID_ROUNDS_BURST = 10
"""An operator may have as many void rounds at once as in so many seconds: its wallet may be out of order for once."""
_CLAIM_MARGIN_MS = 10_000
"""A claimed call may wait so long for its turn before it is sent."""


def share(config: Config, whole: int) -> int:
    """The part of one of the configured workers, rounded up: never nothing."""
    return -(-whole // config.server.workers)


def game_settings(config: Config) -> GameSettings:
    wallet = config.wallet
    return GameSettings(
        growth_rate_per_ms=config.game.growth_rate_per_ms,
        tick_ms=config.game.tick_ms,
        bet_limits=config.currencies,
        bet_timeout_ms=wallet.bet_timeout_ms,
        delivery_timeout_ms=wallet.delivery_timeout_ms,
        pending_wait_ms=wallet.pending_wait_ms,
        retry_first_ms=wallet.retry_first_ms,
        retry_max_ms=wallet.retry_max_ms,
        retry_period_ms=wallet.retry_period_ms,
        operator_bets_max=share(config, wallet.bets_in_flight_max),
        operator_deliveries_max=share(config, wallet.deliveries_in_flight_max),
        claim_ms=wallet.delivery_timeout_ms + _CLAIM_MARGIN_MS,
        breaker_failures_max=wallet.breaker_failures_max,
        breaker_open_max_ms=wallet.breaker_pause_ms_max,
        drain_ms_max=config.server.drain_ms_max,
        sessions_of_player_max=config.limits.sessions_of_player_max,
        sessions_of_operator_max=config.limits.sessions_of_operator_max,
        sessions_of_operator_beside_others_max=-(-3 * share(config, config.server.connections_max) // 4),
        session_void_rounds_per_minute=config.limits.void_rounds_of_session_per_minute,
        operator_void_rounds_per_second=share(config, config.limits.void_rounds_of_operator_per_second),
        operator_void_rounds_burst=share(config, VOID_ROUNDS_BURST * config.limits.void_rounds_of_operator_per_second),
    )


def gateway_settings(config: Config) -> WalletGatewaySettings:
    return WalletGatewaySettings(
        allow_insecure_callbacks=config.wallet.allow_insecure_callbacks,
        private_networks=config.wallet.allow_private_networks,
    )


def web_settings(config: Config) -> WebSettings:
    """Of the operator API and the player's page."""
    whole = WebSettings(
        public_url=config.server.public_url,
        static_dir=static_dir(),
        trusted_proxies=config.server.trusted_proxies,
        requests_per_second=config.limits.requests_per_second,
        requests_burst=config.limits.requests_burst,
        allow_insecure_lobbies=config.wallet.allow_insecure_callbacks,
    )
    return replace(
        whole,
        requests_per_second=share(config, whole.requests_per_second),
        requests_burst=share(config, whole.requests_burst),
        failures_per_second=share(config, whole.failures_per_second),
        failures_burst=share(config, whole.failures_burst),
    )


def edge_settings(config: Config) -> EdgeSettings:
    """Of the public port. Pages of other origins than our own may not open the players' websocket."""
    server, limits = config.server, config.limits
    return EdgeSettings(
        host=server.host,
        port=server.port,
        tls_certificate_file=server.tls_certificate_file,
        tls_key_file=server.tls_key_file,
        origins=frozenset({server.public_url}),
        trusted_proxies=server.trusted_proxies,
        connections_max=share(config, server.connections_max),
        messages_per_second=limits.messages_per_second,
        messages_burst=limits.messages_burst,
    )


def metrics_edge_settings(config: Config) -> EdgeSettings:
    return EdgeSettings(host=config.server.metrics_host, port=config.server.metrics_port, connections_max=100)
