"""The server ends, is killed, comes back; an operator is suspended. No money is lost, and nobody is left hanging."""

import os
import signal
import socket
import threading
import time
from contextlib import AsyncExitStack, suppress

import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.whole import fairness
from tests.whole.casino import LAUNCH
from tests.whole.fairness import first_ms_at, hundredths_of
from tests.whole.house import RATE_PER_MS, audit_house, finished_round, open_house
from tests.whole.player import SLACK_MS, Player, connected, now_ms
from tests.whole.wallet import Fault

PLAYERS = 8
TABLE = 40  # so many that one of them surely reaches the target: all crash before it once in 10^8 runs
SUSPENSION_S_MAX = 5
TARGET = 2.5


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_house(postgres, tmp_path_factory.mktemp("shutdown")) as house:
        yield house
        audit_house(house)


def launch(operator):
    return operator.request("POST", LAUNCH, operator.launch_body(operator.new_player_id()))


async def in_thread(function, *arguments):
    return await trio.to_thread.run_sync(function, *arguments)


async def seated(house, stack, operator, count):
    """So many players at the table, each welcomed."""
    sessions = [await in_thread(operator.session) for _ in range(count)]
    return [await stack.enter_async_context(house.playing(session)) for session in sessions]


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


async def test_suspension_takes_effect_in_the_running_server(house):
    operator = house.add_operator()
    async with AsyncExitStack() as stack:
        idle, flyer = await seated(house, stack, operator, 2)
        started = await flyer.bet(1000, auto_cashout=1.2)
        done = await in_thread(house.server.getaway, "operator", "suspend", operator.operator_id)
        assert done.returncode == 0, done.stderr
        told_at = time.monotonic()
        frames = await idle.closed()
        assert time.monotonic() - told_at < SUSPENSION_S_MAX
        assert (frames[-1]["type"], frames[-1]["reason"]) == ("session_ended", "operator_suspended")
        await flyer.closed()
        refused = await in_thread(launch, operator)
        assert (refused.status, refused.code) == (403, "operator_suspended")
        assert (await in_thread(launch, house.operator)).status == 200
    done = await in_thread(house.server.getaway, "operator", "resume", operator.operator_id)
    assert done.returncode == 0, done.stderr
    await in_thread(wait_until, lambda: launch(operator).status == 200, SUSPENSION_S_MAX)
    told = await in_thread(finished_round, operator, started["round_id"])
    assert told["status"] == "settled"
    assert hundredths_of(told["realized_multiplier"]) == predicted(told, 120)


def predicted(told, target_hundredths):
    crash = fairness.crash_hundredths(told["server_seed"], told["client_seed"], told["nonce"])
    return target_hundredths if target_hundredths <= crash else 0


async def test_killed_in_flight(house):
    """Rounds that the failure cut off are refunded; what was decided before is paid."""
    operator, wallet = house.operator, house.wallet
    async with AsyncExitStack() as stack:
        bettor, winner, *flyers = await seated(house, stack, operator, PLAYERS)
        won = await win_that_is_not_delivered(wallet, winner)
        held = threading.Event()
        wallet.mistreat(bettor.session.player_id, "bet", Fault(hold=held, takes_effect=True))
        pending = await bettor.ask("bet", "bet_pending", amount_minor=700)
        await in_thread(wallet.wait_for_call, f"bet-{pending['round_id']}")
        flights = [await player.bet(1000, auto_cashout=1000) for player in flyers]
        house.server.kill()
        killed_at = now_ms()
        for player in (bettor, winner, *flyers):
            await player.closed()
    held.set()
    await in_thread(house.server.start)
    for started in flights:
        told = await in_thread(finished_round, operator, started["round_id"])
        crash = hundredths_of(told["outcome"]["crashPoint"])
        crashed_at = started["started_at"] + first_ms_at(crash + 1, RATE_PER_MS)
        if crashed_at > killed_at + SLACK_MS:
            assert told["status"] == "refunded", told
        else:
            assert (told["status"], told["result"]) in (("refunded", None), ("settled", "crash"))
    told = [await in_thread(finished_round, operator, one["round_id"]) for one in (pending, won)]
    assert [one["status"] for one in told] == ["void", "settled"]
    assert {"refund", "bet"} == {one["kind"] for one in told[0]["transactions"]}
    await check_players_come_back(house, flyers, flights)


async def win_that_is_not_delivered(wallet, player):
    """A round that is won while the wallet answers 500 to the win: the frame ``round_ended``."""
    while True:
        wallet.mistreat(player.session.player_id, "win", Fault(status=500), Fault(status=500))
        ended = await player.play(1000, auto_cashout=1.01)
        if ended["payout_minor"]:
            await in_thread(wallet.wait_for_call, f"win-{ended['round_id']}")
            return ended
        wallet.forget_faults(player.session.player_id)


async def check_players_come_back(house, flyers, flights):
    """A session outlives the process: its history tells what was missed, and play goes on."""
    for player, started in zip(flyers, flights, strict=True):
        async with house.playing(player.session) as again:
            newest = again.welcome["history"][0]
            assert (again.round, newest["round_id"]) == (None, started["round_id"])
            assert again.next["nonce"] == 2
            assert again.welcome["balance_minor"] == house.wallet.balances[player.session.player_id, "USD"]
    async with house.playing(flyers[0].session) as again:
        await again.play(1000, auto_cashout=1.01)


async def test_told_to_stop_in_flight(house):
    """Rounds land by their automatic cash-outs, nobody bets any more, a reader who stalls blocks nothing."""
    operator, wallet = house.operator, house.wallet
    async with AsyncExitStack() as stack:
        late, stalled, *flyers = await seated(house, stack, operator, TABLE)
        stall(stalled)
        for number in range(200):
            await stalled.send("ping", t=number)
        await stalled.send("bet", amount_minor=1000, auto_cashout=TARGET)
        for player in flyers:
            await player.send("bet", amount_minor=1000, auto_cashout=TARGET)
        flights = [await taken_off(player) for player in flyers]
        house.server.tell_to_stop()
        await in_thread(wait_until, lambda: not house.server.is_ready())
        for player in flyers:
            await player.send("bet", amount_minor=1000, id="late")
        await check_nobody_bets(house, late)
        ended = await land(flyers, flights)
    assert await in_thread(house.server.wait) == 0
    assert "cashout" in {frame["result"] for frame in ended}
    bets = {call.body["operator_player_id"] for call in wallet.calls if call.kind == "bet"}
    assert late.session.player_id not in bets
    await in_thread(house.server.start)
    for started in flights:
        told = await in_thread(finished_round, operator, started["round_id"])
        assert hundredths_of(told["realized_multiplier"]) == predicted(told, round(100 * TARGET))


async def taken_off(player):
    await player.until("bet_pending")
    return await player.until("round_started")


def stall(player):
    """The player's machine takes no more from the network than fits into a tiny buffer."""
    stream = player.socket._stream.socket
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)


async def check_nobody_bets(house, player):
    """A bet while the server drains: refused, or the session has ended already."""
    with suppress(ConnectionClosed):
        await player.send("bet", amount_minor=1000)
    frames = [frame for frame in await player.closed() if frame["type"] != "balance"]
    *errors, last = frames
    assert (last["type"], last["reason"]) == ("session_ended", "shutdown")
    assert [frame["code"] for frame in errors] in ([], ["draining"])
    try:
        answer = await in_thread(launch, house.operator)
    except OSError:
        return  # it listens no more
    assert (answer.status, answer.code) == (503, "draining")


async def land(flyers, flights):
    """Each flyer's ``round_ended``, after which the session ends."""
    ended = []
    for player, started in zip(flyers, flights, strict=True):
        frames = [frame for frame in await player.closed() if frame["type"] != "balance"]
        codes = {frame["code"] for frame in frames if frame.get("id") == "late"}
        assert codes <= {"draining", "round_in_progress"}, frames
        frames = [frame for frame in frames if frame.get("id") != "late"]
        assert [frame["type"] for frame in frames] == ["round_ended", "session_ended"], frames
        assert frames[0]["round_id"] == started["round_id"]
        assert frames[0]["status"] == "settled"
        assert hundredths_of(frames[0]["realized_multiplier"]) == predicted(frames[0], round(100 * TARGET))
        assert frames[1]["reason"] == "shutdown"
        ended.append(frames[0])
    return ended


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGHUP,),
        (signal.SIGHUP, signal.SIGHUP),
        (signal.SIGTERM, signal.SIGHUP),
        (signal.SIGHUP, signal.SIGTERM),
    ],
    ids=lambda numbers: "_".join(number.name for number in numbers),
)
async def test_a_hang_up_is_a_word_to_stop_and_never_the_second_one(house, numbers):
    """A terminal that closes says it, some shells twice, and some service managers right after SIGTERM."""
    async with AsyncExitStack() as stack:
        (flyer,) = await seated(house, stack, house.operator, 1)
        started = await flyer.bet(1000, auto_cashout=1.2)
        for number in numbers:
            os.kill(house.server.pid, number)
            await trio.sleep(0.05)
        frames = [frame for frame in await flyer.closed() if frame["type"] != "balance"]
    assert [frame["type"] for frame in frames[-2:]] == ["round_ended", "session_ended"]
    assert (frames[-2]["round_id"], frames[-2]["status"]) == (started["round_id"], "settled")
    assert await in_thread(house.server.wait) == 0
    await in_thread(house.server.start)


async def test_told_to_stop_with_nobody_there(house):
    async with connected(house.url) as socket:
        player = Player(socket, None, RATE_PER_MS)
        house.server.tell_to_stop()
        await player.closed()
    assert await in_thread(house.server.wait) == 0
    await in_thread(house.server.start)
