"""The casino's own arithmetic agrees with the published examples: a wrong auditor would find nothing."""

import pytest

from tests.whole import fairness
from tests.whole.casino import signature

ROUNDS = [
    ("b5ad45dc932b245a2f88f729ce30a4a098c868bd549de8bf8d8641b37a5e8501", "player", 1, 9600, 2000, 107),
    ("755857880e120d9459f8a967958f4bf832e02acdb94518de504f35c6443d818a", "a", 2, 9400, 2000, 138),
    ("da360ee2266b1c52042a4d8735d594f85d129c90d4ddc1cc5eab4f4917872704", "Z_-9", 5, 9700, 100, 484),
]


@pytest.mark.parametrize(("seed", "client_seed", "nonce", "rtp_bps", "max_win", "crash"), ROUNDS)
def test_crash_points(seed, client_seed, nonce, rtp_bps, max_win, crash):
    assert fairness.crash_hundredths(seed, client_seed, nonce, rtp_bps=rtp_bps, max_win=max_win) == crash


def test_commitment_and_seeds():
    seed, client_seed, nonce = ROUNDS[0][:3]
    assert fairness.commitment(seed) == "f3091e54f9d106926794040c126bbf0eec7890362d96740ebaa0924e8a22dccf"
    guard = "c4a5b91d2365c7e1af01719c80c9a166239b4493a7c9f6f59681af3843b67973"
    assert fairness.outcome_hex(seed, client_seed, nonce, "guard") == guard


def test_signature():
    body = b'{"operator_player_id":"player-42","currency":"USD","balance_minor":500000,"ttl_seconds":3600}'
    text = signature("test-secret-0123456789abcdef", "1782864000", "POST", "/api/public/rgs/launch", body)
    assert text == "e7ac7cda77c18c69659d275596cb295a4ad3d257203bb37720f4ba8c68e32cee"


def test_curve():
    assert fairness.curve_hundredths(0, "0.00006") == 100
    assert fairness.first_ms_at(200, "0.00006") == 11_553
    assert fairness.curve_hundredths(11_552, "0.00006") == 199


def test_shares_round_half_to_even():
    assert [fairness.split_of(ggr) for ggr in (148_000, 10, 30, -10, -30)] == [
        (22_200, 125_800),
        (2, 8),
        (4, 26),
        (-2, -8),
        (-4, -26),
    ]
