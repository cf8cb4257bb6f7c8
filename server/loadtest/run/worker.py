"""One process of players. Its parent sends the plan and then ``start`` and ``stop`` on standard input; it answers on
standard output with a beat each second: what was measured and which rounds ended. It ends with its parent.
"""

import gc
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import trio

from server.loadtest.compare.comparison import LastBalance
from server.loadtest.plan.plan import ANSWER_S, SETTLE_S, STOPPED_LANDING_S, WorkerPlan
from server.loadtest.plan.quantities import target_origin
from server.loadtest.plan.strategy import parse_strategy
from server.loadtest.play.desk import Desk
from server.loadtest.play.operator_api import operator_api
from server.loadtest.play.player import LOSSES, Player
from server.loadtest.report.beats import Beat, Clock, Done
from server.loadtest.run.lines import Word, line_of, lines, read
from server.loadtest.run.schedule import bet_dues_s

BEAT_S: Final = 1.0
_PING_S: Final = 0.25
_WAKE_S: Final = 0.02
_LOOK_S: Final = 0.05
_API_CONNECTIONS: Final = 32


class Worker:
    """The players of one plan."""

    def __init__(self, plan: WorkerPlan, desk: Desk, out: trio.abc.SendStream) -> None:
        self._plan = plan
        self._desk = desk
        self._out = out
        self._stopped = trio.Event()
        self._players: list[Player] = []

    def stop(self) -> None:
        """End early: no more bets, and what flies lands soon."""
        self._stopped.set()

    async def run(self) -> None:
        """Play the plan from now on to its end, and tell the parent."""
        start_at = trio.current_time()
        self._players = [Player(name, start_at + due_s, self._desk) for name, due_s in self._plan.players]
        async with trio.open_nursery() as nursery:
            for player in self._players:
                nursery.start_soon(player.run)
            nursery.start_soon(self._beat)
            nursery.start_soon(self._ping)
            nursery.start_soon(self._watch_wakings)
            async with trio.open_nursery() as betting:
                betting.start_soon(self._deal, start_at)
                with trio.move_on_at(start_at + self._plan.duration_s):
                    await self._stopped.wait()
                betting.cancel_scope.cancel()
            await self._land()
            nursery.cancel_scope.cancel()
        await self._tell(is_done=True)

    async def _deal(self, start_at: float) -> None:
        """Hand out bets when they are due, by the clock alone."""
        dice = random.Random(f"bets {self._plan.seed}")  # noqa: S311 - to be repeated
        for due_s in bet_dues_s(self._plan.bets_per_second, self._plan.ramp_s, self._plan.duration_s, dice):
            await trio.sleep_until(start_at + due_s)
            self._desk.measured.counts["bets_due"] += 1
            self._desk.offer_bet(start_at + due_s)

    async def _land(self) -> None:
        games = [player.game for player in self._players]
        self._desk.stop_betting(games)
        landing_s = STOPPED_LANDING_S if self._stopped.is_set() else self._plan.landing_s
        with trio.move_on_after(landing_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cut_landing_short, nursery.cancel_scope)
                await self._all_rest()
                nursery.cancel_scope.cancel()
        self._desk.cut(games)
        with trio.move_on_after(max(ANSWER_S, SETTLE_S)):
            await self._all_rest()
        self._desk.close(games)
        with trio.move_on_after(ANSWER_S):
            await _until(lambda: not any(game.is_connected for game in games))

    async def _cut_landing_short(self, scope: trio.CancelScope) -> None:
        await self._stopped.wait()
        scope.deadline = min(scope.deadline, trio.current_time() + STOPPED_LANDING_S)

    async def _all_rest(self) -> None:
        await _until(lambda: all(player.game.is_resting for player in self._players))

    async def _beat(self) -> None:
        next_at = trio.current_time()
        while True:
            next_at += BEAT_S
            await trio.sleep_until(next_at)
            await self._tell(is_done=False)

    async def _ping(self) -> None:
        dice = random.Random(self._plan.seed)  # noqa: S311 - to be repeated
        while True:
            await trio.sleep(_PING_S)
            seated = [player.game for player in self._players if player.game.is_connected]
            if seated:
                # A socket that breaks meanwhile is its player's to notice.
                with suppress(*LOSSES):
                    await dice.choice(seated).ping()

    async def _watch_wakings(self) -> None:
        """How late this process gets to run: what it measures can't be more exact than that."""
        while True:
            due_at = trio.current_time() + _WAKE_S
            await trio.sleep_until(due_at)
            self._desk.measured.took("client", trio.current_time() - due_at)

    async def _tell(self, *, is_done: bool) -> None:
        measured, seen = self._desk.collect()
        games, server_time = [player.game for player in self._players], self._desk.server_time
        clock = done = None
        if server_time.offset_s is not None and server_time.uncertainty_s is not None:
            ahead_s = server_time.offset_s - (time.time() - trio.current_time())
            clock = Clock(ahead_s, server_time.uncertainty_s)
        if is_done:
            balances = tuple(LastBalance(game.name, game.view.balance_minor, game.view.pending_minor) for game in games)
            done = Done(balances, sum(not game.has_landed for game in games))
        beat = Beat(measured=measured, gauges=self._desk.gauges, rounds=seen, clock=clock, done=done)
        await self._out.send_all(line_of(beat))


async def _until(condition: Callable[[], bool]) -> None:
    # What is waited for depends on hundreds of players: looking is simpler than being told, and soon enough.
    while not condition():  # noqa: ASYNC110 - hundreds of players tell nobody
        await trio.sleep(_LOOK_S)


async def main() -> None:
    """Wait for the plan, play it, and end when the parent does."""
    commands = lines(trio.lowlevel.FdStream(os.dup(0)))
    out = trio.lowlevel.FdStream(os.dup(1))
    plan = read(await anext(commands), WorkerPlan)
    target = target_origin(plan.target)
    api_context = operator_api(target, plan.credentials, connections_max=_API_CONNECTIONS, timeout_s=ANSWER_S)
    async with api_context as api:
        worker = Worker(plan, Desk(plan, target, parse_strategy(plan.strategy), api), out)
        await out.send_all(line_of(Word.READY))
        await anext(commands)
        # A collection of all objects of thousands of connections would be measured as the server's slowness.
        gc.collect()
        gc.freeze()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, commands, worker, nursery.cancel_scope)
            await worker.run()
            nursery.cancel_scope.cancel()


async def _obey(commands: AsyncIterator[bytes], worker: Worker, scope: trio.CancelScope) -> None:
    async for line in commands:
        if read(line, Word) is Word.STOP:
            worker.stop()
    scope.cancel()  # the parent is gone


if __name__ == "__main__":
    trio.run(main)
