"""A wallet that takes the call and then loses the connection: what happened is unknown, and the books say so."""

import pytest
import trio

from tests.e2e.house import audit_house, finished_round, open_house
from tests.e2e.wallet import Fault


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_house(postgres, tmp_path_factory.mktemp("lost")) as house:
        yield house


async def test_a_bet_whose_new_connection_is_lost_is_refunded(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        house.wallet.mistreat(session.player_id, "bet", Fault(drop=True, takes_effect=True))
        ended, codes = await player.bet_in_vain(600)
        assert (ended["status"], set(codes)) in (("void", set()), ("void", {"wallet_unavailable"}))
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        assert [one["kind"] for one in told["transactions"]] == ["bet", "refund"]


async def test_a_bet_whose_kept_connection_is_lost_is_sent_once_more(house):
    """A wallet may close a connection that waits just as a call goes out: the same bytes go out on a new one."""
    session = house.operator.session()
    async with house.playing(session) as player:
        first = await player.play(600, auto_cashout=1.01)  # so that there is a connection that waits for the next call
        await trio.to_thread.run_sync(finished_round, house.operator, first["round_id"])
        house.wallet.mistreat(session.player_id, "bet", Fault(drop=True, takes_effect=True))
        ended = await player.play(600, auto_cashout=1.01)
        calls = house.wallet.calls_of(f"bet-{ended['round_id']}")
        assert len(calls) == 2
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        assert told["transactions"][0]["attempts"] == 2
        assert [entry.kind for entry in house.wallet.entries_of(ended["round_id"])].count("bet") == 1


async def test_every_attempt_to_pay_a_win_is_counted(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        won = None
        while not won:
            house.wallet.forget_faults(session.player_id)
            house.wallet.mistreat(session.player_id, "win", Fault(drop=True, takes_effect=True))
            ended = await player.play(1000, auto_cashout=1.01)
            won = ended["payout_minor"]
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        calls = house.wallet.calls_of(f"win-{ended['round_id']}")
        assert len(calls) == 2
        assert [one["attempts"] for one in told["transactions"]] == [1, len(calls)]
        await trio.to_thread.run_sync(audit_house, house)
