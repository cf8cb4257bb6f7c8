"""A player's past: newest first, page by page, and nobody else's."""

from tests.helpers import books
from tests.helpers.books import NOON_MS


async def played(world, owner, created, nonce, at_ms):
    live = await world.fly(owner, created, nonce)
    await world.commit(books.crash(owner, live, at_ms))
    return await world.ledger.finished_round(live.operator_id, live.round_id)


async def test_pages_follow_each_other_without_gap_or_overlap(world, owner):
    operator = await world.add_operator()
    first = await world.owned(owner, "first", operator=operator)
    second = await world.owned(owner, "second", operator=operator)
    # Two rounds ended in the same millisecond: their ids decide.
    moments = [(first, 1, 500), (second, 1, 700), (first, 2, 700), (second, 2, 600), (first, 3, 900)]
    rounds = [await played(world, owner, session, nonce, NOON_MS + at_ms) for session, nonce, at_ms in moments]
    newest_first = sorted(rounds, key=lambda past: (past.settled_at_ms, past.round_id), reverse=True)
    read, before = [], None
    while True:
        page, more = await world.ledger.history(operator.operator_id, "player-42", before, 2)
        read += page
        if not more:
            break
        before = page[-1].round_id
    assert read == newest_first
    assert await world.ledger.history(operator.operator_id, "player-42", None, 5) == (newest_first, False)
    assert await world.ledger.history(operator.operator_id, "player-42", newest_first[-1].round_id, 5) == ([], False)


async def test_live_rounds_and_other_players_are_no_history(world, owner):
    operator = await world.add_operator()
    mine = await world.owned(owner, "mine", operator=operator)
    theirs = await world.owned(owner, "theirs", operator=operator, operator_player_id="player-43")
    elsewhere = await world.owned(owner, "elsewhere")
    past = await played(world, owner, mine, 1, NOON_MS + 500)
    foreign = await played(world, owner, theirs, 1, NOON_MS + 600)
    await played(world, owner, elsewhere, 1, NOON_MS + 700)
    live = await world.fly(owner, mine, 2)
    key = (operator.operator_id, "player-42")
    assert await world.ledger.history(*key, None, 10) == ([past], False)
    for unknown in (live.round_id, foreign.round_id, books.identifier("nothing")):
        assert await world.ledger.history(*key, unknown, 10) == ([], False)
    assert await world.ledger.history(elsewhere.operator_id, "nobody", None, 10) == ([], False)


async def test_an_operator_reads_no_other_operators_rounds(world, owner):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    stranger = (await world.add_operator()).operator_id
    assert await world.ledger.live_round(stranger, live.round_id) is None
    await world.commit(books.void(owner, live))
    assert await world.ledger.finished_round(stranger, live.round_id) is None
    assert await world.ledger.finished_round(live.operator_id, live.round_id) is not None
