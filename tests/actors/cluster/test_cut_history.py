"""A database that has gone back: bets stop at once and everywhere, until a person has run what follows a restore."""

import pytest
import trio

from actors.facts.error_texts import NOT_STORED
from actors.ports.ledger import LedgerUnavailableError
from tests.helpers.game import OPERATOR_ID, open_game
from tests.helpers.memory_ledger import MemoryLedger


async def started(game, player):
    player.say("bet", amount_minor=1_000)
    return await player.until("round_started")


def go_back(game, beats_ms=3_000):
    """The ledger is one that lacks the newest heartbeats."""
    for owner, beat_ms in game.ledger.heartbeats_ms.items():
        game.ledger.heartbeats_ms[owner] = beat_ms - beats_ms


async def cut(game):
    go_back(game)
    with trio.fail_after(5):
        await game.node.fenced.wait()


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_older_heartbeats_stop_bets_and_end_the_life(autojump_clock):
    async with open_game() as game:
        player = await game.play(200)
        await cut(game)
        contact = game.node.services.contact
        assert (contact.is_ready, contact.must_register, game.observer.is_cut) == (False, True, True)
        assert game.ledger.cut_reason == "the database lacks 3000 ms of this node's heartbeats"
        player.say("bet", amount_minor=1_000)
        error = await player.until("error")
        assert (error["code"], error["message"]) == ("wallet_unavailable", NOT_STORED), "nobody asked a wallet"


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_a_cut_is_found_also_if_the_answer_that_told_of_it_was_lost(autojump_clock):
    async with open_game() as game:
        beat, lost = game.ledger.heartbeat, []

        async def lose_the_first(*arguments):
            answer = await beat(*arguments)
            if not lost:
                lost.append(answer)
                raise LedgerUnavailableError("the answer was lost")
            return answer

        await trio.sleep(2.25)  # between two beats, so that none is on its way past the loss
        game.ledger.heartbeat = lose_the_first
        await cut(game)
        assert lost and game.ledger.cut_reason is not None


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_a_missing_registration_is_a_cut_and_no_newer_life(autojump_clock):
    async with open_game() as game:
        game.ledger.heartbeats_ms.clear()
        with trio.fail_after(5):
            await game.node.fenced.wait()
        assert game.node.services.contact.must_register
        assert "registration" in game.ledger.cut_reason


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_another_timeline_is_a_cut_unless_commits_had_waited_for_the_standby(autojump_clock):
    async with open_game() as game:
        game.ledger.has_moved = game.ledger.was_synchronous = True
        player = await game.play(200)
        await trio.sleep(3)
        assert (game.ledger.has_moved, game.ledger.cut_reason) == (False, None)
        await started(game, player)
        game.ledger.has_moved, game.ledger.was_synchronous = True, False
        with trio.fail_after(5):
            await game.node.fenced.wait()
        assert game.ledger.cut_reason is not None


@pytest.mark.logs_errors("no bets until `getaway restored`", "this life ends, and the node registers anew")
async def test_all_nodes_stop_also_those_that_begin_later(autojump_clock):
    async with open_game() as game, open_game(name="node-b", ledger=game.ledger) as other:
        game.ledger.cut_reason = "found by another node"
        with trio.fail_after(5):
            await other.node.fenced.wait()
        async with open_game(name="node-c", ledger=game.ledger) as later:
            await trio.sleep(5)
            assert not later.node.services.contact.is_ready
            assert not later.node.fenced.is_set(), "it waits for the restore"
            game.ledger.restored()
            with trio.fail_after(5):
                await later.node.fenced.wait()
            assert later.node.services.contact.must_register


@pytest.mark.logs_errors("no bets until `getaway restored`", "this life ends, and the node registers anew")
async def test_who_waits_for_the_restore_finds_nobody_gone(autojump_clock):
    """What is stored of the others is of a history that has not happened."""
    ledger = MemoryLedger()
    ledger.cut_reason = "the database was restored"
    async with open_game(ledger=ledger) as halted:
        other = await ledger.register_node("node-b", 0)
        ledger.processes_gone.add(other)
        await trio.sleep(10)
        assert halted.node.services.contact.may_judge
        assert other not in ledger.ended_ms
        ledger.restored()
        await halted.node.fenced.wait()


@pytest.mark.logs_errors("no bets until `getaway restored`", "this life ends, and the node registers anew")
async def test_a_flight_of_a_cut_history_waits_for_the_restore_and_flies_no_more(autojump_clock):
    async with open_game() as game:
        player = await game.play(1_000)
        await started(game, player)
        await trio.sleep(2)
        died = game.ledger.copy_at_death()
    died.cut_reason = "the database was restored"
    async with open_game(ledger=died) as halted:
        await trio.sleep(60)
        (stored,) = died.rounds.values()
        assert stored.finished is None, "no orphan is ended"
        died.restored()
        await halted.node.fenced.wait()
    async with open_game(ledger=died) as again:
        await trio.sleep(20)
        assert stored.finished.status == "refunded"
        assert again.node.services.contact.is_ready


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_no_session_is_opened_on_a_cut_history(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        await cut(game)
        player = await game.enter(token)
        assert [frame["type"] for frame in player.frames] == ["session_ended"] and player.closed
        assert game.node.lobby.sessions_open == 0


@pytest.mark.logs_errors("the database's history was cut: no bets until `getaway restored`")
async def test_no_orphan_is_ended_though_the_cut_could_not_be_noted_yet(autojump_clock):
    async with open_game() as game:
        async with open_game(beside=game, name="node-b") as dying:
            await started(dying, await dying.play(1_000))

            async def away(*_arguments):
                raise LedgerUnavailableError("away")

            game.ledger.note_cut = away
            game.ledger.heartbeats_ms[game.node.services.owner] -= 3_000
            await trio.sleep(1)
            assert game.node.services.contact.is_cut and game.ledger.cut_reason is None
        assert await game.node.lobby.sweeper.sweep() == 0
        (stored,) = game.ledger.rounds.values()
        assert stored.finished is None


async def test_nothing_that_is_owed_is_sent_by_a_node_that_knows_of_the_cut(autojump_clock):
    """What is stored may have been paid already, and what was paid may have been forgotten."""
    async with open_game() as game:
        claims, claim = [], game.ledger.claim_calls

        async def noted(*arguments):
            claims.append(arguments)
            return await claim(*arguments)

        game.ledger.claim_calls = noted
        for is_cut in (True, False):
            claims.clear()
            game.node.services.contact.is_cut = is_cut
            game.node.courier.tell(OPERATOR_ID)
            await trio.sleep(2)
            assert bool(claims) is not is_cut


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_a_life_that_was_paused_while_its_history_was_restored_ends_and_stops_nobody(autojump_clock):
    """It is not in the database any more, nor would its newest beat be."""
    for forget in (dict.clear, lambda beats: beats.update({owner: at_ms - 3_000 for owner, at_ms in beats.items()})):
        async with open_game() as game:
            await trio.sleep(2.2)
            forget(game.ledger.heartbeats_ms)
            game.ledger.restored()
            with trio.fail_after(5):
                await game.node.fenced.wait()
            assert (game.ledger.cut_reason, game.node.services.contact.must_register) == (None, True)


@pytest.mark.logs_errors(
    "the database's history was cut: no bets until `getaway restored`", "this life ends, and the node registers anew"
)
async def test_what_was_found_of_a_history_is_not_noted_of_the_next_one(autojump_clock):
    async with open_game() as game:
        note, is_noting = game.ledger.note_cut, []

        async def lose_the_note(*arguments):
            is_noting.append(arguments)
            raise LedgerUnavailableError("it was not noted")

        await trio.sleep(2.2)
        game.ledger.note_cut = lose_the_note
        go_back(game)
        while not is_noting:
            await trio.sleep(0.1)
        game.ledger.note_cut = note
        game.ledger.restored()
        with trio.fail_after(5):
            await game.node.fenced.wait()
        assert game.ledger.cut_reason is None
