"""What must hold when a world has come to rest: our ledger and each operator's say the same."""

from uuid import UUID

from actors.facts.records import CallKind, CallStatus, RoundStatus

TAKEN = {
    RoundStatus.SETTLED: (CallStatus.ACKNOWLEDGED,),
    RoundStatus.REFUNDED: (CallStatus.ACKNOWLEDGED,),
    RoundStatus.VOID: (CallStatus.DECLINED, CallStatus.UNKNOWN),
}


def unrest(world) -> str | None:
    """What is still under way, or ``None``."""
    for key, stored in world.ledger.rounds.items():
        if stored.finished is None and key not in world.ledger.damaged:
            return f"round {key} is {stored.live.status} and owned by {stored.owner.node} {stored.owner.epoch}"
    for key, stored in world.ledger.calls.items():
        if stored.is_in_outbox:
            return f"{key} is pending after {stored.call.attempts} attempts: {stored.last_error}"
    for life in world.living():
        if life.node is not None and (stuck := _stuck_session(life.node.lobby)) is not None:
            return stuck
    return None


def _stuck_session(lobby) -> str | None:
    for session in lobby._sessions._actors.values():
        running = lobby._rounds.of(session.session_id)
        if session.waits_for is not None and (running is None or running.placed.round_id != session.waits_for):
            return f"session {session.session_id} waits for a round whose actor is gone"
    return None


def judge(world) -> None:
    """Compare the books."""
    for round_id, stored in world.ledger.rounds.items():
        # A damaged one may be left behind by its node, for a person. No other is.
        if stored.finished is not None or round_id not in world.ledger.damaged:
            _judge_round(world, str(round_id), stored)
    for book in world.books.values():
        for tx_id, entry in book.entries.items():
            if tx_id not in world.ledger.calls:
                world.broken("the operator's books hold only what we stored", f"{tx_id}: {entry}")
        if world.was_cut:
            _judge_forgotten(world, book)
        _judge_balances(world, book)
    keys = [(stored.live.session_id, stored.live.commitment.nonce) for stored in world.ledger.rounds.values()]
    if len(set(keys)) != len(keys):
        world.broken("a nonce is used once", "two rounds of a session share one")


def _judge_forgotten(world, book) -> None:
    """What the operator has booked of rounds that a restored ledger does not know: a stake that was given back, or a
    win, which somebody has seen. Nothing is paid twice, whoever knows of it."""
    for round_id in {entry.round_id for entry in book.entries.values()}:
        moved = {kind: entry.moved_minor for kind, entry in book.of_round(round_id).items() if entry.moved_minor}
        if CallKind.WIN in moved and CallKind.REFUND in moved:
            world.broken("never win and refund", f"round {round_id}: moved {moved}")
        if UUID(round_id) in world.ledger.rounds or not moved or round_id in world.person.listed:
            continue
        if sum(moved.values()):
            invariant = "every stake is paid, lost, given back or named to a person"
            world.broken(invariant, f"round {round_id} is forgotten: moved {moved}")


def _judge_round(world, round_id: str, stored) -> None:
    if world.was_cut and round_id in world.person.listed:
        return
    calls, status = world.ledger.calls, stored.finished.status
    theirs = world.books[stored.live.operator_id].of_round(round_id)
    bet = calls[f"bet-{round_id}"]
    if bet.status not in TAKEN[status]:
        world.broken("a bet's end fits its round's", f"round {round_id} is {status}, its bet {bet.status}")
    owed = {
        kind: calls[f"{kind}-{round_id}"] for kind in (CallKind.WIN, CallKind.REFUND) if f"{kind}-{round_id}" in calls
    }
    wanted = set()
    if status is RoundStatus.SETTLED and stored.finished.payout_minor:
        wanted = {CallKind.WIN}
    elif status is RoundStatus.REFUNDED or bet.status is CallStatus.UNKNOWN:
        wanted = {CallKind.REFUND}
    if owed.keys() != wanted:
        world.broken("every end owes what it should", f"round {round_id} is {status} and owes {list(owed)}")
    moved = {kind: entry.moved_minor for kind, entry in theirs.items() if entry.moved_minor}
    if moved != _expected_moves(stored, bet.status, theirs, owed):
        world.broken("both ledgers say the same", f"round {round_id}, {status}, bet {bet.status}: moved {moved}")


def _expected_moves(stored, bet_status: CallStatus, theirs, owed) -> dict:
    """By kind, what the operator must have moved. A bet of unknown fate: both debit and refund, or neither."""
    stake = stored.live.amount_minor
    debited = bet_status is CallStatus.ACKNOWLEDGED
    if bet_status is CallStatus.UNKNOWN:
        debited = CallKind.BET in theirs and theirs[CallKind.BET].status == 200
    expected = {CallKind.BET: -stake} if debited else {}
    for kind, call in owed.items():
        if call.status is CallStatus.PARKED and kind not in theirs:
            continue
        if kind is CallKind.WIN:
            expected[kind] = stored.finished.payout_minor
        elif debited:
            expected[kind] = stake
    return expected


def _judge_balances(world, book) -> None:
    for browser in world.browsers:
        if browser.book is not book:
            continue
        moved = sum(entry.moved_minor for entry in book.entries.values() if entry.player == browser.name)
        if book.balances[browser.name] != browser.first_balance_minor + moved:
            world.broken("an operator's book adds up", f"{browser.name} at {book.record.name}")
        if world.was_cut:
            continue  # The session may be forgotten, and what is stored of its balance be of the past.
        session = world.ledger.sessions[browser.session_id].record
        parked = any(
            call.status is CallStatus.PARKED and call.call.session_id == browser.session_id
            for call in world.ledger.calls.values()
        )
        is_left = any(
            each.finished is None and each.live.session_id == browser.session_id
            for each in world.ledger.rounds.values()
        )
        # What a damaged round has moved, nobody has been told yet.
        is_told = session.balance_is_known and not parked and not is_left
        if browser.sessions == 1 and is_told and session.balance_minor != book.balances[browser.name]:
            world.broken(
                "the stored balance is the operator's",
                f"{browser.name}: stored {session.balance_minor}, the operator's {book.balances[browser.name]}",
            )
