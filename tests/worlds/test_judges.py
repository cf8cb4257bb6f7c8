"""The judges of a world at rest judge: sound books pass, and whatever is wrong with them is told by its name."""

from collections.abc import Callable
from types import SimpleNamespace as Thing
from uuid import UUID

import pytest

from actors.facts.records import CallKind, CallStatus, RoundStatus
from tests.worlds import final

OPERATOR, SESSION, ROUND = UUID(int=1), UUID(int=2), UUID(int=3)
STAKE, PAYOUT, FIRST_BALANCE = 100, 150, 1_000
BET, WIN, REFUND = (f"{kind}-{ROUND}" for kind in (CallKind.BET, CallKind.WIN, CallKind.REFUND))


class Book(Thing):
    """An operator's."""

    def of_round(self, round_id: str) -> dict:
        return {entry.kind: entry for entry in self.entries.values() if entry.round_id == round_id}

    def enter(self, kind: CallKind, moved_minor: int, round_id: str = str(ROUND), status: int = 200) -> None:
        entry = Thing(kind=kind, moved_minor=moved_minor, round_id=round_id, status=status, player="ann")
        self.entries[f"{kind}-{round_id}"] = entry
        self.balances["ann"] += moved_minor


class World(Thing):
    """One round, won and paid."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.was_cut = False
        self.person = Thing(listed=set())
        book = Book(entries={}, balances={"ann": FIRST_BALANCE}, record=Thing(name="casino"))
        self.books = {OPERATOR: book}
        self.book = book
        book.enter(CallKind.BET, -STAKE)
        book.enter(CallKind.WIN, PAYOUT)
        self.round = self.a_round(nonce=1)
        self.ledger = Thing(rounds={ROUND: self.round}, calls={}, damaged=set(), sessions={})
        self.owe(BET, CallStatus.ACKNOWLEDGED)
        self.owe(WIN, CallStatus.ACKNOWLEDGED)
        self.session = Thing(balance_minor=FIRST_BALANCE - STAKE + PAYOUT, balance_is_known=True)
        self.ledger.sessions[SESSION] = Thing(record=self.session)
        browser = Thing(book=book, name="ann", first_balance_minor=FIRST_BALANCE, session_id=SESSION, sessions=1)
        self.browsers = [browser]

    def a_round(self, nonce: int) -> Thing:
        live = Thing(
            operator_id=OPERATOR, session_id=SESSION, amount_minor=STAKE, commitment=Thing(nonce=nonce), status=None
        )
        return Thing(live=live, finished=Thing(status=RoundStatus.SETTLED, payout_minor=PAYOUT))

    def owe(self, tx_id: str, status: CallStatus) -> None:
        self.ledger.calls[tx_id] = Thing(status=status, call=Thing(session_id=SESSION))

    def broken(self, invariant: str, _detail: str) -> None:
        self.told.append(invariant)


def judged(change: Callable[[World], object]) -> list[str]:
    world = World()
    change(world)
    final.judge(world)
    return world.told


def ends_as(status: RoundStatus, bet: CallStatus, payout_minor: int = 0) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.round.finished = Thing(status=status, payout_minor=payout_minor)
        world.owe(BET, bet)

    return change


def is_refunded(world: World) -> None:
    """And all say so."""
    ends_as(RoundStatus.REFUNDED, CallStatus.ACKNOWLEDGED)(world)
    del world.ledger.calls[WIN], world.book.entries[WIN]
    world.book.balances["ann"] -= PAYOUT
    world.book.enter(CallKind.REFUND, STAKE)
    world.owe(REFUND, CallStatus.ACKNOWLEDGED)
    world.session.balance_minor = FIRST_BALANCE


def is_forgotten(world: World) -> None:
    """The ledger has gone back to before the round; its operator has the bet alone, and lists it to nobody."""
    world.was_cut = True
    world.ledger.rounds.clear()
    del world.book.entries[WIN]
    world.book.balances["ann"] -= PAYOUT


def two_rounds_of_one_nonce(world: World) -> None:
    again = UUID(int=4)
    world.ledger.rounds[again] = world.a_round(nonce=1)
    for kind, moved_minor in ((CallKind.BET, -STAKE), (CallKind.WIN, PAYOUT)):
        world.book.enter(kind, moved_minor, str(again))
        world.owe(f"{kind}-{again}", CallStatus.ACKNOWLEDGED)
    world.session.balance_minor = world.book.balances["ann"]


@pytest.mark.parametrize("change", [lambda world: None, is_refunded], ids=["paid", "refunded"])
def test_sound_books_pass(change):
    assert judged(change) == []


WRONG = {
    "a bet's end fits its round's": ends_as(RoundStatus.SETTLED, CallStatus.UNKNOWN, PAYOUT),
    "every end owes what it should": lambda world: world.ledger.calls.pop(WIN),
    "both ledgers say the same": lambda world: setattr(world.book.entries[WIN], "moved_minor", PAYOUT + 1),
    "an operator's book adds up": lambda world: world.book.balances.update(ann=FIRST_BALANCE),
    "the stored balance is the operator's": lambda world: setattr(world.session, "balance_minor", FIRST_BALANCE),
    "the operator's books hold only what we stored": lambda world: world.book.enter(CallKind.BET, 0, str(UUID(int=9))),
    "a nonce is used once": two_rounds_of_one_nonce,
    "every stake is paid, lost, given back or named to a person": is_forgotten,
}


@pytest.mark.parametrize("invariant", WRONG)
def test_what_is_wrong_with_the_books_is_told(invariant):
    assert invariant in judged(WRONG[invariant])


@pytest.mark.parametrize(
    "change",
    [
        ends_as(RoundStatus.SETTLED, CallStatus.ACKNOWLEDGED),
        ends_as(RoundStatus.REFUNDED, CallStatus.ACKNOWLEDGED),
        ends_as(RoundStatus.VOID, CallStatus.DECLINED),
        ends_as(RoundStatus.VOID, CallStatus.UNKNOWN),
        lambda world: world.owe(REFUND, CallStatus.PENDING),
    ],
    ids=["lost", "refunded", "declined", "unknown", "refunded besides"],
)
def test_a_win_belongs_to_nothing_but_a_round_that_was_won(change):
    assert "every end owes what it should" in judged(change)


def test_money_that_moved_twice_for_a_forgotten_round_is_told():
    def paid_and_refunded(world: World) -> None:
        is_forgotten(world)
        world.book.enter(CallKind.WIN, PAYOUT)
        world.book.enter(CallKind.REFUND, STAKE)

    assert "never win and refund" in judged(paid_and_refunded)


def test_what_a_person_was_told_of_is_not_judged():
    def is_listed(world: World) -> None:
        is_forgotten(world)
        world.person.listed.add(str(ROUND))

    assert "every stake is paid, lost, given back or named to a person" not in judged(is_listed)


def rest_of(change: Callable[[World], object]) -> str | None:
    world = World()
    for call in world.ledger.calls.values():
        call.is_in_outbox = False
    world.living = list
    change(world)
    return final.unrest(world)


def test_a_world_is_not_at_rest_while_a_round_or_a_call_is_open():
    def flies(world: World) -> None:
        world.round.finished, world.round.owner = None, Thing(node="node-a", epoch=1)

    def is_pending(world: World) -> None:
        world.ledger.calls[WIN] = Thing(is_in_outbox=True, call=Thing(attempts=3), last_error="lost")

    assert rest_of(lambda world: None) is None
    assert "owned by node-a" in rest_of(flies)
    assert f"{WIN} is pending" in rest_of(is_pending)
