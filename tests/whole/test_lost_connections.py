"""A wallet that takes the call and then loses the connection: what happened is unknown, and the books say so."""

import json

import pytest
import trio

from tests.helpers.server_process import free_ports
from tests.whole.casino import Operator
from tests.whole.house import audit_house, finished_round, open_house
from tests.whole.wallet import Fault


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


async def test_a_bet_that_was_debited_and_is_refused_when_it_comes_again_is_refunded(house):
    """What a wallet answers to the repetition says nothing of the sending whose connection was lost."""
    session = house.operator.session()
    async with house.playing(session) as player:
        first = await player.play(600, auto_cashout=1.01)
        await trio.to_thread.run_sync(finished_round, house.operator, first["round_id"])
        house.wallet.mistreat(session.player_id, "bet", Fault(drop=True, takes_effect=True), Fault(status=409))
        ended, codes = await player.bet_in_vain(600)
        assert (ended["status"], ended["reason"], set(codes)) == ("void", "wallet_unavailable", {"wallet_unavailable"})
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        listed = [(one["kind"], one["status"], one["attempts"]) for one in told["transactions"]]
        assert listed == [("bet", "unknown", 2), ("refund", "acknowledged", 1)]
        assert [entry.delta_minor for entry in house.wallet.entries_of(ended["round_id"])] == [-600, 600]
        await trio.to_thread.run_sync(audit_house, house)


async def test_a_bet_that_never_left_is_told_as_such(house):
    """Nobody listens there: the operator reads that we have not sent it, and the log says the same."""
    (port,) = free_ports(1)
    created = house.server.create_operator(f"http://127.0.0.1:{port}/wallet", currency="USD")
    operator = Operator(house.url, **{name: created[name] for name in ("operator_id", "api_key", "hmac_secret")})
    await trio.sleep(3)  # until the server has looked for new operators
    async with house.playing(await trio.to_thread.run_sync(operator.session)) as player:
        ended, codes = await player.bet_in_vain(600)
        house.players.remove(player)
    assert (ended["status"], ended["reason"], codes) == ("void", "wallet_unavailable", ["wallet_unavailable"])
    told = await trio.to_thread.run_sync(finished_round, operator, ended["round_id"])
    (bet,) = told["transactions"]
    assert (told["status"], told["reason"]) == ("void", "wallet_unavailable")
    assert (bet["status"], bet["attempts"]) == ("declined", 0)
    assert bet["last_error"] == "not sent: no connection to the wallet"
    lines = [json.loads(line) for line in house.server.log().splitlines() if line.startswith("{")]
    (logged,) = [line for line in lines if line["event"] == "a bet was not sent"]
    assert (logged["round_id"], logged["detail"], logged["attempts"]) == (ended["round_id"], bet["last_error"], 0)


async def test_a_win_that_is_answered_without_a_balance_is_done(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        for body in (b'{"ok": true}', b'{"ok": true, "balance_minor": -500}'):
            won = None
            while not won:
                house.wallet.forget_faults(session.player_id)
                house.wallet.mistreat(session.player_id, "win", Fault(takes_effect=True, body=body))
                ended = await player.play(1000, auto_cashout=1.01)
                won = ended["payout_minor"]
            told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
            assert [(one["status"], one["attempts"]) for one in told["transactions"]] == [("acknowledged", 1)] * 2
        house.wallet.forget_faults(session.player_id)
        assert (await player.play(600, auto_cashout=1.01))["status"] == "settled"
