"""``getaway wallet`` on a real database: what a person sees and does, and that it is all written down."""

from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import asyncpg
import psycopg
import pytest
import trio

from actors.facts.records import CallKind, CallStatus
from server.cli.output import time_text
from server.db.stores.wallet_actions import PostgresWalletActions
from server.ports.outbox import Action, ActionRefusedError, ActionRequest
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.command_line import CommandLine, on_database
from tests.helpers.ledger_worlds import open_world
from tests.helpers.sound_books import VAULT

LATER_MS = NOON_MS + 3_600_000
"""What the database's clock shows while commands run. The machine's, which must not matter, is months ahead."""
ANOTHER = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def getaway(emptied_database_url) -> CommandLine:
    return on_database(emptied_database_url)


class Books:
    """Rounds of one operator, each won and owed, in the order of their names."""

    def __init__(self, world, owner, operator) -> None:
        self.world, self.owner, self.operator = world, owner, operator

    async def owe(self, name: str, *, parked: bool = False, operator=None) -> str:
        """The transaction id of a win that is pending, or parked."""
        created = await self.world.owned(self.owner, name, operator=operator or self.operator)
        live = await self.world.fly(self.owner, created)
        await self.world.commit(books.cash_out(self.owner, live))
        if parked:
            await self.world.commit(books.postpone(live, attempts=99, parked=True))
        return f"win-{live.round_id}"


@asynccontextmanager
async def open_books(url: str):
    async with open_world(url, VAULT) as world:
        owner = await world.ledger.register_node("node-a", NOON_MS)
        yield Books(world, owner, await world.add_operator())


def told(url: str, story):
    """What ``story``, a function of the books, returned."""

    async def run():
        async with open_books(url) as opened:
            return await story(opened)

    return trio.run(run)


@pytest.fixture
def owed(emptied_database_url) -> tuple[str, str]:
    """A parked win and one that has been pending for an hour."""

    async def story(opened):
        names = await opened.owe("parked", parked=True), await opened.owe("pending")
        await opened.world.set_clock(LATER_MS)
        return names

    return told(emptied_database_url, story)


def statuses(getaway) -> dict[str, str]:
    listed = getaway("wallet", "list", "--json").document
    return {call["operator_tx_id"]: call["status"] for call in listed}


def test_parked_and_overdue_calls_are_listed_the_oldest_first(getaway, owed):
    parked, pending = owed
    listed = getaway("wallet", "list", "--json").document
    assert {call["operator_tx_id"] for call in listed} == {parked, pending}
    first = next(call for call in listed if call["operator_tx_id"] == parked)
    assert first["status"] == "parked" and first["attempts"] == 99 and first["last_error"] == "connection lost"
    assert (first["kind"], first["amount_minor"], first["currency"]) == ("win", 150, "USD")
    assert first["next_attempt_at"] is None
    text = getaway("wallet", "list").out
    assert parked in text and pending in text and "1.50 USD" in text
    assert getaway("wallet", "list", "--operator", ANOTHER).out == "nothing is parked or overdue\n"


def test_a_bet_that_waits_for_its_answer_is_no_call_to_see_to(getaway, emptied_database_url):
    """Its round's end decides what becomes of it, and it is never sent again."""

    async def bet(opened):
        await opened.world.bet(opened.owner, await opened.world.owned(opened.owner, operator=opened.operator))
        await opened.world.set_clock(LATER_MS)

    told(emptied_database_url, bet)
    assert getaway("wallet", "list", "--overdue-minutes", "0", "--json").document == []


def test_what_is_pending_for_a_short_time_only_is_not_listed(getaway, owed):
    parked, _pending = owed
    listed = getaway("wallet", "list", "--overdue-minutes", "1000000", "--json").document
    assert [call["operator_tx_id"] for call in listed] == [parked]


def test_a_retry_makes_a_parked_call_pending_and_due(getaway, owed, emptied_database_url):
    parked, _pending = owed
    done = getaway("wallet", "retry", parked, "--by", "ann", "--reason", "the wallet is back")
    assert (done.status, done.out) == (0, f"{parked} was parked and is pending\n")
    assert statuses(getaway)[parked] == "pending"

    async def claimed(opened):
        (operator_id,) = {UUID(call["operator_id"]) for call in listed}
        calls = await opened.world.ledger.claim_calls(opened.owner, {operator_id: 9}, now_ms, 20_000)
        return {call.operator_tx_id for call in calls}

    listed = getaway("wallet", "list", "--json").document
    now_ms = 2 * NOON_MS
    assert told(emptied_database_url, claimed) == set(owed)


@pytest.mark.parametrize("action", ["retry", "resolve"])
def test_what_a_person_takes_up_begins_anew_and_is_nobodys(getaway, emptied_database_url, action):
    """The wallet has been mended: refusals of before are no reason to wait, nor is an old claim to hold it."""

    async def refused_and_claimed(opened):
        live = await opened.world.fly(opened.owner, await opened.world.owned(opened.owner))
        await opened.world.commit(books.cash_out(opened.owner, live))
        refused = replace(books.postpone(live), refused_since_ms=NOON_MS, not_before_ms=3 * NOON_MS)
        await opened.world.commit(refused)
        quotas = {live.operator_id: 9}
        assert len(await opened.world.ledger.claim_calls(opened.owner, quotas, NOON_MS + 60_000, 20_000)) == 1
        await opened.world.set_clock(LATER_MS)
        return refused.operator_tx_id

    tx_id = told(emptied_database_url, refused_and_claimed)
    columns = "claim_node, claim_epoch, refused_since_ms, not_before_ms"
    with psycopg.connect(emptied_database_url) as connection:
        before = connection.execute(f"SELECT {columns} FROM transactions WHERE kind = 'win'").fetchone()
        assert None not in before
    getaway("wallet", action, tx_id, "--by", "ann", "--reason", "the wallet is mended")
    with psycopg.connect(emptied_database_url) as connection:
        after = connection.execute(f"SELECT {columns} FROM transactions WHERE kind = 'win'").fetchone()
    assert after[:2] == (None, None)
    assert action == "resolve" or after[2:] == (None, None)


@pytest.mark.parametrize("command", [("retry",), ("resolve", "--reason", "booked")], ids=["retry", "resolve"])
def test_a_call_that_is_not_ours_is_neither_retried_nor_resolved(
    getaway, owed, postgres, emptied_database_url, command
):
    """It says more than its round owes, for somebody who has parked it and waits for a person to send it."""
    parked, _pending = owed
    postgres.execute(
        "SET session_replication_role = replica",
        f"UPDATE transactions SET amount_minor = 15000 WHERE operator_tx_id = '{parked}'",
        url=emptied_database_url,
    )
    name, *options = command
    assert "no call of ours" in getaway.refusal(1, "wallet", name, parked, *options)
    assert statuses(getaway)[parked] == "parked"
    assert getaway("wallet", "audit", "--json").document == []


def test_a_resolution_ends_a_call_without_sending_it(getaway, owed):
    parked, pending = owed
    done = getaway("wallet", "resolve", parked, "--by", "ann", "--reason", "booked by hand", "--json")
    assert done.document["status_after"] == "acknowledged"
    assert statuses(getaway) == {pending: "pending"}
    assert getaway.refusal(1, "wallet", "retry", parked).endswith("is acknowledged already")
    assert getaway.refusal(1, "wallet", "resolve", parked, "--reason", "x").endswith("is acknowledged already")


def test_everything_that_was_done_is_in_the_audit(getaway, owed):
    parked, pending = owed
    getaway("wallet", "retry", parked, "--by", "ann", "--reason", "the wallet is back")
    getaway("wallet", "retry", parked, "--by", "bob")
    getaway("wallet", "resolve", pending, "--by", "ann", "--reason", "booked by hand")
    entries = getaway("wallet", "audit", "--json").document
    facts = [(entry["by"], entry["action"], entry["operator_tx_id"], entry["reason"]) for entry in entries]
    assert facts == [
        ("ann", "retry", parked, "the wallet is back"),
        ("bob", "retry", parked, None),
        ("ann", "resolve", pending, "booked by hand"),
    ]
    changes = [(entry["status_before"], entry["status_after"]) for entry in entries]
    assert changes == [("parked", "pending"), ("pending", "pending"), ("pending", "acknowledged")]
    assert "booked by hand" in getaway("wallet", "audit").out
    assert getaway("wallet", "audit", "--operator", ANOTHER, "--json").document == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE wallet_actions SET by_whom = 'eve'", "DELETE FROM wallet_actions", "TRUNCATE wallet_actions CASCADE"],
)
def test_the_audit_can_not_be_changed(getaway, owed, postgres, emptied_database_url, statement):
    getaway("wallet", "retry", owed[0], "--by", "ann")
    before = getaway("wallet", "audit", "--json").document
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="what was done is kept"):
        postgres.execute(statement, url=emptied_database_url)
    assert getaway("wallet", "audit", "--json").document == before


ADD = """
INSERT INTO wallet_actions
    (operator_id, operator_tx_id, action, by_whom, reason, at_ms, status_before, status_after, mac)
SELECT operator_id, {tx_id}, {action}, 'ann', 'booked by hand', at_ms, 'parked', 'acknowledged', {mac}
FROM wallet_actions
"""
FORGERIES = {
    "without a code": ADD.format(tx_id="'{pending}'", action="'resolve'", mac="NULL"),
    "with the code of another one": ADD.format(tx_id="'{pending}'", action="'resolve'", mac="mac"),
    "a retry becomes a resolution": ADD.format(tx_id="operator_tx_id", action="'resolve'", mac="mac"),
    "somebody else did it": "UPDATE wallet_actions SET by_whom = 'bob'",
    "for another reason": "UPDATE wallet_actions SET reason = 'booked by hand'",
    "at another time": "UPDATE wallet_actions SET at_ms = at_ms - 1",
    "it was not parked": "UPDATE wallet_actions SET status_before = 'pending'",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_the_audit_marks_what_it_did_not_record(getaway, owed, postgres, emptied_database_url, name):
    parked, pending = owed
    getaway("wallet", "retry", parked, "--by", "ann", "--reason", "the wallet is back")
    (record,) = getaway("wallet", "audit", "--json").document
    assert record["problem"] is None
    statement = FORGERIES[name].format(pending=pending)
    postgres.execute("SET session_replication_role = replica", statement, url=emptied_database_url)
    *ours, forged = getaway("wallet", "audit", "--json").document
    assert [each["problem"] for each in ours] == [None] * ("INSERT" in statement)
    assert "wallet-action code" in forged["problem"]
    assert getaway("wallet", "audit").out.count("NO RECORD OF OURS") == 1


def test_a_list_marks_a_call_that_is_not_ours(getaway, owed, postgres, emptied_database_url):
    parked, _pending = owed
    postgres.execute(
        "SET session_replication_role = replica",
        f"UPDATE transactions SET amount_minor = 15000 WHERE operator_tx_id = '{parked}'",
        url=emptied_database_url,
    )
    listed = {call["operator_tx_id"]: call["problem"] for call in getaway("wallet", "list", "--json").document}
    assert {tx_id for tx_id, problem in listed.items() if problem is not None} == {parked}
    assert getaway("wallet", "list").out.count("NO CALL OF OURS") == 1


def test_a_bet_and_an_unknown_call_are_refused_and_leave_no_trace(getaway, owed):
    bet = owed[0].replace("win-", "bet-")
    assert (
        getaway.refusal(1, "wallet", "retry", bet)
        == "getaway: a bet is never sent again: its round has ended without it"
    )
    assert getaway.refusal(1, "wallet", "retry", "win-x") == "getaway: there is no wallet call win-x"
    assert getaway.refusal(1, "wallet", "retry", owed[0], "--operator", ANOTHER).startswith(
        "getaway: there is no wallet call"
    )
    assert getaway("wallet", "audit", "--json").document == []


@pytest.mark.parametrize("options", [["--reason", "  "], ["--reason", "x\ny"], ["--reason", "x" * 501], []])
def test_a_resolution_needs_a_reason(getaway, owed, options):
    assert "--reason" in getaway.refusal(2, "wallet", "resolve", owed[0], *options)
    assert statuses(getaway)[owed[0]] == "parked"


def test_what_is_being_sent_is_left_alone(getaway, owed, emptied_database_url):
    async def claim(opened):
        counts = await opened.world.ledger.outbox_counts()
        quotas = {count.operator_id: 9 for count in counts}
        return await opened.world.ledger.claim_calls(opened.owner, quotas, LATER_MS, 20_000)

    (claimed,) = told(emptied_database_url, claim)
    assert claimed.operator_tx_id == owed[1]
    for command in (["retry", owed[1]], ["resolve", owed[1], "--reason", "x"]):
        assert "is being sent at this moment" in getaway.refusal(1, "wallet", *command)


@pytest.mark.parametrize("command", [("retry",), ("resolve", "--reason", "booked")], ids=["retry", "resolve"])
def test_what_can_not_be_recorded_is_not_done(getaway, owed, postgres, emptied_database_url, command):
    name, *options = command
    postgres.execute(
        "ALTER TABLE wallet_actions ADD CONSTRAINT not_ann CHECK (by_whom <> 'ann')", url=emptied_database_url
    )
    try:
        assert getaway("wallet", name, owed[0], "--by", "ann", *options).status != 0
    finally:
        postgres.execute("ALTER TABLE wallet_actions DROP CONSTRAINT not_ann", url=emptied_database_url)
    assert statuses(getaway) == dict(zip(owed, ("parked", "pending"), strict=True))


def test_a_retried_call_is_due_now_by_the_clock_that_all_nodes_share(getaway, owed, postgres, emptied_database_url):
    """Else a machine whose clock is ahead would have it sent that much later. Nor does it wait for its old turn."""
    parked, pending = owed
    postgres.execute(
        f"UPDATE transactions SET next_attempt_at_ms = {3 * NOON_MS} WHERE kind = 'win'", url=emptied_database_url
    )
    for tx_id in owed:
        getaway("wallet", "retry", tx_id, "--by", "ann")
    listed = {call["operator_tx_id"]: call for call in getaway("wallet", "list", "--json").document}
    later = time_text(LATER_MS)
    assert [listed[tx_id]["next_attempt_at"] for tx_id in (parked, pending)] == [later, later]
    assert [entry["at"] for entry in getaway("wallet", "audit", "--json").document] == [later, later]


def test_the_age_of_what_is_listed_is_by_that_clock_too(getaway, owed):
    parked, pending = owed
    for minutes, names in ((59, {parked, pending}), (60, {parked})):
        listed = getaway("wallet", "list", "--overdue-minutes", str(minutes), "--json").document
        assert {call["operator_tx_id"] for call in listed} == names


async def test_of_two_people_at_once_the_second_sees_what_the_first_did(emptied_database_url):
    async with open_books(emptied_database_url) as opened:
        tx_id = await opened.owe("parked", parked=True)
        actions = PostgresWalletActions(opened.world._database, VAULT)
        request = ActionRequest(
            action=Action.RESOLVE, operator_tx_id=tx_id, operator_id=None, by_whom="ann", reason="booked by hand"
        )
        ends = []

        async def act(by_whom: str) -> None:
            try:
                ends.append((await actions.act(replace(request, by_whom=by_whom))).status_after)
            except ActionRefusedError as error:
                ends.append(str(error))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(act, f"person-{number}")
        assert sorted(map(str, ends)) == ["acknowledged", *[f"{tx_id} is acknowledged already"] * 3]
        assert len(await actions.actions(None)) == 1


async def test_an_id_of_two_operators_asks_which(emptied_database_url):
    async with open_books(emptied_database_url) as opened:
        tx_id = await opened.owe("parked", parked=True)
        twin = await opened.world.add_operator()
        round_id = UUID(tx_id.removeprefix("win-"))
        created = await opened.world.owned(opened.owner, "twin", operator=twin)
        live = await opened.world.fly(opened.owner, created, round_id=round_id)
        await opened.world.commit(books.cash_out(opened.owner, live))
        await opened.world.set_clock(LATER_MS)
        actions = PostgresWalletActions(opened.world._database, VAULT)
        request = ActionRequest(action=Action.RETRY, operator_tx_id=tx_id, operator_id=None, by_whom="ann", reason=None)
        with pytest.raises(ActionRefusedError, match="say which with --operator"):
            await actions.act(request)
        await actions.act(replace(request, operator_id=opened.operator.operator_id))
        assert await actions.outbox(opened.operator.operator_id, LATER_MS) == [], "it is parked no more"
        states = {call.operator_id: call.status for call in await actions.outbox(None, 0)}
        assert states == {opened.operator.operator_id: CallStatus.PENDING, twin.operator_id: CallStatus.PENDING}
        assert all(call.kind is CallKind.WIN for call in await actions.outbox(None, 0))
