"""Every kind of bad input gets its own error, and changes nothing."""

import json
import time
from datetime import date, timedelta
from uuid import uuid4

import pytest
import trio

from tests.whole.casino import LAUNCH, REVENUE, ROUND, Answer, Operator, raw_request, string_to_sign
from tests.whole.house import audit_house, finished_round, open_house
from tests.whole.player import Player, connected
from tests.whole.wallet import Fault

AUTH_HEADERS = ["X-Operator-Id", "X-Operator-Key", "X-Timestamp", "X-Signature"]
RANGE = f"{REVENUE}?from=2026-07-01&to=2026-07-31"
UNKNOWN_ROUND = ROUND + "7d4e5a52-3c0b-4f7e-9a55-0d1f7f3a9b11"
BODY = b'{"operator_player_id":"player-42","currency":"USD","balance_minor":500000,"ttl_seconds":3600}'
REQUESTS = [("POST", LAUNCH, BODY), ("GET", UNKNOWN_ROUND, b""), ("GET", RANGE, b"")]


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    """The growth is slow, so that a cash-out can come too early."""
    with open_house(postgres, tmp_path_factory.mktemp("refusals"), rate_per_ms="0.00006") as house:
        yield house
        audit_house(house)
        for operator in house.operators.values():
            assert operator.hmac_secret not in house.server.log()
            assert operator.api_key not in house.server.log()


@pytest.fixture(scope="module")
def stranger(house):
    return house.add_operator()


@pytest.fixture(scope="module")
def table(house):
    """An operator whose limits are known to the tests."""
    return house.add_operator("--limits", "USD:100:5000:50:1000000")


def refused(answer: Answer, status, code):
    """The error of an answer, whose shape every refusal shares."""
    assert answer.status == status, answer
    assert answer.header("Content-Type").startswith("application/json")
    given = answer.json
    assert set(given) == {"ok", "error", "request_id"}
    assert given["ok"] is False
    assert given["request_id"] == answer.header("X-Request-Id")
    assert given["error"]["message"]
    assert given["error"]["code"] == code, given
    return given["error"]


@pytest.mark.parametrize(("method", "target", "body"), REQUESTS)
class TestAuthentication:
    def test_a_missing_header_is_named(self, house, method, target, body):
        for name in AUTH_HEADERS:
            headers = [pair for pair in house.operator.signed(method, target, body) if pair[0] != name]
            answer = house.operator.send(method, target, headers, body)
            assert name.lower() in json.dumps(refused(answer, 401, "missing_header")).lower()

    def test_a_header_that_comes_twice_is_refused(self, house, method, target, body):
        headers = house.operator.signed(method, target, body)
        for pair in headers:
            answer = house.operator.send(method, target, [*headers, pair], body)
            assert answer.status in (400, 401), answer
            refused(answer, answer.status, answer.code)

    def test_a_timestamp_out_of_tolerance(self, house, method, target, body):
        now = int(time.time())
        for timestamp in (now - 302, now + 303, 1_000_000_000):
            answer = house.operator.request(method, target, body, timestamp=str(timestamp))
            error = refused(answer, 401, "stale_timestamp")
            assert any(abs(int(digits) - now) < 60 for digits in numbers_in(error)), error

    def test_a_timestamp_just_within_tolerance(self, house, method, target, body):
        now = int(time.time())
        for timestamp in (now - 297, now + 300):
            answer = house.operator.request(method, target, body, timestamp=str(timestamp))
            assert answer.status in (200, 404), answer

    @pytest.mark.parametrize("timestamp", ["soon", "1e9", "17828640000", "178286400", "+782864000", "1782864000.0"])
    def test_a_malformed_timestamp(self, house, method, target, body, timestamp):
        answer = house.operator.request(method, target, body, timestamp=timestamp)
        assert answer.status in (400, 401), answer
        refused(answer, answer.status, answer.code)

    def test_unknown_id_and_wrong_key_look_the_same(self, house, stranger, method, target, body):
        operator = house.operator
        secret = operator.hmac_secret
        impostors = [
            Operator(house.url, str(uuid4()), operator.api_key, secret),
            Operator(house.url, "no-uuid", operator.api_key, secret),
            Operator(house.url, operator.operator_id, "wrong", secret),
            Operator(house.url, operator.operator_id, stranger.api_key, secret),
            Operator(house.url, operator.operator_id, "wrong", "wrong too"),
        ]
        errors = [refused(one.request(method, target, body), 401, "invalid_credentials") for one in impostors]
        assert all(error == errors[0] for error in errors)

    def test_a_signature_over_something_else(self, house, method, target, body):
        operator, path = house.operator, target.partition("?")[0]
        other = "GET" if method == "POST" else "POST"
        now = str(int(time.time()))
        wrong = [
            operator.signed(method, target, body, secret="not-the-secret"),
            operator.signed(other, target, body),
            operator.signed(method, target, body + b" "),
            operator.signed(method, target, body, signed_target=path + "/"),
            operator.signed(method, target, body, signed_target=path + "?"),
            operator.signed(method, target, body, signed_target=target + "&x=1"),
            [*operator.signed(method, target, body, timestamp=now)[:3], ("X-Signature", "0" * 64)],
        ]
        for headers in wrong:
            answer = operator.send(method, target, headers, body)
            error = refused(answer, 401, "bad_signature")
            timestamp = dict(headers)["X-Timestamp"]
            shown = json.dumps(error)
            over = (string_to_sign(timestamp, method, path, body), string_to_sign(timestamp, method, target, body))
            assert any(text in shown for text in over), error
            right = [
                dict(operator.signed(method, target, body, timestamp=timestamp, signed_target=one))
                for one in (path, target)
            ]
            assert not any(headers["X-Signature"] in shown for headers in right)
            assert operator.hmac_secret not in shown

    def test_the_secret_in_a_header_is_neither_needed_nor_evidence(self, house, method, target, body):
        operator = house.operator
        extra = [("X-Operator-Hmac", operator.hmac_secret)]
        right = operator.signed(method, target, body)
        assert operator.send(method, target, right + extra, body).status in (200, 404)
        assert operator.send(method, target, [*right, ("X-Operator-Hmac", "wrong")], body).status in (200, 404)
        bad = [*right[:3], ("X-Signature", "0" * 64)]
        refused(operator.send(method, target, bad + extra, body), 401, "bad_signature")

    def test_an_address_that_is_not_allowed(self, fenced, method, target, body):
        refused(fenced.request(method, target, body), 403, "ip_not_allowed")


@pytest.fixture(scope="module")
def fenced(house):
    return house.add_operator("--allow-ip", "10.9.8.0/24")


def numbers_in(error):
    """The decimal numbers anywhere in an error."""
    text = "".join(one if one.isdigit() else " " for one in json.dumps(error, default=str))
    return text.split()


def test_a_query_may_be_signed_or_not(house):
    for signed_target in (REVENUE, RANGE):
        assert house.operator.request("GET", RANGE, signed_target=signed_target).status == 200


def test_the_first_answer_again_for_a_replay(house):
    operator = house.operator
    body = operator.launch_body("player-of-the-replay")
    headers = operator.signed("POST", LAUNCH, body)
    first, again = (operator.send("POST", LAUNCH, headers, body) for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    fresh = operator.request("POST", LAUNCH, body, timestamp=str(int(time.time()) - 7))
    assert fresh.json["session_id"] != first.json["session_id"]


GOOD = {"operator_player_id": "player-42", "currency": "USD", "balance_minor": 500_000, "ttl_seconds": 3600}
BAD_FIELDS = [
    *(("operator_player_id", value) for value in ("", "x" * 129, "a\nb", "a\x00b", "a\x7f", 42, None, ["a"], {})),
    *(("currency", value) for value in ("EUR", "usd", "", "US", 840, None, ["USD"])),
    *(("balance_minor", value) for value in (-1, 10**15 + 1, 1.5, "500000", True, None, 10**400, [1])),
    *(("ttl_seconds", value) for value in (59, 86_401, 0, -3600, 3600.5, "3600", True, 10**30)),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS, ids=lambda value: repr(value)[:20])
def test_a_bad_field_of_a_launch_is_named(house, name, value):
    answer = house.operator.request("POST", LAUNCH, json.dumps(GOOD | {name: value}).encode())
    assert answer.status == 400, answer
    assert name in json.dumps(refused(answer, 400, answer.code))


@pytest.mark.parametrize("name", ["operator_player_id", "currency", "balance_minor"])
def test_a_missing_field_of_a_launch_is_named(house, name):
    body = {key: value for key, value in GOOD.items() if key != name}
    answer = house.operator.request("POST", LAUNCH, json.dumps(body).encode())
    assert answer.status == 400, answer
    assert name in json.dumps(refused(answer, 400, answer.code))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}', b"[" * 5000, BODY + b"x"]
)
def test_a_body_that_is_no_json_object(house, body):
    answer = house.operator.request("POST", LAUNCH, body)
    assert answer.status == 400, answer
    refused(answer, 400, answer.code)


@pytest.mark.parametrize(
    "change",
    [
        {"balance_minor": 0},
        {"balance_minor": 10**15},
        {"ttl_seconds": 60},
        {"ttl_seconds": 86_400},
        {"operator_player_id": "x" * 128},
        {"operator_player_id": "Zoë ✓"},
        {"unknown": {"field": [1]}},
    ],
    ids=str,
)
def test_the_edges_of_a_launch_are_good(house, change):
    assert house.operator.request("POST", LAUNCH, json.dumps(GOOD | change).encode()).status == 200


def test_a_giant_body(house):
    body = json.dumps(GOOD | {"padding": "x" * 2_000_000}).encode()
    answer = house.operator.request("POST", LAUNCH, body)
    refused(answer, 413, answer.code)


@pytest.mark.parametrize(("method", "target"), [("GET", LAUNCH), ("POST", UNKNOWN_ROUND), ("POST", REVENUE)])
def test_a_method_that_is_not_there(house, method, target):
    answer = house.operator.request(method, target)
    assert answer.status == 405
    refused(answer, 405, answer.code)


def test_rounds_that_are_not_there(house, stranger):
    for target in (UNKNOWN_ROUND, ROUND + "no-uuid", ROUND, "/api/public/rgs/nothing"):
        refused(house.operator.request("GET", target), 404, "not_found")


async def test_another_operators_round_is_not_there(house, stranger):
    async with house.playing(house.operator.session()) as player:
        ended = await player.play(1000, auto_cashout=1.01)
    await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
    refused(stranger.request("GET", ROUND + ended["round_id"]), 404, "not_found")
    today = date.today()
    assert stranger.revenue(today - timedelta(days=1), today + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("to=2026-07-31", "from"),
        ("from=2026-07-01", "to"),
        ("from=2026-02-30&to=2026-07-31", "from"),
        ("from=2026-07-01&to=soon", "to"),
        ("from=20260701&to=2026-07-31", "from"),
        ("from=2026-07-31&to=2026-07-01", "from"),
        ("from=2025-07-01&to=2026-07-02", "to"),
    ],
)
def test_a_bad_range_of_days(house, query, name):
    answer = house.operator.request("GET", f"{REVENUE}?{query}")
    assert answer.status == 400, answer
    assert name in json.dumps(refused(answer, 400, answer.code))


def test_ranges_of_one_day_and_of_366(house):
    assert house.operator.revenue("2024-01-01", "2024-12-31") == []
    assert house.operator.revenue("2024-01-01", "2024-01-01") == []


def test_answers_outside_the_api_have_an_id_too(house):
    for method, target in (("GET", "/nothing"), ("GET", "/play"), ("GET", "/play?session=unknown"), ("PUT", "/play")):
        answer = raw_request(house.url, method, target)
        assert 400 <= answer.status < 500
        assert answer.header("X-Request-Id")


BAD_FRAMES = [
    "",
    "{",
    "[]",
    "null",
    "7",
    '{"type": 7}',
    "{}",
    '{"type": "no-such-type"}',
    '{"type": "bet"}',
    '{"type": "bet", "amount_minor": "1000"}',
    '{"type": "bet", "amount_minor": 1000.5}',
    '{"type": "bet", "amount_minor": true}',
    '{"type": "bet", "amount_minor": null}',
    '{"type": "cashout"}',
    '{"type": "cashout", "round_id": 7}',
    '{"type": "ping"}',
    '{"type": "ping", "t": "now"}',
    '{"type": "history", "limit": 0}',
    '{"type": "history", "limit": 51}',
    '{"type": "history", "limit": "10"}',
    '{"type": "history", "before": 7}',
    '{"type": "ping", "t": 1, "id": 7}',
    json.dumps({"type": "ping", "t": 1, "id": "x" * 65}),
    "[" * 2000,
]

ERRORS = [
    ({"type": "bet", "amount_minor": 50}, "stake_too_low"),
    ({"type": "bet", "amount_minor": 0}, "stake_too_low"),
    ({"type": "bet", "amount_minor": 5050}, "stake_too_high"),
    ({"type": "bet", "amount_minor": 10**30}, "stake_too_high"),
    ({"type": "bet", "amount_minor": 125}, "stake_step"),
    *(
        ({"type": "bet", "amount_minor": 100, "auto_cashout": value}, "bad_auto_cashout")
        for value in (1, 1.0, 0.5, -2, 1.005, 2000.01, "2", True, [2], 1e300)
    ),
    *(
        ({"type": "bet", "amount_minor": 100, "client_seed": value}, "bad_client_seed")
        for value in ("", "x" * 65, "a b", "ü", "a:b", 7)
    ),
    *(({"type": "client_seed", "value": value}, "bad_client_seed") for value in ("", "x" * 65, "a\n", "ü")),
    ({"type": "bet", "amount_minor": 1000}, "insufficient_funds"),
    ({"type": "cashout", "round_id": "7d4e5a52-3c0b-4f7e-9a55-0d1f7f3a9b11"}, "no_such_round"),
    ({"type": "cashout", "round_id": "x"}, "no_such_round"),
]


async def paced(player):
    """A pause, so that many bad frames do not become an abuse of the limits."""
    await trio.sleep(0.03)
    return player


async def test_bad_frames_get_their_error_and_leave_the_session(house, table):
    async with house.playing(table.session(balance_minor=900)) as player:
        for text in BAD_FRAMES:
            await (await paced(player)).send_text(text)
            frame = await player.receive()
            assert (frame["type"], frame.get("code")) == ("error", "bad_message"), text[:80]
        for frame, code in ERRORS:
            await paced(player)
            fields = {key: value for key, value in frame.items() if key != "type"}
            assert await player.error_of(frame["type"], **fields) == code, frame
        assert await player.fence() == []
        assert player.balances[-1] == 900
    assert [call for call in house.wallet.calls if call.operator_id == table.operator_id] == []


async def test_a_cash_out_too_early_and_one_too_late(house, table):
    async with house.playing(table.session()) as player:
        code = None
        while code != "too_early":
            started = await player.bet(100, auto_cashout=1.02)
            frame = await player.ask("cashout", "error", "round_ended", round_id=started["round_id"])
            code = frame.get("code")
            if frame["type"] == "error":
                assert code in ("too_early", "no_such_round", "too_late")
                ended = await player.until("round_ended") if player.round else frame
        late = await player.error_of("cashout", round_id=ended["round_id"])
        assert late in ("too_late", "no_such_round")


async def test_the_wallet_says_that_there_are_no_funds(house, table):
    session = table.session(balance_minor=1000)
    async with house.playing(session) as player:
        house.wallet.mistreat(session.player_id, "bet", Fault(status=402))
        ended, codes = await player.bet_in_vain(1000)
        assert ended["status"] == "void"
        assert set(codes) <= {"bet_declined", "insufficient_funds"}
        assert player.balances[-1] == 1000


@pytest.mark.parametrize(
    "first",
    [
        '{"type": "hello", "session": "no-such-token"}',
        '{"type": "bet", "amount_minor": 100}',
        '{"type": "ping", "t": 1}',
    ],
)
async def test_only_a_hello_with_a_token_opens_a_session(house, first):
    async with connected(house.url) as socket:
        player = Player(socket, None, house.rate_per_ms)
        await player.send_text(first)
        (frame,) = await player.closed()
        assert (frame["type"], frame["code"]) == ("error", "unauthorized")


async def test_a_frame_above_four_kibibytes_closes_the_socket(house):
    async with house.playing(house.operator.session()) as player:
        await player.send("ping", t=1, padding="x" * 4000)
        assert (await player.receive())["type"] == "pong"
        await player.send("ping", t=1, padding="x" * 4100)
        frames = await player.closed()
        assert all(frame["type"] == "error" for frame in frames)
