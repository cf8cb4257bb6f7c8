"""The courier and the bulkheads: what is stored is delivered, whoever stored it, and no operator slows another."""

from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest
import trio

from actors.facts.records import CallKind, CallStatus
from actors.facts.transitions import AcknowledgeCall, EndRound, Rejected
from actors.kit.timers import SLACK_MS
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.wallet import Declined, Unclear
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, OPERATOR_ID, open_game, operator
from tests.helpers.memory_outbox import StoredCall

OTHER = UUID(int=8)


def settings(**changes) -> GameSettings:
    return GameSettings(bet_limits={"USD": LIMITS}, **changes)


class Switch:
    """A gateway in front of the twin's: operators named in ``hanging`` never answer, those in ``failing`` with 500."""

    def __init__(self, wallet) -> None:
        self.wallet = wallet
        self.hanging: set[UUID] = set()
        self.failing: set[UUID] = set()
        self.in_flight: dict[UUID, int] = {}
        self.most_in_flight: dict[UUID, int] = {}
        self.sent: list[tuple[float, UUID, str]] = []

    async def send(self, to, call, timeout_ms):
        key = to.operator_id
        self.sent.append((trio.current_time(), key, call.operator_tx_id))
        self.in_flight[key] = self.in_flight.get(key, 0) + 1
        self.most_in_flight[key] = max(self.most_in_flight.get(key, 0), self.in_flight[key])
        try:
            if key in self.hanging:
                await trio.sleep(timeout_ms / 1000)
                return Unclear("no answer in time")
            if key in self.failing:
                return Unclear("the wallet answered 500")
            return await self.wallet.send(to, call, timeout_ms)
        finally:
            self.in_flight[key] -= 1


def switch(game) -> Switch:
    """Put a switch between the node and its wallets."""
    made = Switch(game.wallet)
    object.__setattr__(game.node.services, "gateway", made)
    return made


async def add_operator(game, operator_id=OTHER) -> None:
    game.ledger.operators.append(operator(operator_id=operator_id))
    await trio.sleep(game.node.services.settings.operator_refresh_ms / 1000 + 0.1)


async def win(game, operator_id=OPERATOR_ID) -> None:
    """A player of this operator plays and wins."""
    player = await game.play(300, operator_id=operator_id)
    player.say("bet", amount_minor=1_000, auto_cashout=1.1)
    await player.until("round_ended")


def wins(game):
    return [stored for stored in game.ledger.calls.values() if stored.call.kind is CallKind.WIN]


async def test_what_a_long_gone_session_was_owed_is_delivered(autojump_clock):
    async with open_game() as game:
        game.wallet.script[CallKind.WIN].extend([Unclear("lost")] * 40)
        await win(game)
        game.ledger.loses_commits = True
        stored, clock = game.ledger.copy_at_death(), game.clock
    async with open_game(ledger=stored, clock=clock, name="node-z") as game:
        await trio.sleep(60)
        assert [each.status for each in wins(game)] == [CallStatus.ACKNOWLEDGED]
        assert len(game.wallet.sent(CallKind.WIN)) == 1, "nobody has said hello since"


async def test_pauses_double_from_the_first_to_the_largest_and_the_bytes_stay(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=100)) as game:
        gateway = switch(game)
        await game.play()
        game.wallet.script[CallKind.WIN].extend([Unclear("lost")] * 9)
        await win(game)
        await trio.sleep(400)
        at = [moment for moment, _operator, tx_id in gateway.sent if tx_id.startswith("win-")]
        pauses = [round(later - earlier) for earlier, later in pairwise(at)]
        assert len(at) == 10
        assert all(pause <= 61 for pause in pauses)
        assert pauses == sorted(pauses)
        assert pauses[-1] >= 30, "half of the pause is chance"
        assert len({call.body for call in game.wallet.sent(CallKind.WIN)}) == 1
        assert game.observer.retries == 9


async def test_after_the_period_a_call_is_parked_and_the_player_no_longer_waits_for_it(autojump_clock):
    async with open_game(settings=settings(retry_period_ms=120_000)) as game:
        player = await game.play(300, 300)
        game.wallet.script[CallKind.WIN].extend([Declined("the wallet answered 404")] * 100)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_ended")
        await trio.sleep(240)
        (parked,) = wins(game)
        assert (parked.status, parked.last_error) == (CallStatus.PARKED, "the wallet answered 404")
        frames = [frame for frame in player.frames if frame["type"] == "balance"]
        assert frames[-1]["pending_minor"] == 0
        await game.node.services.stores.outbox.outbox_counts()
        assert [(each.pending, each.parked) for each in game.observer.last_counts] == [(0, 1)]


async def test_an_operator_that_hangs_takes_nobody_elses_place(autojump_clock):
    async with open_game(settings=settings(operator_deliveries_max=4, operator_bets_max=2)) as game:
        gateway = switch(game)
        await add_operator(game)
        gateway.hanging.add(OPERATOR_ID)
        players = [await game.play(300) for _ in range(6)]
        for player in players:
            player.say("bet", amount_minor=1_000)
        await trio.sleep(0.2)
        assert gateway.in_flight[OPERATOR_ID] == 2, "more bets wait for a place"
        before = trio.current_time()
        await win(game, OTHER)
        assert trio.current_time() - before < 2.5, "1.10x takes 1.6 s"
        await trio.sleep(1)
        assert [each.status for each in wins(game) if each.call.operator_id == OTHER] == [CallStatus.ACKNOWLEDGED]


async def test_bets_beyond_the_bound_wait_and_are_void_unsent_when_their_time_is_up(autojump_clock):
    async with open_game(settings=settings(operator_bets_max=1, breaker_failures_max=100)) as game:
        gateway = switch(game)
        gateway.hanging.add(OPERATOR_ID)
        players = [await game.play() for _ in range(3)]
        for player in players:
            player.say("bet", amount_minor=1_000)
        ends = [await player.until("round_ended") for player in players]
        assert [(end["status"], end["reason"]) for end in ends] == [("void", "wallet_unavailable")] * 3
        bets = [stored for stored in game.ledger.calls.values() if stored.call.kind is CallKind.BET]
        statuses = sorted((stored.status, stored.call.attempts) for stored in bets)
        assert statuses == [(CallStatus.DECLINED, 0), (CallStatus.DECLINED, 0), (CallStatus.UNKNOWN, 1)]
        gateway.hanging.clear()
        await trio.sleep(30)
        assert len(game.wallet.sent(CallKind.REFUND)) == 1, "what was never sent needs no refund"


async def test_a_failing_wallets_breaker_opens_refuses_bets_at_once_and_closes_again(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=3)) as game:
        gateway = switch(game)
        gateway.failing.add(OPERATOR_ID)
        player = await game.play()
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_ended"))["status"] == "void"
        while not game.observer.breakers:
            await trio.sleep(0.1)
        assert len(gateway.sent) == 3, "the bet and its refund, twice"
        sent = len(gateway.sent)
        player = await game.play()
        player.say("bet", amount_minor=1_000)
        error = await player.until("error")
        assert error["code"] == "wallet_unavailable"
        assert len(gateway.sent) == sent
        gateway.failing.clear()
        await trio.sleep(15)
        assert game.observer.breakers == [True, False], "the refunds tried"
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        refunds = [stored for stored in game.ledger.calls.values() if stored.call.kind is CallKind.REFUND]
        assert [stored.status for stored in refunds] == [CallStatus.ACKNOWLEDGED]


async def test_an_open_breaker_lets_one_call_after_another_try(autojump_clock):
    async with open_game(settings=settings(breaker_failures_max=2)) as game:
        gateway = switch(game)
        players = [await game.play(300) for _ in range(6)]
        for player in players:
            player.say("bet", amount_minor=1_000, auto_cashout=1.1)
            await player.until("round_started")
        gateway.failing.add(OPERATOR_ID)
        for player in players:
            await player.until("round_ended")
        await trio.sleep(30)
        sent = len(gateway.sent)
        await trio.sleep(300)
        trials = [moment for moment, *_ in gateway.sent[sent:]]
        assert 5 <= len(trials) <= 30
        pauses = [later - earlier for earlier, later in pairwise(trials)]
        assert min(pauses) >= game.node.services.settings.breaker_open_max_ms / 1000


async def test_a_backlog_goes_out_bulkhead_by_bulkhead_without_waiting_for_a_look(autojump_clock):
    async with open_game(settings=settings(operator_deliveries_max=4, breaker_failures_max=1_000)) as game:
        gateway = switch(game)
        players = [await game.play(300) for _ in range(40)]
        game.wallet.script[CallKind.WIN].extend([Unclear("lost")] * 40)
        for player in players:
            player.say("bet", amount_minor=100, auto_cashout=1.1)
        for player in players:
            await player.until("round_ended")
        while game.observer.retries < 40:
            await trio.sleep(0.01)
        for stored in wins(game):
            stored.call = replace(stored.call, next_attempt_at_ms=game.clock.now_ms())
        gateway.most_in_flight.clear()
        game.wallet.delay_s, before = 0.01, trio.current_time()
        while any(stored.status is CallStatus.PENDING for stored in wins(game)):
            await trio.sleep(0.01)
        poll_s = game.node.services.settings.courier_poll_ms / 1000
        assert trio.current_time() - before < 2 * poll_s, "ten times four calls of 10 ms"
        assert gateway.most_in_flight == {OPERATOR_ID: 4}


async def test_a_call_that_waited_for_most_of_its_claim_is_left_to_the_next(autojump_clock):
    """Sent so late, it could still be on its way when another node claims it."""
    async with open_game() as game:
        gateway = switch(game)
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        gateway.hanging.add(OPERATOR_ID)
        await player.until("round_ended")
        (stored,) = wins(game)
        await trio.sleep(0.1)
        assert stored.claimed_by is not None
        sent = len(gateway.sent)
        late = replace(stored.call, next_attempt_at_ms=game.clock.now_ms() + 9_000)
        game.node.pool.hand_over(late)
        gateway.hanging.clear()
        await trio.sleep(10)
        assert len(gateway.sent) == sent, "the one that hung, no other"
        await trio.sleep(30)
        assert stored.status is CallStatus.ACKNOWLEDGED


async def test_a_claim_whose_answer_was_lost_is_made_again_at_once(autojump_clock):
    async with open_game() as game:
        claim, lost = game.ledger.claim_calls, []

        async def claim_and_lose(*arguments):
            claimed = await claim(*arguments)
            if claimed and not lost:
                lost.extend(claimed)
                raise LedgerUnavailableError("as told")
            return claimed

        game.ledger.claim_calls = claim_and_lose
        game.wallet.script[CallKind.WIN].append(Unclear("lost"))
        await win(game)
        await trio.sleep(4)
        assert len(lost) == 1
        assert [stored.status for stored in wins(game)] == [CallStatus.ACKNOWLEDGED], "claims last for 20 s"


async def test_a_ledger_that_fails_is_asked_once_a_poll_however_many_nudges_come(autojump_clock):
    """Each end of a round nudges: a database in trouble would get as many claims as there are players."""
    async with open_game() as game:
        asked_at = []

        async def claim(*arguments):
            asked_at.append(trio.current_time())
            raise LedgerUnavailableError("as told")

        game.ledger.claim_calls = claim
        polls, poll_s = 5, game.node.services.settings.courier_poll_ms / 1000
        for _ in range(100 * polls):
            game.node.courier.tell(OPERATOR_ID)
            await trio.sleep(poll_s / 100)
        assert polls - 1 <= len(asked_at) <= polls + 1


async def test_a_claim_that_could_not_be_handed_over_is_given_up_and_made_again_at_once(autojump_clock):
    async with open_game() as game:
        real, refused = game.node.pool.hand_over, []

        def hand_over(call):
            if call.attempts and len(refused) < 2:
                refused.append(call.operator_tx_id)
                return False
            return real(call)

        game.node.pool.hand_over = hand_over
        game.wallet.script[CallKind.WIN].append(Unclear("lost"))
        await win(game)
        await trio.sleep(6)
        assert len(refused) == 2
        assert [stored.status for stored in wins(game)] == [CallStatus.ACKNOWLEDGED], "claims last for 20 s"


async def test_what_is_in_flight_keeps_its_claim_when_others_are_given_up(autojump_clock):
    async with open_game() as game:
        gateway = switch(game)
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        gateway.hanging.add(OPERATOR_ID)
        await player.until("round_ended")
        await trio.sleep(0.1)
        (stored,) = wins(game)
        claimed_by, until_ms, sent = stored.claimed_by, stored.call.next_attempt_at_ms, len(gateway.sent)
        assert claimed_by is not None
        game.node.pool._has_unsent_claims = True
        game.node.courier.tell(OPERATOR_ID)
        await trio.sleep(1)
        assert not game.node.pool._has_unsent_claims, "the courier has been there"
        assert (stored.claimed_by, stored.call.next_attempt_at_ms) == (claimed_by, until_ms)
        assert len(gateway.sent) == sent


async def test_an_end_claims_what_it_owes_and_has_it_sent_without_the_courier(autojump_clock):
    async with open_game() as game:
        claims = []

        async def claim(*arguments):
            claims.append(arguments)
            return []

        game.ledger.claim_calls = claim
        await win(game)
        await trio.sleep(0.1)
        assert [stored.status for stored in wins(game)] == [CallStatus.ACKNOWLEDGED]


async def test_an_end_that_could_not_claim_what_it_owes_sends_nothing_by_itself(autojump_clock):
    """A person has taken up an older win of the session: that one goes first, whoever claims it."""
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        (bet,) = game.ledger.calls.values()
        later_ms = game.clock.now_ms() + 60_000
        older = replace(
            bet.call, kind=CallKind.WIN, operator_tx_id="win-older", position=0, next_attempt_at_ms=later_ms
        )
        game.ledger.calls[older.operator_tx_id] = StoredCall(older, CallStatus.PENDING)
        await player.until("round_ended")
        await trio.sleep(1)
        assert game.wallet.sent(CallKind.WIN) == [] and not game.node.pool.bulkheads.is_busy
        await trio.sleep(60)
        assert game.wallet.sent(CallKind.WIN)[0].operator_tx_id == older.operator_tx_id
        assert [stored.status for stored in wins(game)] == [CallStatus.ACKNOWLEDGED] * 2


async def test_an_end_that_is_not_ours_any_more_keeps_no_place_for_what_it_would_have_owed(autojump_clock):
    async with open_game() as game:
        commit = game.ledger.commit

        async def refuse_ends(transitions):
            if any(isinstance(transition, EndRound) for transition in transitions):
                return [Rejected() for _ in transitions]
            return await commit(transitions)

        game.ledger.commit = refuse_ends
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        await trio.sleep(1.7)
        assert game.node.pool.bulkheads.in_flight == [] and game.wallet.sent(CallKind.WIN) == []


@pytest.mark.parametrize("crash", [101, 117, 150, 200])
async def test_a_flight_that_nobody_attends_ends_at_its_moment(autojump_clock, crash):
    async with open_game() as game:
        ended_at_ms, store = [], game.ledger.commit

        async def note_ends(transitions):
            ended_at_ms.extend(each.finished.settled_at_ms for each in transitions if isinstance(each, EndRound))
            return await store(transitions)

        game.ledger.commit = note_ends
        player = await game.play(crash)
        player.say("bet", amount_minor=1_000)
        await player.until("round_ended")
        (stored,) = game.ledger.rounds.values()
        live = stored.live
        due_ms = live.started_at_ms + live.plan().ends_at_ms
        assert due_ms <= ended_at_ms[0] <= due_ms + 20


async def test_an_outbox_that_can_not_be_read_for_a_while_is_no_failure_of_its_watch(autojump_clock):
    async with open_game() as game:
        counts = game.ledger.outbox_counts

        async def fail():
            raise LedgerUnavailableError("as told")

        game.ledger.outbox_counts = fail
        await trio.sleep(20)
        assert game.observer.failures == []
        game.ledger.outbox_counts = counts
        game.observer.last_counts = None
        await trio.sleep(6)
        assert game.observer.last_counts == []


async def test_an_end_whose_answer_was_lost_is_delivered_at_once(autojump_clock):
    """The second answer does not say whether the first one's claim was stored."""
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_started")
        game.ledger.lose_answer_once = True
        await player.until("round_ended")
        (stored,) = wins(game)
        await trio.sleep(1)
        assert stored.status is CallStatus.ACKNOWLEDGED, "claims last for 20 s"
        assert len(game.wallet.sent(CallKind.WIN)) == 1


async def test_an_end_goes_behind_a_backlog_and_past_no_open_breaker(autojump_clock):
    async with open_game(settings=settings(operator_deliveries_max=1)) as game:
        await win(game)
        await trio.sleep(1)
        pool, owed = game.node.pool, wins(game)[0].call
        bulkhead = pool.bulkheads.of(OPERATOR_ID)
        claimed = pool.claim(owed)
        assert claimed is not None
        assert pool.claim(owed) is None, "the bulkhead is full"
        pool.send_claimed(claimed, is_claimed=False)
        assert not bulkhead.is_busy
        bulkhead.has_more = True
        assert pool.claim(owed) is None
        bulkhead.has_more = False
        while bulkhead.permits:
            bulkhead.note(CallKind.BET, Unclear("as told"), was_trial=False)
        assert pool.claim(owed) is None
        assert not bulkhead.is_busy, "what was refused keeps no place"


async def test_a_win_that_was_acknowledged_elsewhere_is_shown_at_the_next_look(autojump_clock):
    """By another node, or a person: nothing tells this one, so it looks when the wait is overdue."""
    async with open_game() as game:
        game.wallet.script[CallKind.WIN].extend([Unclear("lost")] * 40)
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=1.1)
        await player.until("round_ended")
        owed_at = trio.current_time()
        assert (await player.until("balance"))["pending_minor"] == 1_100
        call = wins(game)[0].call
        elsewhere = AcknowledgeCall(
            operator_id=call.operator_id,
            session_id=call.session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=1,
            balance_minor=77_777,
            acknowledged_at_ms=call.created_at_ms,
        )
        await game.ledger.commit([elsewhere])
        shown = await player.until("balance")
        assert (shown["balance_minor"], shown["pending_minor"]) == (77_777, 0)
        waited_ms = (trio.current_time() - owed_at) * 1000
        assert waited_ms <= game.node.services.settings.outbox_check_ms + SLACK_MS + 100
