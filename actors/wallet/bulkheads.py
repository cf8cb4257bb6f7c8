"""Bulkheads: each operator's own bounds on calls in flight and its own breaker, so that one slows nobody else."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from uuid import UUID

import trio

from actors.facts.records import CallKind, WalletCall
from actors.kit.clock import ServerClock
from actors.ports.observer import Observer
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear, WalletAnswer
from actors.rules.breaker import Breaker
from actors.shared.game_settings import GameSettings

log = logging.getLogger("getaway.wallet")


class Bulkhead:
    """What is in flight to one operator. Bets and deliveries have bounds of their own: the outbox blocks no bet."""

    def __init__(
        self,
        operator_id: UUID,
        settings: GameSettings,
        clock: ServerClock,
        observer: Observer,
        recovered: Callable[[UUID], None],
    ) -> None:
        self.operator_id = operator_id
        self._recovered = recovered
        self._retry_max_ms = settings.retry_max_ms
        self._may_wait = True
        self._ahead: set[str] = set()
        self.ahead_until_ms: int | None = None
        """The wallet answers again: what is due until then is due now (unix ms). ``None`` once nothing waits."""
        self.bets = trio.CapacityLimiter(settings.operator_bets_max)
        self.has_more = False
        """The last claim filled the bulkhead: there is probably more."""
        self._deliveries_max = settings.operator_deliveries_max
        self._deliveries: dict[str, int] = {}
        self._clock = clock
        self._observer = observer
        self._breaker = Breaker(
            settings.breaker_failures_max, settings.breaker_open_first_ms, settings.breaker_open_max_ms
        )

    @property
    def permits(self) -> bool:
        """Whether a call may begin now."""
        return self._breaker.permits(self._clock.steady_ms())

    @property
    def is_busy(self) -> bool:
        """Whether a delivery is in flight."""
        return bool(self.deliveries)

    @property
    def deliveries(self) -> Collection[str]:
        """The transactions in flight: what its claim has outlived is not here any more, whatever became of it."""
        now_ms = self._clock.now_ms()
        return {tx_id for tx_id, until_ms in self._deliveries.items() if until_ms > now_ms}

    @property
    def quota(self) -> int:
        """How many deliveries may be claimed now."""
        if not self._breaker.permits(self._clock.steady_ms()):
            return 0
        return 1 if self._breaker.is_open else self._deliveries_max - len(self.deliveries)

    @property
    def has_room(self) -> bool:
        """Whether a delivery may begin now without going before any that waits for the courier."""
        return (
            not self.has_more
            and len(self.deliveries) < self._deliveries_max
            and not self._breaker.is_open
            and self.permits
        )

    @property
    def wants_more(self) -> bool:
        """Whether more waits in the outbox and there is room for a good part of it."""
        return self.has_more and 2 * len(self.deliveries) <= self._deliveries_max and self.permits

    def reserve(self, call: WalletCall) -> None:
        """A claimed delivery takes its place in the bulkhead until ``release``, or until its claim ends."""
        self._forget_outlived()
        self._deliveries[call.operator_tx_id] = call.next_attempt_at_ms

    def _forget_outlived(self) -> None:
        here = self.deliveries
        self._deliveries = {tx_id: until_ms for tx_id, until_ms in self._deliveries.items() if tx_id in here}

    def release(self, call: WalletCall) -> None:
        """The delivery has ended, however it did. One that was claimed again since keeps its place."""
        if self._deliveries.get(call.operator_tx_id) == call.next_attempt_at_ms:
            del self._deliveries[call.operator_tx_id]
            self._ahead.discard(call.operator_tx_id)

    def note_waiting(self) -> None:
        """Calls to the operator are put off, here or by another node: the next success is a reason to try them."""
        self._may_wait = True

    def note_claimed(self, calls: Collection[WalletCall], quota: int) -> None:
        """These were claimed where ``quota`` could have been."""
        self.has_more = len(calls) == quota
        # One that could not be handed over, or whose claim ended first, was never released: it has had no chance.
        self._forget_outlived()
        self._ahead &= self._deliveries.keys()
        if self.ahead_until_ms is not None:
            self._ahead |= {call.operator_tx_id for call in calls}
            if not self.has_more:
                self.ahead_until_ms = None

    def was_ahead(self, call: WalletCall) -> bool:
        """Whether a delivery was claimed ahead of its time, perhaps. It has had its chance: if it fails, it waits for
        its own turn, or a call that always fails would come again with each success of another."""
        return call.operator_tx_id in self._ahead

    def begin(self) -> bool:
        """Begin a permitted call; whether it is the breaker's trial."""
        return self._breaker.begin(self._clock.steady_ms())

    def note(self, kind: CallKind, answer: WalletAnswer, *, was_trial: bool) -> None:
        """Tell the breaker what became of a call.

        A win or refund that is refused tells nothing: the wallet answers, but not as it should, and such a call comes
        again for days. Counted as a success, it would hide that all others fail. A call that did not leave for a reason
        of ours tells nothing, either.
        """
        if isinstance(answer, Unclear) or (isinstance(answer, NotSent) and answer.is_unreachable):
            self._note_failure(answer.detail, was_trial=was_trial)
        elif isinstance(answer, Acknowledged) or (isinstance(answer, Declined) and kind is CallKind.BET):
            self._note_success()

    def _note_failure(self, detail: str, *, was_trial: bool) -> None:
        self._may_wait, self.ahead_until_ms = True, None
        if self._breaker.note_failure(self._clock.steady_ms(), was_trial=was_trial):
            log.warning(
                "a wallet keeps failing: its breaker opens",
                extra={"operator_id": str(self.operator_id), "detail": detail},
            )
            self._observer.breaker(self.operator_id, is_open=True)

    def _note_success(self) -> None:
        if self._breaker.note_success():
            log.warning("a wallet answers again: its breaker closes", extra={"operator_id": str(self.operator_id)})
            self._observer.breaker(self.operator_id, is_open=False)
        if self._may_wait:
            self._may_wait, self.ahead_until_ms = False, self._clock.now_ms() + self._retry_max_ms
            self._recovered(self.operator_id)


class Bulkheads:
    """One bulkhead for each operator, made when it is first needed.

    ``recovered`` is told of an operator whose wallet answers again, and must not wait.
    """

    def __init__(
        self, settings: GameSettings, clock: ServerClock, observer: Observer, recovered: Callable[[UUID], None]
    ) -> None:
        self._recovered = recovered
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._bulkheads: dict[UUID, Bulkhead] = {}

    def of(self, operator_id: UUID) -> Bulkhead:
        bulkhead = self._bulkheads.get(operator_id)
        if bulkhead is None:
            bulkhead = self._bulkheads[operator_id] = Bulkhead(
                operator_id, self._settings, self._clock, self._observer, self._recovered
            )
        return bulkhead

    def quotas(self, operator_ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """How many deliveries each of these operators has room for, those without room left out."""
        found = {operator_id: self.of(operator_id).quota for operator_id in operator_ids}
        return {operator_id: quota for operator_id, quota in found.items() if quota > 0}

    def ahead_until_ms(self, operator_ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """Those of the operators of which more than what is due is to be claimed, and until when (unix ms)."""
        found = {operator_id: self.of(operator_id).ahead_until_ms for operator_id in operator_ids}
        return {operator_id: until_ms for operator_id, until_ms in found.items() if until_ms is not None}

    @property
    def in_flight(self) -> list[str]:
        """The transactions that are being delivered."""
        return [tx_id for bulkhead in self._bulkheads.values() for tx_id in bulkhead.deliveries]

    @property
    def is_busy(self) -> bool:
        """Whether any delivery is in flight."""
        return any(bulkhead.is_busy for bulkhead in self._bulkheads.values())
