"""What the server counts and measures, as Prometheus series in a registry of its own.

Labels come from closed sets, operator ids included (they are provisioned by hand); player ids, tokens and secrets are
never labels.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WALLET_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


_NOTES_MAX: Final = 500


class Notes:
    """What is to be counted, noted down until somebody looks or there is much of it.

    Between other things, where the code is cold, to count one takes far longer than among many of its kind.
    """

    def __init__(self) -> None:
        self._notes: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def add(self, count: Callable[..., None], *values: Any) -> None:
        """Have ``count(*values)`` called before anybody looks."""
        self._notes.append((count, values))
        if len(self._notes) >= _NOTES_MAX:
            self.collect()

    def collect(self) -> tuple[()]:
        """Count what is noted. A registry asks its collectors in order: this one has no series, and is the first."""
        notes, self._notes = self._notes, []
        for count, values in notes:
            count(*values)
        return ()


class Undelivered(NamedTuple):
    """An operator's wins and refunds: how many are pending, how old the oldest of them is, how many are parked.

    ``refused``: how many of those pending were refused when they were sent last.
    """

    pending: int
    oldest_seconds: float
    parked: int
    refused: int = 0


class Metrics:
    """Every series of one server process. Durations are seconds, as Prometheus wants them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._notes = Notes()
        self.registry.register(self._notes)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._declare_requests()
        self._declare_game()
        self._declare_outbox()
        self._declare_ledger()
        # What is counted with each round and request: ``labels`` takes a lock and makes texts each time.
        self._request_series = cache(self._requests.labels)
        self._request_second_series = cache(self._request_seconds.labels)
        self._wallet_call_series = cache(self._wallet_calls.labels)
        self._wallet_second_series = cache(self._wallet_seconds.labels)
        self._round_end_series = cache(self._rounds_ended.labels)

    def _declare_requests(self) -> None:
        self._requests = Counter(
            "getaway_http_requests", "HTTP requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self._request_seconds = Histogram(
            "getaway_http_request_seconds",
            "Time from a request's head to its answer.",
            ["route"],
            buckets=_FAST_SECONDS,
            registry=self.registry,
        )
        self._launches = Counter("getaway_launches", "Launches by outcome.", ["outcome"], registry=self.registry)
        self._hmac_headers = Counter(
            "getaway_operator_hmac_header_seen",
            "Requests that carried X-Operator-Hmac, the secret itself: the operator should stop sending it.",
            ["operator_id"],
            registry=self.registry,
        )

        self._connections_open = Gauge(
            "getaway_connections_open", "Connections of the public port.", registry=self.registry
        )
        self._connections_refused = Counter(
            "getaway_connections_refused", "Connections beyond connections_max.", registry=self.registry
        )
        self._connections_gave_way = Counter(
            "getaway_connections_gave_way",
            "Connections without a session that were cut for others.",
            registry=self.registry,
        )
        self._sockets_open = Gauge("getaway_player_sockets_open", "Players' websockets.", registry=self.registry)
        self._sockets_ended = Counter(
            "getaway_player_sockets_ended", "Players' websockets by how they ended.", ["end"], registry=self.registry
        )

    def _declare_game(self) -> None:
        self._sessions_open = Gauge("getaway_sessions_open", "Sessions with a player.", registry=self.registry)
        self._rounds_live = Gauge("getaway_rounds_live", "Rounds in betting or flying.", registry=self.registry)
        self._rounds_ended = Counter("getaway_rounds_ended", "Rounds by end.", ["result"], registry=self.registry)
        self._operator_rounds = Counter(
            "getaway_operator_rounds",
            "Rounds that ended, by operator and status: about 3 KB in the database each, the void ones too.",
            ["operator_id", "status"],
            registry=self.registry,
        )
        self._wallet_calls = Counter(
            "getaway_wallet_calls", "Attempts at wallet calls.", ["kind", "outcome"], registry=self.registry
        )
        self._wallet_seconds = Histogram(
            "getaway_wallet_call_seconds",
            "Time of one attempt at a wallet call.",
            ["kind"],
            buckets=_WALLET_SECONDS,
            registry=self.registry,
        )
        self._mailbox_overflows = Counter(
            "getaway_mailbox_overflows", "Messages refused by a full mailbox.", ["actor"], registry=self.registry
        )
        self._actor_failures = Counter(
            "getaway_actor_failures", "Actors that ended with an error of ours.", ["actor"], registry=self.registry
        )

    def _declare_outbox(self) -> None:
        by_operator = ["operator_id"]
        self._pending = Gauge(
            "getaway_outbox_pending", "Wins and refunds not acknowledged yet.", by_operator, registry=self.registry
        )
        self._oldest_seconds = Gauge(
            "getaway_outbox_oldest_pending_seconds",
            "Age of the oldest win or refund not acknowledged yet.",
            by_operator,
            registry=self.registry,
        )
        self._parked = Gauge(
            "getaway_outbox_parked", "Wins and refunds parked for a person.", by_operator, registry=self.registry
        )
        self._refused = Gauge(
            "getaway_outbox_refused",
            "Wins and refunds whose last answer was a plain refusal of the operator's wallet.",
            by_operator,
            registry=self.registry,
        )
        self._retries = Counter(
            "getaway_wallet_retries", "Wins and refunds put off to be sent again.", by_operator, registry=self.registry
        )
        self._breaker_open = Gauge(
            "getaway_wallet_breaker_open",
            "1 while the breaker of an operator's wallet is open.",
            by_operator,
            registry=self.registry,
        )
        self._undelivered: set[str] = set()
        self._operators_age = Gauge(
            "getaway_operators_age_seconds",
            "How long ago the operators were read; too old, and bets and launches are refused.",
            registry=self.registry,
        )
        self._put_aside = Gauge(
            "getaway_rows_put_aside",
            "Rows that are not as this server wrote them, and are neither sent nor believed.",
            ["table"],
            registry=self.registry,
        )

    def _declare_ledger(self) -> None:
        self._group_transitions = Histogram(
            "getaway_ledger_group_transitions",
            "Transitions in one group commit.",
            buckets=_GROUP_SIZES,
            registry=self.registry,
        )
        self._group_seconds = Histogram(
            "getaway_ledger_group_seconds", "Time of one group commit.", buckets=_FAST_SECONDS, registry=self.registry
        )

        self._clock_difference = Gauge(
            "getaway_clock_difference_seconds",
            "How far the machine's clock is ahead of the database's, or behind it; beyond 1 no bets are taken.",
            registry=self.registry,
        )
        self._history_cut = Gauge(
            "getaway_history_cut",
            "1 while no bets are taken because the database has gone back: run `getaway restored`.",
            registry=self.registry,
        )
        self._clock_steps = Counter(
            "getaway_clock_steps",
            "Corrections of the wall clock (the machine's) and of the house's (the database's).",
            ["clock", "direction"],
            registry=self.registry,
        )

    def history_cut(self, *, is_cut: bool) -> None:
        """Whether bets have stopped because the database has gone back."""
        self._history_cut.set(is_cut)

    def clock_differs(self, seconds: float) -> None:
        """So far is the machine's clock ahead of the database's; below 0 behind it."""
        self._clock_difference.set(seconds)

    def clock_stepped(self, clock: str, direction: str) -> None:
        """The ``wall`` or the ``house`` clock was corrected, ``forward`` or ``back``."""
        self._clock_steps.labels(clock, direction).inc()

    def request_answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request; ``route`` is a template, ``method`` one of a closed set."""
        self._request_series(route, method, status).inc()
        self._request_second_series(route).observe(seconds)

    def launched(self, replayed: bool) -> None:
        """A launch that was answered with a session."""
        self._launches.labels("replayed" if replayed else "created").inc()

    def hmac_header_seen(self, operator_id: str) -> None:
        """A request carried the secret itself. ``operator_id`` is ``unknown`` unless the id and key were right."""
        self._hmac_headers.labels(operator_id).inc()

    def connections_open(self, count: int, players: int) -> None:
        """How many connections the public port has now, and how many of them are players' websockets."""
        self._connections_open.set(count)
        self._sockets_open.set(players)

    def connections_gave_way(self, count: int) -> None:
        """So many more connections were cut because their places were needed."""
        self._connections_gave_way.inc(count)

    def connection_refused(self) -> None:
        """A connection beyond ``connections_max``."""
        self._connections_refused.inc()

    def player_ended(self, end: str) -> None:
        """A player's websocket ended; ``end`` is one of a few words."""
        self._sockets_ended.labels(end).inc()

    def sessions_open(self, count: int) -> None:
        """How many sessions have a player now."""
        self._sessions_open.set(count)

    def rounds_live(self, count: int) -> None:
        """How many rounds are in betting or flying now."""
        self._rounds_live.set(count)

    def round_ended(self, result: str) -> None:
        """A round's end: ``cashout``, ``max_win``, ``crash``, ``void`` or ``refunded``."""
        self._notes.add(self._count_round_end, result)

    def _count_round_end(self, result: str) -> None:
        self._round_end_series(result).inc()

    def operator_rounds(self, operator_id: str, status: str, count: int) -> None:
        """So many more rounds of an operator ended as ``settled``, ``void`` or ``refunded``."""
        self._operator_rounds.labels(operator_id, status).inc(count)

    def wallet_call(self, kind: str, outcome: str, seconds: float) -> None:
        """One attempt at a wallet call: ``acknowledged``, ``declined``, ``unclear`` or ``not_sent``."""
        self._notes.add(self._count_wallet_call, kind, outcome, seconds)

    def _count_wallet_call(self, kind: str, outcome: str, seconds: float) -> None:
        self._wallet_call_series(kind, outcome).inc()
        self._wallet_second_series(kind).observe(seconds)

    def wallet_retried(self, operator_id: str) -> None:
        """A win or refund was not acknowledged and is due again later."""
        self._retries.labels(operator_id).inc()

    def breaker(self, operator_id: str, *, is_open: bool) -> None:
        """The breaker of an operator's wallet opened or closed."""
        self._breaker_open.labels(operator_id).set(is_open)

    def backlogs(self, undelivered: Mapping[str, "Undelivered"]) -> None:
        """What each operator is owed now; an operator that is not listed any more is owed nothing."""
        for operator_id in self._undelivered - undelivered.keys():
            self._set_undelivered(operator_id, Undelivered(0, 0, 0))
        for operator_id, state in undelivered.items():
            self._set_undelivered(operator_id, state)
        self._undelivered |= undelivered.keys()

    def _set_undelivered(self, operator_id: str, state: "Undelivered") -> None:
        self._pending.labels(operator_id).set(state.pending)
        self._oldest_seconds.labels(operator_id).set(state.oldest_seconds)
        self._parked.labels(operator_id).set(state.parked)
        self._refused.labels(operator_id).set(state.refused)

    def operators_age(self, seconds: float) -> None:
        """How long ago the newest reading of the operators began."""
        self._operators_age.set(seconds)

    def rows_put_aside(self, table: str, count: int) -> None:
        """So many rows of a table do not open, as far as this process has read it."""
        self._put_aside.labels(table).set(count)

    def ledger_group(self, transitions: int, seconds: float) -> None:
        """One group commit."""
        self._notes.add(self._count_ledger_group, transitions, seconds)

    def _count_ledger_group(self, transitions: int, seconds: float) -> None:
        self._group_transitions.observe(transitions)
        self._group_seconds.observe(seconds)

    def mailbox_overflowed(self, actor: str) -> None:
        """An actor's full mailbox refused a message; ``actor`` is a kind of actor, not one of them."""
        self._mailbox_overflows.labels(actor).inc()

    def actor_failed(self, actor: str) -> None:
        """An actor of this kind ended with an error of ours."""
        self._actor_failures.labels(actor).inc()
