"""Two transactions at once, one held open at will: who waits for whom, and what the second one sees."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from actors.facts.records import CallStatus
from actors.facts.transitions import Applied, Busy, Launched, Rejected
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sessions import SessionElsewhereError
from server.db.stores.groups import commit_group
from server.db.stores.outbox import PostgresOutbox
from server.db.stores.reports import PostgresReports
from server.db.stores.wallet_actions import PostgresWalletActions
from server.ports.outbox import Action, ActionRefusedError, ActionRequest
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


def doing(statement):
    return lambda connection: connection.execute(statement)


def committing(*transitions):
    return lambda connection: commit_group(connection, Vault(bytes(32)), transitions)


@asynccontextmanager
async def rival(database, work):
    """Another transaction that has done ``work`` and commits when the block ends."""
    token, began = trio.lowlevel.current_trio_token(), trio.Event()
    commit = []

    async def hold(connection):
        await work(connection)
        loop, signal = asyncio.get_running_loop(), asyncio.Event()
        commit.append(lambda: loop.call_soon_threadsafe(signal.set))
        token.run_sync_soon(began.set)
        await signal.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.in_transaction, hold)
        await began.wait()
        try:
            yield
        finally:
            commit[0]()


async def meanwhile(database, work, change):
    """The answer of ``change``, begun while ``work`` is not yet committed and shown to wait for it.

    It waits in the database, or is told to come again and does so, as the ledger actor and the player's page do.
    """
    answers = []
    told_to_come_again = trio.Event()

    async def run():
        while not answers:
            try:
                answer = await change()
            except SessionElsewhereError as error:
                answer = error
            except LedgerUnavailableError:
                answer = Busy()
            if isinstance(answer, Busy):
                told_to_come_again.set()
            else:
                answers.append(answer)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, rival(database, work):
            nursery.start_soon(run)
            while not told_to_come_again.is_set():
                assert not answers, "it did not wait"
                if await database.run(lambda connection: connection.fetchval(WAITING)):
                    break
    return answers[0]


@pytest.fixture
async def other(world, owner):
    return await world.ledger.register_node("node-b", NOON_MS)


async def test_a_session_that_is_being_opened_elsewhere_is_not_taken(database, world, owner, other):
    created = await world.launched()
    take = f"UPDATE sessions SET owner_node = 'node-b', owner_epoch = {other.epoch}"
    answer = await meanwhile(database, doing(take), lambda: books.opened(world.ledger, created, owner))
    assert isinstance(answer, SessionElsewhereError)


async def test_a_session_is_read_after_what_is_being_committed(database, world, owner):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    opened = await meanwhile(
        database, committing(books.cash_out(owner, live)), lambda: books.opened(world.ledger, created, owner)
    )
    assert opened.live_round is None
    assert [call.kind for call in opened.outbox] == ["win"]


async def test_a_bet_sees_the_acknowledgement_that_it_waited_for(database, world, owner):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    await world.commit(books.cash_out(owner, live))
    bet = books.place(owner, books.new_round(created, 2))
    acknowledged = committing(books.acknowledge(live))
    assert await meanwhile(database, acknowledged, lambda: world.offer(bet)) == Applied()


async def test_of_two_bets_the_later_one_is_refused(database, world, owner):
    created = await world.owned(owner)
    live = books.new_round(created)
    second = books.place(owner, replace(live, round_id=books.identifier("second")))
    assert await meanwhile(database, committing(books.place(owner, live)), lambda: world.offer(second)) == Rejected()


async def test_of_two_ends_the_later_one_is_refused(database, world, owner):
    live = await world.fly(owner, await world.owned(owner))
    rival_end = committing(books.refund(owner, live))
    assert await meanwhile(database, rival_end, lambda: world.offer(books.cash_out(owner, live))) == Rejected()
    assert len(await world.ledger.outbox_of(live.operator_id, live.session_id)) == 1


async def test_the_same_end_sent_twice_at_once_is_applied_once(database, world, owner):
    live = await world.fly(owner, await world.owned(owner))
    end = books.cash_out(owner, live)
    assert await meanwhile(database, committing(end), lambda: world.offer(end)) == Applied()
    assert len(await world.ledger.outbox_of(live.operator_id, live.session_id)) == 1


async def test_a_launch_waits_for_the_one_with_its_signature(database, world):
    operator = await world.add_operator()
    first = books.new_session(operator, 1)
    second = books.new_session(operator, 2, signature_digest=first.signature_digest)
    answer = await meanwhile(database, committing(first), lambda: world.offer(second))
    assert answer == Launched(first.session_id, first.expires_at_ms, first.sealed_token, replayed=True)


async def test_a_sweeper_leaves_to_another_what_it_is_taking(database, world, owner, other):
    live = await world.bet(owner, await world.owned(owner))
    await world.commit(books.start(owner, live))
    now_ms = NOON_MS + LEASE_MS
    taking = doing("UPDATE rounds SET owner_node = 'node-c', owner_epoch = 99")
    with trio.fail_after(5):
        async with rival(database, taking):
            assert await world.ledger.take_orphans(other, LEASE_MS, now_ms, 10) == []


async def test_a_round_and_its_calls_are_reported_as_of_one_moment(database, world, owner):
    live = await world.fly(owner, await world.owned(owner))

    async def settle(connection):
        """And hold up whoever reads the calls."""
        await commit_group(connection, Vault(bytes(32)), [books.cash_out(owner, live)])
        await connection.execute("LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE")

    reports = PostgresReports(database, Vault(bytes(32)))
    report = await meanwhile(database, settle, lambda: reports.round_report(live.operator_id, live.round_id))
    assert (report.status, [call.kind for call in report.calls]) == ("settled", ["bet", "win"])


async def test_a_commit_whose_answer_was_lost_is_repeated_with_the_same_answers(database, world, owner):
    operator = await world.add_operator()
    created = [await world.owned(owner, name, operator=operator) for name in range(4)]
    live = await world.bet(owner, created[0])
    flights = [await world.fly(owner, each) for each in created[1:3]]
    group = [
        books.start(owner, live),
        books.cash_out(owner, flights[0]),
        books.refund(owner, flights[1]),
        books.place(owner, books.new_round(created[3])),
        books.new_session(operator, "new"),
    ]
    answers = []

    async def commit_and_die(connection):
        answers.extend(await commit_group(connection, Vault(bytes(32)), group))
        await connection.execute("COMMIT")
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(LedgerUnavailableError):
        await database.in_transaction(commit_and_die)
    assert Rejected() not in answers
    assert await world.ledger.commit(group) == answers


async def test_what_does_not_open_is_parked_by_who_has_claimed_it_and_by_nobody_else(database, world, owner, rounds):
    """Between the claim and this the claim may have ended, and the call be on its way from another node."""
    key = (rounds.operator.operator_id, f"win-{rounds.won.round_id}")
    claimed = await world.ledger.claim_calls(owner, {key[0]: 10}, NOON_MS + 60_000, 20_000)
    assert key[1] in {call.operator_tx_id for call in claimed}
    other = await world.ledger.register_node("node-b", NOON_MS)
    newer = await world.ledger.register_node(owner.node, NOON_MS)
    for node, status in ((other, CallStatus.PENDING), (newer, CallStatus.PENDING), (owner, CallStatus.PARKED)):
        await PostgresOutbox(database, Vault(bytes(32)))._park(node, [key])
        assert (await world.call_states(rounds.won))["win"][0] is status


WIN = "UPDATE transactions SET {} WHERE kind = 'win'"
CLAIMED = f"claim_node = 'node-b', claim_epoch = 1, next_attempt_at_ms = {NOON_MS + LEASE_MS}"
TAKEN_UP = {
    "a node acknowledges it": (lambda live: committing(books.acknowledge(live)), "is acknowledged already"),
    "another person resolves it": (
        lambda live: doing(WIN.format("status = 'acknowledged', acknowledged_at_ms = 1")),
        "is acknowledged already",
    ),
    "a node claims it": (lambda live: doing(WIN.format(CLAIMED)), "is being sent at this moment"),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", TAKEN_UP)
async def test_a_person_takes_up_no_call_that_somebody_else_is_at(database, world, owner, rounds, name, action):
    """Else a win that is being acknowledged would be sent again, or one that is being sent count as seen to."""
    work, refusal = TAKEN_UP[name]
    actions = PostgresWalletActions(database, Vault(bytes(32)))
    tx_id = f"win-{rounds.won.round_id}"
    request = ActionRequest(action=action, operator_tx_id=tx_id, operator_id=None, by_whom="ann", reason="it is late")

    async def act():
        try:
            return await actions.act(request)
        except ActionRefusedError as error:
            return str(error)

    assert refusal in await meanwhile(database, work(rounds.won), act)
    assert await actions.actions(None) == []
