"""``getaway round show`` on a real database: a round's money, step by step, and nothing of a seed before its end."""

import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from actors.facts.records import CallKind, CallStatus
from actors.facts.transitions import Applied, BetFate, Started
from actors.rules import fairness
from server.cli.output import time_text
from server.db.driver.database import open_database
from server.db.stores.operators import PostgresOperatorStore
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.command_line import MASTER_KEY, CommandLine, on_database
from tests.helpers.stores import EveryStore

BET_MS = NOON_MS + 1_000
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def getaway(database_url) -> CommandLine:
    return on_database(database_url)


class House:
    """One operator with one session, whose first round is about to be bet on."""

    def __init__(self, ledger, owner, live) -> None:
        self.ledger = ledger
        self.owner = owner
        self.live = live

    async def commit(self, *transitions) -> None:
        for transition in transitions:
            (answer,) = await self.ledger.commit([transition])
            assert isinstance(answer, Applied | Started), (transition, answer)


@asynccontextmanager
async def house(url: str):
    async with open_database(url, Path()) as database:
        vault = Vault(base64.b64decode(MASTER_KEY))
        ledger = EveryStore(database, vault)
        operator = await PostgresOperatorStore(database, vault).create_operator(books.new_operator(), NOON_MS)
        owner = await ledger.register_node("node-a", NOON_MS)
        created = books.new_session(operator)
        await ledger.commit([created])
        await books.opened(ledger, created, owner)
        yield House(ledger, owner, books.new_round(created, auto_cashout_hundredths=250))


def played(url: str, *names: str):
    """The round after these moments of its life."""

    async def play():
        async with house(url) as here:
            live, owner = here.live, here.owner
            moments = {
                "bet": lambda: books.place(owner, live),
                "start": lambda: books.start(owner, live),
                "cash-out": lambda: books.cash_out(owner, books.flying(live), 150),
                "crash": lambda: books.crash(owner, books.flying(live)),
                "declined": lambda: books.void(owner, live),
                "not sent": lambda: replace(
                    books.void(owner, live), bet=BetFate(CallStatus.DECLINED, 0, "not sent: no connection")
                ),
                "unknown": lambda: books.void(owner, live, CallStatus.UNKNOWN),
                "refund": lambda: books.refund(owner, books.flying(live)),
                "postponed": lambda: books.postpone(live, attempts=2),
                "refund paid": lambda: books.acknowledge(live, CallKind.REFUND),
                "paid": lambda: books.acknowledge(live, attempts=3),
            }
            await here.commit(*(moments[name]() for name in names))
            return live

    return trio.run(play)


def seeds_of(live) -> list[str]:
    end = live.outcome
    return [live.commitment.server_seed, end.map_seed, end.loot_seed, end.guard_seed]


def steps(done) -> list[tuple[str, ...]]:
    """The lines of the time table as (time, step, player's net)."""
    lines = done.out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("time (UTC)"))
    table = lines[at + 1 : lines.index("", at)]
    return [tuple(part.strip() for part in line.split("  ") if part.strip()) for line in table]


def test_a_won_round_as_json(database_url, getaway):
    live = played(database_url, "bet", "start", "cash-out", "postponed", "paid")
    outcome = fairness.outcome(live.commitment.server_seed, live.commitment.client_seed, 1, 9_600, 2_000)
    calls = [
        {
            "operator_tx_id": f"{kind}-{live.round_id}",
            "kind": kind,
            "amount_minor": amount_minor,
            "status": "acknowledged",
            "attempts": attempts,
            "created_at": time_text(created_at_ms),
            "acknowledged_at": time_text(acknowledged_at_ms),
            "next_attempt_at": None,
            "last_error": last_error,
            "problem": None,
        }
        for kind, amount_minor, attempts, created_at_ms, acknowledged_at_ms, last_error in (
            ("bet", 100, 1, BET_MS, BET_MS + 10, None),
            ("win", 150, 3, BET_MS + 500, BET_MS + 600, None),
        )
    ]
    assert getaway("round", "show", str(live.round_id), "--json").document == {
        "round_id": str(live.round_id),
        "operator_id": str(live.operator_id),
        "session_id": str(live.session_id),
        "operator_player_id": "player-42",
        "status": "settled",
        "result": "cashout",
        "reason": None,
        "currency": "USD",
        "amount_minor": 100,
        "auto_cashout": 2.5,
        "payout_minor": 150,
        "realized_multiplier": 1.5,
        "rtp_target": 96,
        "max_win_multiplier": 2_000,
        "rev_share": 15,
        "algorithm": "hmac-sha256-v1",
        "server_seed": live.commitment.server_seed,
        "server_seed_hash": fairness.commitment(live.commitment.server_seed),
        "client_seed": "player",
        "nonce": 1,
        "outcome": {
            "crashPoint": outcome.crash_hundredths / 100,
            "mapSeed": outcome.map_seed,
            "lootSeed": outcome.loot_seed,
            "guardSeed": outcome.guard_seed,
        },
        "created_at": "2026-07-01T00:00:01.000Z",
        "started_at": "2026-07-01T00:00:01.010Z",
        "settled_at": "2026-07-01T00:00:01.500Z",
        "transactions": calls,
        "problems": [],
    }


def test_the_money_of_a_won_round_step_by_step(database_url, getaway):
    live = played(database_url, "bet", "start", "cash-out", "paid")
    done = getaway("round", "show", str(live.round_id))
    assert (done.status, done.err) == (0, "")
    assert steps(done) == [
        ("2026-07-01T00:00:01.000Z", "stake of 1.00 USD accepted, bet call stored", "0.00 USD"),
        ("2026-07-01T00:00:01.010Z", "bet acknowledged by the wallet", "-1.00 USD"),
        ("2026-07-01T00:00:01.010Z", "flight started", "-1.00 USD"),
        ("2026-07-01T00:00:01.500Z", "settled: cashout at 1.50x, pays 1.50 USD", "-1.00 USD"),
        ("2026-07-01T00:00:01.500Z", "win of 1.50 USD stored", "-1.00 USD"),
        ("2026-07-01T00:00:01.600Z", "win acknowledged by the wallet", "+0.50 USD"),
    ]
    for line in ("terms          rtp 96 %, max win 2000x, revenue share 15 %", "auto cash-out  2.50x"):
        assert line in done.out.splitlines()


@pytest.mark.parametrize("moments", [("bet",), ("bet", "start")])
def test_a_round_that_is_not_over_shows_its_promise_and_no_seed(moments, database_url, getaway):
    live = played(database_url, *moments)
    document = getaway("round", "show", str(live.round_id), "--json")
    text = getaway("round", "show", str(live.round_id))
    for done in (document, text):
        assert fairness.commitment(live.commitment.server_seed) in done.out
        assert not [seed for seed in seeds_of(live) if seed in done.out + done.err]
    hidden = ("server_seed", "outcome", "realized_multiplier", "result", "settled_at")
    assert [document.document[name] for name in hidden] == [None] * 5
    assert text.out.count("not before the end") == 2


def test_a_win_that_could_not_be_delivered_says_when_it_is_tried_again(database_url, getaway):
    live = played(database_url, "bet", "start", "cash-out", "postponed")
    win = getaway("round", "show", str(live.round_id), "--json").document["transactions"][1]
    again = "2026-07-01T00:00:06.000Z"
    assert (win["status"], win["attempts"], win["last_error"]) == ("pending", 2, "connection lost")
    assert win["next_attempt_at"] == again
    done = getaway("round", "show", str(live.round_id))
    assert f"last error: connection lost, next attempt {again}" in done.out
    assert steps(done)[-1][-1] == "-1.00 USD"


@pytest.mark.parametrize(
    ("moments", "end", "net"),
    [
        (("bet", "start", "crash"), "settled: crash", "-1.00 USD"),
        (("bet", "declined"), "void (declined)", "0.00 USD"),
        (("bet", "not sent"), "void (declined); the bet was never sent", "0.00 USD"),
        (("bet", "start", "refund", "refund paid"), "refunded (", "0.00 USD"),
        (("bet", "unknown", "refund paid"), "refund acknowledged by the wallet: the bet, if it was taken,", "0.00 USD"),
    ],
)
def test_every_other_end_and_what_the_player_has_then(moments, end, net, database_url, getaway):
    live = played(database_url, *moments)
    done = getaway("round", "show", str(live.round_id))
    assert any(step[1].startswith(end) for step in steps(done)), done.out
    assert steps(done)[-1][-1] == net
    assert live.commitment.server_seed in done.out, "every end reveals the seed"


def test_a_bet_that_was_never_sent_is_nobodys_refusal(database_url, getaway):
    live = played(database_url, "bet", "not sent")
    (bet,) = getaway("round", "show", "--json", str(live.round_id)).document["transactions"]
    assert (bet["status"], bet["attempts"], bet["last_error"]) == ("declined", 0, "not sent: no connection")
    shown = getaway("round", "show", str(live.round_id)).out.splitlines()[-1]
    assert shown.endswith("  not sent: no connection")
    assert "never sent" in shown
    assert "declined" not in shown


def test_a_bet_that_a_wallet_has_refused_is_told_as_declined(database_url, getaway):
    live = played(database_url, "bet", "declined")
    done = getaway("round", "show", str(live.round_id))
    shown = done.out.splitlines()[-1]
    assert shown.endswith("  last error: as told") and "declined" in shown
    assert "never sent" not in done.out


def test_a_round_that_is_not_there(getaway):
    assert getaway.refusal(1, "round", "show", NOBODY) == f"getaway: there is no round {NOBODY}"
    assert "'ROUND_ID': must be a UUID" in getaway.refusal(2, "round", "show", "7")
    assert "Missing argument 'ROUND_ID'" in getaway.refusal(2, "round", "show")


def test_what_is_not_ours_is_shown_as_unverified(database_url, getaway, postgres):
    live = played(database_url, "bet", "start", "cash-out", "paid")
    postgres.execute(
        "SET session_replication_role = replica",
        f"UPDATE rounds SET amount_minor = 66100, payout_minor = 99150 WHERE round_id = '{live.round_id}'",
        f"UPDATE transactions SET amount_minor = 99150 WHERE operator_tx_id = 'win-{live.round_id}'",
        url=database_url,
    )
    done = getaway("round", "show", str(live.round_id))
    first, *wrong = done.out.partition("\n\n")[0].splitlines()
    assert done.status == 1 and first.startswith("UNVERIFIED:")
    assert wrong == [
        f"  round {live.round_id}: its round-bet code is not the one of these values",
        f"  round {live.round_id}: its round-end code is not the one of these values",
        f"  win-{live.round_id}: its wallet-call code is not the one of these values",
    ]
    assert "991.50 USD" in done.out, "shown all the same"
    done = getaway("round", "show", str(live.round_id), "--json")
    document = json.loads(done.out)
    assert (done.status, document["payout_minor"]) == (1, 99150)
    assert [problem.split()[1] for problem in document["problems"]] == ["round-bet", "round-end"]
    assert [call["problem"] is None for call in document["transactions"]] == [True, False]
