"""What survives: ledger trouble, lost answers, actors that fail, nodes that die."""

from itertools import pairwise

import pytest
import trio

from actors.facts.records import CallKind
from actors.facts.transitions import EndRound, StartRound
from actors.kit.actor import Actor
from actors.kit.errors import ActorStoppedError, MailboxFullError
from actors.kit.supervisor import Supervisor
from actors.kit.timers import SLACK_MS
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from actors.shared.services import until_known
from actors.wallet.pool import WALLET_MARGIN_MS
from tests.helpers.game import LIMITS, open_game


async def test_a_bet_that_cannot_be_stored_is_refused_in_words_and_never_sent(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        player = await game.enter(token)
        game.ledger.unavailable = True
        player.say("bet", amount_minor=1_000)
        error = await player.until("error")
        assert (error["code"], error["message"]) == (
            "wallet_unavailable",
            "The bet could not be stored. Nothing was staked.",
        )
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["message"] == error["message"], "not that a round is in progress"
        game.ledger.unavailable = False
        assert (await player.until("session_ended"))["reason"] == "shutdown", "the page comes back to a new promise"
        back = await game.enter(token)
        back.say("bet", amount_minor=1_000)
        assert (await back.until("round_started"))["nonce"] == 1
        assert len(game.wallet.calls) == 1


async def test_a_bet_that_was_stored_although_its_answer_was_lost_is_void(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        game.ledger.lose_answer_once = True
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "wallet_unavailable")
        assert game.wallet.calls == []
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_started"))["nonce"] == 2


async def test_a_settlement_is_repeated_until_it_is_stored_and_told_once(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_started")
        game.ledger.unavailable = True
        await trio.sleep(20)
        assert player.unread == []
        game.ledger.unavailable = False
        assert (await player.until("round_ended"))["payout_minor"] == 2_000
        await trio.sleep(60)
        assert [frame["type"] for frame in player.frames].count("round_ended") == 1
        assert len(game.wallet.sent(CallKind.WIN)) == 1


async def test_a_settlement_whose_answer_was_lost_pays_once(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_started")
        game.ledger.lose_answer_once = True
        assert (await player.until("round_ended"))["payout_minor"] == 2_000
        await trio.sleep(60)
        assert len(game.wallet.sent(CallKind.WIN)) == 1


async def test_a_stake_whose_start_cannot_be_stored_is_given_back(autojump_clock):
    async with open_game() as game:
        game.wallet.delay_s = 1
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending")
        game.ledger.unavailable = True
        await trio.sleep(30)
        game.ledger.unavailable = False
        ended = await player.until("round_ended")
        assert ended["status"] == "void"
        while (await player.until("balance"))["pending_minor"]:
            pass
        assert game.wallet.balance_minor == 10_000


async def test_a_stake_that_is_given_back_is_sent_though_the_courier_never_looks(autojump_clock):
    async with open_game(settings=GameSettings(bet_limits={"USD": LIMITS}, courier_poll_ms=10**9)) as game:
        commit = game.ledger.commit

        async def store_no_start(transitions):
            if any(isinstance(transition, StartRound) for transition in transitions):
                raise LedgerUnavailableError("as told")
            return await commit(transitions)

        game.ledger.commit = store_no_start
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_ended"))["status"] == "void"
        await trio.sleep(5)
        assert len(game.wallet.sent(CallKind.REFUND)) == 1


async def test_what_must_be_stored_is_offered_every_second_however_long_the_ledger_was_away(autojump_clock):
    """Else everybody would wait for minutes after an outage of minutes."""
    asked_at = []

    async def store():
        asked_at.append(trio.current_time())
        raise LedgerUnavailableError("as told")

    with trio.move_on_after(600):
        await until_known(store)
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses[:3] == pytest.approx([0.05, 0.1, 0.2]) and max(pauses) == pytest.approx(1)


@pytest.mark.parametrize("crash", [100, 110, 300])
async def test_a_start_that_is_stored_after_all_just_before_the_stake_is_given_back(autojump_clock, crash):
    """Its answer was lost, it was still on its way: the round flies when it is to be void, and is refunded. So is one
    that would be over by now: nobody could have cashed out in time."""
    async with open_game() as game:
        commit, late = game.ledger.commit, []

        async def commit_late(transitions):
            if any(isinstance(transition, StartRound) for transition in transitions):
                late[:] = late or transitions  # the first attempt's
                raise LedgerUnavailableError("as told")
            if late and isinstance(transitions[0], EndRound):
                await commit(late)
            return await commit(transitions)

        game.ledger.commit = commit_late
        player = await game.play(crash)
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("refunded", "interrupted")
        await trio.sleep(5)
        assert game.wallet.balance_minor == 10_000
        assert len(game.wallet.sent(CallKind.REFUND)) == 1


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_a_session_actor_that_fails_leaves_its_round_flying(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        assert game.observer.failures == ["session"]
        back = await game.enter(token)
        assert (await back.until("welcome"))["round"]["round_id"] == started["round_id"]
        seen = len(player.ticks)
        await trio.sleep(5)
        assert len(player.ticks) == seen
        assert len(back.ticks) > 40
        back.say("cashout", round_id=started["round_id"])
        ended = await back.until("round_ended")
        assert ended["result"] == "cashout"
        assert ended["next"]["nonce"] == 2


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_a_flight_whose_start_nobody_was_told_of_is_streamed_to_who_comes_back(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player = await game.enter(token)
        game.wallet.delay_s = 2
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending")
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        await trio.sleep(4)
        back = await game.enter(token)
        assert (await back.until("welcome"))["round"]["nonce"] == 1
        await trio.sleep(5)
        assert len(back.ticks) > 40
        assert player.ticks == []


@pytest.mark.logs_errors("an actor failed (round, AttributeError)")
async def test_a_round_actor_that_fails_is_ended_from_what_is_stored(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        for actor in game.node.lobby._rounds._actors.values():
            actor.tell("not a message")
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("refunded", "interrupted")
        while (await player.until("balance"))["pending_minor"]:
            pass
        assert game.wallet.balance_minor == 10_000
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")


@pytest.mark.logs_errors("an actor failed (wallet, RuntimeError)")
async def test_a_wallet_actor_that_fails_makes_the_bet_unclear_and_the_stake_safe(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        game.wallet.failures.append(RuntimeError("as told"))
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "wallet_unavailable")
        assert game.observer.failures == ["wallet"]
        while (await player.until("balance"))["pending_minor"]:
            pass
        assert len(game.wallet.sent(CallKind.REFUND)) == 1


async def test_a_wallet_that_hangs_beyond_its_deadline_keeps_no_bet_open(autojump_clock):
    async with open_game() as game:
        player = await game.play()

        async def hangs(operator, call, timeout_ms):
            await trio.sleep_forever()

        game.wallet.send = hangs
        player.say("bet", amount_minor=1_000)
        await player.until("bet_pending")
        began_at = trio.current_time()
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"]) == ("void", "wallet_unavailable")
        due_ms = GameSettings(bet_limits={"USD": LIMITS}).bet_timeout_ms + WALLET_MARGIN_MS
        assert due_ms <= (trio.current_time() - began_at) * 1000 <= due_ms + SLACK_MS


async def test_rounds_of_a_dead_process_end_by_the_rulings(autojump_clock):
    """One had ended by itself before the last heartbeat, one still flew, one was betting."""
    async with open_game() as game:
        ended, flying, betting = await game.play(300), await game.play(400), await game.play(300)
        ended.say("bet", amount_minor=1_000, auto_cashout=1.2)
        flying.say("bet", amount_minor=1_000)
        ids = [(await player.until("round_started"))["round_id"] for player in (ended, flying)]
        game.wallet.delay_s = 100
        betting.say("bet", amount_minor=1_000)
        ids.append((await betting.until("bet_pending"))["round_id"])
        game.ledger.loses_commits = True
        await trio.sleep(6)
        stored, clock = game.ledger.copy_at_death(), game.clock
    async with open_game(ledger=stored, clock=clock) as game:
        await trio.sleep(60)
        ends = {str(round_id): rnd.finished for round_id, rnd in stored.rounds.items()}
        assert [ends[round_id].status for round_id in ids] == ["settled", "refunded", "void"]
        assert ends[ids[0]].payout_minor == 1_200
        assert {call.operator_tx_id for call in game.wallet.calls} == {
            f"win-{ids[0]}",
            f"refund-{ids[1]}",
            f"refund-{ids[2]}",
        }


@pytest.mark.logs_errors("a newer process has taken this node's name; this one stops")
async def test_a_newer_process_of_the_same_name_fences_the_older(autojump_clock):
    async with open_game() as game:
        await game.ledger.register_node("node-a", game.clock.now_ms())
        with trio.fail_after(5):
            await game.node.fenced.wait()


class Fragile(Actor[object]):
    def __init__(self) -> None:
        super().__init__("fragile", 2)
        self.lives = 0

    async def run(self) -> None:
        self.lives += 1
        while True:
            if await self.receive() == "fail":
                raise RuntimeError("as told")


@pytest.mark.logs_errors("an actor failed (fragile, RuntimeError)")
async def test_a_failing_actor_is_restarted_by_its_policy_and_takes_nobody_with_it(autojump_clock):
    failures: list[str] = []
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(nursery, failures.append)
        restarted, temporary = Fragile(), Fragile()
        supervisor.keep(restarted)
        supervisor.start(temporary)
        restarted.tell("fail")
        temporary.tell("fail")
        await trio.sleep(1)
        assert (restarted.lives, temporary.lives) == (2, 1)
        assert failures == ["fragile", "fragile"]
        restarted.tell("fine")
        with pytest.raises(ActorStoppedError):
            temporary.tell("anybody there")
        nursery.cancel_scope.cancel()


@pytest.mark.logs_errors("an actor failed (fragile, RuntimeError)")
async def test_who_waits_for_an_actor_that_fails_is_told_at_once(autojump_clock):
    async with trio.open_nursery() as nursery:
        actor = Fragile()
        Supervisor(nursery, lambda name: None).start(actor)

        async def wait() -> None:
            with pytest.raises(ActorStoppedError):
                await actor.ask(lambda reply: reply, 60_000)

        async with trio.open_nursery() as waiting:
            waiting.start_soon(wait)
            await trio.sleep(0.1)
            actor.tell("fail")
            before = trio.current_time()
        assert trio.current_time() - before < 1
        nursery.cancel_scope.cancel()


async def test_a_full_mailbox_refuses_and_queues_nothing(autojump_clock):
    actor = Fragile()
    actor.tell("one")
    actor.tell("two")
    with pytest.raises(MailboxFullError):
        actor.tell("three")
    assert actor.queued == 2
