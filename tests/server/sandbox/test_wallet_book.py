import json
import sqlite3
import threading

import pytest

from server.sandbox.wallet_book import RefusedError, WalletBook

NOW_MS = 1_782_864_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "wallet.sqlite"


@pytest.fixture
def book(path):
    book = WalletBook(path)
    book.open_account("ada", "USD", NOW_MS)
    yield book
    book.close()


def body(kind, round_id="r1", amount_minor=10_000, player="ada", currency="USD", **more):
    fields = {
        "operator_tx_id": f"{kind}-{round_id}",
        "operator_player_id": player,
        "session_id": "s",
        "round_id": round_id,
        "currency": currency,
        "amount_minor": amount_minor,
    }
    if kind != "bet":
        fields["bet_tx_id"] = f"bet-{round_id}"
    return json.dumps({**fields, **more}).encode()


def told(answer):
    return answer.status, json.loads(answer.body)


def refused(status, code):
    return status, {"ok": False, "error": code}


def accepted(balance_minor):
    return 200, {"ok": True, "balance_minor": balance_minor}


def send(book, kind, *arguments, **fields):
    return told(book.answer(kind, body(kind, *arguments, **fields), NOW_MS))


def assert_adds_up(book, player="ada", currency="USD"):
    entries = [entry for entry in book.entries(player, 10_000) if entry.currency == currency]
    assert sum(entry.amount_minor for entry in entries) == book.balance(player, currency)
    assert entries[0].balance_minor == book.balance(player, currency)


def test_a_round_won_and_a_round_refunded(book):
    assert send(book, "bet") == accepted(490_000)
    assert send(book, "win", amount_minor=25_000) == accepted(515_000)
    assert send(book, "bet", "r2") == accepted(505_000)
    assert send(book, "refund", "r2") == accepted(515_000)
    assert_adds_up(book)


@pytest.mark.parametrize("kind", ["bet", "win", "refund"])
def test_the_same_call_again_gets_the_same_answer_and_moves_nothing(book, kind):
    if kind != "bet":
        send(book, "bet")
    first = send(book, kind)
    book.deposit("ada", "USD", 5, NOW_MS)
    entries = len(book.entries("ada", 100))
    answer = book.answer(kind, body(kind), NOW_MS)
    assert (told(answer), answer.outcome) == (first, "repeated")
    assert len(book.entries("ada", 100)) == entries


@pytest.mark.parametrize("kind", ["bet", "win", "refund"])
@pytest.mark.parametrize("change", [{"amount_minor": 9_999}, {"round_id": "r9"}, {"note": 1}])
def test_the_same_id_with_another_body_is_refused(book, kind, change):
    if kind != "bet":
        send(book, "bet")
    send(book, kind)
    balance_minor = book.balance("ada", "USD")
    fields = json.loads(body(kind)) | change
    assert told(book.answer(kind, json.dumps(fields).encode(), NOW_MS)) == refused(409, "idempotency_conflict")
    assert book.balance("ada", "USD") == balance_minor


def test_a_bet_never_overdraws_and_stays_refused(book):
    assert send(book, "bet", amount_minor=500_001) == refused(402, "insufficient_funds")
    book.deposit("ada", "USD", 1_000, NOW_MS)
    assert send(book, "bet", amount_minor=500_001) == refused(402, "insufficient_funds")
    assert send(book, "bet", "r2", amount_minor=501_000) == accepted(0)
    assert send(book, "refund", amount_minor=500_001) == accepted(0)
    assert_adds_up(book)


def test_a_refund_of_an_unknown_bet_is_accepted_and_bars_it(book):
    assert send(book, "refund") == accepted(500_000)
    assert send(book, "refund") == accepted(500_000)
    assert send(book, "bet") == refused(409, "bet_cancelled")
    assert send(book, "win") == refused(409, "bet_is_cancelled")
    assert book.balance("ada", "USD") == 500_000


def test_a_refund_for_an_unknown_player_is_accepted(book):
    assert send(book, "refund", player="nobody") == accepted(0)
    assert send(book, "bet", player="nobody") == refused(409, "bet_cancelled")


def test_a_bet_of_an_unknown_player_or_wallet_is_refused(book):
    assert send(book, "bet", player="nobody") == refused(404, "unknown_player")
    assert send(book, "bet", "r2", currency="EUR") == refused(404, "unknown_player")


def test_a_win_needs_its_bet(book):
    assert send(book, "win") == refused(404, "unknown_bet")
    send(book, "bet")
    assert send(book, "win", amount_minor=20_000) == accepted(510_000)


def test_a_bet_ends_once(book):
    send(book, "bet")
    send(book, "win")
    assert send(book, "refund") == refused(409, "bet_is_won")
    send(book, "bet", "r2")
    send(book, "refund", "r2")
    assert send(book, "win", "r2") == refused(409, "bet_is_refunded")
    before = book.balance("ada", "USD")
    assert send(book, "refund", "r2", operator_tx_id="refund-again") == accepted(before), "it has its money, once"
    assert told(book.answer("win", body("win", operator_tx_id="win-again", bet_tx_id="bet-r1"), NOW_MS)) == refused(
        409, "bet_is_won"
    )
    assert_adds_up(book)


@pytest.mark.parametrize("kind", ["win", "refund"])
@pytest.mark.parametrize("change", [{"player": "bob"}, {"currency": "EUR"}])
def test_a_win_or_refund_must_be_about_its_bet(book, kind, change):
    book.open_account("bob", "USD", NOW_MS)
    book.open_account("ada", "EUR", NOW_MS)
    send(book, "bet")
    assert send(book, kind, **change) == refused(409, "bet_mismatch")


@pytest.mark.parametrize("kind", ["win", "refund"])
def test_the_bet_of_one_round_is_not_that_of_another(book, kind):
    send(book, "bet")
    send(book, "bet", "r2")
    assert send(book, kind, "r2", bet_tx_id="bet-r1") == refused(409, "bet_mismatch")
    assert send(book, kind, "r2")[0] == 200


def test_a_refund_is_exactly_the_stake(book):
    send(book, "bet")
    for wrong_minor in (9_999, 10_001):
        assert send(book, "refund", amount_minor=wrong_minor) == refused(409, "amount_mismatch")
    assert send(book, "refund") == accepted(500_000)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b"\xff", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (body("bet", amount_minor=0), "bad_amount_minor"),
        (body("bet", amount_minor=-1), "bad_amount_minor"),
        (body("bet", amount_minor=True), "bad_amount_minor"),
        (body("bet", amount_minor=1.0), "bad_amount_minor"),
        (body("bet", amount_minor="1"), "bad_amount_minor"),
        (body("bet", amount_minor=10**15 + 1), "bad_amount_minor"),
        (body("bet", operator_tx_id=""), "bad_operator_tx_id"),
        (body("bet", operator_tx_id="x" * 129), "bad_operator_tx_id"),
        (body("bet", operator_tx_id=7), "bad_operator_tx_id"),
        (body("bet", player=None), "bad_operator_player_id"),
        (body("bet", player="\ud800"), "bad_operator_player_id"),
        (body("bet", currency=[]), "bad_currency"),
    ],
)
def test_a_malformed_call_names_its_field_and_moves_nothing(book, raw, code):
    assert told(book.answer("bet", raw, NOW_MS)) == refused(400, code)
    assert book.balance("ada", "USD") == 500_000


def test_balances_answers_and_refusals_survive_a_restart(book, path):
    send(book, "bet")
    send(book, "refund", "r7")
    book.close()
    again = WalletBook(path)
    assert again.open_account("ada", "USD", NOW_MS) == 490_000
    assert send(again, "bet") == accepted(490_000)
    assert send(again, "bet", "r7") == refused(409, "bet_cancelled")
    assert send(again, "win", amount_minor=25_000) == accepted(515_000)
    assert_adds_up(again)
    again.close()


def together(*calls):
    barrier, results = threading.Barrier(len(calls)), []

    def run(call):
        barrier.wait()
        results.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_same_bet_many_times_at_once_has_one_effect(book, path):
    other = WalletBook(path)  # as a second process would
    books = [book, other] * 4
    answers = together(*(lambda one=one: one.answer("bet", body("bet"), NOW_MS) for one in books))
    other.close()
    assert {told(answer)[0] for answer in answers} == {200}
    assert sorted(answer.outcome for answer in answers) == ["accepted"] + ["repeated"] * 7
    assert book.balance("ada", "USD") == 490_000
    assert [entry.kind for entry in book.entries("ada", 10)] == ["bet", "opening"]


def test_bets_at_once_never_overdraw(book):
    calls = [lambda n=n: book.answer("bet", body("bet", f"r{n}", 200_000), NOW_MS) for n in range(6)]
    assert sorted(answer.status for answer in together(*calls)) == [200, 200, 402, 402, 402, 402]
    assert book.balance("ada", "USD") == 100_000


def test_bet_and_refund_at_once_leave_the_stake_with_the_player(book):
    for n in range(20):
        together(
            lambda n=n: book.answer("bet", body("bet", f"r{n}"), NOW_MS),
            lambda n=n: book.answer("refund", body("refund", f"r{n}"), NOW_MS),
        )
    assert book.balance("ada", "USD") == 500_000


def test_every_commit_reaches_the_disk(book, path):
    assert book._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert book._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_failure_in_the_middle_leaves_nothing_half_done(book, path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TRIGGER no_entries BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(sqlite3.Error):
        book.answer("bet", body("bet"), NOW_MS)
    assert book.balance("ada", "USD") == 500_000
    with sqlite3.connect(path) as other:
        other.execute("DROP TRIGGER no_entries")
    other.close()
    assert send(book, "bet") == accepted(490_000)


def test_deposits_have_bounds(book):
    assert book.deposit("ada", "USD", 1, NOW_MS) == 500_001
    for amount_minor in (0, -1, 10**12 + 1, 10**12):
        with pytest.raises(RefusedError):
            book.deposit("ada", "USD", amount_minor, NOW_MS)
    with pytest.raises(RefusedError):
        book.deposit("nobody", "USD", 1, NOW_MS)
    assert book.balance("ada", "USD") == 500_001
