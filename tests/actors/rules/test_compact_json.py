"""JSON as it is sent and stored, beside the standard library's."""

import json
from decimal import Decimal
from uuid import UUID

import pytest
from asyncpg.pgproto import pgproto
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.compact_json import compact_json
from actors.rules.money import multiplier_number

TEXTS = st.text(st.characters(codec=None, categories=None))
"""Halves of surrogate pairs, too, as a client may send them in an escape."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.integers(100, 200_000).map(multiplier_number),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_reads_as_the_same(value):
    assert json.loads(compact_json(value)) == value


@given(st.integers(100, 200_000))
def test_a_multiplier_is_written_as_the_standard_library_writes_it(hundredths):
    assert compact_json(multiplier_number(hundredths)) == json.dumps(multiplier_number(hundredths)).encode()


@pytest.mark.parametrize("kind", [UUID, pgproto.UUID])
@pytest.mark.parametrize(
    ("beside", "text"),
    [("plain", b'"plain"'), ("zo\u00eb", b'"zo\xc3\xab"'), (10**30, b"1" + 30 * b"0"), ("\ud800", b'"\\ud800"')],
)
def test_a_uuid_is_its_text_whatever_is_beside_it(kind, beside, text):
    written = compact_json({"session_id": kind("0b6e2c1e-7a5f-4b52-9a3f-2f1b8e6d4c3a"), "beside": beside})
    assert written == b'{"session_id":"0b6e2c1e-7a5f-4b52-9a3f-2f1b8e6d4c3a","beside":' + text + b"}"


def test_an_integer_of_any_size_is_written_out():
    assert compact_json(["zo\u00eb", 10**30]) == '["zo\u00eb",1'.encode() + 30 * b"0" + b"]"


@pytest.mark.parametrize("value", [object(), 1j, {"x": [object()]}, ["\ud800", object()], ["\ud800", Decimal("1.5")]])
def test_what_has_no_json_is_refused(value):
    with pytest.raises(TypeError):
        compact_json(value)


def test_no_line_break_or_control_character_is_left_bare():
    assert compact_json("\x00\n\r\x1f") == b'"\\u0000\\n\\r\\u001f"'
