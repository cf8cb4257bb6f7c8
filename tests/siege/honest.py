"""Honest players and an honest operator, as a process: ``python -m tests.siege.honest`` with a JSON object on stdin.

It says ``ready`` once everybody is welcome, waits for a line, measures for ``seconds``, and tells what it saw, as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.siege.wire import HttpClient, Socket, Target, launched

BETWEEN_PINGS_S = 0.25
BETWEEN_LAUNCHES_S = 0.1
FLIGHT_S = 0.25
ANSWER_S_MAX = 20


class Seen:
    """What one phase looked like. Times are seconds."""

    def __init__(self) -> None:
        self.is_measuring = False
        self.pings: list[float] = []
        self.cashouts: list[float] = []
        self.launches: list[float] = []
        self.lost = 0
        self.troubles: Counter[str] = Counter()

    def told(self) -> dict[str, object]:
        """For the one who compares."""
        return {
            "pings": self.pings,
            "cashouts": self.cashouts,
            "launches": self.launches,
            "lost": self.lost,
            "troubles": dict(self.troubles),
        }


class Player:
    """One who pings, bets and cashes out early, again and again."""

    def __init__(self, socket: Socket, seen: Seen) -> None:
        self._socket = socket
        self._seen = seen
        self._pinged_at: dict[int, float] = {}
        self._cashed_at: float | None = None

    async def play(self) -> None:
        """Until cancelled, or the socket is lost, which is counted."""
        pinging = asyncio.create_task(self._ping())
        self._bet()
        try:
            while True:
                self._take(await self._socket.next())
        except OSError as error:
            self._seen.lost += 1
            self._seen.troubles[f"lost: {error}"] += 1
        finally:
            pinging.cancel()

    async def _ping(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(BETWEEN_PINGS_S)
            number += 1
            self._pinged_at[number] = time.perf_counter()
            self._socket.say("ping", t=number)

    def _bet(self) -> None:
        self._socket.say("bet", amount_minor=100)

    def _cash_out(self, round_id: str) -> None:
        self._cashed_at = time.perf_counter()
        self._socket.say("cashout", round_id=round_id)

    def _take(self, message: dict[str, object]) -> None:
        now, kind, later = time.perf_counter(), message["type"], asyncio.get_running_loop().call_later
        if kind == "pong":
            self._note(self._seen.pings, now - self._pinged_at.pop(int(str(message["t"]))))
        elif kind == "round_started":
            later(FLIGHT_S, self._cash_out, str(message["round_id"]))
        elif kind == "round_ended":
            if message["result"] == "cashout" and self._cashed_at is not None:
                self._note(self._seen.cashouts, now - self._cashed_at)
            self._cashed_at = None
            later(FLIGHT_S, self._bet)
        elif kind == "error" and message["code"] not in ("too_late", "no_such_round", "too_early"):
            self._seen.troubles[f"error: {message['code']}"] += 1
            later(1, self._bet)

    def _note(self, kept: list[float], seconds: float) -> None:
        if self._seen.is_measuring:
            kept.append(seconds)


async def _launch(target: Target, seen: Seen) -> None:
    """One launch after the other, on a kept connection and on a new one in turn, each at its time."""
    kept: HttpClient | None = HttpClient(*await target.connect())
    number, began_at = 0, time.perf_counter()
    while True:
        number += 1
        await asyncio.sleep(max(0.0, began_at + number * BETWEEN_LAUNCHES_S - time.perf_counter()))
        asked_at = time.perf_counter()
        try:
            kept = kept or HttpClient(*await target.connect())
            async with asyncio.timeout(ANSWER_S_MAX):
                await launched(target, f"new-{number}", kept if number % 2 else None)
        except (OSError, EOFError, RuntimeError, TimeoutError) as error:
            seen.troubles[f"launch: {type(error).__name__} {error}"[:80]] += 1
            if number % 2:
                kept = None
        if seen.is_measuring:
            seen.launches.append(time.perf_counter() - asked_at)


async def main(wish: dict[str, object], say: Callable[[str], None]) -> None:
    """See the module."""
    target, seen = Target(**wish["target"]), Seen()  # type: ignore[arg-type]  # JSON
    sockets = [
        await Socket.enter(target, await launched(target, f"honest-{number}"))
        for number in range(int(str(wish["players"])))
    ]
    tasks = [asyncio.create_task(Player(socket, seen).play()) for socket in sockets]
    tasks.append(asyncio.create_task(_launch(target, seen)))
    await asyncio.sleep(1)
    say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    seen.is_measuring = True
    await asyncio.sleep(float(str(wish["seconds"])))
    seen.is_measuring = False
    say(json.dumps(seen.told()))
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline()), lambda text: print(text, flush=True)))
