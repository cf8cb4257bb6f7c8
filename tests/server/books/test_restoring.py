"""What an operator's list tells of a database that has gone back, at the edges."""

from uuid import UUID

import pytest

from server.books.restoring import BookedCall, LostBet, Stored, judge
from tests.helpers.game import NOON_MS

NOTHING = Stored(frozenset(), {}, {})


def made_at(ms: int) -> UUID:
    """A round id of that millisecond (RFC 9562, version 7)."""
    return UUID(int=ms << 80 | 7 << 76 | 2 << 62 | 5)


def bet(round_id: UUID, **changes) -> BookedCall:
    fields = {
        "line": 1,
        "operator_tx_id": f"bet-{round_id}",
        "kind": "bet",
        "amount_minor": 100,
        "currency": "USD",
        "session_id": str(UUID(int=9)),
        "operator_player_id": "player-42",
    }
    return BookedCall(**(fields | changes))


@pytest.mark.parametrize(("later_ms", "is_lost"), [(-1, False), (0, True), (1, True)])
def test_a_bet_of_the_moment_to_which_the_database_went_back_may_be_lost(later_ms, is_lost):
    row = bet(made_at(NOON_MS + later_ms))
    found = judge([row], NOTHING, NOON_MS)
    lost = LostBet(made_at(NOON_MS + later_ms), UUID(int=9), "player-42", "USD", 100)
    assert found.bets == ((lost,) if is_lost else ())
    assert [each.why for each in found.unknown] == ([] if is_lost else ["made before --since, and yet not known here"])


@pytest.mark.parametrize("lacks", [{"session_id": ""}, {"session_id": "9"}, {"operator_player_id": ""}])
def test_a_bet_of_which_too_little_is_said_is_left_to_a_person(lacks):
    found = judge([bet(made_at(NOON_MS), **lacks)], NOTHING, NOON_MS)
    assert found.bets == () and len(found.unknown) == 1


def test_an_id_that_tells_no_time_is_not_judged_by_it():
    drawn = UUID(int=(NOON_MS - 1) << 80 | 5, version=4)
    assert [each.round_id for each in judge([bet(drawn)], NOTHING, NOON_MS).bets] == [drawn]


@pytest.mark.parametrize("form", [str.upper, "{{{}}}".format, "urn:uuid:{}".format, lambda text: text.replace("-", "")])
def test_an_id_in_another_form_than_ours_is_none_of_ours(form):
    """Refunded under the form that we write, it would have another id than what the operator has booked."""
    round_id = UUID(int=made_at(NOON_MS).int | 0xABCDEF)
    row = bet(round_id, operator_tx_id=f"bet-{form(str(round_id))}")
    found = judge([row], NOTHING, NOON_MS)
    assert found.bets == () and [each.why for each in found.unknown] == ["no transaction id of ours"]
