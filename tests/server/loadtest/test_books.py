"""The stand-in wallet's rules, and the comparison: whatever differs is told."""

import json
from dataclasses import replace

import pytest

from actors.rules.fairness import commitment, outcome
from actors.rules.money import multiplier_number, payout_minor
from server.loadtest.compare.comparison import (
    Compared,
    LastBalance,
    compare_books,
    compare_told,
    has_come_to_rest,
    is_complete,
)
from server.loadtest.play.seen_round import Promise, SeenRound, see
from server.loadtest.run.lines import line_of, read
from server.loadtest.wallet.wallet_books import WalletBooks

SEED = "b5ad45dc932b245a2f88f729ce30a4a098c868bd549de8bf8d8641b37a5e8501"
SEEN = SeenRound("r1", "ann", "settled", "cashout", 100, 150, 150, 410, 150, 9600, False, ())
LOST = replace(SEEN, round_id="r2", result="crash", payout_minor=0, realized_hundredths=0, crash_hundredths=120)
VOID = replace(LOST, round_id="r3", status="void", result=None)
REFUNDED = replace(VOID, round_id="r4", status="refunded")


def call(books, kind, round_id, amount_minor=100, player="ann", **fields):
    document = {
        "operator_tx_id": f"{kind}-{round_id}",
        "operator_player_id": player,
        "session_id": "s",
        "round_id": round_id,
        "currency": "USD",
        "amount_minor": amount_minor,
        **({} if kind == "bet" else {"bet_tx_id": f"bet-{round_id}"}),
        **fields,
    }
    status, body = books.answer(kind, json.dumps(document).encode())
    return status, json.loads(body)


@pytest.fixture
def books():
    return WalletBooks(["ann", "bob"], "USD", 1000)


def good(balance_minor):
    return 200, {"ok": True, "balance_minor": balance_minor}


def test_money_moves_once_however_often_a_call_comes(books):
    assert call(books, "bet", "r1") == good(900)
    assert call(books, "win", "r1", 150) == good(1050)
    assert call(books, "bet", "r1") == good(900)
    assert call(books, "win", "r1", 150) == good(1050)
    assert books.balances == {"ann": 1050, "bob": 1000}
    assert call(books, "win", "r1", 151)[0] == 409
    assert books.refused == ["idempotency_conflict"]


def test_a_refund_before_its_bet_is_remembered(books):
    assert call(books, "refund", "r1") == good(1000)
    assert call(books, "bet", "r1")[0] == 402
    assert books.balances["ann"] == 1000
    assert call(books, "bet", "r2") == good(900)
    assert call(books, "refund", "r2") == good(1000)
    assert call(books, "win", "r2", 150)[0] == 409


def test_a_wallet_pays_nobody_twice_and_nobody_else(books):
    assert call(books, "bet", "r1", 1001)[0] == 402
    assert call(books, "win", "r9", 150) == (409, {"ok": False, "error": "unknown_bet"})
    call(books, "bet", "r8", 100)
    for wrong_minor in (99, 101):
        assert call(books, "refund", "r8", wrong_minor) == (409, {"ok": False, "error": "amount_mismatch"})
    assert call(books, "refund", "r8", 100)[0] == 200
    call(books, "bet", "r2")
    assert call(books, "win", "r2", 150, player="bob")[0] == 409
    assert call(books, "win", "r5", 150, bet_tx_id="bet-r2") == (409, {"ok": False, "error": "bet_mismatch"})
    call(books, "win", "r2", 150)
    assert call(books, "refund", "r2")[0] == 409
    assert call(books, "bet", "r3", player="eve")[0] == 404
    assert call(books, "bet", "r3", currency="EUR")[0] == 404
    assert books.answer("bet", b"{")[0] == 400
    assert call(books, "bet", "r4", True)[0] == 400


def test_what_an_earlier_run_left_moves_nothing_and_is_no_failure_of_this_one(books):
    assert call(books, "win", "r1", 150, player="loadtest-0123-1") == (404, {"ok": False, "error": "unknown_bet"})
    assert call(books, "refund", "r1", player="loadtest-0123-1")[0] == 200
    assert (books.strangers, books.refused) == (2, [])
    assert call(books, "bet", "r2", player="loadtest-0123-1")[0] == 404
    assert books.balances == {"ann": 1000, "bob": 1000}


def played(books):
    call(books, "bet", "r1")
    call(books, "win", "r1", 150)
    call(books, "bet", "r2")
    call(books, "bet", "r3", 2000)
    call(books, "bet", "r4")
    call(books, "refund", "r4")
    return [SEEN, LOST, VOID, REFUNDED]


def differences(seen, books, balances=()):
    compared = Compared()
    compare_books(seen, books, balances, compared)
    return compared.differences


def test_books_that_agree_have_no_differences(books):
    seen = played(books)
    balances = [LastBalance("ann", 950, 0), LastBalance("bob", 1000, 0), LastBalance("bob", None, 0)]
    assert is_complete(seen, books)
    assert differences(seen, books, balances) == []


def test_every_planted_difference_is_told(books):
    seen = played(books)
    (wrong,) = differences([replace(SEEN, payout_minor=151), *seen[1:]], books)
    assert wrong == "round r1 of ann: the player saw a win of 151, the wallet booked 150"
    (wrong,) = differences([replace(SEEN, stake_minor=99), *seen[1:]], books)
    assert "the player saw a bet of 99, the wallet booked 100" in wrong
    (wrong,) = differences([SEEN, replace(LOST, status="void"), VOID, REFUNDED], books)
    assert "it is void, and the wallet has moved {'bet': -100}" in wrong
    (wrong,) = differences([SEEN, LOST, VOID, replace(REFUNDED, status="settled", result="crash")], books)
    assert "the player saw a refund of 0, the wallet booked 100" in wrong
    (wrong,) = differences([SEEN, replace(LOST, player="bob"), VOID, REFUNDED], books)
    assert "the wallet booked it for ann" in wrong
    (wrong,) = differences(seen, books, [LastBalance("ann", 949, 0)])
    assert wrong == "player ann was told a balance of 949, the wallet has 950"
    assert differences(seen, books, [LastBalance("ann", 949, 1)]) == [], "it is still to change"
    assert len(differences(seen[1:], books)) == 2, "a bet and a win whose round nobody saw"


def test_a_win_that_has_not_come_is_waited_for(books):
    call(books, "bet", "r1")
    assert not is_complete([SEEN], books)
    call(books, "win", "r1", 150)
    assert is_complete([SEEN], books)

    call(books, "bet", "r3")
    assert not is_complete([VOID], books), "a void round whose bet was booked is owed its refund"


TOLD = {
    "operator_player_id": "ann",
    "status": "settled",
    "result": "cashout",
    "amount_minor": 100,
    "payout_minor": 150,
    "realized_multiplier": 1.5,
    "outcome": {"crashPoint": 4.1},
    "transactions": [
        {"kind": "bet", "amount_minor": 100, "status": "acknowledged"},
        {"kind": "win", "amount_minor": 150, "status": "acknowledged"},
    ],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"operator_player_id": "bob"}, "the player ann, /round tells bob"),
        ({"payout_minor": 149}, "the payout 150, /round tells 149"),
        ({"realized_multiplier": None}, "the multiplier 150, /round tells None"),
        ({"outcome": {"crashPoint": 4.11}}, "the crash point 410, /round tells 411"),
        ({"transactions": TOLD["transactions"][:1]}, "a win of 150, /round tells None"),
        (
            {"transactions": [TOLD["transactions"][0], TOLD["transactions"][1] | {"status": "parked"}]},
            "a win of 150, /round tells that it is parked",
        ),
    ],
)
def test_what_the_server_tells_otherwise_is_found(change, words):
    compared = Compared()
    compare_told(SEEN, TOLD, compared)
    assert (compared.differences, compared.told_rounds) == ([], 1)
    compare_told(SEEN, TOLD | change, compared)
    assert [words in one for one in compared.differences] == [True]


def test_a_round_whose_win_is_on_its_way_has_not_come_to_rest():
    assert has_come_to_rest(TOLD)
    pending = [TOLD["transactions"][0], TOLD["transactions"][1] | {"status": "pending"}]
    assert not has_come_to_rest(TOLD | {"transactions": pending})


def ended(**changes):
    drawn = outcome(SEED, "player", 1, 9600, 2000)  # it crashes at 1.07x
    frame = {
        "round_id": "r1",
        "status": "settled",
        "result": "cashout",
        "amount_minor": 100,
        "payout_minor": payout_minor(100, 105),
        "realized_multiplier": 1.05,
        "crash_point": multiplier_number(drawn.crash_hundredths),
        "server_seed": SEED,
        "server_seed_hash": commitment(SEED),
        "client_seed": "player",
        "nonce": 1,
        "rtp_target": 96,
        "max_win_multiplier": 2000,
        "map_seed": drawn.map_seed,
        "loot_seed": drawn.loot_seed,
        "guard_seed": drawn.guard_seed,
    }
    return frame | changes


def complaints(automatic_hundredths=105, stake_minor=100, promise=None, **changes):
    return see(
        ended(**changes),
        player="ann",
        promise=promise or Promise(commitment(SEED), "player", 1),
        stake_minor=stake_minor,
        target_hundredths=105,
        automatic_hundredths=automatic_hundredths,
        was_cut=False,
    ).complaints


def test_a_fair_round_has_nothing_to_complain_about():
    assert complaints() == ()
    assert complaints(result="crash", realized_multiplier=0, payout_minor=0, automatic_hundredths=108) == ()
    assert read(line_of(SEEN).rstrip(), SeenRound) == SEEN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"promise": Promise("0" * 64, "player", 1)}, "not the one that was promised"),
        ({"promise": Promise(commitment(SEED), "other", 1)}, "not those of the bet"),
        ({"crash_point": 1.08}, "its seeds give the crash point 1.07, not 1.08"),
        ({"rtp_target": 90}, "its seeds give the crash point 1.01, not 1.07"),
        ({"guard_seed": "0" * 64}, "its scenery"),
        ({"payout_minor": 106}, "it pays 106"),
        ({"stake_minor": 50}, "its stake is 100, and 50 was bet"),
        ({"automatic_hundredths": 106}, "it was taken at 1.05x, not at 1.06x"),
        ({"realized_multiplier": 1.08, "payout_minor": 108, "automatic_hundredths": None}, "above its crash point"),
        ({"result": "crash", "automatic_hundredths": None}, "though it is crash"),
        ({"server_seed": "x"}, "reveals no seeds"),
    ],
)
def test_an_unfair_round_is_told(changes, words):
    assert any(words in complaint for complaint in complaints(**changes)), complaints(**changes)
