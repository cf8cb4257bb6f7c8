"""The casino's wallet sees what breaks the specification: a blind one would report no violation."""

import json

import pytest

from tests.whole.casino import Operator, raw_request
from tests.whole.wallet import Fault, Wallet

STAKE = {
    "operator_player_id": "player-1",
    "session_id": "session-1",
    "round_id": "r",
    "currency": "USD",
    "amount_minor": 1000,
}
BET = {"operator_tx_id": "bet-r", **STAKE}
WIN = {**STAKE, "operator_tx_id": "win-r", "bet_tx_id": "bet-r", "amount_minor": 1230, "multiplier": 1.23}
REFUND = {**STAKE, "operator_tx_id": "refund-r", "bet_tx_id": "bet-r"}


@pytest.fixture
def wallet():
    wallet = Wallet()
    wallet.open_account("player-1", "USD", 5000)
    wallet.trust(Operator("", "the-id", "the-key", "the-secret"))
    yield wallet
    wallet.close()


def call(wallet, kind, body, **signing):
    """What the game server would send: ``(status, answer)``."""
    (operator,) = wallet.operators.values()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = operator.signed("POST", f"/wallet/{kind}", raw, **signing)
    url = wallet.url.removesuffix("/wallet")
    answer = raw_request(url, "POST", f"/wallet/{kind}", [*headers, ("Content-Type", "application/json")], raw)
    return answer.status, answer.json


def test_a_round_that_keeps_to_the_rules(wallet):
    assert call(wallet, "bet", BET) == (200, {"ok": True, "balance_minor": 4000})
    for _ in range(2):
        assert call(wallet, "win", WIN) == (200, {"ok": True, "balance_minor": 5230})
    assert wallet.violations == []
    assert [entry.delta_minor for entry in wallet.journal] == [-1000, 1230]


def test_a_refund_before_its_bet(wallet):
    assert call(wallet, "refund", REFUND) == (200, {"ok": True, "balance_minor": 5000})
    assert call(wallet, "bet", BET)[0] == 409
    assert (wallet.violations, wallet.journal) == ([], [])


@pytest.mark.parametrize(
    ("kind", "body", "signing"),
    [
        ("bet", BET, {"secret": "another"}),
        ("bet", BET, {"signed_target": "/bet"}),
        ("bet", BET, {"timestamp": "1782864000"}),
        ("bet", BET, {"timestamp": "soon"}),
        ("bet", BET | {"extra": 1}, {}),
        ("bet", BET | {"amount_minor": 1000.0}, {}),
        ("bet", BET | {"operator_tx_id": "bet-q"}, {}),
        ("bet", BET | {"operator_player_id": "nobody"}, {}),
        ("bet", b"{", {}),
        ("win", WIN, {}),
    ],
)
def test_what_is_wrong_is_noted(wallet, kind, body, signing):
    call(wallet, kind, body, **signing)
    assert wallet.violations


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("bet", {**BET, "amount_minor": 999}),
        ("bet", {**STAKE, "operator_tx_id": "bet-r"}),
        ("win", WIN | {"amount_minor": 1231}),
        ("refund", REFUND | {"amount_minor": 999}),
    ],
)
def test_what_contradicts_the_bet_is_noted(wallet, kind, body):
    call(wallet, "bet", BET)
    call(wallet, kind, body)
    assert wallet.violations


def test_a_bet_that_overtakes_a_win_is_noted(wallet):
    wallet.mistreat("player-1", "win", Fault(status=500))
    call(wallet, "bet", BET)
    assert call(wallet, "win", WIN)[0] == 500
    call(wallet, "bet", BET | {"round_id": "q", "operator_tx_id": "bet-q"})
    assert wallet.violations
