"""What wallets are told, to the byte: the bodies of a round's calls are part of the operators' contract."""

import json
from dataclasses import replace

import pytest

from actors.facts import ends
from actors.facts.calls import bet_call, refund_call, win_call
from actors.facts.records import CallKind, CallStatus, Owner
from actors.rules.settlement import Result, Settlement
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.game import operator

OWNER = Owner("node-a", 1)
LIVE = books.new_round(books.new_session(operator()), 3, amount_minor=1_000)
WIN = win_call(LIVE, Settlement(Result.CASHOUT, 250, 2_500), NOON_MS + 7)


@pytest.mark.parametrize(
    ("call", "kind", "amount_minor", "position", "more"),
    [
        (bet_call(LIVE), CallKind.BET, 1_000, 6, {}),
        (WIN, CallKind.WIN, 2_500, 7, {"multiplier": 2.5, "bet_tx_id": f"bet-{LIVE.round_id}"}),
        (refund_call(LIVE, NOON_MS + 7), CallKind.REFUND, 1_000, 7, {"bet_tx_id": f"bet-{LIVE.round_id}"}),
    ],
    ids=list(CallKind),
)
def test_a_call_says_what_its_round_says(call, kind, amount_minor, position, more):
    told = {
        "operator_tx_id": f"{kind.value}-{LIVE.round_id}",
        "operator_player_id": LIVE.operator_player_id,
        "session_id": str(LIVE.session_id),
        "round_id": str(LIVE.round_id),
        "currency": "USD",
        "amount_minor": amount_minor,
    } | more
    assert call.body == json.dumps(told, separators=(",", ":")).encode()
    assert (call.operator_tx_id, call.kind, call.amount_minor) == (told["operator_tx_id"], kind, amount_minor)
    assert call.position == position, "in the order of the rounds, and what is owed behind its bet"
    assert (call.operator_id, call.session_id, call.round_id) == (LIVE.operator_id, LIVE.session_id, LIVE.round_id)
    due_ms = LIVE.created_at_ms if kind is CallKind.BET else NOON_MS + 7
    assert call.created_at_ms == call.next_attempt_at_ms == due_ms


def test_a_crash_is_told_to_nobody():
    assert win_call(LIVE, Settlement(Result.CRASH, 0, 0), NOON_MS) is None


@pytest.mark.parametrize("claimed_ms", [None, 0, 1])
def test_an_end_is_claimed_only_if_somebody_has_claimed_what_it_owes(claimed_ms):
    def claim(owed):
        return None if claimed_ms is None else replace(owed, next_attempt_at_ms=owed.created_at_ms + claimed_ms)

    each = (
        ends.void(LIVE, OWNER, "x", bet_status=CallStatus.UNKNOWN, attempts=1, now_ms=NOON_MS, claim=claim),
        ends.refunded(books.flying(LIVE), OWNER, "x", NOON_MS, claim),
        ends.settled(books.flying(LIVE), OWNER, Settlement(Result.CASHOUT, 250, 2_500), NOON_MS, claim),
    )
    assert [end.is_claimed for end in each] == [claimed_ms == 1] * 3
    crash = ends.settled(books.flying(LIVE), OWNER, Settlement(Result.CRASH, 0, 0), NOON_MS, claim)
    assert (crash.call, crash.outbox_minor, crash.is_claimed) == (None, 0, False)
