"""What the server counts and measures, as Prometheus series in a registry of its own, grouped by who counts.

Labels come from closed sets, operator ids included (they are provisioned by hand); player ids, tokens and secrets are
never labels. Durations are seconds, as Prometheus wants them.
"""

from collections.abc import Sequence
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from actors.facts.records import OutboxCount

_FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WALLET_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_BY_OPERATOR = ["operator_id"]


class WebMetrics:
    """Of the operator API and the pages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "getaway_http_requests", "HTTP requests answered.", ["route", "method", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "getaway_http_request_seconds",
            "Time from a request's head to its answer.",
            ["route"],
            buckets=_FAST_SECONDS,
            registry=registry,
        )
        self._launches = Counter("getaway_launches", "Launches by outcome.", ["outcome"], registry=registry)
        self._hmac_headers = Counter(
            "getaway_operator_hmac_header_seen",
            "Requests that carried X-Operator-Hmac, the secret itself: the operator should stop sending it.",
            _BY_OPERATOR,
            registry=registry,
        )

    def request_answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request; ``route`` is a template, ``method`` one of a closed set."""
        self._requests.labels(route, method, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def launched(self, replayed: bool) -> None:
        """A launch that was answered with a session."""
        self._launches.labels("replayed" if replayed else "created").inc()

    def hmac_header_seen(self, operator_id: str) -> None:
        """A request carried the secret itself. ``operator_id`` is ``unknown`` unless the id and key were right."""
        self._hmac_headers.labels(operator_id).inc()


class EdgeMetrics:
    """Of the public port. Implements ``server.edge.listen.connection.EdgeObserver``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections_open = Gauge("getaway_connections_open", "Connections of the public port.", registry=registry)
        self.connections_gave_way = Counter(
            "getaway_connections_gave_way", "Connections without a session that were cut for others.", registry=registry
        )
        self.sockets_open = Gauge("getaway_player_sockets_open", "Players' websockets.", registry=registry)
        self._connections_refused = Counter(
            "getaway_connections_refused", "Connections beyond connections_max.", registry=registry
        )
        self._sockets_ended = Counter(
            "getaway_player_sockets_ended", "Players' websockets by how they ended.", ["end"], registry=registry
        )

    def connection_refused(self) -> None:
        self._connections_refused.inc()

    def player_ended(self, end: str) -> None:
        self._sockets_ended.labels(end).inc()


class PlayMetrics:
    """Of sessions, rounds and the actors that run them; ``actor`` is a kind of actor, not one of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sessions_open = Gauge("getaway_sessions_open", "Sessions with a player.", registry=registry)
        self.rounds_live = Gauge("getaway_rounds_live", "Rounds in betting or flying.", registry=registry)
        self.rounds_ended = Counter("getaway_rounds_ended", "Rounds by end.", ["result"], registry=registry)
        self.operator_rounds = Counter(
            "getaway_operator_rounds",
            "Rounds that ended, by operator and status: about 3 KB in the database each, the void ones too.",
            [*_BY_OPERATOR, "status"],
            registry=registry,
        )
        self.mailbox_overflows = Counter(
            "getaway_mailbox_overflows", "Messages refused by a full mailbox.", ["actor"], registry=registry
        )
        self.actor_failures = Counter(
            "getaway_actor_failures", "Actors that ended with an error of ours.", ["actor"], registry=registry
        )


class WalletMetrics:
    """Of the calls to operators' wallets, and of the outbox."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "getaway_wallet_calls", "Attempts at wallet calls.", ["kind", "outcome"], registry=registry
        )
        self.call_seconds = Histogram(
            "getaway_wallet_call_seconds",
            "Time of one attempt at a wallet call.",
            ["kind"],
            buckets=_WALLET_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "getaway_wallet_retries", "Wins and refunds put off to be sent again.", _BY_OPERATOR, registry=registry
        )
        self.breaker_open = Gauge(
            "getaway_wallet_breaker_open",
            "1 while the breaker of an operator's wallet is open.",
            _BY_OPERATOR,
            registry=registry,
        )
        self._pending = Gauge(
            "getaway_outbox_pending", "Wins and refunds not acknowledged yet.", _BY_OPERATOR, registry=registry
        )
        self._oldest_seconds = Gauge(
            "getaway_outbox_oldest_pending_seconds",
            "Age of the oldest win or refund not acknowledged yet.",
            _BY_OPERATOR,
            registry=registry,
        )
        self._parked = Gauge(
            "getaway_outbox_parked", "Wins and refunds parked for a person.", _BY_OPERATOR, registry=registry
        )
        self._refused = Gauge(
            "getaway_outbox_refused",
            "Wins and refunds whose last answer was a plain refusal of the operator's wallet.",
            _BY_OPERATOR,
            registry=registry,
        )
        self._listed: set[UUID] = set()

    def outbox(self, counts: Sequence[OutboxCount], now_ms: int) -> None:
        """What each operator has in it now; one that is not listed any more has nothing."""
        found = {count.operator_id: count for count in counts}
        self._listed |= found.keys()
        for operator_id in self._listed:
            count = found.get(operator_id) or OutboxCount(
                operator_id=operator_id, pending=0, oldest_created_at_ms=None, parked=0
            )
            oldest_ms = 0 if count.oldest_created_at_ms is None else max(now_ms - count.oldest_created_at_ms, 0)
            label = str(operator_id)
            self._pending.labels(label).set(count.pending)
            self._oldest_seconds.labels(label).set(oldest_ms / 1000)
            self._parked.labels(label).set(count.parked)
            self._refused.labels(label).set(count.refused)


class LedgerMetrics:
    """Of the database: commits, clocks, and whether what it says can be believed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.group_transitions = Histogram(
            "getaway_ledger_group_transitions",
            "Transitions in one group commit.",
            buckets=_GROUP_SIZES,
            registry=registry,
        )
        self.group_seconds = Histogram(
            "getaway_ledger_group_seconds", "Time of one group commit.", buckets=_FAST_SECONDS, registry=registry
        )
        self.operators_age = Gauge(
            "getaway_operators_age_seconds",
            "How long ago the operators were read; too old, and bets and launches are refused.",
            registry=registry,
        )
        self.clock_difference = Gauge(
            "getaway_clock_difference_seconds",
            "How far the machine's clock is ahead of the database's, or behind it; beyond 1 no bets are taken.",
            registry=registry,
        )
        self.clock_steps = Counter(
            "getaway_clock_steps",
            "Corrections of the wall clock (the machine's) and of the house's (the database's).",
            ["clock", "direction"],
            registry=registry,
        )
        self.history_cut = Gauge(
            "getaway_history_cut",
            "1 while no bets are taken because the database has gone back: run `getaway restored`.",
            registry=registry,
        )
        self._put_aside = Gauge(
            "getaway_rows_put_aside",
            "Rows that are not as this server wrote them, and are neither sent nor believed.",
            ["table"],
            registry=registry,
        )

    def rows_put_aside(self, table: str, count: int) -> None:
        """So many rows of a table do not open, as far as this process has read it."""
        self._put_aside.labels(table).set(count)


class Metrics:
    """Every series of one server process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.web = WebMetrics(self.registry)
        self.edge = EdgeMetrics(self.registry)
        self.play = PlayMetrics(self.registry)
        self.wallet = WalletMetrics(self.registry)
        self.ledger = LedgerMetrics(self.registry)
