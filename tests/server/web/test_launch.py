import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.facts.records import PageOptions
from server.http.errors import MalformedError
from server.http.strict_json import parse_object
from server.web.launch import LaunchApi
from server.web.request_facts import Caller
from server.web.routes import create_app
from server.web.tokens import open_token
from tests.helpers.operator_client import LAUNCH, LAUNCH_FIELDS, Casino
from tests.helpers.web_fakes import NOW_S, WebWorld, make_operator

OPTIONAL_FIELDS = ("lang", "reality_check_minutes", "lobby_url")


def body_with(**changes):
    return json.dumps(LAUNCH_FIELDS | changes).encode()


async def test_a_launch_answers_as_the_specification_says(casino, world):
    answer = await casino.launch()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    transition = world.ledger.transitions[0]
    origin, _, token = answer.json["launch_url"].partition("/play?session=")
    assert answer.json == {
        "ok": True,
        "session_id": str(transition.session_id),
        "launch_url": f"https://game.test/play?session={token}",
        "expires_at": "2026-07-01T01:00:00Z",
    }
    assert origin == "https://game.test"
    assert transition.token_digest == hashlib.sha256(token.encode()).digest()
    assert token not in repr(transition)


async def test_a_launch_that_is_repeated_is_counted_as_such(world, start):
    services = world.services()
    casino = Casino(await start(create_app(services)), world.operators.find(make_operator(1).operator_id))
    answers = [await casino.launch() for _ in range(3)]
    assert len({answer.json["session_id"] for answer in answers}) == 1
    value = world.metrics.registry.get_sample_value
    assert [value("getaway_launches_total", {"outcome": outcome}) for outcome in ("created", "replayed")] == [1, 2]


async def test_what_is_committed_is_what_was_asked_for(casino, world):
    world.clock.ms += 789
    body = body_with(operator_player_id="Zoë 42 🎲", lang="de", note=None, nested={"a": [1.5, True]})
    assert (await casino.launch(body)).status == 200
    transition = world.ledger.transitions[0]
    assert transition.operator_id == casino.operator.operator_id
    assert transition.operator_player_id == "Zoë 42 🎲"
    assert (transition.currency, transition.balance_minor) == ("USD", 500_000)
    assert transition.created_at_ms == NOW_S * 1000 + 789
    assert transition.expires_at_ms == (NOW_S + 3600) * 1000
    assert transition.replay_until_ms >= (NOW_S + 301) * 1000
    signature = casino.headers("POST", LAUNCH, body)["X-Signature"]
    assert transition.signature_digest == hashlib.sha256(signature.encode()).digest()
    assert len(transition.server_seed) == 64
    assert transition.page == PageOptions(lang="de")


async def test_only_the_signature_opens_a_sealed_token(casino, world):
    answer = await casino.launch()
    transition = world.ledger.transitions[0]
    token = answer.json["launch_url"].partition("session=")[2]
    signature = casino.headers("POST", LAUNCH, json.dumps(LAUNCH_FIELDS).encode())["X-Signature"].encode()
    assert open_token(transition.sealed_token, signature, transition.session_id.bytes) == token
    assert token.encode() not in transition.sealed_token
    for other in (signature[::-1], transition.signature_digest):
        assert open_token(transition.sealed_token, other, transition.session_id.bytes) is None
    assert open_token(transition.sealed_token, signature, bytes(16)) is None


async def test_a_repeated_launch_gets_the_first_answer(casino, world):
    first = await casino.launch()
    world.clock.ms += 60_000
    again = await casino.launch()
    assert (again.status, again.body) == (200, first.body)
    assert len(world.ledger.launches) == 1
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert world.count("getaway_launches_total", outcome="created") == 1
    assert world.count("getaway_launches_total", outcome="replayed") == 1


async def test_nobody_launches_on_operators_that_are_too_old(casino, world):
    """One of them may have been suspended meanwhile."""
    world.operators.is_fresh = False
    refused = await casino.launch()
    assert (refused.status, refused.json["error"]["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0 and not world.ledger.transitions
    world.operators.is_fresh = True
    assert (await casino.launch()).status == 200


async def test_a_kept_launch_that_is_damaged_opens_nothing(casino, world):
    await casino.launch()
    ((key, first),) = world.ledger.launches.items()
    damaged = bytes([*first.sealed_token[:-1], first.sealed_token[-1] ^ 1])
    world.ledger.launches[key] = replace(first, sealed_token=damaged)
    again = await casino.launch()
    assert (again.status, again.json["error"]["code"]) == (503, "unavailable")
    assert len(world.ledger.launches) == 1
    (told,) = [entry for entry in world.logged.entries if entry["log_level"] == "error"]
    assert told["session_id"] == str(first.session_id)
    world.logged.entries.remove(told)


async def test_concurrent_repeats_of_one_launch_make_one_session(casino, world):
    world.ledger.gate = trio.Event()
    answers = []

    async def launch():
        answers.append(await casino.launch())

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(launch)
        await trio.sleep(0.05)
        world.ledger.gate.set()
    assert Counter(answer.status for answer in answers) == {200: 8}
    assert len({answer.body for answer in answers}) == 1
    assert len(world.ledger.transitions) == 8
    assert len(world.ledger.launches) == 1


async def test_another_signature_is_another_launch(casino, other_casino, world):
    bodies = [(await casino.launch(balance_minor=balance)).body for balance in (1, 2)]
    bodies.append((await other_casino.launch(balance_minor=1)).body)
    assert len(set(bodies)) == 3
    assert len(world.ledger.launches) == 3


REFUSED = [
    ("operator_player_id", ""),
    ("operator_player_id", "x" * 129),
    ("operator_player_id", "a\nb"),
    ("operator_player_id", "a\u0000"),
    ("operator_player_id", "a\u200b"),
    ("operator_player_id", "\ud800"),
    ("operator_player_id", 42),
    ("operator_player_id", None),
    ("operator_player_id", ["x"]),
    ("currency", "GBP"),
    ("currency", "usd"),
    ("currency", ""),
    ("currency", 1),
    ("currency", ["USD"]),
    ("balance_minor", -1),
    ("balance_minor", 10**15 + 1),
    ("balance_minor", 10**30),
    ("balance_minor", 1.0),
    ("balance_minor", True),
    ("balance_minor", "5"),
    ("balance_minor", None),
    ("ttl_seconds", 59),
    ("ttl_seconds", 86_401),
    ("ttl_seconds", 60.0),
    ("ttl_seconds", True),
    ("ttl_seconds", "3600"),
]


async def test_every_bad_field_is_named_and_changes_nothing(casino, world):
    for field, value in REFUSED:
        answer = await casino.launch(**{field: value})
        assert (answer.status, answer.code, answer.error["field"]) == (400, "malformed", field), (field, value)
    for field in LAUNCH_FIELDS:
        document = {key: value for key, value in LAUNCH_FIELDS.items() if key != field}
        answer = await casino.launch(json.dumps(document).encode())
        assert (answer.status, answer.code, answer.error["field"]) == (400, "malformed", field)
    assert world.ledger.transitions == []


async def test_a_currency_without_limits_is_not_played(casino, world):
    world.operators.add(make_operator(1, bet_limits={"USD": None, "JPY": None}))
    answer = await casino.launch(currency="JPY")
    assert (answer.status, answer.error["field"]) == (400, "currency")
    assert (await casino.launch()).status == 200


async def test_the_bounds_themselves_are_taken(casino):
    for field, value in (
        ("operator_player_id", "x"),
        ("operator_player_id", "é" * 128),
        ("currency", "EUR"),
        ("balance_minor", 0),
        ("balance_minor", 10**15),
        ("ttl_seconds", 60),
        ("ttl_seconds", 86_400),
    ):
        assert (await casino.launch(**{field: value})).status == 200, (field, value)


BAD_BODIES = {
    "empty": b"",
    "no json": b"player=42",
    "array": b"[]",
    "string": b'"x"',
    "null": b"null",
    "byte order mark": b"\xef\xbb\xbf" + body_with(),
    "utf-16": json.dumps(LAUNCH_FIELDS).encode("utf-16"),
    "wrong utf-8": b'{"operator_player_id": "\xff"}',
    "encoded surrogate": b'{"operator_player_id": "\xed\xa0\x80"}',
    "nan": b'{"balance_minor": NaN}',
    "infinity": b'{"balance_minor": -Infinity}',
    "huge integer": b'{"balance_minor": ' + b"9" * 10_000 + b"}",
    "deep": b"[" * 60_000,
    "deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "trailing": body_with() + b"x",
    "two documents": body_with() * 2,
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bodies_that_are_no_json_object_are_malformed(casino, world, name):
    answer = await casino.launch(BAD_BODIES[name])
    assert (answer.status, answer.code, answer.error["field"]) == (400, "malformed", "body")
    assert world.ledger.transitions == []


async def test_a_repeated_key_is_named(casino, world):
    twice = body_with()[:-1] + b', "balance_minor": 1}'
    answer = await casino.launch(twice)
    assert (answer.status, answer.code, answer.error["field"]) == (400, "malformed", "balance_minor")
    surrogate = await casino.launch(body_with()[:-1] + b', "\\ud800": 1, "\\ud800": 2}')
    assert (surrogate.status, surrogate.code) == (400, "malformed")
    assert world.ledger.transitions == []


async def test_a_ledger_in_trouble_is_unavailable(casino, world):
    world.ledger.unavailable = True
    answer = await casino.launch()
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "1")
    world.ledger.unavailable = False
    assert (await casino.launch()).status == 200
    world.ledger.rejects = True
    assert (await casino.launch()).code == "unavailable"


async def test_a_ledger_that_does_not_answer_is_unavailable(world, start):
    world.ledger.gate = trio.Event()
    port = await start(create_app(world.services(answer_timeout_ms=50)))
    answer = await Casino(port, next(iter(world.operators.operators.values()))).launch()
    assert (answer.status, answer.code) == (503, "unavailable")


async def test_a_draining_server_launches_nothing(casino, world):
    world.switches.draining = True
    answer = await casino.launch()
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "draining", "5")
    assert world.ledger.transitions == []


async def test_a_mistake_of_ours_is_a_500_without_a_trace(casino, world):
    world.ledger.is_broken = True
    answer = await casino.launch()
    assert (answer.status, answer.code) == (500, "internal")
    assert b"ZeroDivision" not in answer.body and b"the text of an error" not in answer.body
    errors = [entry for entry in world.logged.entries if entry["log_level"] == "error"]
    assert [entry["request_id"] for entry in errors] == [answer.headers["x-request-id"]]
    for entry in errors:
        world.logged.entries.remove(entry)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=140),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    document=st.fixed_dictionaries(
        {},
        optional={
            "operator_player_id": st.text(min_size=1, max_size=130) | JSON_VALUES,
            "currency": st.sampled_from(["USD", "EUR"]) | JSON_VALUES,
            "balance_minor": st.integers(-1, 10**15 + 1) | JSON_VALUES,
            "ttl_seconds": st.integers(59, 86_401) | JSON_VALUES,
            "lang": st.sampled_from(["de", "pt-BR"]) | JSON_VALUES,
            "reality_check_minutes": st.integers(0, 1_441) | JSON_VALUES,
            "lobby_url": st.text(max_size=20).map("https://casino.test/".__add__) | JSON_VALUES,
        },
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_launch_is_either_sound_or_malformed(static_dir, document):
    trio.run(check_launch, static_dir, document)


async def check_launch(static_dir, document):
    world = WebWorld(static_dir)
    caller = Caller(make_operator(), str(NOW_S), b"0" * 64)
    try:
        await LaunchApi(world.services()).create(caller, json.dumps(document).encode())
    except MalformedError as error:
        assert error.extra["field"] in {*LAUNCH_FIELDS, *OPTIONAL_FIELDS, "body"}
        assert world.ledger.transitions == []
    else:
        (made,) = world.ledger.transitions
        assert made.operator_player_id == document["operator_player_id"]
        assert 1 <= len(made.operator_player_id) <= 128 and made.operator_player_id.isprintable()
        assert made.currency in {"USD", "EUR"}
        assert type(made.balance_minor) is int and 0 <= made.balance_minor <= 10**15
        assert type(document["ttl_seconds"]) is int and 60 <= document["ttl_seconds"] <= 86_400
        assert datetime.fromtimestamp(made.expires_at_ms / 1000, UTC).microsecond == 0
        assert asdict(made.page) == {field: document.get(field) for field in OPTIONAL_FIELDS}


@given(
    body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: ("{" + text + "}").encode("utf-8", "replace"))
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_object_or_malformed(body):
    try:
        document = parse_object(body)
    except MalformedError as error:
        assert error.status == 400 and error.extra["field"]
    else:
        assert document == json.loads(body)
