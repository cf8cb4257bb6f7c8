"""An operator's wallet behind a gateway: the twin of ``HttpWalletGateway`` and what answers it."""

from collections import deque

import trio

from actors.facts.records import CallKind, Operator, WalletCall
from actors.ports.wallet import Acknowledged, Declined, Unclear, WalletAnswer


class ScriptedWallet:
    """Keeps a balance and every call, idempotent by transaction id; ``script`` answers come before its own.

    ``delay_s`` is how long it takes for an answer, ``failures`` are raised, which the real gateway never does.
    """

    def __init__(self, balance_minor: int) -> None:
        self.balance_minor = balance_minor
        self.calls: list[WalletCall] = []
        self.script: dict[CallKind, deque[WalletAnswer]] = {kind: deque() for kind in CallKind}
        self.failures: deque[Exception] = deque()
        self.delay_s = 0.0
        self.in_flight = 0
        self.in_flight_max = 0
        self._answers: dict[str, WalletAnswer] = {}
        self._debited: set[object] = set()
        self._cancelled: set[object] = set()

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        self.calls.append(call)
        if self.failures:
            raise self.failures.popleft()
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            with trio.move_on_after(timeout_ms / 1000):
                await trio.sleep(self.delay_s)
                if self.script[call.kind]:
                    return self.script[call.kind].popleft()
                return self._answers.setdefault(call.operator_tx_id, self._answer(call))
        finally:
            self.in_flight -= 1
        return Unclear("no answer in time")

    def _answer(self, call: WalletCall) -> WalletAnswer:
        if call.operator_tx_id in self._answers:
            return self._answers[call.operator_tx_id]
        if call.kind is CallKind.BET:
            if call.round_id in self._cancelled:
                return Declined("the wallet answered 409")
            if call.amount_minor > self.balance_minor:
                return Declined("the wallet answered 402")
            self._debited.add(call.round_id)
            self.balance_minor -= call.amount_minor
        elif call.kind is CallKind.WIN or call.round_id in self._debited:
            self.balance_minor += call.amount_minor
        else:
            self._cancelled.add(call.round_id)
        return Acknowledged(self.balance_minor)

    def sent(self, kind: CallKind) -> list[WalletCall]:
        return [call for call in self.calls if call.kind is kind]
