"""Frames of any shape: parsed, or refused with an error; never anything else."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.facts.frames_in import AUTO_CASHOUT_MAX, BetIn, FrameError, PingIn, parse_frame
from actors.facts.frames_out import PongOut, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)
frames = st.fixed_dictionaries(
    {"type": st.sampled_from(["hello", "bet", "cashout", "client_seed", "history", "ping"]) | json_values},
    optional=dict.fromkeys(
        ["id", "session", "amount_minor", "auto_cashout", "client_seed", "round_id", "value", "before", "limit", "t"],
        json_values,
    ),
)


@given(st.binary(max_size=200) | frames.map(lambda frame: json.dumps(frame).encode()))
def test_any_frame_is_parsed_or_refused(text):
    try:
        frame = parse_frame(text)
    except FrameError as error:
        assert error.code in {"bad_message", "bad_auto_cashout", "bad_client_seed"}
        assert error.message
    else:
        if isinstance(frame, PingIn):
            json.loads(encode(PongOut.to(frame, 0)), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b'{"type":"bet","amount_minor":NaN}',
        b'{"type":"bet","amount_minor":1e3}',
        b'{"type":"bet","amount_minor":' + b"9" * 4_000 + b"e5}",
        b'{"type":"ping","t":1e999}',
        b'{"type":"bet","amount_minor":100,"auto_cashout":1e999999999}',
        b'{"type":"ping","t":1,"ignored":NaN}',
        b'{"type":"ping","t":1,"ignored":[-Infinity]}',
        b'{"type":"bet","amount_minor":100,"auto_cashout":1e-999999999}',
        b'{"type":"bet","amount_minor":100,"auto_cashout":1.5000000000000000000000000000000000001}',
        b"[" * 4_000,
        b'{"type":"hello","session":' + b'"' + b"x" * 129 + b'"}',
    ],
)
def test_hostile_frames_are_refused(text):
    with pytest.raises(FrameError):
        parse_frame(text)


@given(hundredths=st.integers(101, 10**8))
def test_an_automatic_cash_out_is_read_exactly(hundredths):
    whole, rest = divmod(hundredths, 100)
    frame = parse_frame(f'{{"type":"bet","amount_minor":100,"auto_cashout":{whole}.{rest:02}}}'.encode())
    assert frame == BetIn(None, 100, hundredths, None)


def test_a_refused_frame_keeps_its_id():
    with pytest.raises(FrameError) as refused:
        parse_frame(b'{"type":"bet","id":"b7"}')
    assert refused.value.frame_id == "b7"


@given(
    st.one_of(
        st.decimals(1, 1_000_000, allow_nan=False, allow_infinity=False, places=2),
        st.decimals(1, 1_000_000, allow_nan=False, allow_infinity=False, places=3),
        st.builds("{}.{}".format, st.integers(1, 1_000_000), st.from_regex(r"[0-9]{1,3}0{0,60}[0-9]?", fullmatch=True)),
        st.builds("{}e{}".format, st.integers(1, 10**40), st.integers(-60, 3)),
    )
)
def test_an_auto_cashout_is_taken_exactly_or_refused(number):
    exact = Fraction(str(number)) * 100
    try:
        taken = parse_frame(f'{{"type":"bet","amount_minor":100,"auto_cashout":{number}}}'.encode())
    except FrameError as error:
        assert error.code == "bad_auto_cashout"
        assert exact.denominator != 1 or not 100 <= exact <= AUTO_CASHOUT_MAX * 100
    else:
        assert isinstance(taken, BetIn)
        assert taken.auto_cashout_hundredths == exact
        assert 100 <= exact <= AUTO_CASHOUT_MAX * 100
