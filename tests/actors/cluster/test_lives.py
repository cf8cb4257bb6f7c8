"""How a life of a node ends, and how soon the others know."""

from dataclasses import replace

import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, open_game


def rare_sweeps() -> GameSettings:
    """Nobody finds anything by looking again and again."""
    return GameSettings(bet_limits={"USD": LIMITS}, orphan_sweep_ms=10**7)


async def fly(player):
    player.say("bet", amount_minor=1_000)
    return await player.until("round_started")


async def away(game, outage_s):
    game.ledger.unavailable = True
    await trio.sleep(outage_s)
    game.ledger.unavailable = False


async def test_a_silence_shorter_than_the_lease_is_nothing(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        await fly(player)
        await trio.sleep(5)
        await away(game, 3)
        await trio.sleep(2)
        assert not game.node.fenced.is_set()
        assert (await player.until("round_ended"))["result"] == "crash"


async def test_a_silence_longer_than_the_lease_ends_the_life_and_the_node_registers_anew(autojump_clock):
    async with open_game() as game:
        await trio.sleep(5)
        await away(game, 4.6)
        with trio.fail_after(1):
            await game.node.fenced.wait()
        contact = game.node.services.contact
        assert (contact.must_register, contact.is_cut, game.ledger.cut_reason) == (True, False, None)


async def test_what_was_decided_before_a_life_is_found_over_is_stored(autojump_clock):
    """A cash-out that was received while the database was away counts; what flies on is left to what is stored."""
    async with open_game() as game:
        cashing, flying = await game.play(400), await game.play(500)
        started, _ = await fly(cashing), await fly(flying)
        await trio.sleep(6)
        game.ledger.unavailable = True
        cashing.say("cashout", round_id=started["round_id"])
        await trio.sleep(4.6)
        game.ledger.unavailable = False
        await game.node.fenced.wait()
        began_at = trio.current_time()
        await game.node.store_ends()
        assert trio.current_time() - began_at <= 2
        ended = await cashing.until("round_ended")
        assert (ended["result"], ended["payout_minor"]) == ("cashout", 1_430)
        flying.say("bet", amount_minor=1_000)
    async with open_game(ledger=game.ledger, clock=game.clock) as again:
        await trio.sleep(2)
        ends = sorted((rnd.finished.status, rnd.finished.reason) for rnd in again.ledger.rounds.values())
        assert ends == [("refunded", "interrupted"), ("settled", None)]


async def test_a_life_that_is_over_does_not_wait_for_ever(autojump_clock):
    async with open_game() as game:
        player = await game.play(110)
        await fly(player)
        game.ledger.loses_commits = True
        await trio.sleep(5)
        assert game.node.lobby.rounds_ending == 1
        with trio.fail_after(2.1):
            await game.node.store_ends()
        assert game.node.lobby.rounds_ending == 1


async def test_an_orderly_end_is_known_at_once(autojump_clock):
    async with open_game() as staying:
        async with open_game(beside=staying, name="node-b") as leaving:
            token = await leaving.launch(300)
            await (await leaving.enter(token)).until("welcome")
        began_at = trio.current_time()
        await (await staying.enter(token)).until("welcome")
        assert trio.current_time() == began_at


async def test_rounds_of_a_process_that_is_gone_are_refunded_within_two_seconds(autojump_clock):
    async with open_game(settings=rare_sweeps()) as staying:
        ledger = staying.ledger
        async with open_game(beside=staying, name="node-b") as dying:
            await trio.sleep(5)
            player = await dying.play(400)
            await fly(player)

            async def is_killed(owner):
                ledger.processes_gone.add(owner)
                raise LedgerUnavailableError("it has no last word")

            ledger.end_life = is_killed
        del ledger.end_life
        await trio.sleep(2.1)
        (stored,) = ledger.rounds.values()
        assert (stored.finished.status, stored.owner) == ("refunded", staying.node.services.owner)


@pytest.mark.parametrize("outage_s", [1, 3])
async def test_after_an_outage_nobody_is_found_gone_until_all_had_time_to_come_back(autojump_clock, outage_s):
    """Also a short one: the database's restart ends everybody's connections."""
    async with open_game() as game:
        other = await game.ledger.register_node("node-b", 0)
        game.ledger.processes_gone.add(other)
        await trio.sleep(0.6)
        await away(game, outage_s)
        await trio.sleep(2.9)
        assert other not in game.ledger.ended_ms
        await trio.sleep(1)
        assert other in game.ledger.ended_ms


async def test_whose_beat_has_hung_judges_nobody_until_its_beats_were_recorded_for_a_while(autojump_clock):
    """No beat has failed, but what hung for one may have hung for all."""
    async with open_game() as game:
        await trio.sleep(5)
        contact, beat = game.node.services.contact, game.ledger.heartbeat
        assert contact.may_judge

        async def hung(*arguments):
            game.ledger.heartbeat = beat
            await trio.sleep(3.2)
            return await beat(*arguments)

        game.ledger.heartbeat = hung
        await trio.sleep(4)
        assert contact.is_recent and not contact.may_judge
        await trio.sleep(3)
        assert contact.may_judge


async def test_a_life_that_is_found_gone_during_its_beat_ends_and_finds_no_cut(autojump_clock):
    """The answer of that beat is that nothing was recorded, and the next one that the life is over."""
    async with open_game() as game:
        await trio.sleep(5.2)
        beat, owner = game.ledger.heartbeat, game.node.services.owner

        async def overtaken(*arguments):
            game.ledger.heartbeat = beat
            pulse = await beat(*arguments)
            game.ledger.heartbeats_ms[owner] = pulse.before_ms
            await game.ledger.end_life(owner)
            return replace(pulse, is_recorded=False)

        game.ledger.heartbeat = overtaken
        with trio.fail_after(1.1):
            await game.node.fenced.wait()
        assert game.ledger.cut_reason is None
