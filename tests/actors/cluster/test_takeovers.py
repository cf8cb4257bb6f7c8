"""Two nodes on one ledger: who may take whose rounds, and by which moment an interrupted round is judged."""

from dataclasses import replace

import pytest
import trio

from actors.cluster.recovery import interrupted, resolve_stored
from actors.facts.records import CallKind, CallStatus, Owner
from actors.facts.transitions import EndRound
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, open_game

CRASH_400_S = 23.105
"""When a flight that crashes at 4.00x ends."""


async def test_after_an_outage_the_first_node_back_takes_nothing_from_the_living(autojump_clock):
    async with open_game() as first, open_game(ledger=first.ledger, clock=first.clock, name="node-b") as second:
        player = await first.play(400)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        await trio.sleep(2)
        first.ledger.unavailable = True
        await trio.sleep(15)
        first.ledger.unavailable = False
        await second.node.lobby.sweeper.sweep()
        assert await second.node.lobby.sweeper.sweep() == 0
        player.say("cashout", round_id=started["round_id"])
        ended = await player.until("round_ended")
        assert (ended["status"], ended["result"]) == ("settled", "cashout")


async def test_a_node_that_is_silent_while_others_beat_loses_its_rounds(autojump_clock):
    async with open_game(name="node-b") as second:
        async with open_game(ledger=second.ledger, clock=second.clock) as first:
            player = await first.play(400)
            player.say("bet", amount_minor=1_000)
            await player.until("round_started")
            await trio.sleep(2)
            second.ledger.loses_commits = True
        second.ledger.loses_commits = False
        await trio.sleep(20)
        (stored,) = second.ledger.rounds.values()
        assert (stored.finished.status, stored.owner) == ("refunded", second.node.services.owner)


async def test_a_round_is_judged_by_its_own_nodes_death_although_its_taker_died_later(autojump_clock):
    """The flight would have crashed between the two deaths: its player could not cash out, so the stake goes back."""
    async with open_game() as game:
        player = await game.play(400)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await trio.sleep(5)
        game.ledger.loses_commits = True
        stored, clock = game.ledger.copy_at_death(), game.clock
    stored.loses_commits = True
    async with open_game(ledger=stored, clock=clock):
        await trio.sleep(CRASH_400_S)
        died_later = stored.copy_at_death()
    assert [each.finished for each in died_later.rounds.values()] == [None]
    async with open_game(ledger=died_later, clock=clock):
        await trio.sleep(5)
        (ended,) = died_later.rounds.values()
        assert (ended.finished.status, ended.finished.reason) == ("refunded", "interrupted")


async def test_a_player_who_returns_during_the_recovery_does_not_change_the_end(autojump_clock):
    """The sweeper has taken the round but not ended it yet, and its flight would have crashed since."""
    async with open_game() as game:
        token = await game.launch(400)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await trio.sleep(5)
        game.ledger.loses_commits = True
        stored, clock = game.ledger.copy_at_death(), game.clock
    await trio.sleep(CRASH_400_S)
    stored.loses = (EndRound,)

    async def recover() -> None:
        await trio.sleep(3)
        stored.loses = ()

    async with open_game(ledger=stored, clock=clock) as game, trio.open_nursery() as nursery:
        nursery.start_soon(recover)
        await trio.sleep(1)
        returned = await game.enter(token)
        welcome = await returned.until("welcome")
        assert (welcome["round"], welcome["history"][0]["status"]) == (None, "refunded")


async def test_a_round_that_is_read_later_is_judged_by_the_moment_noted_with_it(autojump_clock):
    """Not by the present: had its node lived on, its player might have cashed out before the crash."""
    async with open_game() as game:
        player = await game.play(400)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        (stored,) = game.ledger.rounds.values()
        ends_at_ms = started["started_at"] + stored.live.plan().ends_at_ms
        for moment_ms, status in ((ends_at_ms - 1, "refunded"), (ends_at_ms, "settled")):
            live = replace(stored.live, interrupted_at_ms=moment_ms)
            assert interrupted(game.node.services, live, ends_at_ms + 60_000).finished.status.value == status
        for moment_ms, status in ((ends_at_ms - 1, "refunded"), (ends_at_ms, "settled")):
            assert interrupted(game.node.services, stored.live, moment_ms).finished.status.value == status


@pytest.mark.parametrize("status", ["betting", "flying"])
async def test_a_round_that_another_node_has_by_now_is_not_ours_to_end_and_not_waited_for(autojump_clock, status):
    async with open_game() as game:
        game.wallet.delay_s = 3.0 if status == "betting" else 0.0
        player = await game.play(400)
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending" if status == "betting" else "round_started")
        (stored,) = game.ledger.rounds.values()
        stored.owner, live = Owner("elsewhere", 7), stored.live
        assert live.status.value == status
        with trio.fail_after(60):
            assert await resolve_stored(game.node.services, live.operator_id, live.round_id, 0) is None
        assert stored.finished is None


async def test_one_sweep_ends_all_that_the_dead_have_left_however_many_there_are(autojump_clock):
    """Batch after batch: a node that had thousands of rounds must not keep the last of them for minutes."""
    batches = GameSettings(bet_limits={"USD": LIMITS}, orphan_batch_max=2)
    async with open_game(settings=batches) as game:
        for _ in range(7):
            player = await game.play(400)
            player.say("bet", amount_minor=1_000)
            await player.until("round_started")
        game.ledger.loses_commits = True
        stored, clock = game.ledger.copy_at_death(), game.clock
    assert len(await stored.own_live_rounds(game.node.services.owner, clock.now_ms() + 1, 10)) == 7
    async with open_game(ledger=stored, clock=clock, settings=batches) as game:
        while len(game.observer.ends) == 0:
            await trio.sleep(0.1)
        await trio.sleep(0.5)
        assert game.observer.ends == [("refunded", None)] * 7


async def test_what_the_dead_had_claimed_is_sent_after_one_sweep(autojump_clock):
    """Not only when its claim has ended."""
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        game.wallet.delay_s = 5.0
        await player.until("round_ended")
        await trio.sleep(1)
        (claimed,) = [each for each in game.ledger.calls.values() if each.call.kind is CallKind.WIN]
        assert claimed.claimed_by == game.node.services.owner, "it is being sent"
        game.ledger.loses_commits = True
        stored, clock = game.ledger.copy_at_death(), game.clock
    async with open_game(ledger=stored, clock=clock) as game:
        await trio.sleep(game.node.services.settings.orphan_sweep_ms / 1000 + 1)
        (sent,) = [each for each in stored.calls.values() if each.call.kind is CallKind.WIN]
        assert claimed.call.next_attempt_at_ms > clock.now_ms(), "the claim would last longer"
        assert sent.status is CallStatus.ACKNOWLEDGED


async def test_what_a_dead_nodes_round_owes_is_told_to_the_courier(autojump_clock):
    never_looking = GameSettings(bet_limits={"USD": LIMITS}, courier_poll_ms=10**9)
    async with open_game(name="node-b", settings=never_looking) as second:
        async with open_game(ledger=second.ledger, clock=second.clock) as first:
            player = await first.play(400)
            player.say("bet", amount_minor=1_000)
            await player.until("round_started")
            second.ledger.loses_commits = True
        second.ledger.loses_commits = False
        await trio.sleep(20)
        assert len(second.wallet.sent(CallKind.REFUND)) == 1
