import hashlib
import json
from ipaddress import ip_network

import pytest

from server.web.authentication import address_group
from server.web.routes import create_app
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.independent_signer import signature, text_to_sign
from tests.helpers.operator_client import LAUNCH, LAUNCH_FIELDS, Casino
from tests.helpers.web_fakes import NOW_S, make_operator

REVENUE = "/api/public/rgs/revenue?from=2026-07-01&to=2026-07-31"
BODY = json.dumps(LAUNCH_FIELDS).encode()


def without(headers, name):
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.parametrize("name", ["X-Operator-Id", "X-Operator-Key", "X-Timestamp", "X-Signature"])
async def test_each_required_header_is_named_when_it_is_missing_empty_or_repeated(casino, name):
    headers = casino.headers("POST", LAUNCH, BODY)
    repeated = [*headers.items(), (name.lower(), headers[name])]
    for wrong in (without(headers, name), headers | {name: ""}, repeated):
        answer = await casino.send("POST", LAUNCH, BODY, wrong)
        assert (answer.status, answer.code) == (401, "missing_header")
        assert answer.error["header"] == name


async def test_four_headers_are_enough_and_the_fifth_is_no_evidence(casino, world):
    headers = casino.headers("POST", LAUNCH, BODY)
    assert (await casino.send("POST", LAUNCH, BODY, headers)).status == 200
    five = headers | {"X-Operator-Hmac": casino.operator.hmac_secret}
    assert (await casino.send("POST", LAUNCH, BODY, five)).status == 200
    unsigned = without(five, "X-Signature")
    assert (await casino.send("POST", LAUNCH, BODY, unsigned)).code == "missing_header"
    wrong_hmac = headers | {"X-Operator-Hmac": "not the secret"}
    assert (await casino.send("POST", LAUNCH, BODY, wrong_hmac)).status == 200
    name, label = "getaway_operator_hmac_header_seen_total", str(casino.operator.operator_id)
    assert world.count(name, operator_id=label) == 2
    assert world.count(name, operator_id="unknown") == 1


@pytest.mark.parametrize("offset", [-300, -299, 0, 299, 300])
async def test_timestamps_inside_the_window_are_taken(casino, world, offset):
    world.clock.ms += 999
    headers = casino.headers("POST", LAUNCH, BODY, NOW_S + offset)
    assert (await casino.send("POST", LAUNCH, BODY, headers)).status == 200


@pytest.mark.parametrize(
    "timestamp",
    [NOW_S - 301, NOW_S + 301, 0, "178286400", "01782864000", "1782864000.0", "+178286400", "1_78286400", "soon"],
)
async def test_other_timestamps_are_stale_and_the_refusal_tells_the_time(casino, timestamp):
    headers = casino.headers("POST", LAUNCH, BODY, timestamp)
    answer = await casino.send("POST", LAUNCH, BODY, headers)
    assert (answer.status, answer.code) == (401, "stale_timestamp")
    assert answer.error["server_time"] == NOW_S


async def test_a_timestamp_is_judged_by_the_machines_clock_and_a_session_by_the_houses(casino, world):
    """Operators sign by their machines' clocks, and the house's time is the database's."""
    world.clock.house_ahead_ms, world.clock.steady_ahead_ms = 3_600_000, -3_600_000
    assert (await casino.launch()).status == 200
    assert world.ledger.transitions[0].created_at_ms == (NOW_S + 3_600) * 1000
    headers = casino.headers("POST", LAUNCH, BODY, NOW_S + 3_600)
    assert (await casino.send("POST", LAUNCH, BODY, headers)).error["server_time"] == NOW_S


async def test_timestamps_in_other_digits_are_stale(casino):
    data = request_bytes("GET", REVENUE, casino.headers("GET", REVENUE) | {"X-Timestamp": "\xb2" * 10})
    assert (await exchange(casino.port, data)).code == "stale_timestamp"


async def test_unknown_ids_and_wrong_keys_look_the_same(casino):
    right = casino.headers("POST", LAUNCH, BODY)
    answers = []
    for wrong in (
        {"X-Operator-Id": "00000000-0000-0000-0000-0000000000ff"},
        {"X-Operator-Id": "no uuid"},
        {"X-Operator-Id": casino.operator.operator_id.hex},
        {"X-Operator-Id": "{" + str(casino.operator.operator_id) + "}"},
        {"X-Operator-Key": "wrong"},
        {"X-Operator-Key": casino.operator.api_key[:-1]},
        {"X-Operator-Key": casino.operator.api_key + "x"},
        {"X-Operator-Key": "\xe9"},
        {"X-Operator-Key": casino.operator.hmac_secret},
    ):
        answer = await casino.send("POST", LAUNCH, BODY, right | wrong | {"X-Request-Id": "same"})
        assert (answer.status, answer.code) == (401, "invalid_credentials")
        answers.append(answer.body)
    assert len(set(answers)) == 1


async def test_the_key_of_another_operator_is_wrong(casino, other_casino):
    headers = casino.headers("POST", LAUNCH, BODY) | {"X-Operator-Key": other_casino.operator.api_key}
    assert (await casino.send("POST", LAUNCH, BODY, headers)).code == "invalid_credentials"


async def test_a_bad_signature_shows_what_was_signed_over_and_nothing_secret(casino):
    headers = casino.headers("POST", LAUNCH, BODY)
    answer = await casino.send("POST", LAUNCH, BODY + b" ", headers)
    assert (answer.status, answer.code) == (401, "bad_signature")
    assert answer.error["string_to_sign"] == text_to_sign(NOW_S, "POST", LAUNCH, BODY + b" ")
    assert answer.error["body_sha256"] == hashlib.sha256(BODY + b" ").hexdigest()
    expected = signature(casino.operator.hmac_secret, NOW_S, "POST", LAUNCH, BODY + b" ")
    for secret in (expected, casino.operator.hmac_secret, casino.operator.api_key):
        assert secret.encode() not in answer.body


async def test_signatures_of_any_other_form_are_bad(casino, other_casino):
    headers = casino.headers("POST", LAUNCH, BODY)
    right = headers["X-Signature"]
    stolen = other_casino.headers("POST", LAUNCH, BODY)["X-Signature"]
    for wrong in (right.upper(), right[:-1], right + "0", "0" * 64, "\xff" * 64, "sha256=" + right, stolen):
        answer = await casino.send("POST", LAUNCH, BODY, headers | {"X-Signature": wrong})
        assert (answer.status, answer.code) == (401, "bad_signature")


async def test_a_query_is_signed_with_or_left_out_and_nothing_else(casino):
    path, _, query = REVENUE.partition("?")
    assert (await casino.send("GET", REVENUE, headers=casino.headers("GET", path))).status == 200
    assert (await casino.send("GET", REVENUE, headers=casino.headers("GET", REVENUE))).status == 200
    for target in (path + "?", path + "/", query, path + "?to=2026-07-31&from=2026-07-01", path.upper()):
        answer = await casino.send("GET", REVENUE, headers=casino.headers("GET", target))
        assert answer.code == "bad_signature"
        assert answer.error["string_to_sign"] == text_to_sign(NOW_S, "GET", path)
        assert answer.error["string_to_sign_with_query"] == text_to_sign(NOW_S, "GET", REVENUE)


async def test_the_target_is_signed_as_on_the_wire(casino):
    encoded = "/api/public/rgs/round/a%2Fb"
    assert (await casino.get(encoded)).code == "not_found"
    headers = casino.headers("GET", "/api/public/rgs/round/a/b")
    assert (await casino.send("GET", encoded, headers=headers)).code == "bad_signature"


async def test_the_method_is_part_of_what_is_signed(casino):
    headers = casino.headers("GET", LAUNCH, BODY)
    assert (await casino.send("POST", LAUNCH, BODY, headers)).code == "bad_signature"


async def test_a_get_with_a_body_is_signed_over_it(casino):
    assert (await casino.send("GET", REVENUE, b"{}")).status == 200
    assert (await casino.send("GET", REVENUE, b"{}", casino.headers("GET", REVENUE))).code == "bad_signature"


async def test_suspended_operators_launch_nothing_but_still_read(casino, world):
    world.operators.add(make_operator(1, status="suspended"))
    answer = await casino.launch()
    assert (answer.status, answer.code) == (403, "operator_suspended")
    assert world.ledger.transitions == []
    assert (await casino.get(REVENUE)).status == 200


@pytest.mark.parametrize(
    ("cidrs", "status"),
    [
        (("127.0.0.1/32",), 200),
        (("10.0.0.0/8", "127.0.0.0/8"), 200),
        (("10.0.0.0/8",), 403),
        (("::/0",), 403),
    ],
)
async def test_the_allow_list(casino, world, cidrs, status):
    world.operators.add(make_operator(1, allow_cidrs=cidrs))
    answer = await casino.launch()
    assert answer.status == status
    if status == 403:
        assert answer.code == "ip_not_allowed"
        assert world.ledger.transitions == []


async def test_the_allow_list_sees_the_client_behind_trusted_proxies_only(world, start):
    world.operators.add(make_operator(1, allow_cidrs=("198.51.100.7/32",)))
    operator = world.operators.find(make_operator(1).operator_id)
    trusting = Casino(await start(create_app(world.services(trusted_proxies=(ip_network("127.0.0.1"),)))), operator)
    distrusting = Casino(await start(create_app(world.services())), operator)
    headers = trusting.headers("GET", REVENUE) | {"X-Forwarded-For": "198.51.100.7"}
    assert (await trusting.send("GET", REVENUE, headers=headers)).status == 200
    assert (await distrusting.send("GET", REVENUE, headers=headers)).code == "ip_not_allowed"


async def test_the_allow_list_tells_nothing_to_who_is_not_authenticated(casino, world):
    world.operators.add(make_operator(1, allow_cidrs=("10.0.0.0/8",)))
    headers = casino.headers("POST", LAUNCH, BODY) | {"X-Signature": "0" * 64}
    assert (await casino.send("POST", LAUNCH, BODY, headers)).code == "bad_signature"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_failures_are_counted_by_subscriber(address, group):
    assert address_group(address) == group


async def test_a_request_counts_as_signed_once_its_signature_was_found_right(world):
    """Whoever is known to have signed gives way to nobody: the connection must not be told before."""
    app, told = create_app(world.services()), []
    casino = Casino(0, next(iter(world.operators.operators.values())))

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        told.append(message.get("status"))

    good = casino.headers("GET", REVENUE)
    for headers, signed in ((good | {"X-Signature": "0" * 64}, []), (good, [True])):
        path, _, query = REVENUE.partition("?")
        noted = []
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "state": {"signed": lambda noted=noted: noted.append(True)},
        }
        await app(scope, receive, send)
        assert noted == signed
    assert [status for status in told if status] == [401, 200]
