"""What a hanging operator costs the others: ``python -m tests.bench.figures.bulkhead [SECONDS]``.

Players of two operators bet and cash out all the time. In every second phase the other operator's wallet takes every
call and answers none. What is measured are the bets of the first one's players. The phases alternate, because the
machine's speed drifts.
"""

import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.bench.figures.stand import Stand, open_stand, progress, quantile, show
from tests.whole.casino import Operator
from tests.whole.player import Player, connected

SECONDS = 12
PHASES = 6
PLAYERS = 24
PAUSE_S = 0.8
RATE_PER_MS = "0.00006"
FLIGHT_S = 0.17
"""To 1.01x."""
_CREDENTIALS = ("operator_id", "api_key", "hmac_secret")


class Phase:
    """Whether the other operator hangs, and what its neighbours' bets took."""

    def __init__(self) -> None:
        self.took_ms: dict[bool, list[float]] = {False: [], True: []}
        self.medians: dict[bool, list[float]] = {False: [], True: []}
        self.is_hanging = False
        self.is_measuring = False
        self.is_over = False


@asynccontextmanager
async def entered(operator: Operator) -> AsyncIterator[Player]:
    session = await trio.to_thread.run_sync(operator.session)
    async with connected(operator.url) as socket:
        player = Player(socket, session, RATE_PER_MS)
        await player.send("hello", session=session.token)
        await player.receive()
        yield player


async def play(operator: Operator, phase: Phase, delay_s: float) -> None:
    """Bet, cash out, rest, again."""
    async with entered(operator) as player:
        await trio.sleep(delay_s)
        while not phase.is_over:
            began = time.monotonic()
            started = await player.bet(100, auto_cashout=1.01)
            if started["type"] == "round_started":
                took_ms = (time.monotonic() - began) * 1000
                if phase.is_measuring:
                    phase.took_ms[phase.is_hanging].append(took_ms)
                await player.until("round_ended")
            await trio.sleep(PAUSE_S)


async def play_anyhow(operator: Operator, phase: Phase, delay_s: float) -> None:
    """Bet again and again, whatever comes of it."""
    async with entered(operator) as player:
        await trio.sleep(delay_s)
        while not phase.is_over:
            await player.send("bet", amount_minor=100, auto_cashout=1.01)
            with trio.move_on_after(PAUSE_S + FLIGHT_S):
                while True:
                    await player.receive()


async def run(stand: Stand, healthy: Operator, other: Operator, seconds: int) -> Phase:
    phase = Phase()
    async with trio.open_nursery() as nursery:
        for number in range(PLAYERS):
            delay_s = PAUSE_S * number / PLAYERS
            nursery.start_soon(play, healthy, phase, delay_s)
            nursery.start_soon(play_anyhow, other, phase, delay_s)
        for number in range(PHASES):
            phase.is_hanging = number % 2 == 1
            await trio.to_thread.run_sync(stand.turn_other, "hang" if phase.is_hanging else "answer")
            progress(f"bulkhead: phase {number + 1} of {PHASES}, {'one hangs' if phase.is_hanging else 'all well'}")
            # Until what hung in the last phase has timed out, and its breaker has closed.
            await trio.sleep(12)
            phase.is_measuring, before = True, len(phase.took_ms[phase.is_hanging])
            await trio.sleep(seconds)
            phase.is_measuring = False
            phase.medians[phase.is_hanging].append(statistics.median(phase.took_ms[phase.is_hanging][before:]))
        phase.is_over = True
    return phase


def main(seconds: int) -> None:
    limits = {"GETAWAY_LIMITS_REQUESTS_PER_SECOND": "10000", "GETAWAY_LIMITS_REQUESTS_BURST": "10000"}
    with open_stand(GETAWAY_WALLET_BET_TIMEOUT_MS="2000", **limits) as stand:
        stand.start_wallet()
        stand.server.start()
        operators = [
            Operator(stand.server.url, **{name: created[name] for name in _CREDENTIALS})
            for created in (
                stand.server.create_operator(stand.wallet_url),
                stand.server.create_operator(f"{stand.wallet_url}/other"),
            )
        ]
        phase = trio.run(run, stand, *operators, seconds)
    quiet, hanging = (statistics.median(phase.medians[hangs]) for hangs in (False, True))
    show(
        what="bulkhead",
        bets=sum(len(took_ms) for took_ms in phase.took_ms.values()),
        p50_ms=round(quiet, 2),
        p50_while_another_hangs_ms=round(hanging, 2),
        added_percent=round(100 * (hanging / quiet - 1), 1),
        p99_ms=round(quantile(phase.took_ms[False], 0.99), 1),
        p99_while_another_hangs_ms=round(quantile(phase.took_ms[True], 0.99), 1),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
