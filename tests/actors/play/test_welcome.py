"""The history of a welcome, which was read while rounds ended."""

from types import SimpleNamespace

from actors.play.welcome import with_newest


def rounds(*numbers):
    return [SimpleNamespace(round_id=number) for number in numbers]


def shown(newest, stored, history_max, flying=()):
    found = with_newest(newest, stored, history_max, lambda round_id: round_id in flying)
    return found and [past.round_id for past in found]


def test_the_round_that_has_just_ended_is_there_once_and_none_is_too_many():
    (newest,) = rounds(9)
    assert shown(newest, rounds(8, 7, 6), 3) == [9, 8, 7]
    assert shown(newest, rounds(8, 7), 3) == [9, 8, 7]
    assert shown(newest, rounds(9, 8, 7), 3) == [9, 8, 7]
    assert shown(None, rounds(8, 7), 3) == [8, 7]
    assert shown(newest, None, 3) is None, "a page that wants no history has none"


def test_what_is_shown_as_a_flight_is_no_history():
    (newest,) = rounds(8)
    assert shown(newest, rounds(9, 8, 7), 3, flying={9}) == [8, 7]
