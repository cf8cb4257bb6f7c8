"""What the ledger actor commits together, and when."""

from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from actors.ledger import ACKNOWLEDGEMENT_PATIENCE_MS, ANSWER_TIMEOUT_MS, LOSS_PATIENCE_MS, LedgerActor
from actors.patrol import PATROL_MS, Patrol
from actors.ports import LedgerUnavailableError
from actors.records import Owner
from actors.settings import GameSettings
from actors.transitions import AcknowledgeCall, Applied, ChangeClientSeed, SettleRound
from tests.helpers.books import cash_out, crash, new_round, new_session
from tests.helpers.game import LIMITS, OPERATOR_ID, operator

COMMIT_S = 0.002


class Ledger:
    """Notes when each group came, and which sessions were in it."""

    def __init__(self) -> None:
        self.groups: list[tuple[float, list[int]]] = []

    async def commit(self, transitions):
        self.groups.append((round(trio.current_time(), 4), sorted(item.session_id.int for item in transitions)))
        await trio.sleep(COMMIT_S)
        return [Applied() for _ in transitions]

    def ledger_group(self, size, duration_s):
        assert size == len(self.groups[-1][1])


def acknowledgement(session: int) -> AcknowledgeCall:
    return AcknowledgeCall(
        operator_id=OPERATOR_ID,
        session_id=UUID(int=session),
        operator_tx_id=f"tx-{session}",
        attempts=1,
        balance_minor=0,
        acknowledged_at_ms=0,
    )


def urgent(session: int) -> ChangeClientSeed:
    return ChangeClientSeed(
        owner=Owner("node", 1), operator_id=OPERATOR_ID, session_id=UUID(int=session), client_seed="seed"
    )


def end(session: int, *, pays: bool) -> SettleRound:
    live = new_round(new_session(operator(), session))
    ended = (cash_out if pays else crash)(Owner("node", 1), live)
    return replace(ended, session_id=UUID(int=session))


@asynccontextmanager
async def open_ledger(**changes):
    """The actor, its ledger, and what tells it something after so many seconds."""
    ledger = Ledger()
    actor = LedgerActor(ledger, GameSettings(bet_limits={"USD": LIMITS}, **changes), ledger)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.live)

        async def commit_after(seconds, transition):
            await trio.sleep(seconds)
            await actor.commit(transition)

        yield ledger, lambda seconds, transition: nursery.start_soon(commit_after, seconds, transition)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()


async def test_an_acknowledgement_shares_the_next_commit(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, acknowledgement(1))
        commit(0.001, acknowledgement(2))
        commit(0.003, urgent(3))
    assert ledger.groups == [(0.003, [1, 2, 3])]


async def test_an_acknowledgement_alone_is_committed_soon(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, acknowledgement(1))
        commit(0.002, acknowledgement(2))
    assert ledger.groups == [(ACKNOWLEDGEMENT_PATIENCE_MS / 1000, [1, 2])]


async def test_a_lost_flight_shares_the_next_commit(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, end(1, pays=False))
        commit(0.003, urgent(2))
    assert ledger.groups == [(0.003, [1, 2])]


async def test_a_lost_flight_waits_less_than_an_acknowledgement(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, acknowledgement(1))
        commit(0.003, end(2, pays=False))
        commit(0.004, acknowledgement(3))
        commit(0.1, end(4, pays=False))
        commit(0.104, acknowledgement(5))
    assert ledger.groups == [
        (round(0.003 + LOSS_PATIENCE_MS / 1000, 4), [1, 2, 3]),
        (round(0.1 + LOSS_PATIENCE_MS / 1000, 4), [4, 5]),
    ]


async def test_an_acknowledgement_that_has_waited_does_not_wait_longer_for_a_lost_flight(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, acknowledgement(1))
        commit(0.018, end(2, pays=False))
    assert ledger.groups == [(ACKNOWLEDGEMENT_PATIENCE_MS / 1000, [1, 2])]


async def test_a_flight_that_pays_does_not_wait(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, end(1, pays=True))
    assert ledger.groups == [(0.0, [1])]


async def test_nothing_else_waits(autojump_clock: MockClock):
    async with open_ledger() as (ledger, commit):
        commit(0, urgent(1))
        commit(0.001, acknowledgement(2))
        commit(0.001, urgent(3))
    assert ledger.groups == [(0.0, [1]), (COMMIT_S, [2, 3])]


async def test_a_full_group_does_not_wait(autojump_clock: MockClock):
    async with open_ledger(ledger_group_max=2) as (ledger, commit):
        for session in (1, 2, 3):
            commit(0, acknowledgement(session))
    assert [len(sessions) for _, sessions in ledger.groups] == [2, 1]
    assert ledger.groups[0][0] == 0.0


class SilentLedger(Ledger):
    async def commit(self, transitions):
        await trio.sleep_forever()


async def test_nobody_waits_for_ever(autojump_clock: MockClock):
    """Neither who is in the group that is never answered, nor who waits for the next one. The actor itself goes on."""
    ledger, ended = SilentLedger(), []
    actor = LedgerActor(ledger, GameSettings(bet_limits={"USD": LIMITS}), ledger)

    async def commit(begins_after_s, session):
        await trio.sleep(begins_after_s)
        began_at = trio.current_time()
        with pytest.raises(LedgerUnavailableError):
            await actor.commit(urgent(session))
        ended.append((session, trio.current_time() - began_at))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.live)
        nursery.start_soon(Patrol(actor.fail_overdue).live)
        async with trio.open_nursery() as waiting:
            waiting.start_soon(commit, 0, 1)
            waiting.start_soon(commit, 10.5, 2)
        assert not actor.is_stopped
        nursery.cancel_scope.cancel()
    assert [session for session, _ in ended] == [1, 2]
    for _, waited_s in ended:
        assert ANSWER_TIMEOUT_MS <= waited_s * 1000 <= ANSWER_TIMEOUT_MS + PATROL_MS
