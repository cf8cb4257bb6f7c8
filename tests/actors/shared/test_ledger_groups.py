"""What the ledger actor commits together, and when."""

from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from actors.facts.records import Owner
from actors.facts.transitions import AcknowledgeCall, Applied, Busy, ChangeClientSeed, EndRound
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from actors.shared.ledger import (
    ACKNOWLEDGEMENT_PATIENCE_MS,
    ANSWER_TIMEOUT_MS,
    BUSY_FIRST_MS,
    BUSY_MS_MAX,
    BUSY_RETRY_MS_MAX,
    LOSS_PATIENCE_MS,
    LedgerActor,
)
from tests.helpers.books import cash_out, changed, crash, new_round, new_session
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


def end(session: int, *, pays: bool) -> EndRound:
    live = new_round(new_session(operator(), session))
    ended = (cash_out if pays else crash)(Owner("node", 1), live)
    return changed(ended, session_id=UUID(int=session))


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
        with trio.fail_after(10 * ANSWER_TIMEOUT_MS / 1000):
            async with trio.open_nursery() as waiting:
                waiting.start_soon(commit, 0, 1)
                waiting.start_soon(commit, 10.5, 2)
        assert not actor.is_stopped
        nursery.cancel_scope.cancel()
    assert [session for session, _ in ended] == [1, 2]
    for _, waited_s in ended:
        assert ANSWER_TIMEOUT_MS <= waited_s * 1000 <= ANSWER_TIMEOUT_MS + 1


class Locking(Ledger):
    """Some sessions are locked until a moment; notes all groups."""

    def __init__(self, **locked_until):
        super().__init__()
        self.locked_until = {int(name[1:]): until for name, until in locked_until.items()}

    async def commit(self, transitions):
        await super().commit(transitions)
        now = trio.current_time()
        return [Busy() if self.locked_until.get(each.session_id.int, 0) > now else Applied() for each in transitions]


@asynccontextmanager
async def open_locking(ledger):
    actor = LedgerActor(ledger, GameSettings(bet_limits={"USD": LIMITS}), ledger)
    told = []

    async def commit(transition):
        try:
            await actor.commit(transition)
        except LedgerUnavailableError as error:
            told.append((transition, str(error), trio.current_time()))
        else:
            told.append((transition, "applied", trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.live)
        async with trio.open_nursery() as waiting:
            yield lambda transition: waiting.start_soon(commit, transition), told
        nursery.cancel_scope.cancel()


async def test_a_busy_session_is_offered_again_apart_from_others_and_in_order(autojump_clock: MockClock):
    ledger = Locking(s1=0.1)
    async with open_locking(ledger) as (commit, told):
        first, second, third = urgent(1), replace(urgent(1), client_seed="second"), replace(urgent(1), client_seed="3")
        commit(first)
        commit(urgent(2))
        await trio.sleep(0.01)
        commit(second)
        await trio.sleep(0.001)
        commit(third)
        for _ in range(6):
            await trio.sleep(0.02)
            commit(urgent(2))
    assert [sessions for _, sessions in ledger.groups if 1 in sessions][1:] == [[1]] * 6
    assert [each for each, how, _ in told if each.session_id.int == 1] == [first, second, third]
    assert {how for _, how, _ in told} == {"applied"}
    waited = [after - before for (_, _, before), (_, _, after) in pairwise(told)]
    assert max(waited) < 0.05, "others were told while it was busy"


async def test_a_session_that_stays_busy_is_given_up_and_offered_ever_less_often(autojump_clock: MockClock):
    ledger = Locking(s1=60)
    async with open_locking(ledger) as (commit, told):
        commit(urgent(1))
        commit(replace(urgent(1), client_seed="behind"))
    ends = [at for _, _, at in told]
    assert [how for _, how, _ in told] == ["a row of the session is locked"] * 2
    for count, at in enumerate(ends, 1):
        assert count * BUSY_MS_MAX / 1000 <= at <= count * (BUSY_MS_MAX + BUSY_RETRY_MS_MAX + 10) / 1000
    gaps = [after - before for (before, _), (after, _) in pairwise(ledger.groups)]
    assert gaps[0] <= (BUSY_FIRST_MS + 1000 * COMMIT_S + 1) / 1000
    assert len(ledger.groups) <= 2 * (BUSY_MS_MAX / BUSY_RETRY_MS_MAX + 8)


async def test_so_many_transitions_wait_for_busy_sessions_and_no_more(autojump_clock: MockClock, monkeypatch):
    monkeypatch.setattr("actors.shared.ledger.BUSY_WAITING_MAX", 2)
    async with open_locking(Locking(s1=0.5)) as (commit, told):
        commit(urgent(1))
        await trio.sleep(0.05)
        for _ in range(2):
            commit(urgent(1))
        await trio.sleep(0.05)
    assert sorted(how for _, how, _ in told) == ["applied", "applied", "too much waits for sessions that are locked"]


async def test_so_many_sessions_are_busy_and_no_more(autojump_clock: MockClock, monkeypatch):
    """As all launches of an operator are whose row somebody has locked: each is a session of its own."""
    monkeypatch.setattr("actors.shared.ledger.BUSY_WAITING_MAX", 2)
    async with open_locking(Locking(**{f"s{number}": 0.5 for number in range(1, 6)})) as (commit, told):
        for number in range(1, 6):
            commit(urgent(number))
    ends = sorted(how for _, how, _ in told)
    assert ends == ["applied"] * 2 + ["too much waits for sessions that are locked"] * 3


async def test_trouble_of_the_ledger_ends_the_wait_of_a_busy_one(autojump_clock: MockClock):
    ledger = Locking(s1=0.2)
    async with open_locking(ledger) as (commit, told):
        commit(urgent(1))
        await trio.sleep(0.1)
        real, ledger.commit = ledger.commit, unavailable
        await trio.sleep(0.2)
        ledger.commit = real
        commit(urgent(1))
    assert [how for _, how, _ in told] == ["no database", "applied"]


async def unavailable(transitions):
    raise LedgerUnavailableError("no database")
