"""The code that docs/operators.md shows, run as it stands there."""

import os
import re
import time
from pathlib import Path

import pytest

from server.sandbox.signatures import Credentials, refusal, signed_headers
from tests.helpers.independent_signer import signed_headers as independently_signed_headers

GUIDE = Path(__file__).parents[3] / "docs" / "operators.md"
CREDENTIALS = Credentials("7f5c1d3e-0000-4000-8000-000000000001", "api-key", "hmac-secret-é")
TARGET, BODY = "/rgs/bet", b'{"operator_tx_id":"bet-1"}'


@pytest.fixture(scope="module")
def guide():
    values = {name: getattr(CREDENTIALS, name.lower()) for name in ("OPERATOR_ID", "API_KEY", "HMAC_SECRET")}
    names = {"__name__": "guide"}
    os.environ.update(values)
    try:
        for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
            exec(block, names)
    finally:
        for name in values:
            del os.environ[name]
    return names


def sent(timestamp):
    made = signed_headers(CREDENTIALS, timestamp, "POST", TARGET, BODY)
    return {name.lower(): value for name, value in made.items()}


def test_its_signature_is_the_one_that_others_compute(guide):
    now_s = int(time.time())
    mine = guide["signature"](str(now_s), "POST", TARGET, BODY)
    assert mine == sent(now_s)["x-signature"]
    fields = (CREDENTIALS.operator_id, CREDENTIALS.api_key, CREDENTIALS.hmac_secret)
    theirs = dict(independently_signed_headers(*fields, now_s, "POST", TARGET, BODY))
    assert mine == theirs["X-Signature"]


def test_it_knows_an_authentic_call(guide):
    is_authentic, now_s = guide["is_authentic"], int(time.time())
    good = sent(now_s)
    assert is_authentic("POST", TARGET, good, BODY)
    assert is_authentic("POST", TARGET, sent(now_s - 290), BODY)
    assert not is_authentic("POST", TARGET, sent(now_s - 302), BODY)
    assert not is_authentic("POST", TARGET, sent(now_s + 303), BODY)
    assert not is_authentic("POST", "/rgs/win", good, BODY)
    assert not is_authentic("POST", TARGET, good, BODY + b" ")
    assert not is_authentic("POST", TARGET, {}, BODY)
    for name in ("x-operator-id", "x-operator-key", "x-signature", "x-timestamp"):
        assert not is_authentic("POST", TARGET, good | {name: "é"}, BODY)
        assert not is_authentic("POST", TARGET, {key: value for key, value in good.items() if key != name}, BODY)
    assert (
        refusal(
            CREDENTIALS,
            now_s,
            method="POST",
            target=TARGET,
            headers={key: [value] for key, value in good.items()},
            body=BODY,
        )
        is None
    )
