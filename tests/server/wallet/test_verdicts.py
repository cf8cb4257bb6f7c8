"""What a wallet's answer means: money by the status and ``ok`` alone, words as well as they can be read."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from actors.facts.records import CallKind
from actors.ports.wallet import Acknowledged, Declined, Unclear
from server.wallet.verdict import RETRY_AFTER_MS_MAX, verdict
from tests.helpers.wallet_calls import NOW_MS

MONEY = [CallKind.WIN, CallKind.REFUND]


def judged(kind, status=200, body=b"", *headers):
    return verdict(kind, httpx.Response(status, headers=headers, content=body), NOW_MS)


@pytest.mark.parametrize(
    "body",
    [
        b'{"ok":true}',
        b'{"ok":true,"balance_minor":null}',
        b'{"ok":true,"balance_minor":-500}',
        b'{"ok":true,"balance_minor":1.5}',
        b'{"ok":true,"balance_minor":1e999}',
        b'{"ok":true,"balance_minor":"490000"}',
        b'{"ok":true,"balance_minor":true}',
        b'{"ok":true,"balance_minor":NaN}',
        b'{"ok":true,"balance_minor":1000000000000001}',
        b'{"ok":true,"balance_minor":' + b"9" * 5_000 + b"}",
        b'{"ok":true,"balance_minor":1,"balance_minor":2}',
        b'{"ok":true,"balance_minor":[{"a":1,"a":2}]}',
        b'{"ok":true,"name":"\xff"}',
        b'\xef\xbb\xbf{"ok":true,"error":"already_booked"}',
    ],
)
def test_a_win_or_refund_is_done_whatever_is_said_of_the_balance(body):
    assert [judged(kind, 200, body) for kind in MONEY] == [Acknowledged(None)] * 2
    assert isinstance(judged(CallKind.BET, 200, body), Unclear), "a flight needs the balance that the stake left"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"ok":true',
        b'{"ok":true} {}',
        b"[]",
        b"true",
        b'{"ok":1}',
        b'{"ok":"true"}',
        b'{"ok":null,"error":"already_booked"}',
        b'{"ok":true,"ok":false}',
        b'{"ok":true,"ok":true}',
        b"[" * 30_000,
        '{"ok":true}'.encode("utf-16"),
    ],
)
def test_what_does_not_say_ok_is_sent_again(body):
    for kind in CallKind:
        assert isinstance(judged(kind, 200, body), Unclear)


@pytest.mark.parametrize("status", [200, 400, 402, 404, 409, 410, 422])
@pytest.mark.parametrize(
    "body",
    [
        b'{"ok":false,"error":"already_booked"}',
        b'{"ok":false,"error":{"code":"already_booked","message":"\xff"},"balance_minor":NaN}',
    ],
)
def test_what_is_booked_already_is_done_unless_it_is_a_bet(status, body):
    assert [judged(kind, status, body) for kind in MONEY] == [Acknowledged(None)] * 2
    assert not isinstance(judged(CallKind.BET, status, body), Acknowledged)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 302, 201])
def test_already_booked_counts_in_a_refusal_only(status):
    for kind in MONEY:
        assert isinstance(judged(kind, status, b'{"ok":false,"error":"already_booked"}'), Unclear)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"already_booked",
        b'"already_booked"',
        b'{"error":"Already_Booked"}',
        b'{"error":["already_booked"]}',
        b'{"error":{"message":"already_booked"}}',
        b'{"code":"already_booked"}',
        b'{"error":"already_booked","error":"no"}',
    ],
)
def test_a_refusal_that_does_not_say_so_is_one(body):
    for kind in MONEY:
        assert judged(kind, 409, body) == Declined("the wallet answered 409")


def at(seconds):
    moment = datetime.fromtimestamp(NOW_MS // 1000, UTC) + timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True).encode()


@pytest.mark.parametrize(
    ("values", "wait_ms"),
    [
        ([b"3"], 3_000),
        ([b" 120 "], 120_000),
        ([b"600"], RETRY_AFTER_MS_MAX),
        ([b"86400"], RETRY_AFTER_MS_MAX),
        ([b"3", b"7"], 7_000),
        ([at(60)], 60_000 - NOW_MS % 1000),
        ([at(86_400)], RETRY_AFTER_MS_MAX),
        ([at(0).replace(b"GMT", b"-0000")], None),
        ([b"0"], None),
        ([at(-60)], None),
        ([b"-5"], None),
        ([b"soon"], None),
        ([b"1.5"], None),
        ([b"9" * 40], None),
        ([b"Wed, 99 Nov 2026 99:99:99 GMT"], None),
        ([b"\xff"], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("status", [503, 429, 409, 200])
def test_a_wish_to_be_left_alone_is_understood(values, wait_ms, status):
    answer = judged(CallKind.WIN, status, b'{"ok":false}', *((b"retry-after", value) for value in values))
    assert answer.retry_after_ms == wait_ms


@pytest.fixture
def far_east(monkeypatch):
    """A machine whose local time is nine hours ahead."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", [b"GMT", b"-0000", b"+0000"])
def test_a_date_is_read_alike_wherever_the_machine_is(far_east, zone):
    answer = judged(CallKind.WIN, 503, b"", (b"retry-after", at(30).replace(b"GMT", zone)))
    assert answer.retry_after_ms == 30_000 - NOW_MS % 1000
