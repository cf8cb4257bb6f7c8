"""The breaker: opens after failures in a row, tries with doubling pauses, closes at any answer."""

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.breaker import Breaker


def breaker() -> Breaker:
    return Breaker(failures_max=3, open_first_ms=1_000, open_max_ms=4_000)


def opened(at_ms: int = 0) -> Breaker:
    subject = breaker()
    assert [subject.note_failure(at_ms, was_trial=False) for _ in range(3)] == [False, False, True]
    return subject


def test_only_failures_in_a_row_open_it():
    subject = breaker()
    for _ in range(5):
        assert not subject.note_failure(0, was_trial=False)
        assert not subject.note_failure(0, was_trial=False)
        assert not subject.note_success()
    assert subject.permits(0)
    assert not subject.begin(0)


def test_open_it_permits_one_trial_at_a_time():
    subject = opened(at_ms=500)
    assert not subject.permits(1_499)
    assert subject.permits(1_500)
    assert subject.begin(1_500)
    assert not subject.permits(1_501)
    assert subject.permits(2_500), "a trial that never ends delays the next one, no more"


def test_each_failed_trial_doubles_the_pause_up_to_the_largest():
    subject, now_ms, pauses = opened(), 0, []
    for _ in range(4):
        pauses.append(subject.trial_at_ms - now_ms)
        now_ms = subject.trial_at_ms
        assert subject.begin(now_ms)
        assert not subject.note_failure(now_ms, was_trial=True), "it was open"
    assert pauses == [1_000, 2_000, 4_000, 4_000]


def test_calls_that_began_before_it_opened_change_nothing():
    subject = opened()
    assert not subject.note_failure(900, was_trial=False)
    assert (subject.trial_at_ms, subject.open_ms) == (1_000, 1_000)


def test_any_answer_closes_it_and_it_starts_anew():
    subject = opened()
    assert subject.begin(1_000)
    assert subject.note_success()
    assert subject.permits(1_000)
    assert [subject.note_failure(2_000, was_trial=False) for _ in range(3)] == [False, False, True]
    assert subject.trial_at_ms == 3_000, "the pause is the first one again"


@given(st.lists(st.tuples(st.sampled_from(["call", "answer", "failure", "trial failure"]), st.integers(0, 3_000))))
def test_whatever_happens_a_trial_is_at_most_the_largest_pause_away(events):
    subject, now_ms = breaker(), 0
    for event, later_ms in events:
        now_ms += later_ms
        match event:
            case "call":
                if subject.permits(now_ms):
                    assert subject.begin(now_ms) == subject.is_open
            case "answer":
                subject.note_success()
            case _:
                subject.note_failure(now_ms, was_trial=event == "trial failure")
        assert subject.permits(now_ms + 4_000)
        assert subject.is_open or subject.permits(now_ms)
