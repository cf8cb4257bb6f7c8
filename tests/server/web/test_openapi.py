"""The OpenAPI document comes from the types that requests are read by, and says what is there."""

import json
from datetime import date
from uuid import UUID

import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator

from actors.facts.records import RoundStatus
from server.ports.reports import RevenueRow
from server.web.openapi import openapi_document
from server.web.routes import create_app
from tests.helpers.operator_client import LAUNCH_FIELDS
from tests.server.web.test_reads import REVENUE, ROUND, make_round, store


@pytest.fixture
def document(world):
    # As it goes out: JSON has no integers for keys.
    return json.loads(json.dumps(openapi_document(create_app(world.services()))))


def schema_of(document, path, method):
    answer = document["paths"][f"/api/public/rgs{path}"][method]["responses"]["200"]
    return answer["content"]["application/json"]["schema"] | {"components": document["components"]}


def test_it_is_valid(document):
    assert document["openapi"] == "3.1.0"
    openapi_spec_validator.validate(document)


def test_it_names_each_operator_route_and_nothing_else(world, document):
    named = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    rules = [rule for rule in create_app(world.services()).url_map.iter_rules() if rule.rule.startswith("/api/")]
    assert named == {(rule.rule.replace("<", "{").replace(">", "}"), m) for rule in rules for m in rule.methods}
    assert len(named) >= 3


def test_it_says_what_a_launch_takes(document):
    body = document["paths"]["/api/public/rgs/launch"]["post"]["requestBody"]
    judge = Draft202012Validator(body["content"]["application/json"]["schema"])
    assert judge.is_valid(LAUNCH_FIELDS)
    for wrong in ({"ttl_seconds": 59}, {"balance_minor": "5"}, {"lang": "de_DE"}, {"operator_player_id": ""}):
        assert not judge.is_valid(LAUNCH_FIELDS | wrong), wrong


def test_it_says_which_parameters_are_required(document):
    parameters = document["paths"]["/api/public/rgs/revenue"]["get"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in parameters] == [
        ("from", "query", True),
        ("to", "query", True),
    ]


async def test_answers_are_as_it_says(casino, world, document):
    store(world, make_round())
    flying = make_round(round_id=UUID(int=5), status=RoundStatus.FLYING, settled_at_ms=None, realized_hundredths=None)
    store(world, flying)
    live = ROUND.rpartition("/")[0] + f"/{flying.round_id}"
    shares = {"ggr_minor": 100, "house_share_minor": 15, "operator_share_minor": 85}
    world.reports.rows.append(RevenueRow(period_day=date(2026, 7, 1), currency="USD", rounds=3, **shares))
    answers = [
        ("/launch", "post", await casino.launch()),
        ("/round/{round_id}", "get", await casino.get(ROUND)),
        ("/round/{round_id}", "get", await casino.get(live)),
        ("/revenue", "get", await casino.get(f"{REVENUE}?from=2026-07-01&to=2026-07-31")),
    ]
    for path, method, answer in answers:
        assert answer.status == 200
        schema = schema_of(document, path, method)
        Draft202012Validator(schema).validate(answer.json)
        assert list(answer.json) == list(schema["properties"]), "in the order of the document"
