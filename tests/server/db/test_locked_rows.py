"""Somebody has locked a row and keeps it: a person in `psql`, who has begun a transaction and gone for lunch."""

from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
import trio

from actors.facts.transitions import Applied, Busy, Launched, Started
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from actors.shared.ledger import LedgerActor
from server.db.driver.database import LOCK_MS_MAX
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS
from tests.helpers.game import LIMITS, CountingObserver

CROWD = 12
BETWEEN_S_MAX = LOCK_MS_MAX / 1000 / 2
"""An answer within this has not waited for a lock to time out, however busy the machine is."""


@pytest.fixture
async def ledger(world):
    """The actor in front of PostgreSQL, as everybody commits."""
    actor = LedgerActor(world.ledger, GameSettings(bet_limits={"USD": LIMITS}), CountingObserver())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.live)
        yield actor
        nursery.cancel_scope.cancel()


@pytest.fixture
def locked(emptied_database_url):
    """``with locked(statement, *values)``: another connection has run it and keeps its transaction open."""

    @contextmanager
    def lock(statement, *values):
        with psycopg.connect(emptied_database_url) as connection:
            held = connection.execute(statement, values)
            assert held.rowcount or "LOCK TABLE" in statement, "there is something to lock"
            yield
            connection.rollback()

    return lock


async def test_a_session_that_is_locked_for_a_moment_opens_all_the_same(world, owner, locked):
    created = await world.launched()

    async def lock():
        with locked("SELECT FROM sessions WHERE session_id = %s FOR UPDATE", created.session_id):
            is_locked.set()
            await trio.sleep(0.05)

    is_locked = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lock)
        await is_locked.wait()
        assert await books.opened(world.ledger, created, owner) is not None


class Others:
    """Sessions of another operator, who play rounds through the same ledger."""

    def __init__(self, world, owner, ledger):
        self._world, self._owner, self._ledger = world, owner, ledger

    async def sit_down(self):
        operator = await self._world.add_operator()
        self._sessions = [await self._world.owned(self._owner, name, operator=operator) for name in range(CROWD)]
        self._nonce = 0
        return self

    async def play(self):
        """Each a round from its bet to its acknowledged win; the longest time that a commit took."""
        self._nonce += 1
        longest = []
        async with trio.open_nursery() as nursery:
            for session in self._sessions:
                nursery.start_soon(self._play_one, session, longest)
        return max(longest)

    async def _play_one(self, session, longest):
        live = books.new_round(session, self._nonce)
        steps = (
            books.place(self._owner, live),
            books.start(self._owner, live),
            books.cash_out(self._owner, books.flying(live)),
            books.acknowledge(live),
        )
        for step in steps:
            began_at = trio.current_time()
            assert isinstance(await self._ledger.commit(step), Applied | Started)
            longest.append(trio.current_time() - began_at)


@pytest.fixture
async def others(world, owner, ledger):
    return await Others(world, owner, ledger).sit_down()


async def a_bet(world, owner, rounds):
    return books.place(owner, books.new_round(rounds.fresh))


async def a_start(world, owner, rounds):
    return books.start(owner, rounds.betting)


async def an_end(world, owner, rounds):
    return books.cash_out(owner, rounds.flying)


async def a_void(world, owner, rounds):
    return books.void(owner, rounds.betting)


async def an_acknowledgement(world, owner, rounds):
    return books.acknowledge(rounds.won)


async def a_postponement(world, owner, rounds):
    return replace(books.postpone(rounds.won), parked=True)


async def a_client_seed(world, owner, rounds):
    return books.change_client_seed(owner, rounds.fresh, "changed")


async def a_launch(world, owner, rounds):
    return books.new_session(rounds.operator, "a new one")


SESSION = "SELECT FROM sessions WHERE session_id = %s FOR {}"
ROUND = "SELECT FROM rounds WHERE session_id = %s FOR {}"
CALL = "SELECT FROM transactions WHERE session_id = %s FOR {}"
OPERATOR = "SELECT FROM operators WHERE operator_id = %s FOR UPDATE"
WAYS = {
    "bet, session": (a_bet, SESSION),
    "start, session": (a_start, SESSION),
    "start, round": (a_start, ROUND),
    "start, call": (a_start, CALL),
    "end, session": (an_end, SESSION),
    "end, round": (an_end, ROUND),
    "void, call": (a_void, CALL),
    "acknowledgement, session": (an_acknowledgement, SESSION),
    "acknowledgement, call": (an_acknowledgement, CALL),
    "postponement, call": (a_postponement, CALL),
    "client seed, session": (a_client_seed, SESSION),
}


@pytest.mark.parametrize("mode", ["UPDATE", "NO KEY UPDATE", "SHARE"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_locked_row_delays_its_own_session_only(world, owner, rounds, ledger, others, locked, way, mode):
    make, lock = WAYS[way]
    transition = await make(world, owner, rounds)
    session_id = getattr(transition, "session_id", None) or transition.round.session_id
    answers = []

    async def commit():
        answers.append(await ledger.commit(transition))

    async with trio.open_nursery() as nursery:
        with locked(lock.format(mode), session_id):
            assert await world.ledger.commit([transition]) == [Busy()]
            nursery.start_soon(commit)
            for _ in range(2):
                assert await others.play() < BETWEEN_S_MAX
            assert answers == []
        with trio.fail_after(5):
            while not answers:
                await trio.sleep(0.01)
    assert isinstance(answers[0], Applied | Started)


async def test_a_locked_operator_delays_its_own_launches_only(world, owner, rounds, ledger, others, locked):
    launch = await a_launch(world, owner, rounds)
    with locked(OPERATOR, rounds.operator.operator_id):
        assert await world.ledger.commit([launch]) == [Busy()]
        assert await others.play() < BETWEEN_S_MAX
    assert isinstance(await ledger.commit(launch), Launched)


async def test_a_locked_operator_delays_no_first_settlement_of_a_day(world, owner, rounds, others, locked):
    """Its row of revenue is a new one, and refers to nobody who could be locked."""
    end = books.changed(books.cash_out(owner, rounds.flying), settled_at_ms=NOON_MS + 86_400_000)
    with locked(OPERATOR, rounds.operator.operator_id):
        with trio.fail_after(BETWEEN_S_MAX):
            assert [isinstance(answer, Applied) for answer in await world.ledger.commit([end])] == [True]
        assert await others.play() < BETWEEN_S_MAX


async def test_a_locked_day_of_revenue_delays_nobody_and_is_added_up(rounds, others, locked, database):
    async def revenue():
        return await database.run(
            lambda connection: connection.fetchrow(
                "SELECT sum(rounds) AS rounds, sum(stakes_minor) AS stakes, sum(payouts_minor) AS payouts "
                "FROM revenue_days"
            )
        )

    before = await revenue()
    await others.play()
    with locked("SELECT FROM revenue_days FOR UPDATE"):
        for _ in range(2):
            assert await others.play() < BETWEEN_S_MAX
    await others.play()
    after = await revenue()
    assert after["rounds"] - before["rounds"] == 4 * CROWD
    assert after["stakes"] - before["stakes"] == 4 * CROWD * 100
    assert after["payouts"] > before["payouts"]


async def test_what_is_asked_of_a_busy_session_goes_in_order(world, owner, rounds, ledger, locked):
    start, end = books.start(owner, rounds.betting), books.cash_out(owner, books.flying(rounds.betting))
    answers = []

    async def commit(transition):
        answers.append(await ledger.commit(transition))

    async with trio.open_nursery() as nursery:
        with locked(SESSION.format("UPDATE"), rounds.betting.session_id):
            nursery.start_soon(commit, start)
            await trio.sleep(0.05)
            nursery.start_soon(commit, end)
            await trio.sleep(0.05)
    assert answers == [Started(start.started_at_ms), Applied()]


async def test_of_a_group_in_several_calls_what_is_behind_a_busy_change_is_busy(world, owner, rounds, locked):
    start, end = books.start(owner, rounds.betting), books.cash_out(owner, books.flying(rounds.betting))
    with locked(CALL.format("UPDATE"), rounds.betting.session_id):
        group = [start, end, books.crash(owner, rounds.flying)]
        assert await world.ledger.commit(group) == [Busy(), Busy(), Applied()]


async def test_a_locked_table_delays_everybody_for_a_known_time(world, owner, rounds, ledger, locked):
    with locked("LOCK TABLE rounds IN ACCESS EXCLUSIVE MODE"):
        with trio.fail_after(LOCK_MS_MAX / 1000 + 2):
            with pytest.raises(LedgerUnavailableError):
                await ledger.commit(books.start(owner, rounds.betting))
    assert isinstance(await ledger.commit(books.start(owner, rounds.betting)), Started)


async def test_claims_are_given_up_around_a_locked_call(world, owner, rounds, locked):
    claimed = await world.ledger.claim_calls(owner, {rounds.operator.operator_id: 10}, NOON_MS + 60_000, 20_000)
    assert len(claimed) == 3
    with locked(CALL.format("UPDATE"), rounds.won.session_id):
        with trio.fail_after(BETWEEN_S_MAX):
            assert await world.ledger.give_up_claims(owner, [], NOON_MS + 120_000) == 2
    assert await world.ledger.give_up_claims(owner, [], NOON_MS + 120_000) == 1


async def test_a_locked_session_can_not_be_opened_and_keeps_nobody_from_the_database(
    world, owner, rounds, locked, database
):
    failed = []

    async def open_it():
        try:
            await books.opened(world.ledger, rounds.fresh, owner)
        except LedgerUnavailableError:
            failed.append(trio.current_time())

    with locked(SESSION.format("UPDATE"), rounds.fresh.session_id):
        with trio.fail_after(4 * LOCK_MS_MAX / 1000):
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(open_it)
                await trio.sleep(0.1)
                assert await world.ledger.outbox_of(uuid4(), uuid4()) == []
    assert len(failed) == 8
    assert await world.ledger.take_orphans(owner, LEASE_MS, NOON_MS, 10) == []
