"""The fate of a call from those of its sendings: unknown is absorbing, whatever comes before or after it."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear, answer_of_all
from actors.rules.call_fates import Fate, merged

FATES = st.lists(st.sampled_from(Fate), min_size=1, max_size=6)
ANSWERS = {
    Fate.NEVER_LEFT: NotSent("no connection", is_unreachable=True),
    Fate.REFUSED: Declined("the wallet answered 409"),
    Fate.UNKNOWN: Unclear("lost"),
    Fate.ACKNOWLEDGED: Acknowledged(5),
}


def by_the_contract(fates: list[Fate]) -> Fate:
    """Section 6.2, word for word."""
    if any(fate is Fate.ACKNOWLEDGED for fate in fates):
        return Fate.ACKNOWLEDGED
    if any(fate is Fate.UNKNOWN for fate in fates):
        return Fate.UNKNOWN
    return Fate.REFUSED if Fate.REFUSED in fates else Fate.NEVER_LEFT


@given(FATES)
def test_it_is_what_the_contract_says(fates):
    assert merged(fates) is by_the_contract(fates)


@given(FATES, FATES)
def test_it_does_not_matter_when_what_is_merged(fates, more):
    assert merged([merged(fates), merged(more)]) is merged([*fates, *more])
    assert {merged(order) for order in permutations(fates[:4])} == {merged(fates[:4])}


def test_a_call_that_was_never_tried_has_not_left():
    assert merged([]) is Fate.NEVER_LEFT


@pytest.mark.parametrize("fates", list(product(Fate, repeat=2)))
def test_an_answer_of_two_sendings_has_their_fate_and_counts_those_that_may_have_arrived(fates):
    answer = answer_of_all([ANSWERS[fate] for fate in fates])
    assert answer.fate is merged(fates)
    assert answer.sends == sum(fate is not Fate.NEVER_LEFT for fate in fates)


def test_a_refusal_after_a_lost_answer_is_told_with_the_doubt_and_with_its_wish_to_be_left_alone():
    answer = answer_of_all([Unclear("lost"), Declined("the wallet answered 409", retry_after_ms=3_000)])
    assert answer == Unclear("lost; sent again: the wallet answered 409", 2, 3_000)
    assert answer_of_all([Unclear("lost"), Unclear("the wallet answered 500")]).detail == "the wallet answered 500"


def test_what_one_sending_came_to_is_the_call_s():
    for answer in ANSWERS.values():
        assert answer_of_all([answer]) == answer
