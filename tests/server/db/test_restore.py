"""What an operator's list tells after a restore: which bets are refunded, and what is left to a person."""

from uuid import UUID

import pytest

from server.books import restore, restoring
from server.books.restoring import BookedCall
from server.secrets.vault import Vault
from tests.helpers.books import NOON_MS
from tests.server.db.test_concurrency import rival

VAULT = Vault(bytes(32))
MACS = VAULT.macs

ROUND = UUID(int=(NOON_MS + 5) << 80 | 7 << 76 | 0b10 << 62 | 1)
OLD = UUID(int=(NOON_MS - 1) << 80 | 7 << 76 | 0b10 << 62 | 1)
SESSION = str(UUID(int=9))


def row(tx_id, kind="bet", session_id=SESSION, player_id="player-1", amount_minor=100):
    return BookedCall(1, tx_id, kind, amount_minor, "USD", session_id, player_id)


@pytest.fixture
def compare(database, world):
    async def run(*rows, operator=None):
        operator = operator or await world.add_operator()
        return await database.run(
            lambda connection: restore.compare(connection, VAULT, operator.operator_id, rows, NOON_MS)
        )

    return run


async def test_a_bet_that_only_the_operator_knows_is_refunded(compare):
    found = await compare(row(f"bet-{ROUND}"))
    assert [(bet.round_id, str(bet.session_id), bet.amount_minor) for bet in found.bets] == [(ROUND, SESSION, 100)]
    assert found.unknown == ()


async def test_what_both_know_is_left_alone(compare, rounds):
    known = [row(f"bet-{rounds.won.round_id}"), row(f"win-{rounds.won.round_id}", "win", amount_minor=150)]
    assert await compare(*known, operator=rounds.operator) == restoring.Findings()


async def test_a_bet_whose_refund_is_booked_has_its_money(compare):
    assert await compare(row(f"bet-{ROUND}"), row(f"refund-{ROUND}", "refund")) == restoring.Findings()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row(f"bet-{ROUND}"), row(f"win-{ROUND}", "win")], "its win is booked"),
        ([row(f"bet-{OLD}")], "made before --since"),
        ([row(f"bet-{ROUND}", session_id="")], "lacks its session_id"),
        ([row(f"bet-{ROUND}", player_id="")], "lacks its session_id or operator_player_id"),
        ([row(f"win-{ROUND}", "win")], "neither we nor the list know its bet"),
        (
            [row(f"bet-{ROUND}"), row(f"win-{ROUND}", "win"), row(f"refund-{ROUND}", "refund")],
            "a win and a refund of it",
        ),
        ([row(f"bet-{ROUND}"), row(f"refund-{ROUND}", "refund", amount_minor=99)], "not what its bet has taken"),
        ([row("bet-of-another-game")], "no transaction id of ours"),
        ([row(f"win-{ROUND}", "bet")], "no transaction id of ours"),
    ],
)
async def test_what_cannot_be_known_is_left_to_a_person(compare, rows, why):
    found = await compare(*rows)
    assert found.bets == ()
    assert [why in unknown.why for unknown in found.unknown] == [True]


async def test_a_win_of_a_round_that_ends_otherwise_is_named(compare, rounds):
    found = await compare(row(f"win-{rounds.taken_back.round_id}", "win"), operator=rounds.operator)
    assert [unknown.operator_tx_id for unknown in found.unknown] == [f"win-{rounds.taken_back.round_id}"]


async def test_a_bet_that_is_listed_twice_is_refunded_once(compare):
    found = await compare(row(f"bet-{ROUND}"), row(f"bet-{ROUND}"))
    assert [bet.round_id for bet in found.bets] == [ROUND]
    assert [unknown.why for unknown in found.unknown] == ["listed more than once"]


async def test_a_refund_is_noted_once_and_keeps_its_bytes(database, world, compare):
    operator = await world.add_operator()
    (bet,) = (await compare(row(f"bet-{ROUND}"), operator=operator)).bets
    for body in (b"first", b"second"):
        await database.run(lambda c, body=body: restore.note_bets(c, MACS, operator.operator_id, [(bet, body)], "me"))
    told = [
        restore.Told(operator.operator_id, ROUND, 2, "no answer"),
        restore.Told(operator.operator_id, ROUND, 1, None),
    ]
    for noted, left in zip(told, ([restore.UnsentRefund(ROUND, UUID(SESSION), b"first", None)], []), strict=True):
        await database.run(lambda c, noted=noted: restore.note_answer(c, noted))
        assert await database.run(lambda c: restore.unsent(c, MACS, operator.operator_id, [bet])) == left


@pytest.mark.parametrize(
    "edit",
    [
        "mac = NULL",
        "amount_minor = 100000",
        "operator_player_id = 'forger'",
        "body = '{}'",
        "mac = (SELECT mac FROM lost_bets WHERE round_id = $1)",
    ],
)
async def test_a_refund_that_was_not_noted_by_us_is_not_to_be_sent(database, world, compare, edit):
    operator = await world.add_operator()
    other = UUID(int=ROUND.int + 1)
    bets = (await compare(row(f"bet-{ROUND}"), row(f"bet-{other}"), operator=operator)).bets
    noted = [(bet, b"{}" * (1 + place)) for place, bet in enumerate(bets)]

    async def forge(connection):
        await restore.note_bets(connection, MACS, operator.operator_id, noted, "me")
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"UPDATE lost_bets SET {edit} WHERE round_id <> $1", bets[0].round_id)

    await database.in_transaction(forge)
    left = await database.run(lambda c: restore.unsent(c, MACS, operator.operator_id, bets))
    problems = {refund.round_id: refund.problem for refund in left}
    assert problems[bets[0].round_id] is None
    assert "lost-bet code" in problems[bets[1].round_id]


async def test_every_round_that_is_stored_as_live_is_listed(database, rounds):
    """Bets without an answer, too: a person must know what is still to end."""
    total, listed = await database.run(restore.live_rounds)
    assert total == len(listed) == 2
    assert {each.round_id: each.status for each in listed} == {
        rounds.betting.round_id: "betting",
        rounds.flying.round_id: "flying",
    }


async def test_the_next_history_begins_whole(database, world, owner):
    lineage = (await world.ledger.heartbeat(owner, NOON_MS)).lineage
    await world.ledger.note_cut(owner, lineage.history_id, "restored")
    await database.in_transaction(lambda connection: restore.begin_history(connection, "me", NOON_MS))
    after = (await world.ledger.heartbeat(owner, NOON_MS)).lineage
    assert after.history_id != lineage.history_id
    assert (after.cut_reason, after.has_moved) == (None, False)
    cut = await database.run(restore.read_cut)
    assert cut == restore.Cut(None, None, None)


async def booked_end(compare, rounds, live):
    """What is to be done with a live round whose win is in the operator's list."""
    rows = [row(f"bet-{live.round_id}"), row(f"win-{live.round_id}", "win", amount_minor=137)]
    (end,) = (await compare(*rows, operator=rounds.operator)).ends
    return end


async def end_as_booked(database, end):
    await database.in_transaction(lambda connection: restore.end_as_booked(connection, VAULT, end))


async def stored(database, live):
    statement = "SELECT status, owner_node, owner_epoch FROM rounds WHERE round_id = $1"
    return tuple(await database.run(lambda connection: connection.fetchrow(statement, live.round_id)))


@pytest.mark.parametrize("name", ["betting", "flying"])
async def test_a_round_whose_session_somebody_has_locked_is_left_as_it_is(database, rounds, compare, name):
    """And is told: else a new history would begin with a round that is nobody's."""
    live = getattr(rounds, name)
    end, before = await booked_end(compare, rounds, live), await stored(database, live)
    lock = "SELECT FROM sessions WHERE session_id = $1 FOR UPDATE"
    async with rival(database, lambda connection: connection.execute(lock, live.session_id)):
        with pytest.raises(restore.NotFreeError):
            await end_as_booked(database, end)
    assert await stored(database, live) == before
    await end_as_booked(database, end)
    assert (await stored(database, live))[0] == "settled"
