from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
import trio

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.kit.fair_queue import Share
from actors.rules.fairness import Outcome
from actors.rules.settlement import Result
from server.ports.reports import CallReport, RevenueRow, RoundReport
from server.web.routes import create_app
from tests.helpers.operator_client import Casino
from tests.helpers.web_fakes import NOW_S, make_operator

ROUND_ID = UUID("5f0c8d3a-9a51-4b60-8a4e-0b6f0a3c1d2e")
ROUND = f"/api/public/rgs/round/{ROUND_ID}"
REVENUE = "/api/public/rgs/revenue"


def make_call(**changes):
    fields = {
        "operator_tx_id": f"bet-{ROUND_ID}",
        "kind": CallKind.BET,
        "amount_minor": 10_000,
        "attempts": 1,
        "status": CallStatus.ACKNOWLEDGED,
        "created_at_ms": NOW_S * 1000,
        "acknowledged_at_ms": NOW_S * 1000 + 40,
        "next_attempt_at_ms": None,
        "last_error": None,
    }
    return CallReport(**(fields | changes))


def make_round(**changes):
    win = make_call(
        operator_tx_id=f"win-{ROUND_ID}",
        kind=CallKind.WIN,
        amount_minor=25_000,
        attempts=3,
        status=CallStatus.PENDING,
        last_error="connection lost",
    )
    fields = {
        "operator_id": make_operator(1).operator_id,
        "round_id": ROUND_ID,
        "session_id": UUID(int=77),
        "operator_player_id": "player-42",
        "status": RoundStatus.SETTLED,
        "result": Result.CASHOUT,
        "reason": None,
        "currency": "USD",
        "amount_minor": 10_000,
        "auto_cashout_hundredths": None,
        "payout_minor": 25_000,
        "realized_hundredths": 250,
        "server_seed": "a" * 64,
        "server_seed_hash": "b" * 64,
        "client_seed": "lucky",
        "nonce": 3,
        "outcome": Outcome(487, "c" * 64, "d" * 64, "e" * 64),
        "rtp_bps": 9650,
        "max_win_multiplier": 2000,
        "rev_share_bps": 1500,
        "created_at_ms": NOW_S * 1000,
        "started_at_ms": NOW_S * 1000 + 45,
        "settled_at_ms": NOW_S * 1000 + 16_007,
        "calls": (make_call(), win),
    }
    return RoundReport(**(fields | changes))


def store(world, report):
    world.reports.rounds[report.operator_id, report.round_id] = report


async def test_a_settled_round_is_shown_whole(casino, world):
    store(world, make_round())
    answer = await casino.get(ROUND)
    assert answer.status == 200
    assert answer.json == {
        "ok": True,
        "round_id": str(ROUND_ID),
        "status": "settled",
        "result": "cashout",
        "reason": None,
        "session_id": str(UUID(int=77)),
        "operator_player_id": "player-42",
        "currency": "USD",
        "amount_minor": 10_000,
        "rtp_target": 96.5,
        "max_win_multiplier": 2000,
        "algorithm": "hmac-sha256-v1",
        "server_seed": "a" * 64,
        "server_seed_hash": "b" * 64,
        "client_seed": "lucky",
        "nonce": 3,
        "outcome": {"crashPoint": 4.87, "mapSeed": "c" * 64, "lootSeed": "d" * 64, "guardSeed": "e" * 64},
        "realized_multiplier": 2.5,
        "payout_minor": 25_000,
        "started_at": "2026-07-01T00:00:00.045Z",
        "settled_at": "2026-07-01T00:00:16.007Z",
        "transactions": [
            {
                "operator_tx_id": f"bet-{ROUND_ID}",
                "kind": "bet",
                "amount_minor": 10_000,
                "attempts": 1,
                "status": "acknowledged",
                "last_error": None,
            },
            {
                "operator_tx_id": f"win-{ROUND_ID}",
                "kind": "win",
                "amount_minor": 25_000,
                "attempts": 3,
                "status": "pending",
                "last_error": "connection lost",
            },
        ],
    }


async def test_a_report_that_does_not_come_is_unavailable(world, start):
    world.reports.gate = trio.Event()
    port = await start(create_app(world.services(answer_timeout_ms=50)))
    answer = await Casino(port, world.operators.find(make_operator(1).operator_id)).get(ROUND)
    assert (answer.status, answer.code) == (503, "unavailable")


async def test_reads_of_one_operator_wait_for_each_other_and_not_without_bound(world, start):
    share = Share(1, 0, waiting_max=10, waiting_of_one_max=1)
    port = await start(create_app(replace(world.services(), read_share=share)))
    one, other = (Casino(port, operator) for operator in world.operators.operators.values())
    store(world, make_round())
    world.reports.gate, statuses = trio.Event(), []

    async def read(casino):
        statuses.append((await casino.get(ROUND)).status)

    async with trio.open_nursery() as nursery:
        for waiting in (0, 1):
            nursery.start_soon(read, one)
            while share._free or share.waiting < waiting:
                await trio.sleep(0.001)
        refused = await one.get(ROUND)
        assert (refused.status, refused.code) == (429, "rate_limited")
        nursery.start_soon(read, other)
        while share.waiting < 2:
            await trio.sleep(0.001)
        world.reports.gate.set()
    assert sorted(statuses) == [200, 200, 404]


@pytest.mark.parametrize("status", [RoundStatus.BETTING, RoundStatus.FLYING])
async def test_a_live_round_tells_nothing_that_could_be_played_on(casino, world, status):
    report = make_round(status=status, result=None, payout_minor=0, settled_at_ms=None)
    # Even a report that wrongly knows the secrets must not give them away.
    for leaking in (report, replace(report, server_seed=None, outcome=None, realized_hundredths=None)):
        store(world, leaking)
        document = (await casino.get(ROUND)).json
        assert document["status"] == status.value
        for field in ("server_seed", "outcome", "realized_multiplier", "result", "settled_at"):
            assert document[field] is None
        assert document["server_seed_hash"] == "b" * 64


async def test_a_crashed_round_realizes_zero(casino, world):
    store(world, make_round(result=Result.CRASH, realized_hundredths=0, payout_minor=0, rtp_bps=9600))
    answer = await casino.get(ROUND)
    assert (answer.json["result"], answer.json["realized_multiplier"], answer.json["payout_minor"]) == ("crash", 0, 0)
    assert b'"realized_multiplier":0,' in answer.body
    assert b'"rtp_target":96,' in answer.body


@pytest.mark.parametrize("status", [RoundStatus.VOID, RoundStatus.REFUNDED])
async def test_void_and_refunded_rounds_are_revealed(casino, world, status):
    store(world, make_round(status=status, result=None, realized_hundredths=0, payout_minor=0, started_at_ms=None))
    document = (await casino.get(ROUND)).json
    assert document["server_seed"] == "a" * 64
    assert document["outcome"]["crashPoint"] == 4.87
    assert (document["result"], document["realized_multiplier"], document["started_at"]) == (None, 0, None)


async def test_a_round_id_is_read_in_either_case(casino, world):
    store(world, make_round())
    assert (await casino.get(ROUND.replace(str(ROUND_ID), str(ROUND_ID).upper()))).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        ROUND_ID.hex,
        f"{{{ROUND_ID}}}",
        f"urn:uuid:{ROUND_ID}",
        f"{ROUND_ID}/",
        "%35" + str(ROUND_ID)[1:],
        "a%2Fb",
    ],
)
async def test_what_is_no_round_id_is_not_found(casino, world, name):
    store(world, make_round())
    answer = await casino.get(f"/api/public/rgs/round/{name}")
    assert (answer.status, answer.code) == (404, "not_found")


async def test_the_rounds_of_others_are_not_found(casino, other_casino, world):
    store(world, make_round())
    theirs = await other_casino.get(ROUND)
    unknown = await other_casino.get(ROUND[:-1] + "0")
    assert (theirs.status, theirs.code) == (404, "not_found")
    assert theirs.error == unknown.error
    # Not even a report that hands out another operator's row.
    world.reports.rounds[other_casino.operator.operator_id, ROUND_ID] = make_round()
    assert (await other_casino.get(ROUND)).status == 404


async def test_revenue_is_shown_by_day_and_currency(casino, world):
    world.reports.rows = [
        RevenueRow(
            period_day=date(2026, 7, 1),
            currency="USD",
            ggr_minor=148_000,
            house_share_minor=22_200,
            operator_share_minor=125_800,
            rounds=342,
        ),
        RevenueRow(
            period_day=date(2026, 7, 2),
            currency="EUR",
            ggr_minor=-100,
            house_share_minor=-15,
            operator_share_minor=-85,
            rounds=1,
        ),
    ]
    answer = await casino.get(f"{REVENUE}?from=2026-07-01&to=2026-07-31")
    assert answer.json == {
        "ok": True,
        "days": [
            {
                "period_day": "2026-07-01",
                "currency": "USD",
                "ggr_minor": 148_000,
                "house_share_minor": 22_200,
                "operator_share_minor": 125_800,
                "rounds": 342,
            },
            {
                "period_day": "2026-07-02",
                "currency": "EUR",
                "ggr_minor": -100,
                "house_share_minor": -15,
                "operator_share_minor": -85,
                "rounds": 1,
            },
        ],
    }
    assert world.reports.asked == [(casino.operator.operator_id, date(2026, 7, 1), date(2026, 7, 31))]


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-07-01&to=2026-07-01",
        "from=2024-01-01&to=2024-12-31",
        "from=2026-01-01&to=2027-01-01",
        "to=2026-07-31&&from=2026-07-01",
        "from=2026%2D07-01&to=2026-07-31",
        "%66rom=2026-07-01&to=2026-07-31",
    ],
)
async def test_spans_of_up_to_366_days_are_answered(casino, query):
    assert (await casino.get(f"{REVENUE}?{query}")).json == {"ok": True, "days": []}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=1", "page"),
        ("from=2026-07-01", "to"),
        ("to=2026-07-01", "from"),
        ("from=&to=2026-07-01", "from"),
        ("from=2026-07-01&to=2026-07-31&to=2026-07-30", "to"),
        ("from=2026-07-01&from=2026-07-01&to=2026-07-31", "from"),
        ("from=2026-07-01&%66rom=2026-07-01&to=2026-07-31", "from"),
        ("from=2026-07-02&to=2026-07-01", "to"),
        ("from=2026-01-01&to=2027-01-02", "to"),
        ("from=2026-7-1&to=2026-07-31", "from"),
        ("from=20260701&to=2026-07-31", "from"),
        ("from=2026-W27-3&to=2026-07-31", "from"),
        ("from=2026-07-01T00:00:00Z&to=2026-07-31", "from"),
        ("from=2026-02-30&to=2026-07-31", "from"),
        ("from=0000-01-01&to=2026-07-31", "from"),
        ("from=2026-07-01%00&to=2026-07-31", "from"),
        ("from=+2026-07-01&to=2026-07-31", "from"),
        ("from=2026-07-01&to=%D9%A2026-07-31", "to"),
        ("from=2026-07-01&to=%ff", "to"),
        ("from=2026-07-01&to=%", "to"),
        ("from=2026-07-01;to=2026-07-31", "from"),
    ],
)
async def test_other_spans_are_malformed_and_the_parameter_is_named(casino, world, query, field):
    answer = await casino.get(f"{REVENUE}?{query}")
    assert (answer.status, answer.code) == (400, "malformed")
    assert answer.error["field"] == field
    assert world.reports.asked == []


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (f"{ROUND}?seeds=1", "seeds"),
        (f"{ROUND}?&", None),
        (f"{ROUND}?=1", ""),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&currency=USD", "currency"),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&From=2026-07-01", "From"),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&gr%6Fup_by=brand", "group_by"),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&{'x' * 100}", "x" * 64),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&&", None),
        (f"{REVENUE}?from=2026-07-01&to=2026-07-31&to=2026-07-31", "to"),
        (f"{REVENUE}?from=2026-07-01&from=2026-07-02&to=2026-07-31", "from"),
    ],
)
async def test_what_a_read_does_not_know_is_not_passed_over_in_silence(casino, world, target, field):
    store(world, make_round())
    answer = await casino.get(target)
    assert (answer.status, answer.json["error"]["field"] if field is not None else None) == (
        200 if field is None else 400,
        field,
    )


async def test_a_round_that_is_not_ours_is_not_told(casino, world):
    world.reports.not_ours = True
    answer = await casino.get(ROUND)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "3600")
    assert "tell us the request_id" in answer.json["error"]["message"] and answer.json["request_id"]


async def test_reads_in_trouble_are_unavailable_and_go_on_while_draining(casino, world):
    world.switches.draining = True
    assert (await casino.get(f"{REVENUE}?from=2026-07-01&to=2026-07-31")).status == 200
    world.reports.unavailable = True
    for target in (ROUND, f"{REVENUE}?from=2026-07-01&to=2026-07-31"):
        answer = await casino.get(target)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "1")
