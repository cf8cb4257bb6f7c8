"""A live round that has no actor on the node that owns it: found within a minute, and ended by the rules."""

from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import pytest
import trio

from actors.facts.calls import bet_call
from actors.facts.records import CallKind, RoundKey
from actors.play.live_rounds import LiveRounds
from actors.play.round_closing import Closing
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, open_game

SETTINGS = GameSettings(bet_limits={"USD": LIMITS})
FOUND_S_MAX = 60


@pytest.fixture
def forgetful(monkeypatch):
    """A lobby that fails while it ends a failed round: nobody has the round any more."""

    async def end(self, actor):
        raise RuntimeError("the end of a failed round fails, too")

    monkeypatch.setattr(LiveRounds, "_end_failed", end)


def running(game):
    (actor,) = game.node.lobby._rounds._actors.values()
    return actor


async def lose(game):
    """The round's actor, and all that is known of it."""
    running(game).tell("what no round understands")
    await trio.testing.wait_all_tasks_blocked()
    assert game.node.lobby.rounds_live == 0


@pytest.mark.logs_errors(
    "a live round has no actor and is ended",
    "an actor failed (round, AttributeError)",
    "an actor failed (round, RuntimeError)",
)
async def test_its_stake_is_refunded_and_its_player_told(autojump_clock, forgetful):
    async with open_game() as game:
        player = await game.play(200_000, 300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await lose(game)
        lost_at = trio.current_time()
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("refunded", "interrupted")
        assert trio.current_time() - lost_at <= FOUND_S_MAX
        while (await player.until("balance"))["pending_minor"]:
            pass
        assert [call.amount_minor for call in game.wallet.sent(CallKind.REFUND)] == [1_000]
        player.say("bet", amount_minor=1_000, auto_cashout=1.5)
        assert (await player.until("round_ended"))["payout_minor"] == 1_500
        assert game.observer.failures == ["round", "round"]


@pytest.mark.logs_errors("an actor failed (round, AttributeError)", "an actor failed (round, RuntimeError)")
async def test_a_session_does_not_wait_for_an_end_that_nobody_can_tell(autojump_clock):
    """What the end owes can't be read: the page says hello again, and learns it from what is stored."""
    async with open_game() as game:
        token = await game.launch(200_000, 300)
        player, outbox_of = await game.enter(token), game.ledger.outbox_of
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")

        async def fail_once(*arguments):
            game.ledger.outbox_of = outbox_of
            raise RuntimeError("not read")

        game.ledger.outbox_of = fail_once
        await lose(game)
        await player.until("session_ended")
        back = await game.enter(token)
        assert (await back.until("welcome"))["history"][0]["reason"] == "interrupted"
        back.say("bet", amount_minor=1_000, auto_cashout=1.5)
        assert (await back.until("round_ended"))["status"] == "settled"


@pytest.mark.logs_errors(
    "a live round has no actor and is ended",
    "an actor failed (round, AttributeError)",
    "an actor failed (round, RuntimeError)",
)
async def test_also_where_nobody_has_the_session_open(autojump_clock, forgetful):
    async with open_game() as game:
        player = await game.play(200_000)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        player.door.leave()
        await lose(game)
        await trio.sleep(FOUND_S_MAX)
        (stored,) = game.ledger.rounds.values()
        assert (stored.finished.status, stored.finished.reason) == ("refunded", "interrupted")
        assert [call.amount_minor for call in game.wallet.sent(CallKind.REFUND)] == [1_000]


@pytest.mark.logs_errors(
    "a live round has no actor and is ended",
    "an actor failed (round, AttributeError)",
    "an actor failed (round, RuntimeError)",
    "an actor failed (session, AssertionError)",
)
async def test_one_for_which_nobody_waits_is_left_alone_while_it_is_young(autojump_clock, forgetful):
    """It may be on its way to an actor."""
    async with open_game() as game:
        player = await game.play(200_000)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        (session,) = game.node.lobby._sessions._actors.values()
        session.tell("no news")  # its actor fails
        await lose(game)
        assert game.node.lobby.sessions_open == 0
        await trio.sleep(SETTINGS.unattended_age_ms / 1000 - 1)
        (stored,) = game.ledger.rounds.values()
        assert stored.finished is None
        await trio.sleep(FOUND_S_MAX - SETTINGS.unattended_age_ms / 1000)
        assert stored.finished.status == "refunded"


@pytest.mark.logs_errors("a live round has no actor and is ended", "an actor failed (round, RuntimeError)")
async def test_a_bet_without_an_actor_is_void_and_given_back(autojump_clock, forgetful):
    async with open_game() as game:
        game.wallet.delay_s = 2
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending")
        actor = running(game)

        async def fail(*_arguments):
            raise RuntimeError("lost")

        actor._start = fail
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "interrupted")
        await trio.sleep(5)
        assert [call.amount_minor for call in game.wallet.sent(CallKind.REFUND)] == [1_000]


async def test_a_round_that_is_played_is_left_alone(autojump_clock):
    """However long it flies, and while its end is being stored."""
    async with open_game() as game:
        player = await game.play(200_000)
        player.say("bet", amount_minor=1_000, auto_cashout=1_000)
        started = await player.until("round_started")
        await game.clock.sleep_until_ms(started["started_at"] + 100_000)
        game.ledger.loses_commits = True
        await trio.sleep(FOUND_S_MAX)
        game.ledger.loses_commits = False
        ended = await player.until("round_ended")
        assert (ended["status"], ended["realized_multiplier"]) == ("settled", 1_000)


@pytest.mark.logs_errors("an actor failed (round, AttributeError)", "an actor failed (round, RuntimeError)")
async def test_one_whose_player_comes_back_first_flies_on(autojump_clock, forgetful):
    async with open_game() as game:
        token = await game.launch(200_000)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await trio.sleep(SETTINGS.unattended_age_ms / 1000)
        player.door.leave()
        game.node.lobby._sessions._actors.clear()
        await lose(game)
        again = await game.enter(token)
        assert (await again.until("welcome"))["round"] is not None
        await trio.sleep(2 * SETTINGS.unattended_look_ms / 1000)
        assert game.node.lobby.rounds_live == 1
        assert "round_ended" not in [frame["type"] for frame in again.frames]


@pytest.mark.logs_errors("an actor failed (round, AttributeError)")
async def test_the_end_of_a_failed_round_is_told_although_what_it_owes_could_not_be_read_at_first(
    autojump_clock, monkeypatch
):
    async with open_game() as game:
        player = await game.play(200_000, 300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        real, refused = game.ledger.outbox_of, []

        async def outbox_of(*arguments):
            if len(refused) < 3:
                refused.append(arguments)
                raise LedgerUnavailableError("away")
            return await real(*arguments)

        monkeypatch.setattr(game.ledger, "outbox_of", outbox_of)
        running(game).tell("what no round understands")
        ended = await player.until("round_ended")
        assert ended["status"] == "refunded"
        assert (await player.until("balance"))["pending_minor"] == 1_000
        assert game.observer.failures == ["round"]


async def test_trouble_of_the_ledger_is_no_failure(autojump_clock, monkeypatch):
    async with open_game() as game:

        async def own_live_rounds(*arguments) -> list[RoundKey]:
            raise LedgerUnavailableError("away")

        monkeypatch.setattr(game.ledger, "own_live_rounds", own_live_rounds)
        await trio.sleep(FOUND_S_MAX)
        assert game.observer.failures == []


async def flying_alone(game):
    """A player whose flight is old enough to be looked at, and its actor, of which the lobby knows nothing just now."""
    player = await game.play(200_000)
    player.say("bet", amount_minor=1_000)
    await player.until("round_started")
    await trio.sleep(SETTINGS.unattended_age_ms / 1000 + 1)
    return player, game.node.lobby._rounds._actors.popitem()


async def test_one_look_without_an_actor_is_not_enough(autojump_clock):
    async with open_game() as game:
        player, (session_id, actor) = await flying_alone(game)
        await trio.sleep(SETTINGS.unattended_look_ms / 1000)
        game.node.lobby._rounds._actors[session_id] = actor
        await trio.sleep(SETTINGS.unattended_look_ms / 1000)
        game.node.lobby._rounds._actors.popitem()
        await trio.sleep(SETTINGS.unattended_look_ms / 1000)
        game.node.lobby._rounds._actors[session_id] = actor
        await trio.sleep(FOUND_S_MAX)
        assert "round_ended" not in [frame["type"] for frame in player.frames]


async def test_an_actor_that_is_there_after_all_keeps_its_round(autojump_clock):
    """Somebody opens the session while it is to be ended: who comes next looks again."""
    async with open_game() as game:
        player, (session_id, actor) = await flying_alone(game)
        (digest,) = game.node.lobby._sessions._actors
        await trio.sleep(SETTINGS.unattended_look_ms / 1000)
        async with game.node.lobby._sessions.alone(digest):
            await trio.sleep(SETTINGS.unattended_look_ms / 1000)
            game.node.lobby._rounds._actors[session_id] = actor
        await trio.sleep(FOUND_S_MAX)
        assert "round_ended" not in [frame["type"] for frame in player.frames]


async def test_a_session_that_is_being_given_away_is_attended(autojump_clock):
    async with open_game() as game:
        player, (session_id, actor) = await flying_alone(game)
        game.node.lobby._departures._ends[session_id] = trio.Event()
        await trio.sleep(FOUND_S_MAX)
        game.node.lobby._rounds._actors[session_id] = actor
        del game.node.lobby._departures._ends[session_id]
        assert "round_ended" not in [frame["type"] for frame in player.frames]


@pytest.mark.logs_errors("an actor failed (round, AttributeError)", "an actor failed (round, RuntimeError)")
async def test_one_that_has_failed_does_not_fly_on_when_its_player_comes_back(autojump_clock, monkeypatch):
    """What it had been told has gone with its actor."""

    async def end(self, actor):
        self._failed[actor.placed.round_id] = self._services.clock.now_ms()
        raise RuntimeError("the end of a failed round fails, too")

    monkeypatch.setattr(LiveRounds, "_end_failed", end)
    async with open_game() as game:
        token = await game.launch(200_000)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        player.door.leave()
        game.node.lobby._sessions._actors.clear()
        await lose(game)
        again = await game.enter(token)
        welcome = await again.until("welcome")
        assert welcome["round"] is None
        (stored,) = game.ledger.rounds.values()
        assert stored.finished.status.value == "refunded"


@pytest.mark.logs_errors("an actor failed (round, AttributeError)", "operators are too old to bet on")
async def test_a_failed_flight_is_judged_by_the_moment_of_its_failure(autojump_clock):
    """However late its end can be stored: its player could not cash out any more."""
    async with open_game() as game:
        player = await game.play(400)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        game.ledger.unavailable = True
        running(game).tell("what no round understands")
        await trio.sleep(60)
        game.ledger.unavailable = False
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"], ended["crash_point"]) == ("refunded", "interrupted", 4)


@pytest.mark.logs_errors("a live round has no actor and is ended", "an actor failed (round, RuntimeError)")
async def test_what_had_ended_when_its_actor_failed_has_ended_so(autojump_clock, monkeypatch):
    """Its actor failed when it was to store the end, and so did who ends what has failed."""

    async def lost(self, ending):
        raise RuntimeError("lost")

    async def end(self, actor):
        self._failed[actor.placed.round_id] = self._services.clock.cautious_ms()
        raise RuntimeError("the end of a failed round fails, too")

    monkeypatch.setattr(Closing, "_store", lost)
    monkeypatch.setattr(LiveRounds, "_end_failed", end)
    async with open_game() as game:
        player = await game.play(400)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["payout_minor"]) == ("settled", 2_000)


@pytest.mark.logs_errors("a live round has no actor and is ended", "an actor failed (round, RuntimeError)")
async def test_an_end_that_is_stored_and_could_not_be_told_is_told(autojump_clock, forgetful, monkeypatch):
    """Its round is not live any more: only the session that waits for it knows that something is amiss."""
    async with open_game() as game:
        player = await game.play(200, 300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")

        real = game.observer.round_ended

        def round_ended(status, result):
            game.observer.round_ended = real
            raise RuntimeError("who counts has failed")

        monkeypatch.setattr(game.observer, "round_ended", round_ended)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["result"]) == ("settled", "crash")
        player.say("bet", amount_minor=1_000, auto_cashout=1.5)
        assert (await player.until("round_ended"))["payout_minor"] == 1_500


@pytest.mark.logs_errors(
    "a live round has no actor and does not open: it is left aside for a person",
    "a live round has no actor and is ended",
    "an actor failed (round, AttributeError)",
    "an actor failed (round, RuntimeError)",
)
async def test_one_that_does_not_open_is_told_once_and_left_aside_until_it_opens(autojump_clock, forgetful, caplog):
    async with open_game() as game:
        player = await game.play(200_000)
        player.say("bet", amount_minor=1_000)
        round_id = (await player.until("round_started"))["round_id"]
        game.ledger.damaged.add(UUID(round_id))
        await lose(game)
        await trio.sleep(10 * FOUND_S_MAX)
        told = [record for record in caplog.records if record.message.startswith("a live round has no actor")]
        assert [(record.message.partition(" and ")[2], record.round_id) for record in told] == [
            ("does not open: it is left aside for a person", round_id)
        ]
        (stored,) = game.ledger.rounds.values()
        assert stored.finished is None
        game.ledger.damaged.clear()
        await trio.sleep(FOUND_S_MAX)
        assert (stored.finished.status, stored.finished.reason) == ("refunded", "interrupted")


async def test_with_the_end_of_a_round_only_what_itself_owes_is_told(autojump_clock, monkeypatch):
    """Of the same session an older win may be pending again: a person has had it retried."""
    async with open_game() as game:
        player = await game.play(101)
        player.say("bet", amount_minor=1_000)
        await player.until("round_ended")
        (stored,) = game.ledger.rounds.values()
        own, told = stored.live, []

        def owed(round_id, amount_minor):
            return replace(bet_call(own), round_id=round_id, amount_minor=amount_minor)

        async def outbox_of(operator_id, session_id):
            return [owed(UUID(int=5), 70_000), owed(own.round_id, 1_000)]

        monkeypatch.setattr(game.ledger, "outbox_of", outbox_of)
        key = own.operator_id, own.session_id, own.round_id
        game.node.services.addresses.sessions[own.session_id] = SimpleNamespace(tell=told.append)
        await game.node.lobby._rounds.tell_end(*key, stored.finished)
        assert [(news.finished, news.outbox_minor) for news in told] == [(stored.finished, 1_000)]
