"""The judge of crossings judges: what is sound passes, and each thing that a node may not do is told by its name."""

from types import SimpleNamespace as Thing
from uuid import UUID

import pytest

from actors.facts.records import CallKind, CallStatus, Owner
from tests.worlds.invariants import Audit

OPERATOR, SESSION, ROUND = UUID(int=1), UUID(int=2), UUID(int=3)
OURS, OTHERS = Owner("node-a", 1), Owner("node-b", 2)
NOW_MS, LEASE_MS, RETRY_MS = 100_000, 24_000, 3_600_000
LIFE = Thing(label="node-a 1", owner=OURS, clock=Thing(now_ms=lambda: NOW_MS))
ORDER, BYTES = "a session's calls go in order", "same id, same bytes"


class Calls(dict):
    """What is stored, by transaction id."""

    def pending(self, _session_id: UUID) -> list:
        pending = (each.call for each in self.values() if each.is_in_outbox)
        return sorted(pending, key=lambda call: call.position)


def a_call(kind: CallKind = CallKind.WIN, position: int = 3, body: bytes = b"{}") -> Thing:
    tx_id, round_id = f"{kind}-{position}", UUID(int=position)
    return Thing(
        operator_tx_id=tx_id, operator_id=OPERATOR, session_id=SESSION, round_id=round_id, kind=kind,
        position=position, body=body, created_at_ms=NOW_MS - 1_000, next_attempt_at_ms=NOW_MS,
    )  # fmt: skip


class World(Thing):
    """One pending win, and its operator, who has booked it. All nodes live, but for ``dead`` ones."""

    def __init__(self, *calls: Thing) -> None:
        self.told: list[str] = []
        self.was_cut, self.lives_begun = False, 1
        self.trace = Thing(note=lambda _line: None)
        self.settings = Thing(lease_ms=LEASE_MS, retry_period_ms=RETRY_MS)
        self.entries = {"win-3": Thing(status=200)}
        self.books = {OPERATOR: Thing(entries=self.entries)}
        calls = calls or (a_call(),)
        stored = {each.operator_tx_id: Thing(call=each, claimed_by=OURS, is_in_outbox=True) for each in calls}
        for each in stored.values():
            each.status = CallStatus.PENDING
        beats = {OURS: NOW_MS, OTHERS: NOW_MS}
        self.ledger = Thing(calls=Calls(stored), rounds={}, heartbeats_ms=beats, ended_ms={}, now_ms=lambda: NOW_MS)
        self.audit = Audit(self)

    def broken(self, invariant: str, _detail: str) -> None:
        self.told.append(invariant)


# What is sent.


def test_what_is_stored_is_sent_one_after_the_other():
    first, second = a_call(), a_call(position=5)
    world = World(first, second)
    world.audit.sends(LIFE, first)
    world.audit.sent(LIFE, first)
    world.ledger.calls["win-3"].is_in_outbox = False
    world.audit.sends(LIFE, second)
    assert world.told == []


@pytest.mark.parametrize("sent", [a_call(CallKind.REFUND), a_call(body=b"{...}")], ids=["unknown", "other bytes"])
def test_what_is_not_stored_is_not_sent(sent):
    world = World()
    world.audit.sends(LIFE, sent)
    assert world.told == ["stored before it is sent"]


def test_bytes_that_change_in_the_ledger_too_are_told():
    world = World()
    world.audit.sends(LIFE, a_call())
    world.audit.sent(LIFE, a_call())
    changed = a_call(body=b"{...}")
    world.ledger.calls["win-3"].call = changed
    world.audit.sends(LIFE, changed)
    assert world.told == [BYTES]


def test_a_sessions_second_call_waits_for_the_first():
    first, second = a_call(), a_call(position=5)
    world = World(first, second)
    world.audit.sends(LIFE, second)
    assert world.told == [ORDER]
    world.audit.sends(LIFE, first)
    assert world.told == [ORDER, "one call of a session at a time"]


# What is made of answers.


@pytest.mark.parametrize(("entry", "is_told"), [(Thing(status=200), False), (Thing(status=409), True), (None, True)])
def test_what_is_acknowledged_was_booked(entry, is_told):
    world = World()
    world.entries["win-3"] = entry
    world.audit._judge_acknowledgement(a_call())
    assert world.told == ["acknowledged means booked"] * is_told


@pytest.mark.parametrize(
    ("claimed_by", "parked", "age_ms", "told"),
    [
        (OURS, False, 0, []),
        (None, True, RETRY_MS, []),
        (OURS, True, RETRY_MS - 1, ["parked after the retry period only"]),
        (OTHERS, False, 0, ["only the claimant postpones"]),
    ],
)
def test_who_claims_a_call_postpones_it_and_parks_it_late(claimed_by, parked, age_ms, told):
    world = World()
    world.ledger.calls["win-3"].call.created_at_ms = NOW_MS - age_ms
    world.audit._judge_postponement(LIFE, Thing(operator_tx_id="win-3", owner=OURS, parked=parked), claimed_by)
    assert world.told == told


# What is claimed, and given up.


async def claimed(world: World, *calls: Thing) -> list[str]:
    async def claim(*_arguments) -> list:
        return list(calls)

    await world.audit._claim(LIFE, claim, (OURS, {}, 0, {}))
    return world.told


async def test_a_claim_holds_until_its_time_and_the_oldest_goes_first():
    first, second = a_call(), a_call(position=5)
    world = World(first, second)
    assert await claimed(world, first) == []
    assert await claimed(world, second) == [ORDER]
    first.next_attempt_at_ms = NOW_MS + 1
    assert await claimed(world, first) == [ORDER, "a claim holds"]


async def undone(world: World, how: str) -> list[str]:
    async def undo(*_arguments) -> int:
        world.ledger.calls["win-3"].claimed_by = None
        return 1

    await getattr(world.audit, how)(LIFE, undo, ())
    return world.told


async def test_claims_of_the_dead_alone_are_released():
    living, dead = World(), World()
    dead.ledger.heartbeats_ms[OURS] = NOW_MS - LEASE_MS
    assert await undone(living, "_release") == ["nothing is taken from the living"]
    assert await undone(dead, "_release") == []


async def test_a_node_gives_up_what_is_its_own_and_is_not_being_sent():
    assert await undone(World(), "_give_up") == []
    sending, foreign = World(), World()
    sending.audit.sends(LIFE, a_call())
    assert await undone(sending, "_give_up") == ["what is being sent stays claimed"]
    foreign.ledger.calls["win-3"].claimed_by = OTHERS
    assert await undone(foreign, "_give_up") == ["a node gives up only its own claims"]


# What players see.


def test_a_shown_balance_was_the_operators():
    world, book = World(), Thing(answered={"ann": {1_000}})
    for balance_minor, told in ((1_000, []), (999, ["a shown balance was the operator's"])):
        world.audit.shown("ann", book, "ann", {"type": "balance", "balance_minor": balance_minor})
        assert world.told == told


def test_a_shown_end_is_stored():
    world = World()
    finished = Thing(status=Thing(value="settled"), payout_minor=150, realized_hundredths=150)
    world.ledger.rounds[ROUND] = Thing(finished=finished)
    shown = {"type": "round_ended", "round_id": str(ROUND), "status": "settled", "payout_minor": 150}
    for realized, told in ((1.5, []), (1.51, ["a shown end is stored"])):
        world.audit.shown("ann", Thing(), "ann", shown | {"realized_multiplier": realized})
        assert world.told == told
