"""An operator's trouble is seen: by the player, in the metrics and in the log. When it is over, all is paid."""

import json
import re
import urllib.request

import pytest
import trio

from tests.whole.house import audit_house, open_house
from tests.whole.wallet import Fault

SEEN_S_MAX = 30


@pytest.fixture
def house(postgres, tmp_path):
    with open_house(postgres, tmp_path, GETAWAY_WALLET_BREAKER_FAILURES_MAX="2") as house:
        yield house
        audit_house(house)


def metric(house, name):
    """The operator's value of a series, or None."""
    with urllib.request.urlopen(f"{house.server.metrics_url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(rf'^{name}\{{operator_id="{house.operator.operator_id}"\}} (\S+)$', text, re.MULTILINE)
    return None if found is None else float(found[1])


async def until_metric(house, name, is_right):
    with trio.fail_after(SEEN_S_MAX):
        while not is_right(await trio.to_thread.run_sync(metric, house, name) or 0):
            await trio.sleep(0.1)


def log_events(house):
    return [json.loads(line)["event"] for line in house.server.log().splitlines() if line.startswith("{")]


PARK = """
UPDATE transactions SET status = 'parked', claim_node = NULL, claim_epoch = NULL
WHERE status = 'pending' AND kind = 'win'
"""


async def won(player):
    """Bet until a round pays 1.01x, which most do."""
    while (ended := await player.play(1_000, auto_cashout=1.01))["result"] == "crash":
        pass
    return ended


async def test_a_parked_win_is_sent_again_for_a_person(house, postgres):
    house.forgets_attempts = True  # what is parked by hand while it is sent is not counted
    session = house.operator.session()
    house.wallet.mistreat(session.player_id, "win", *[Fault(status=404)] * 1_000)
    async with house.playing(session) as player:
        ended = await won(player)
        tx_id = f"win-{ended['round_id']}"
        await trio.to_thread.run_sync(house.wallet.wait_for_call, tx_id)
        while house.operator.round(ended["round_id"])["transactions"][1]["status"] != "parked":
            postgres.execute(PARK, url=house.server.environ["GETAWAY_DATABASE_URL"])
            await trio.sleep(0.2)
        listed = json.loads(house.server.getaway("wallet", "list", "--json").stdout)
        assert [(call["operator_tx_id"], call["status"]) for call in listed] == [(tx_id, "parked")]
        house.wallet.forget_faults(session.player_id)
        done = house.server.getaway("wallet", "retry", tx_id, "--by", "ann", "--reason", "their wallet is back")
        assert (done.returncode, done.stderr) == (0, "")
        with trio.fail_after(SEEN_S_MAX):
            while house.operator.round(ended["round_id"])["transactions"][1]["status"] != "acknowledged":
                await trio.sleep(0.1)
        assert len({call.raw for call in house.wallet.calls_of(tx_id)}) == 1
        assert len(house.wallet.entries_of(ended["round_id"])) == 2, "the bet and the win, once"
        audit = json.loads(house.server.getaway("wallet", "audit", "--json").stdout)
        assert [(entry["by"], entry["operator_tx_id"]) for entry in audit] == [("ann", tx_id)]


async def test_a_failing_wallet_is_seen_and_the_win_is_paid_in_the_end(house):
    session = house.operator.session()
    house.wallet.mistreat(session.player_id, "win", *[Fault(status=500)] * 1_000)
    async with house.playing(session) as player:
        ended = await won(player)
        shown = await player.until("balance")
        assert shown["pending_minor"] == ended["payout_minor"] == 1_010
        await until_metric(house, "getaway_wallet_breaker_open", lambda value: value == 1)
        await until_metric(house, "getaway_outbox_pending", lambda value: value == 1)
        await until_metric(house, "getaway_outbox_oldest_pending_seconds", lambda value: value > 0)
        await until_metric(house, "getaway_wallet_retries_total", lambda value: value >= 2)
        assert metric(house, "getaway_outbox_parked") == 0
        refused = await player.ask("bet", "error", amount_minor=1_000)
        assert refused["code"] in ("wallet_pending", "wallet_unavailable")
        house.wallet.forget_faults(session.player_id)
        paid = await player.until("balance")
        assert (paid["pending_minor"], paid["balance_minor"]) == (0, shown["balance_minor"] + 1_010)
        await until_metric(house, "getaway_wallet_breaker_open", lambda value: value == 0)
        await until_metric(house, "getaway_outbox_pending", lambda value: value == 0)
        assert (await player.play(1_000, auto_cashout=1.01))["status"] == "settled"
    events = log_events(house)
    assert "a wallet keeps failing: its breaker opens" in events
    assert "a wallet answers again: its breaker closes" in events
