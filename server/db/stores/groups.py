"""Committing a group of transitions: one call of the database for all of them, and one answer for each.

What the call did not apply may have been applied before, by a call whose answer was lost: that is read, afterwards.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from actors.facts.records import CallStatus, RoundStatus
from actors.facts.transitions import (
    AcknowledgeCall,
    Answer,
    Applied,
    Busy,
    ChangeClientSeed,
    CreateSession,
    EndRound,
    Launched,
    PlaceBet,
    PostponeCall,
    Rejected,
    Started,
    StartRound,
    Transition,
)
from actors.rules.compact_json import compact_json
from server.db.driver import statements as sql
from server.db.driver.commit_statement import Rows
from server.db.driver.database import Connection, Database, Work
from server.db.stores.group_rows import batch_of, session_key
from server.db.stores.rows import Row
from server.secrets.row_macs import START, RowMacError
from server.secrets.vault import Vault

Done = set[tuple[str | None, str | None]]
"""What a call has applied: kind and key. Kind ``busy`` is a session that it has left out."""


async def commit_at_once(database: Database, vault: Vault, transitions: Sequence[Transition]) -> list[Answer | Busy]:
    """Apply the transitions of all sessions that nobody else has locked, all or none; one answer for each, in order.

    Only where ``needs_one_call`` says so. The call commits itself: a transaction around it takes two round trips more.
    """
    return await _commit_wave(database.commit_group, database.run, vault, transitions)


async def commit_group(connection: Connection, vault: Vault, transitions: Sequence[Transition]) -> list[Answer | Busy]:
    """The same for any transitions: it takes several calls, which need a transaction of the caller's."""

    async def call(batch: str) -> Rows:
        return [(row["applied_kind"], row["applied_key"]) for row in await connection.fetch(sql.COMMIT_GROUP, batch)]

    async def read(work: Work[None]) -> None:
        await work(connection)

    answers: dict[int, Answer | Busy] = {}
    busy: set[tuple[UUID, UUID]] = set()
    for places in _waves(transitions):
        # What comes behind a change that is not made yet is not made either, or it would be made too early.
        open_places = [place for place in places if session_key(transitions[place]) not in busy]
        wave = await _commit_wave(call, read, vault, [transitions[place] for place in open_places])
        answers.update(zip(open_places, wave, strict=True))
        busy.update(session_key(transitions[place]) for place in open_places if isinstance(answers[place], Busy))
    return [answers.get(place, Busy()) for place in range(len(transitions))]


def needs_one_call(transitions: Sequence[Transition]) -> bool:
    """Whether none of a group depends on another one, which is how groups are made."""
    if any(isinstance(transition, CreateSession) for transition in transitions):
        return len(_waves(transitions)) <= 1
    return len(set(map(session_key, transitions))) == len(transitions)


def _waves(transitions: Sequence[Transition]) -> list[list[int]]:
    """The places of a group's transitions, split so that none depends on another one of its wave.

    What changes the same session, or launches with the same signature, goes wave after wave in the order of the group.
    """
    waves: list[list[int]] = []
    after: dict[tuple[UUID, object], int] = {}
    for place, transition in enumerate(transitions):
        keys: list[tuple[UUID, object]] = [session_key(transition)]
        if isinstance(transition, CreateSession):
            keys.append((transition.operator_id, transition.signature_digest))
        wave = max(after.get(key, 0) for key in keys)
        after.update(dict.fromkeys(keys, wave + 1))
        if wave == len(waves):
            waves.append([])
        waves[wave].append(place)
    return waves


async def _commit_wave(
    call: Callable[[str], Awaitable[Rows]],
    read: Callable[[Work[None]], Awaitable[None]],
    vault: Vault,
    transitions: Sequence[Transition],
) -> list[Answer | Busy]:
    batch = compact_json(batch_of(vault, transitions)).decode()
    done = {(kind, key) for kind, key in await call(batch)}
    answers = [_applied(transition, done) for transition in transitions]
    if None in answers:
        missing = [each for each, known in zip(transitions, answers, strict=True) if known is None]
        earlier = _Earlier(vault)
        await read(lambda connection: earlier.read(connection, missing))
        answers = [known or earlier.answer(each) for each, known in zip(transitions, answers, strict=True)]
    return [answer for answer in answers if answer is not None]


def _applied(transition: Transition, done: Done) -> Answer | Busy | None:
    """The answer to what was applied now, or left out; ``None`` if it was neither."""
    if ("busy", str(session_key(transition)[1])) in done:
        return Busy()
    match transition:
        case CreateSession():
            if ("launch", str(transition.session_id)) in done:
                return Launched(
                    transition.session_id, transition.expires_at_ms, transition.sealed_token, replayed=False
                )
        case PlaceBet():
            return Applied() if ("bet", str(transition.round.round_id)) in done else None
        case StartRound():
            return Started(transition.started_at_ms) if ("start", str(transition.round_id)) in done else None
        case EndRound():
            key = str(transition.round_id)
            return Applied(is_claimed=("claim", key) in done) if ("end", key) in done else None
        case AcknowledgeCall() | PostponeCall():
            return Applied() if ("call", transition.operator_tx_id) in done else None
        case ChangeClientSeed():
            return Applied() if ("client_seed", str(transition.session_id)) in done else None
    return None


class _Earlier:
    """What is stored of transitions that were not applied now: they may have been before."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._launches: dict[tuple[UUID, bytes], Row] = {}
        self._rounds: dict[UUID, Row] = {}
        self._calls: dict[str, str] = {}

    async def read(self, connection: Connection, missing: Sequence[Transition]) -> None:
        launches = [(each.operator_id, each.signature_digest) for each in missing if isinstance(each, CreateSession)]
        for row in await _fetch(connection, sql.READ_LAUNCHES, launches):
            self._launches[row["operator_id"], bytes(row["signature_digest"])] = row
        for row in await _fetch(connection, sql.READ_ROUNDS, [key for each in missing for key in _round_key(each)]):
            self._rounds[row["round_id"]] = row
        calls = [
            (each.operator_id, each.session_id, each.operator_tx_id)
            for each in missing
            if isinstance(each, AcknowledgeCall | PostponeCall)
        ]
        for row in await _fetch(connection, sql.READ_CALLS, calls):
            self._calls[row["operator_tx_id"]] = row["status"]

    def answer(self, transition: Transition) -> Answer:
        match transition:
            case CreateSession():
                return self._launched(transition)
            case PlaceBet():
                row = self._mine(transition, transition.round.round_id)
                return Applied() if row is not None and row["status"] == RoundStatus.BETTING else Rejected()
            case StartRound():
                row = self._mine(transition, transition.round_id)
                return self._started(row)
            case EndRound():
                row = self._mine(transition, transition.round_id)
                return Applied() if row is not None and _is_same_end(transition, row) else Rejected()
            case AcknowledgeCall():
                return self._call(transition, CallStatus.ACKNOWLEDGED)
            case PostponeCall():
                return self._call(transition, CallStatus.PARKED) if transition.parked else Rejected()
            case ChangeClientSeed():
                return Rejected()

    def _launched(self, launch: CreateSession) -> Answer:
        row = self._launches.get((launch.operator_id, launch.signature_digest))
        if row is None:
            # Another group forgot this old launch meanwhile.
            return Rejected()
        first_id = row["session_id"]
        return Launched(
            first_id, row["expires_at_ms"], bytes(row["sealed_token"]), replayed=first_id != launch.session_id
        )

    def _started(self, row: Row | None) -> Answer:
        if row is None or row["status"] != RoundStatus.FLYING:
            return Rejected()
        try:
            self._vault.macs.check(START, row, row["start_mac"])
        except RowMacError:
            # Somebody else's start. The round goes on from what is stored, and is put aside there.
            return Rejected()
        return Started(row["started_at_ms"])

    def _mine(self, transition: PlaceBet | StartRound | EndRound, round_id: UUID) -> Row | None:
        row = self._rounds.get(round_id)
        owner = transition.owner
        is_mine = row is not None and (owner.node, owner.epoch) == (row["owner_node"], row["owner_epoch"])
        return row if is_mine else None

    def _call(self, fact: AcknowledgeCall | PostponeCall, status: CallStatus) -> Answer:
        return Applied() if self._calls.get(fact.operator_tx_id) == status else Rejected()


async def _fetch(connection: Connection, statement: str, keys: Sequence[tuple[Any, ...]]) -> Sequence[Row]:
    if not keys:
        return ()
    rows: Sequence[Row] = await connection.fetch(statement, *map(list, zip(*keys, strict=True)))
    return rows


def _round_key(transition: Transition) -> list[tuple[UUID, UUID]]:
    match transition:
        case PlaceBet():
            return [(transition.round.operator_id, transition.round.round_id)]
        case StartRound() | EndRound():
            return [(transition.operator_id, transition.round_id)]
    return []


def _is_same_end(end: EndRound, row: Row) -> bool:
    """Whether a stored end says the same, whenever it was decided."""
    names = ("status", "result", "reason", "realized_hundredths", "payout_minor")
    is_same = all(row[name] == getattr(end.finished, name) for name in names)
    return is_same and (end.bet is None or row["bet_status"] == end.bet.status)
