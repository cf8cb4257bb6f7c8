"""What the options say: durations, addresses, strategies, conditions. A wrong one is refused in words."""

import pytest

from server.loadtest.plan.quantities import Address, duration_s, duration_text, listen_address, target_origin
from server.loadtest.plan.strategy import parse_strategy
from server.loadtest.plan.thresholds import parse_threshold


@pytest.mark.parametrize(
    ("text", "value_s"),
    [("60s", 60), ("20ms", 0.02), ("500us", 0.0005), ("1.5m", 90), ("2h", 7200), ("0s", 0), ("0ms", 0)],
)
def test_a_duration_is_read_in_its_unit(text, value_s):
    assert duration_s(text) == pytest.approx(value_s)


@pytest.mark.parametrize("text", ["", "60", "s", "-1s", "1 s", "1d", "1e3s", "٣s", "1s ", "13h", "1.s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        duration_s(text)


def test_a_duration_outside_its_bounds_names_them():
    with pytest.raises(ValueError, match="must be from 1s to 2m"):
        duration_s("500ms", 1.0, 120.0)


@pytest.mark.parametrize(
    ("value_s", "text"), [(0, "0s"), (0.0213, "21.3ms"), (60, "60s"), (120, "2m"), (90, "90s"), (7200, "2h")]
)
def test_a_duration_is_told_in_the_unit_that_suits_it(value_s, text):
    assert duration_text(value_s) == text


def test_addresses():
    assert listen_address("127.0.0.1:9100") == Address("127.0.0.1", 9100)
    assert str(listen_address("[::1]:9100")) == "[::1]:9100"
    target = target_origin("HTTPS://Game.example.com/")
    assert (target.origin, target.host, target.port, target.is_tls) == (
        "https://game.example.com",
        "game.example.com",
        443,
        True,
    )
    assert target_origin("http://127.0.0.1:8080").authority == "127.0.0.1:8080"


@pytest.mark.parametrize("text", ["9100", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "a b:1", "[::1:9", ":9100"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        listen_address(text)


@pytest.mark.parametrize("text", ["game.example.com", "ftp://a.example", "http://a.example/path", "http://u@a.example"])
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        target_origin(text)


@pytest.mark.parametrize("text", ["fixed:1.50", "fixed:2.00", "fixed:1000.01", "random", "hold"])
def test_a_strategy_is_written_as_it_is_read(text):
    assert str(parse_strategy(text)) == text


@pytest.mark.parametrize("text", ["", "fixed", "fixed:", "fixed:1", "fixed:1.00", "fixed:1.505", "fixed:x", "hold:2"])
def test_what_is_no_strategy_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        parse_strategy(text)


def test_a_condition_holds_or_not():
    assert parse_threshold("bet_p99>50ms").is_missed({"bet_p99": 0.0501})
    assert not parse_threshold("bet_p99>50ms").is_missed({"bet_p99": 0.05})
    assert parse_threshold("bet_p99>=50ms").is_missed({"bet_p99": 0.05})
    assert parse_threshold("rounds_per_second < 100").is_missed({"rounds_per_second": 99.9})
    assert not parse_threshold("rounds_per_second<100").is_missed({"rounds_per_second": 100})


def test_what_was_never_measured_is_not_good():
    threshold = parse_threshold("cashout_p50>1s")
    assert threshold.is_missed({"cashout_p50": None})
    assert threshold.told({"cashout_p50": None}) == "cashout_p50>1s: nothing was measured"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("beet_p99>50ms", "knows no beet_p99: there are errors, books"),
        ("bet_p98>50ms", r"knows no bet_p98.*launch\|.*_p50\|_p90"),
        ("bet_p99>50", "must have a unit"),
        ("errors>5ms", "must have no unit"),
        ("errors=0", "must be like"),
        ("errors>", "must be like"),
        ("errors>1.2.3", "has no number"),
        ("bet_p99>1.2.3ms", "must be a number with its unit"),
    ],
)
def test_a_wrong_condition_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        parse_threshold(text)
