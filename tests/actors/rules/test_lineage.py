"""When a database's history counts as cut."""

from dataclasses import replace

import pytest

from actors.rules.lineage import Lineage, cut_reason

WHOLE = Lineage(history_id="one", cut_reason=None, has_moved=False, was_synchronous=False)
MOVED = Lineage(history_id="one", cut_reason=None, has_moved=True, was_synchronous=False)
NOTED = replace(MOVED, cut_reason="noted by another node")
PROMOTED = Lineage(history_id="one", cut_reason=None, has_moved=True, was_synchronous=True)


@pytest.mark.parametrize(
    ("lineage", "recorded_ms", "written_ms", "is_cut"),
    [
        (WHOLE, 1_000, None, False),
        (WHOLE, 1_000, 1_000, False),
        (WHOLE, 1_500, 1_000, False),
        (WHOLE, 999, 1_000, True),
        (WHOLE, None, 1_000, True),
        (MOVED, 1_000, 1_000, True),
        (NOTED, 1_000, 1_000, False),
        (NOTED, 999, 1_000, True),
        (NOTED, None, 1_000, True),
        (PROMOTED, 1_000, 1_000, False),
        (PROMOTED, 999, 1_000, True),
        (PROMOTED, None, 1_000, True),
    ],
    ids=[
        "first beat", "as written", "an answer was lost", "an older beat", "no such life", "another timeline",
        "one that is noted", "noted, and an older beat", "noted, and no such life",
        "a synchronous standby", "one that lacks a beat", "one that lacks the life",
    ],
)  # fmt: skip
def test_history_is_whole_or_cut(lineage, recorded_ms, written_ms, is_cut):
    assert (cut_reason(lineage, recorded_ms=recorded_ms, written_ms=written_ms) is not None) is is_cut
