"""The database goes back under a running server: bets stop, and a person has what was lost refunded."""

import csv
from urllib.parse import urlsplit

import pytest
import trio

from tests.whole.casino import LAUNCH
from tests.whole.house import open_house

SINCE = "2026-01-01T00:00:00Z"
LOSE_ROUND = """
SET session_replication_role = replica;
DELETE FROM transactions WHERE round_id = '{0}';
DELETE FROM rounds WHERE round_id = '{0}';
UPDATE nodes SET heartbeat_at_ms = heartbeat_at_ms - 60000;
"""
FORGET_END = """
SET session_replication_role = replica;
DELETE FROM transactions WHERE operator_tx_id = 'win-{0}';
UPDATE rounds SET status = 'flying', settled_at_ms = NULL, result = NULL, realized_hundredths = 0, payout_minor = 0,
    server_seed = NULL, crash_hundredths = NULL, map_seed = NULL, loot_seed = NULL, guard_seed = NULL, end_mac = NULL
WHERE round_id = '{0}';
UPDATE nodes SET heartbeat_at_ms = heartbeat_at_ms - 60000;
"""


@pytest.fixture
def house(postgres, tmp_path):
    with open_house(postgres, tmp_path) as house:
        yield house


async def in_thread(function, *arguments):
    return await trio.to_thread.run_sync(function, *arguments)


def launched(house, statuses):
    """Whether a launch was answered, and how: a node that registers anew cuts what is under way."""
    try:
        answer = house.operator.request("POST", LAUNCH, house.operator.launch_body(house.operator.new_player_id()))
    except OSError:
        return False
    statuses.append(answer.status)
    return True


async def until(condition, seconds=20):
    with trio.fail_after(seconds):
        while not await in_thread(condition):
            await trio.sleep(0.05)


def listed(house, path):
    """What the operator's books have, as it exports them."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["operator_tx_id", "kind", "amount_minor", "currency", "session_id", "operator_player_id"])
        for call in house.wallet.calls:
            body = call.body
            rows.writerow(
                [
                    call.tx_id,
                    call.kind,
                    body["amount_minor"],
                    body["currency"],
                    body["session_id"],
                    body["operator_player_id"],
                ]
            )
    return str(path)


def restore(house, path, *options):
    operator = ("--operator", house.operator.operator_id, "--operator-file", path)
    done = house.server.getaway("restored", "--since", SINCE, *operator, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_bets_stop_until_what_was_lost_is_refunded(postgres, house, tmp_path):
    session = await in_thread(house.operator.session)
    async with house.playing(session) as player:
        started = await player.bet(1000)
        ended = await player.until("round_ended")
        assert ended["result"] == "crash"
    round_id = started["round_id"]
    await in_thread(
        lambda: postgres.execute(LOSE_ROUND.format(round_id), url=house.server.environ["GETAWAY_DATABASE_URL"])
    )
    await until(lambda: not house.server.is_ready())
    statuses = []
    await until(lambda: launched(house, statuses))
    assert statuses == [503]
    path = await in_thread(listed, house, tmp_path / "theirs.csv")
    told = await in_thread(restore, house, path)
    assert f"refund-{round_id}" in told and "nothing was done" in told
    assert house.wallet.calls_of(f"refund-{round_id}") == []
    await trio.sleep(3)
    assert not await in_thread(house.server.is_ready), "the node that has registered anew is stopped, too"
    told = await in_thread(restore, house, path, "--yes")
    assert "acknowledged" in told and "a new history has begun" in told
    (refund,) = house.wallet.calls_of(f"refund-{round_id}")
    assert (refund.status, refund.body["amount_minor"], refund.body["bet_tx_id"]) == (200, 1000, f"bet-{round_id}")
    await until(house.server.is_ready)
    assert await in_thread(house.operator.session) is not None
    told = await in_thread(restore, house, await in_thread(listed, house, tmp_path / "again.csv"), "--yes")
    assert "because only the operator knows them: 0" in told
    assert len(house.wallet.calls_of(f"refund-{round_id}")) == 1


def stop(server):
    server.tell_to_stop()
    assert server.wait() == 0


async def test_a_copy_that_was_put_back_while_nothing_ran_is_found_at_the_start(postgres, house, tmp_path):
    """As a snapshot of a volume: same cluster, same timeline."""
    url = house.server.environ["GETAWAY_DATABASE_URL"]
    name = urlsplit(url).path[1:]

    def execute(statement):
        postgres.execute(statement, url=url.replace(f"/{name}", "/postgres"))

    await in_thread(stop, house.server)
    await in_thread(execute, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
    await in_thread(house.server.start)
    assert "history was cut" not in house.server.log(), "nothing is lost by a stop"
    session = await in_thread(house.operator.session)
    async with house.playing(session) as player:
        await player.bet(1000)
        await player.until("round_ended")
    await in_thread(stop, house.server)
    await in_thread(execute, f"DROP DATABASE {name}")
    await in_thread(execute, f"ALTER DATABASE {name}_copy RENAME TO {name}")
    await in_thread(house.server.spawn)
    await until(lambda: "history was cut while nothing ran" in house.server.log())
    statuses = []
    await until(lambda: launched(house, statuses))
    assert statuses == [503]
    path = await in_thread(listed, house, tmp_path / "theirs.csv")
    assert "a new history has begun" in await in_thread(restore, house, path, "--yes")
    await until(house.server.is_ready)


async def test_a_win_that_the_operator_has_booked_is_not_refunded_besides(postgres, house, tmp_path):
    session = await in_thread(house.operator.session)
    async with house.playing(session) as player:
        while True:
            started = await player.bet(1000, auto_cashout=1.2)
            if (await player.until("round_ended"))["payout_minor"]:
                break
    round_id = started["round_id"]
    await until(lambda: house.wallet.calls_of(f"win-{round_id}"))
    await in_thread(
        lambda: postgres.execute(FORGET_END.format(round_id), url=house.server.environ["GETAWAY_DATABASE_URL"])
    )
    await until(lambda: not house.server.is_ready())
    path = await in_thread(listed, house, tmp_path / "theirs.csv")
    told = await in_thread(restore, house, path)
    assert "live rounds that end as the operator has booked them: 1" in told and "paid 12.00" in told
    told = await in_thread(restore, house, path, "--yes")
    assert "a new history has begun" in told
    await until(house.server.is_ready)
    await trio.sleep(3)
    assert house.wallet.calls_of(f"refund-{round_id}") == []
    assert len(house.wallet.calls_of(f"win-{round_id}")) == 1
    shown = await in_thread(lambda: house.server.getaway("round", "show", round_id).stdout)
    assert "settled" in shown and "12.00" in shown
