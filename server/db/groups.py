"""Committing a group of transitions: one statement for each kind that is in it, all in one transaction.

The group's sessions are locked first, in one order for all: two groups never wait for each other in a circle, and what
a statement sees of a session stays so until the commit.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from actors.records import CallStatus, RoundStatus, WalletCall
from actors.rules import fairness
from actors.rules.wallet_bodies import bet_tx_id
from actors.transitions import (
    AcknowledgeCall,
    Answer,
    Applied,
    ChangeClientSeed,
    CreateSession,
    Launched,
    PlaceBet,
    PostponeCall,
    RefundRound,
    Rejected,
    SettleRound,
    Started,
    StartRound,
    Transition,
    VoidRound,
)
from server.db import statements as sql
from server.db.database import Connection
from server.db.rows import Row, seal_seed
from server.vault import Vault

RoundEnd = SettleRound | VoidRound | RefundRound
Kind = TypeVar("Kind", bound=Transition)

_END_STATUS = {SettleRound: RoundStatus.SETTLED, VoidRound: RoundStatus.VOID, RefundRound: RoundStatus.REFUNDED}


async def commit_group(connection: Connection, vault: Vault, transitions: Sequence[Transition]) -> list[Answer]:
    """Apply all transitions within the caller's transaction; one answer for each, in order."""
    sessions = [_session_key(transition) for transition in transitions]
    await connection.execute(sql.LOCK_SESSIONS, *map(list, zip(*sorted(set(sessions)), strict=True)))
    answers: dict[int, Answer] = {}
    for places in _waves(transitions):
        wave = await _commit_wave(connection, vault, [transitions[place] for place in places])
        answers.update(zip(places, wave, strict=True))
    launches = [transition.created_at_ms for transition in transitions if isinstance(transition, CreateSession)]
    if launches:
        await connection.execute(sql.FORGET_LAUNCHES, min(launches))
    return [answers[place] for place in range(len(transitions))]


def _session_key(transition: Transition) -> tuple[UUID, UUID]:
    changed = transition.round if isinstance(transition, PlaceBet) else transition
    return changed.operator_id, changed.session_id


def _waves(transitions: Sequence[Transition]) -> list[list[int]]:
    """The places of a group's transitions, split so that none depends on another one of its wave.

    What changes the same session, or launches with the same signature, goes wave after wave in the order of the group.
    Groups are made to need one wave.
    """
    waves: list[list[int]] = []
    after: dict[tuple[UUID, object], int] = {}
    for place, transition in enumerate(transitions):
        keys: list[tuple[UUID, object]] = [_session_key(transition)]
        if isinstance(transition, CreateSession):
            keys.append((transition.operator_id, transition.signature_digest))
        wave = max(after.get(key, 0) for key in keys)
        after.update(dict.fromkeys(keys, wave + 1))
        if wave == len(waves):
            waves.append([])
        waves[wave].append(place)
    return waves


async def _commit_wave(connection: Connection, vault: Vault, transitions: Sequence[Transition]) -> list[Answer]:
    answers: dict[int, Answer] = {}
    handlers: list[tuple[type[Any] | tuple[type[Any], ...], Callable[..., Awaitable[list[Answer]]]]] = [
        (CreateSession, _create_sessions),
        (PlaceBet, _place_bets),
        (StartRound, _start_rounds),
        ((SettleRound, VoidRound, RefundRound), _end_rounds),
        (AcknowledgeCall, _acknowledge),
        (PostponeCall, _postpone),
        (ChangeClientSeed, _change_client_seeds),
    ]
    for kinds, handle in handlers:
        places = [place for place, transition in enumerate(transitions) if isinstance(transition, kinds)]
        if places:
            of_kind = await handle(connection, vault, [transitions[place] for place in places])
            answers.update(zip(places, of_kind, strict=True))
    assert len(answers) == len(transitions), "every kind of transition has its statement"
    return [answers[place] for place in range(len(transitions))]


async def _keys(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> set[Any]:
    """Run a statement over rows turned into columns; the keys of what it applied."""
    return {row["key"] for row in await connection.fetch(statement, *map(list, zip(*rows, strict=True)))}


async def _create_sessions(connection: Connection, vault: Vault, new: list[CreateSession]) -> list[Answer]:
    rows = [
        (
            each.operator_id,
            each.session_id,
            each.operator_player_id,
            each.currency,
            each.balance_minor,
            each.token_digest,
            each.created_at_ms,
            each.expires_at_ms,
            each.client_seed,
            fairness.commitment(each.server_seed),
            seal_seed(vault, each.server_seed, each.session_id, 1),
            each.signature_digest,
            each.sealed_token,
            each.replay_until_ms,
        )
        for each in new
    ]
    created = await _keys(connection, sql.CREATE_SESSIONS, rows)
    repeated = [each for each in new if each.session_id not in created]
    replays = {}
    if repeated:
        found = await connection.fetch(
            sql.READ_LAUNCHES, [each.operator_id for each in repeated], [each.signature_digest for each in repeated]
        )
        replays = {(row["operator_id"], bytes(row["signature_digest"])): row for row in found}

    def answer(each: CreateSession) -> Answer:
        if each.session_id in created:
            return Launched(each.session_id, each.expires_at_ms, each.sealed_token, replayed=False)
        row = replays.get((each.operator_id, each.signature_digest))
        if row is None:
            # Another group forgot this old launch between the two statements.
            return Rejected()
        first_id = row["session_id"]
        return Launched(
            first_id, row["expires_at_ms"], bytes(row["sealed_token"]), replayed=first_id != each.session_id
        )

    return [answer(each) for each in new]


async def _place_bets(connection: Connection, vault: Vault, bets: list[PlaceBet]) -> list[Answer]:
    rows = []
    for bet in bets:
        live, terms = bet.round, bet.round.terms
        next_nonce = live.commitment.nonce + 1
        rows.append(
            (
                live.operator_id,
                live.session_id,
                live.round_id,
                live.operator_player_id,
                live.currency,
                live.amount_minor,
                live.auto_cashout_hundredths,
                live.commitment.client_seed,
                live.commitment.nonce,
                live.commitment.server_seed_hash,
                terms.rtp_bps,
                terms.max_win_multiplier,
                terms.rev_share_bps,
                terms.max_payout_minor,
                terms.growth_rate_per_ms,
                live.created_at_ms,
                bet.owner.node,
                bet.owner.epoch,
                bet.call.operator_tx_id,
                bet.call.body,
                fairness.commitment(bet.next_server_seed),
                seal_seed(vault, bet.next_server_seed, live.session_id, next_nonce),
                bet.call.position,
            )
        )
    placed = await _keys(connection, sql.PLACE_BETS, rows)
    missing = [bet.round for bet in bets if bet.round.round_id not in placed]
    stored = await _read_rounds(connection, [(live.operator_id, live.round_id) for live in missing])

    def answer(bet: PlaceBet) -> Answer:
        if bet.round.round_id in placed:
            return Applied()
        row = stored.get(bet.round.round_id)
        repeated = row is not None and row["status"] == RoundStatus.BETTING and _owns(bet, row)
        return Applied() if repeated else Rejected()

    return [answer(bet) for bet in bets]


async def _read_rounds(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Row]:
    if not keys:
        return {}
    return {
        row["round_id"]: row for row in await connection.fetch(sql.READ_ROUNDS, *map(list, zip(*keys, strict=True)))
    }


def _owns(transition: PlaceBet | StartRound | RoundEnd, row: Row) -> bool:
    return (transition.owner.node, transition.owner.epoch) == (row["owner_node"], row["owner_epoch"])


async def _start_rounds(connection: Connection, _vault: Vault, starts: list[StartRound]) -> list[Answer]:
    rows = [
        (
            start.operator_id,
            start.session_id,
            start.round_id,
            start.started_at_ms,
            start.balance_minor,
            start.attempts,
            start.owner.node,
            start.owner.epoch,
        )
        for start in starts
    ]
    started = await _keys(connection, sql.START_ROUNDS, rows)
    missing = [start for start in starts if start.round_id not in started]
    stored = await _read_rounds(connection, [(start.operator_id, start.round_id) for start in missing])

    def answer(start: StartRound) -> Answer:
        if start.round_id in started:
            return Started(start.started_at_ms)
        row = stored.get(start.round_id)
        if row is None or row["status"] != RoundStatus.FLYING or not _owns(start, row):
            return Rejected()
        return Started(row["started_at_ms"])

    return [answer(start) for start in starts]


async def _end_rounds(connection: Connection, _vault: Vault, ends: list[RoundEnd]) -> list[Answer]:
    rows = [
        (
            end.operator_id,
            end.round_id,
            _END_STATUS[type(end)].value,
            end.result.value if isinstance(end, SettleRound) else None,
            None if isinstance(end, SettleRound) else end.reason,
            end.realized_hundredths if isinstance(end, SettleRound) else 0,
            end.payout_minor if isinstance(end, SettleRound) else 0,
            end.server_seed,
            end.outcome.crash_hundredths,
            end.outcome.map_seed,
            end.outcome.loot_seed,
            end.outcome.guard_seed,
            end.settled_at_ms,
            end.owner.node,
            end.owner.epoch,
        )
        for end in ends
    ]
    ended = await _keys(connection, sql.END_ROUNDS, rows)
    applied = [end for end in ends if end.round_id in ended]
    await _end_bets(connection, [end for end in applied if isinstance(end, VoidRound)])
    await _owe(connection, [owed for end in applied if (owed := _owed(end)) is not None])
    missing = [(end.operator_id, end.round_id) for end in ends if end.round_id not in ended]
    stored = await _read_rounds(connection, missing)

    def answer(end: RoundEnd) -> Answer:
        if end.round_id in ended:
            return Applied()
        row = stored.get(end.round_id)
        return Applied() if row is not None and _owns(end, row) and _is_same_end(end, row) else Rejected()

    return [answer(end) for end in ends]


def _owed(end: RoundEnd) -> WalletCall | None:
    return end.win if isinstance(end, SettleRound) else end.refund


def _is_same_end(end: RoundEnd, row: Row) -> bool:
    """Whether a stored end says the same, whenever it was decided."""
    if row["status"] != _END_STATUS[type(end)]:
        return False
    if isinstance(end, SettleRound):
        stored = (row["result"], row["realized_hundredths"], row["payout_minor"])
        return stored == (end.result, end.realized_hundredths, end.payout_minor)
    return bool(row["reason"] == end.reason) and (isinstance(end, RefundRound) or row["bet_status"] == end.bet_status)


async def _end_bets(connection: Connection, voids: list[VoidRound]) -> None:
    if voids:
        await connection.execute(
            sql.END_BETS,
            [void.operator_id for void in voids],
            [bet_tx_id(void.round_id) for void in voids],
            [void.bet_status.value for void in voids],
            [void.attempts for void in voids],
            [void.detail for void in voids],
        )


async def _owe(connection: Connection, calls: list[WalletCall]) -> None:
    if calls:
        rows = [
            (
                call.operator_id,
                call.operator_tx_id,
                call.round_id,
                call.session_id,
                call.kind.value,
                call.amount_minor,
                call.body,
                call.position,
                call.created_at_ms,
                call.next_attempt_at_ms,
            )
            for call in calls
        ]
        await connection.execute(sql.OWE, *map(list, zip(*rows, strict=True)))


async def _acknowledge(connection: Connection, _vault: Vault, facts: list[AcknowledgeCall]) -> list[Answer]:
    rows = [
        (
            fact.operator_id,
            fact.session_id,
            fact.operator_tx_id,
            fact.attempts,
            fact.balance_minor,
            fact.acknowledged_at_ms,
        )
        for fact in facts
    ]
    applied = await _keys(connection, sql.ACKNOWLEDGE, rows)
    return await _answer_facts(connection, facts, applied, CallStatus.ACKNOWLEDGED)


async def _postpone(connection: Connection, _vault: Vault, facts: list[PostponeCall]) -> list[Answer]:
    rows = [
        (
            fact.operator_id,
            fact.session_id,
            fact.operator_tx_id,
            fact.attempts,
            fact.next_attempt_at_ms,
            fact.last_error,
            fact.parked,
            fact.owner.node,
            fact.owner.epoch,
        )
        for fact in facts
    ]
    applied = await _keys(connection, sql.POSTPONE, rows)
    return await _answer_facts(connection, facts, applied, CallStatus.PARKED)


async def _answer_facts(
    connection: Connection, facts: Sequence[AcknowledgeCall | PostponeCall], applied: set[Any], repeated: CallStatus
) -> list[Answer]:
    missing = [fact for fact in facts if fact.operator_tx_id not in applied]
    if missing:
        keys = [(fact.operator_id, fact.session_id, fact.operator_tx_id) for fact in missing]
        found = await connection.fetch(sql.READ_CALLS, *map(list, zip(*keys, strict=True)))
        parked_or_not = {fact.operator_tx_id for fact in missing if not isinstance(fact, PostponeCall) or fact.parked}
        applied |= {row["operator_tx_id"] for row in found if row["status"] == repeated} & parked_or_not
    return [Applied() if fact.operator_tx_id in applied else Rejected() for fact in facts]


async def _change_client_seeds(connection: Connection, _vault: Vault, changes: list[ChangeClientSeed]) -> list[Answer]:
    rows = [
        (change.operator_id, change.session_id, change.client_seed, change.owner.node, change.owner.epoch)
        for change in changes
    ]
    applied = await _keys(connection, sql.CHANGE_CLIENT_SEEDS, rows)
    return [Applied() if change.session_id in applied else Rejected() for change in changes]
