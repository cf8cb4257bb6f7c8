"""A whole run: look at the target, open the wallet, play, land, compare."""

import math
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from server.loadtest.compare.comparison import (
    compare_books,
    compare_fairness,
    compare_told,
    has_come_to_rest,
    is_complete,
)
from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.plan import ANSWER_S, SETTLE_S, RunPlan, WorkerPlan
from server.loadtest.play.operator_api import ApiError, OperatorApi, operator_api, patiently
from server.loadtest.play.probe import ProbeError, Terms, probe
from server.loadtest.play.seen_round import SeenRound
from server.loadtest.report.beats import Beat
from server.loadtest.report.progress import Progress
from server.loadtest.report.results import Results
from server.loadtest.run.crew import Crew, CrewError, crew
from server.loadtest.run.schedule import bets_per_second, launch_due_s
from server.loadtest.wallet.stand_in import StandInError, StandInWallet
from server.loadtest.wallet.wallet_books import WalletBooks
from server.process.stopping import stop_signals

_READERS: Final = 8
_READS_PER_SECOND: Final = 100
"""Half of what a server lets an operator ask by default."""
_LOOK_S: Final = 0.2
_SHOW_S: Final = 0.5


class InterruptedRunError(Exception):
    """A second Ctrl-C, or one before there was anything to show."""


async def run_load(plan: RunPlan, progress: Progress) -> Results:
    """Run it. Raises ``ProbeError``, ``StandInError``, ``InterruptedRunError``."""
    run = _Run(plan, progress)
    problem: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.watch_signals, nursery.cancel_scope)
            await run.play()
            nursery.cancel_scope.cancel()
    except* (ProbeError, StandInError) as group:
        problem = _first(group)
    if problem is not None:
        raise problem
    if run.results is None or run.interruptions > 1:
        raise InterruptedRunError
    return run.results


class _Run:
    def __init__(self, plan: RunPlan, progress: Progress) -> None:
        self.results: Results | None = None
        self.interruptions = 0
        self._plan = plan
        self._progress = progress
        self._crew: Crew | None = None
        self._started_at = math.inf
        self._wallet_measured = Measurements()
        self._wallet: StandInWallet | None = None
        self._books = WalletBooks(plan.names, plan.currency, plan.balance_minor)

    async def watch_signals(self, scope: trio.CancelScope) -> None:
        """The first signal lands the players, the second ends everything (but for a hang-up, see ``stop_signals``)."""
        with trio.open_signal_receiver(*stop_signals()) as signals:
            async for number in signals:
                if number == signal.SIGHUP and self.interruptions:
                    continue
                self.interruptions += 1
                if self._crew is None or self.results is None or self.interruptions > 1:
                    self.results = None
                    scope.cancel()
                    return
                self._progress.say("stopping: rounds land, then the books are compared")
                if not self.results.was_interrupted:
                    self.results.was_interrupted = True
                    self.results.betting_s = min(self._plan.duration_s, trio.current_time() - self._started_at)
                await self._crew.stop()

    async def play(self) -> None:
        self._progress.say(f"looking at {self._plan.target.origin}")
        api_context = operator_api(
            self._plan.target, self._plan.credentials, connections_max=_READERS, timeout_s=ANSWER_S
        )
        async with api_context as api, self._open_wallet():
            terms = await probe(self._plan, api)
            rate = self._plan.bets_per_second or self._default_rate(terms)
            results = Results(self._plan, terms, rate)
            try:
                async with crew(self._worker_plans(terms, rate)) as players:
                    await players.start()
                    self._started_at = trio.current_time()
                    self.results, self._crew = results, players
                    await self._watch(players, results)
            except* CrewError as group:
                results.failure = str(_first(group))
                self.results = results
            self._progress.say("comparing the books")
            await self._compare(api, results)
            self._count_wallet(results)  # what came while the books were compared

    @asynccontextmanager
    async def _open_wallet(self) -> AsyncIterator[None]:
        """The stand-in, if it is the wallet; it answers for as long as the block lasts."""
        if self._plan.stand_in is None:
            yield
            return
        async with trio.open_nursery() as nursery:
            self._wallet = StandInWallet(
                self._plan.stand_in, self._plan.credentials, self._books, self._wallet_measured
            )
            await self._wallet.listen(nursery)
            yield
            nursery.cancel_scope.cancel()

    def _default_rate(self, terms: Terms) -> float:
        largest = terms.cap_hundredths(self._plan.stake_minor) / 100
        flight_s = self._plan.strategy.flight_s_mean(terms.rate_per_ms, terms.rtp_bps / 10_000, largest)
        return bets_per_second(len(self._plan.names), flight_s)

    def _worker_plans(self, terms: Terms, rate: float) -> list[WorkerPlan]:
        plan = self._plan
        dues = [(name, launch_due_s(i, len(plan.names), plan.ramp_s)) for i, name in enumerate(plan.names)]
        shares = [tuple(dues[number :: plan.processes]) for number in range(plan.processes)]
        return [
            WorkerPlan(
                target=plan.target.origin,
                credentials=plan.credentials,
                currency=plan.currency,
                players=share,
                duration_s=plan.duration_s,
                ramp_s=plan.ramp_s,
                landing_s=plan.landing_s,
                strategy=str(plan.strategy),
                stake_minor=plan.stake_minor,
                cap_hundredths=terms.cap_hundredths(plan.stake_minor),
                balance_minor=plan.balance_minor,
                ttl_s=plan.ttl_s,
                bets_per_second=rate * len(share) / len(plan.names),
                seed=plan.seed + number,
            )
            for number, share in enumerate(shares)
        ]

    async def _watch(self, players: Crew, results: Results) -> None:
        self._progress.say("playing")

        def take(process: int, beat: Beat) -> None:
            results.heard.take(process, beat, trio.current_time() - self._started_at)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._show, results)
            await players.listen(take)
            nursery.cancel_scope.cancel()

    async def _show(self, results: Results) -> None:
        is_landing = False
        while True:
            await trio.sleep(_SHOW_S)
            now_s = trio.current_time() - self._started_at
            if now_s > self._plan.duration_s and not is_landing:
                is_landing = True
                self._progress.say("landing: no more bets, live rounds end")
            self._count_wallet(results)
            self._progress.update(results, now_s)

    def _count_wallet(self, results: Results) -> None:
        if self._wallet is None:
            return
        results.wallet_calls = self._wallet.calls
        results.heard.measured.merge(self._wallet_measured)
        # The stand-in goes on measuring into the same object.
        self._wallet_measured.latencies.clear()
        self._wallet_measured.errors.clear()

    async def _compare(self, api: OperatorApi, results: Results) -> None:
        compare_fairness(results.heard.seen, results.compared)
        if results.heard.unfinished:
            what = f"{results.heard.unfinished} rounds have not ended"
            results.compared.differences.append(f"{what}, {ANSWER_S:.0f} s after all were cashed out")
        if self._wallet is not None:
            with trio.move_on_after(SETTLE_S):
                while not is_complete(results.heard.seen, self._books):  # noqa: ASYNC110 - books tell nobody
                    await trio.sleep(_LOOK_S)
            compare_books(results.heard.seen, self._books, results.heard.balances, results.compared)
        chosen = sample(results.heard.seen, self._plan.compare_rounds_max)
        await self._compare_told(api, chosen, results)

    async def _compare_told(self, api: OperatorApi, chosen: Sequence[SeenRound], results: Results) -> None:
        """Ask for rounds at a steady pace, over a few connections."""
        send, receive = trio.open_memory_channel[SeenRound](0)
        async with trio.open_nursery() as nursery:
            for _ in range(_READERS):
                nursery.start_soon(self._read_rounds, api, receive.clone(), results)
            receive.close()
            async with send:
                for one in chosen:
                    await trio.sleep(1 / _READS_PER_SECOND)
                    await send.send(one)

    async def _read_rounds(
        self, api: OperatorApi, chosen: trio.MemoryReceiveChannel[SeenRound], results: Results
    ) -> None:
        async with chosen:
            async for seen in chosen:
                try:
                    told = await _told_at_rest(api, seen.round_id)
                    compare_told(seen, told, results.compared)
                except ApiError as error:
                    results.compared.differences.append(f"round {seen.round_id}: /round answers {error.code}: {error}")
                except (KeyError, TypeError, ValueError):
                    results.compared.differences.append(f"round {seen.round_id}: /round lacks what the contract has")


def sample(seen: Sequence[SeenRound], size: int) -> list[SeenRound]:
    """At most ``size`` rounds, evenly from all of them."""
    if len(seen) <= size:
        return list(seen)
    return [seen[i * len(seen) // size] for i in range(size)]


async def _told_at_rest(api: OperatorApi, round_id: str) -> dict[str, Any]:
    """A round once the wallet has answered all its calls, or as it is when that takes too long."""
    deadline_at = trio.current_time() + SETTLE_S
    while True:
        told = await patiently(api, round_id, deadline_at)
        if has_come_to_rest(told) or trio.current_time() > deadline_at:
            return told
        await trio.sleep(_LOOK_S)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
