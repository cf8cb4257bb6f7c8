"""A real server on a machine whose clock is wrong, is put right, and steps: a second clock is put under the process.

The database keeps the true time. A file tells how far the machine's is ahead of it; the monotonic one is real.
"""

import math
import os
from pathlib import Path

import pytest
import trio

from tests.whole.casino import LAUNCH
from tests.whole.house import open_house

SLOW_RATE_PER_MS = "0.00006"
SECOND_CLOCK = """
import time

real_time = time.time


def machine_time():
    with open({file!r}) as file:
        return real_time() + int(file.read())


time.time = machine_time
"""
ROOT = Path(__file__).parents[2]
RIGHT_S_MAX = 10
"""After a correction all is well within so long, on a busy machine, too: a heartbeat each second sees to it."""
FLIGHTS_MAX = 25
SLACK = 0.05
"""Of a multiplier: the house's time is known to half a round trip to the database."""


class Machine:
    """What the server's machine believes: so many seconds more than is true."""

    def __init__(self, file: Path, ahead_s: int) -> None:
        self._file = file
        self.set(ahead_s)

    def set(self, ahead_s: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self._file)

    def variables(self) -> dict[str, str]:
        """For the server's process: it imports the module beside the file before all others."""
        (self._file.parent / "sitecustomize.py").write_text(SECOND_CLOCK.format(file=str(self._file)))
        return {"PYTHONPATH": f"{self._file.parent}{os.pathsep}{ROOT}"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(tmp_path_factory.mktemp("machine") / "offset", 0)


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory, machine):
    folder = tmp_path_factory.mktemp("wrong-clock")
    with open_house(postgres, folder, rate_per_ms=SLOW_RATE_PER_MS, **machine.variables()) as house:
        yield house


async def in_thread(function, *arguments):
    return await trio.to_thread.run_sync(function, *arguments)


async def until(condition, seconds=RIGHT_S_MAX):
    with trio.fail_after(seconds):
        while not await in_thread(condition):
            await trio.sleep(0.05)


def launches(house):
    operator = house.operator
    return operator.request("POST", LAUNCH, operator.launch_body(operator.new_player_id())).status


async def flying(player):
    """A flight that has lasted for a second; those that crash before are flown again."""
    for _ in range(FLIGHTS_MAX):
        await player.fence()
        started = await player.bet(100)
        assert started["type"] == "round_started", started
        if await player.wait_for_multiplier(107):
            return started
    raise AssertionError("all flights crashed early")


@pytest.mark.parametrize("ahead_s", [-7200, 7200, -900, 15], ids=["2 h slow", "2 h fast", "15 min asleep", "15 s fast"])
async def test_signatures_are_good_within_seconds_of_the_correction(house, machine, ahead_s):
    assert launches(house) in {200, 201}
    machine.set(ahead_s)
    await until(lambda: not house.server.is_ready())
    if abs(ahead_s) > 300:
        assert launches(house) == 401, "the machine is wrong, and an operator is right"
    machine.set(0)
    await until(house.server.is_ready)
    session = await in_thread(house.operator.session)
    async with house.playing(session) as player:
        await player.play(100, auto_cashout=1.01)
    assert house.wallet.violations == [], "our own signatures are fresh"


@pytest.mark.parametrize("ahead_s", [-7200, -60, 60, 7200])
async def test_a_flight_does_not_notice_a_step(house, machine, ahead_s):
    session = await in_thread(house.operator.session)
    async with house.playing(session) as player:
        for _ in range(FLIGHTS_MAX):
            started = await flying(player)
            machine.set(ahead_s)
            await trio.sleep(1.5)
            machine.set(0)
            await until(house.server.is_ready)
            shown = player.ticks[-1][1]
            await player.send("cashout", round_id=started["round_id"])
            ended = await player.until("round_ended")
            flown_ms = float(ended["settled_at"] - started["started_at"])
            # It was received before it was settled, and a flight that jumped by a minute would be 36 times as high.
            curve = math.exp(float(SLOW_RATE_PER_MS) * flown_ms) + SLACK
            assert float(ended["crash_point"]) <= curve or ended["result"] == "cashout"
            if ended["result"] == "cashout":
                assert shown / 100 - SLACK <= float(ended["realized_multiplier"]) <= curve
                return
    raise AssertionError("all flights crashed early")
