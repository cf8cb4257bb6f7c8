"""Who is refused is in the security log, by a digest of its address; and nobody can fill the log."""

import logging
from dataclasses import replace
from uuid import UUID

import pytest
import trio

from actors.facts.records import OperatorStatus
from server.http.errors import ApiError
from server.http.security_log import REFUSALS_PER_SECOND, EdgeSecurity, OperatorWatch, SecurityLog
from server.process.sampling import KINDS_MAX, Sampler
from server.web.application import WebApp
from server.web.connections import Bounds
from server.web.request_log import REFUSALS_PER_SECOND as REQUESTS_PER_SECOND
from server.web.request_log import RequestLog
from server.web.routes import create_app
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.operator_client import LAUNCH, Casino
from tests.helpers.web_fakes import make_operator

KEY = b"k" * 32


class Clock:
    def __init__(self):
        self.s = 100.0

    def __call__(self):
        return self.s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(caplog):
    """The lines of the security log: event and fields."""
    caplog.set_level(logging.INFO, "getaway.security")
    standard = {*vars(logging.makeLogRecord({})), "message", "asctime"}

    def read():
        records = [record for record in caplog.records if record.name == "getaway.security"]
        return [
            (record.getMessage(), {name: value for name, value in vars(record).items() if name not in standard})
            for record in records
        ]

    return read


def test_so_many_lines_a_second_of_each_kind_and_a_count_of_the_rest(clock):
    sampler = Sampler(3, clock)
    assert [sampler.admit("a") for _ in range(5)] == [0, 0, 0, None, None]
    assert sampler.admit("b") == 0, "each kind has its own"
    assert list(sampler.left_out()) == [], "a line of its kind may still tell"
    clock.s += 1
    assert [sampler.admit("a") for _ in range(4)] == [2, 0, 0, None]
    clock.s += 0.999
    assert sampler.admit("a") is None
    clock.s += 0.001
    assert list(sampler.left_out()) == [("a", 2)]
    assert list(sampler.left_out()) == []
    assert sampler.admit("a") == 0


def test_kinds_without_end_share_one(clock):
    sampler = Sampler(1, clock)
    for number in range(KINDS_MAX + 100):
        sampler.admit(str(number))
    clock.s += 1
    assert list(sampler.left_out()) == [("others", 99)]


def test_an_address_is_a_digest_that_only_the_key_makes(clock, lines):
    log, same, other = (SecurityLog(key, clock) for key in (KEY, KEY, b"x" * 32))
    log.hello_accepted("192.0.2.1")
    ((event, fields),) = lines()
    assert event == "hello accepted" and fields == {"address_digest": same.digest("192.0.2.1")}
    assert "192" not in str(fields) and len(fields["address_digest"]) == 16
    assert other.digest("192.0.2.1") != log.digest("192.0.2.1") != log.digest("192.0.2.2")
    assert log.digest("2001:db8:1:2::3") == log.digest("2001:db8:1:2:ffff::") != log.digest("2001:db8:1:3::3")


def test_refusals_are_bounded_and_counted(clock, lines):
    log = SecurityLog(KEY, clock)
    for _ in range(1_000):
        log.hello_refused("192.0.2.1", "closed")
    assert len(lines()) == REFUSALS_PER_SECOND
    clock.s += 1
    log.tell_left_out()
    event, fields = lines()[-1]
    assert event == "lines were left out"
    assert fields == {"kind": "hello refused closed", "left_out": 1_000 - REFUSALS_PER_SECOND}


def test_one_kind_of_refusal_does_not_hide_another(clock, lines):
    log = SecurityLog(KEY, clock)
    for _ in range(REFUSALS_PER_SECOND + 1):
        log.hello_refused("192.0.2.1", "closed")
    log.hello_refused("192.0.2.1", "flood")
    assert [fields["code"] for _, fields in lines()] == ["closed"] * REFUSALS_PER_SECOND + ["flood"]


@pytest.mark.parametrize("end", ["left", "shutdown", "handshake"])
def test_who_leaves_by_itself_was_not_refused(end, world, lines):
    EdgeSecurity(world.metrics.edge, SecurityLog(KEY)).refused("192.0.2.1", end)
    assert lines() == []


CUT_OFF = ("flood", "control", "fragments", "too_large")


@pytest.mark.parametrize(("end", "is_told"), [*((end, True) for end in CUT_OFF), ("left", False), ("closed", False)])
def test_who_is_cut_off_for_what_it_sent_is_told(end, is_told, world, lines):
    EdgeSecurity(world.metrics.edge, SecurityLog(KEY)).ended("192.0.2.1", end)
    assert [event for event, _ in lines()] == (["player cut off"] if is_told else [])


@pytest.fixture
async def guarded(world, start):
    """A port whose refusals are told."""
    return await start(create_app(replace(world.services(), security=SecurityLog(KEY))))


async def test_each_refusal_of_a_request_is_told(guarded, world, lines):
    casino = Casino(guarded, world.operators.find(make_operator(1).operator_id))
    good = casino.headers("POST", LAUNCH, b"{}")
    stale = casino.headers("POST", LAUNCH, b"{}", timestamp=1)
    for headers in ({}, stale, good | {"X-Operator-Key": "wrong"}, good | {"X-Signature": "0" * 64}):
        await exchange(guarded, request_bytes("POST", LAUNCH, headers, b"{}"), "POST")
    await exchange(guarded, request_bytes("GET", "/play?session=" + "a" * 43, {}), "GET")
    told = lines()
    assert [fields["code"] for _, fields in told] == [
        "missing_header",
        "stale_timestamp",
        "invalid_credentials",
        "bad_signature",
        "unknown_session",
    ]
    digest = SecurityLog(KEY).digest("127.0.0.1")
    assert {fields["address_digest"] for _, fields in told} == {digest}
    assert all(fields["request_id"] for _, fields in told)
    for secret in (world.operators.find(casino.operator.operator_id).api_key, good["X-Signature"], "a" * 43, "127.0"):
        assert secret not in str(told)
    await casino.launch()
    assert len(lines()) == len(told), "who is let in is in the request log"


@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        ("missing_header", True),
        ("stale_timestamp", True),
        ("invalid_credentials", True),
        ("bad_signature", True),
        ("ip_not_allowed", True),
        ("operator_suspended", True),
        ("rate_limited", True),
        ("unknown_session", True),
        ("malformed", False),
        ("not_found", False),
    ],
)
async def test_who_may_not_come_in_is_told_and_who_asks_wrongly_is_not(code, is_told, world, start, lines):
    app = WebApp(Bounds(), RequestLog(world.services().log, security=SecurityLog(KEY)))

    @app.get("/here")
    async def refuse():
        raise ApiError(403, code, "No.")

    port = await start(app)
    await exchange(port, request_bytes("GET", "/here", {}), "GET")
    assert [fields["code"] for _, fields in lines()] == [code] * is_told


async def test_nobody_fills_the_request_log_with_refusals(port, world):
    for _ in range(REQUESTS_PER_SECOND * 3):
        await exchange(port, request_bytes("GET", "/nowhere", {}), "GET")
    await exchange(port, request_bytes("GET", "/livez", {}), "GET")
    entries = [entry for entry in world.logged.entries if entry["event"] == "request"]
    refusals = [entry for entry in entries if entry["status"] == 404]
    assert REQUESTS_PER_SECOND <= len(refusals) < REQUESTS_PER_SECOND * 3
    assert [entry["status"] for entry in entries][-1] == 200, "what is answered is always there"


async def test_what_was_left_out_is_told_in_the_end(world, start):
    app = create_app(world.services())
    port = await start(app)
    asked = REQUESTS_PER_SECOND * 3
    for _ in range(asked):
        await exchange(port, request_bytes("GET", "/nowhere", {}), "GET")
    await trio.sleep(1.05)
    app.request_log.tell_left_out()
    shown = sum(entry["event"] == "request" for entry in world.logged.entries)
    counted = sum(entry.get("left_out", 0) for entry in world.logged.entries)
    assert (shown < asked, shown + counted) == (True, asked)


class Directory:
    def __init__(self, *operators):
        self.operators = {operator.operator_id: operator for operator in operators}

    @property
    def ids(self):
        return self.operators.keys()

    def find(self, operator_id):
        return self.operators.get(operator_id)


def test_changes_of_operators_are_told_by_name_and_without_values(lines):
    first, second, third = (replace(make_operator(number), operator_id=UUID(int=number)) for number in (1, 2, 3))
    directory = Directory(first, second)
    watch = OperatorWatch(directory)
    watch()
    assert lines() == [], "what is there at first is no change"
    directory.operators = {
        first.operator_id: replace(first, status=OperatorStatus.SUSPENDED, hmac_secret="gs_new"),
        third.operator_id: third,
    }
    watch()
    assert [(event, fields["operator_id"], fields["changed"]) for event, fields in lines()] == [
        ("operator changed", str(first.operator_id), ["hmac_secret", "status"]),
        ("operator changed", str(second.operator_id), ["removed"]),
        ("operator changed", str(third.operator_id), ["created"]),
    ]
    assert "gs_" not in str(lines())
    watch()
    assert len(lines()) == 3, "a change is told once"
