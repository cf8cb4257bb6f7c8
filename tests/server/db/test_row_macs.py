"""A row's code covers each of its values, each in its place, and only the holder of the master key can make it."""

from decimal import Decimal
from uuid import UUID

import pytest

from server.secrets import row_macs
from server.secrets.row_macs import (
    ACTION,
    BET,
    CALL,
    END,
    KEY_NUMBER,
    LOST_BET,
    MAC_BYTES,
    OPERATOR,
    SESSION,
    START,
    RowKind,
    RowMacError,
    RowMacs,
)
from tests.helpers import books
from tests.helpers.game import operator

KINDS = {kind.name: kind for kind in (SESSION, BET, START, END, CALL, OPERATOR, ACTION, LOST_BET)}
MACS = RowMacs(bytes(32))


class Row(dict):
    """A row whose columns all have a value of their own, and which notes what was asked of it."""

    def __missing__(self, name: str) -> str:
        self[name] = name
        return name


@pytest.mark.parametrize("name", KINDS)
def test_every_value_is_covered(name):
    kind, row = KINDS[name], Row()
    mac = MACS.of_row(kind, row)
    assert (len(mac), mac[0]) == (MAC_BYTES, KEY_NUMBER)
    MACS.check(kind, row, mac)
    for column in list(row):
        for other in ("other", None, ""):
            with pytest.raises(RowMacError):
                MACS.check(kind, row | {column: other}, mac)


def test_values_do_not_run_into_each_other():
    """Neither over the border of two columns, nor of two items of a list, nor by what stands for nothing."""
    kind = RowKind("two", "a b")
    pairs = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), (None, "abc"), ("abc", None), (None, None), ("", "")]
    pairs += [(["ab", "c"], ""), (["a", "bc"], ""), (["abc"], ""), ([], ""), (["", ""], ""), ([[""], []], "")]
    pairs += [("\x00\x00\x00\x01b", "c"), (b"\xff\xff\xff\xff", b"")]
    codes = {MACS.of_row(kind, {"a": a, "b": b}) for a, b in pairs}
    assert len(codes) == len(pairs) - 1, "only an empty list is an empty text, and no column may have either"


def test_a_code_is_good_for_its_kind_and_its_key_only():
    row = Row()
    codes = {MACS.of_row(RowKind(label, "a"), row) for label in ("one", "other")}
    codes |= {RowMacs(key).of_row(RowKind("one", "a"), row) for key in (b"x" * 32, bytes(31) + b"x")}
    assert len(codes) == 4


def test_no_code_and_a_part_of_one_are_refused():
    row = Row()
    mac = MACS.of_row(START, row)
    flipped = [mac[:place] + bytes([mac[place] ^ 1]) + mac[place + 1 :] for place in range(MAC_BYTES)]
    for broken in (
        None,
        b"",
        mac[:-1],
        mac[1:],
        mac + b"x",
        bytes(MAC_BYTES),
        bytes([KEY_NUMBER + 1]) + mac[1:],
        *flipped,
    ):
        with pytest.raises(RowMacError):
            MACS.check(START, row, broken)


def test_a_growth_rate_has_one_text_however_it_is_written():
    """What PostgreSQL gives back has other exponents than what it was given."""
    kind = RowKind("two", "a b")
    texts = {MACS.of_row(kind, {"a": Decimal(text), "b": 1}) for text in ("0.00006", "6E-5", "0.0000600", "60E-6")}
    assert len(texts) == 1


def test_what_is_written_and_what_is_read_have_the_same_code():
    """A record names some values differently than its row does."""
    live = books.new_round(books.new_session(operator()), auto_cashout_hundredths=200)
    row = {name: getattr(live, name) for name in ("operator_id", "round_id", "session_id", "operator_player_id")}
    row |= {
        name: getattr(live, name) for name in ("currency", "amount_minor", "auto_cashout_hundredths", "created_at_ms")
    }
    row |= {name: getattr(live.commitment, name) for name in ("client_seed", "nonce", "server_seed_hash")}
    row |= {name: getattr(live.terms, name) for name in ("rtp_bps", "max_win_multiplier", "rev_share_bps")}
    row |= {name: getattr(live.terms, name) for name in ("max_payout_minor", "growth_rate_per_ms")}
    assert MACS.of_record(BET, live) == MACS.of_row(BET, row)


def test_codes_stay_what_they_are():
    """They are stored: another text or another key would refuse every row of before."""
    row = {"operator_id": UUID(int=1), "round_id": UUID(int=2), "session_id": UUID(int=3), "started_at_ms": 4}
    assert MACS.of_row(START, row).hex() == EXPECTED
    assert {name: MACS.of_row(kind, Row()).hex() for name, kind in KINDS.items()} == OF_NAMES
    assert row_macs.KEY_NUMBER == 1


EXPECTED = "0191cba78e035696baff4cbb95131c2235"  # computed by hand, from RFC 5869 and 2104
OF_NAMES = {
    "session": "01caa1d26399668da4dd93b0fa8118caa8",
    "round-bet": "010966ac9290762196adb3393212629ede",
    "round-start": "01298815d41d3a3b848f12ceb73885b8e8",
    "round-end": "01f92a2ff83d99bbcaebb7985d5cac3d2c",
    "wallet-call": "0164fed8f88b2b4946af11eae5f40ef73c",
    "operator": "01c2f9c2fb31f7e01703464c12a366e250",
    "wallet-action": "01f33e371c3bd5edb61553bd1c072e9fa4",
    "lost-bet": "01d71c5c7dd02ae53ee0813bc4b9dc571a",
}
"""The code of each kind where every column holds its own name."""

UNCOVERED = {
    "sessions": """balance_minor balance_is_known client_seed nonce server_seed_hash server_seed_sealed owner_node
    owner_epoch""",
    "rounds": "server_seed_sealed owner_node owner_epoch interrupted_at_ms settled_day",
    "transactions": """status attempts last_error acknowledged_at_ms next_attempt_at_ms not_before_ms refused_since_ms
    claim_node claim_epoch""",
    "operators": "",
    "wallet_actions": "action_id",
    "lost_bets": "attempts last_error noted_at_ms acknowledged_at_ms",
}
"""What needs no code: a promise and a seed are sealed for their place, a day follows from a moment, and the rest only
says who is at work on a row, how far the work is, or what is shown meanwhile."""
CODES = {"mac", "bet_mac", "start_mac", "end_mac"}


@pytest.mark.parametrize("table", UNCOVERED)
async def test_every_column_is_covered_or_needs_no_code(database, table):
    columns = await database.run(
        lambda connection: connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
            table,
        )
    )
    covered = set().union(*(columns_of(kind) for kind in KINDS_OF[table]))
    assert {row["column_name"] for row in columns} - covered - CODES == set(UNCOVERED[table].split())


def columns_of(kind: RowKind) -> set[str]:
    row = Row()
    kind.of_row(row)
    return set(row)


KINDS_OF = {
    "sessions": [SESSION],
    "rounds": [BET, START, END],
    "transactions": [CALL],
    "operators": [OPERATOR],
    "wallet_actions": [ACTION],
    "lost_bets": [LOST_BET],
}
