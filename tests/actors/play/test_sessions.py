"""Sessions on the twins: entering, resuming, seeds, history, expiry, suspension, draining."""

import json
from dataclasses import replace
from uuid import UUID

import pytest
import trio

from actors.facts.records import CallKind, OperatorStatus
from actors.facts.transitions import EndRound
from actors.kit.timers import SLACK_MS
from actors.ports.wallet import Unclear
from actors.shared.game_settings import GameSettings
from actors.shared.messages import Leave, Look
from tests.helpers.game import LIMITS, OPERATOR_ID, Player, open_game


async def enter_with(game, text: bytes) -> Player:
    player = Player(game.clock)
    assert await game.node.lobby.enter(text, player) is None
    return player


async def test_the_welcome_says_everything(autojump_clock):
    async with open_game() as game:
        player = await game.enter(await game.launch(), frame_id="h")
        welcome = await player.until("welcome")
        assert welcome["id"] == "h"
        assert (welcome["protocol"], welcome["player"], welcome["currency"]) == (1, "player-42", "USD")
        assert welcome["limits"] == {
            "min_bet_minor": 10, "max_bet_minor": 100_000, "bet_step_minor": 10, "max_payout_minor": 10_000_000,
            "min_cashout": 1.01, "max_win_multiplier": 2_000,
        }  # fmt: skip
        assert (welcome["rtp_target"], welcome["growth"], welcome["tick_ms"]) == (96, {"rate_per_ms": 0.00006}, 100)
        assert welcome["next"].keys() == {"server_seed_hash", "client_seed", "nonce"}
        assert (welcome["round"], welcome["history"], welcome["balance_minor"]) == (None, [], 10_000)
        assert welcome["expires_at"] == welcome["server_time"] + 3_600_000


@pytest.mark.parametrize(
    "hello",
    [
        b"not json",
        b"[]",
        b'{"type":"bet","amount_minor":1}',
        b'{"type":"hello"}',
        b'{"type":"hello","session":"no-such-token"}',
        b'{"type":"hello","session":"\\ud800"}',
        '{"type":"hello","session":"é"}'.encode(),
    ],
)
async def test_who_may_not_enter_is_told_so_and_shown_out(autojump_clock, hello):
    async with open_game() as game:
        player = await enter_with(game, hello)
        assert [frame["code"] for frame in player.frames] == ["unauthorized"]
        assert player.closed


async def test_only_sessions_in_memory_were_here(autojump_clock):
    """In a crowd the last places are for their players."""
    async with open_game() as game:
        inside, outside = await game.launch(), await game.launch()
        await game.enter(inside)
        said = [
            b'{"type":"hello","session":"%s"}' % inside.encode(),
            b'{"type":"hello","session":"%s"}' % outside.encode(),
            '{"type":"hello","session":"é"}'.encode(),
            b'{"type":"ping","t":1}',
            b"no frame",
        ]
        assert [game.node.lobby.was_here(hello) for hello in said] == [True, False, False, False, False]


async def test_a_newer_socket_replaces_the_older_and_sees_the_live_round(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        first = await game.enter(token)
        first.say("bet", amount_minor=1_000)
        started = await first.until("round_started")
        second = await game.enter(token)
        welcome = await second.until("welcome")
        assert (await first.until("session_ended"))["reason"] == "replaced"
        assert first.closed
        assert welcome["round"]["round_id"] == started["round_id"]
        assert welcome["round"]["started_at"] == started["started_at"]
        second.say("cashout", round_id=started["round_id"])
        await second.until("error")
        first.door.leave()
        await second.until("round_ended")
        assert second.ticks


async def test_a_player_who_left_finds_the_end_in_the_history(autojump_clock):
    async with open_game() as game:
        token = await game.launch(150)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        player.door.leave()
        await trio.sleep(120)
        back = await game.enter(token)
        welcome = await back.until("welcome")
        assert welcome["round"] is None
        assert [(past["round_id"], past["result"]) for past in welcome["history"]] == [(started["round_id"], "crash")]
        assert welcome["next"]["nonce"] == 2


async def test_a_client_seed_is_stored_before_it_is_confirmed(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        player = await game.enter(token)
        promised = (await player.until("welcome"))["next"]
        player.say("client_seed", value="lucky-7", id="s")
        changed = await player.until("client_seed")
        assert changed["id"] == "s"
        assert changed["next"] == promised | {"client_seed": "lucky-7"}
        player.door.leave()
        await trio.sleep(120)
        assert (await (await game.enter(token)).until("welcome"))["next"]["client_seed"] == "lucky-7"


async def test_a_client_seed_that_could_not_be_stored_is_not_promised(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        player = await game.enter(token)
        promised = (await player.until("welcome"))["next"]
        game.ledger.unavailable = True
        player.say("client_seed", value="lost", id="c")
        refused = await player.until("error")
        assert (refused["code"], refused["id"]) == ("wallet_unavailable", "c")
        game.ledger.unavailable = False
        assert (await (await game.enter(token)).until("welcome"))["next"] == promised


async def test_a_drain_waits_for_a_win_that_is_on_its_way(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_started")
        game.wallet.delay_s = 1
        await player.until("round_ended")
        player.door.leave()  # otherwise its session waits for the win, too
        await game.node.drain()
        assert not game.node.pool.bulkheads.is_busy and len(game.wallet.sent(CallKind.WIN)) == 1


async def test_a_client_seed_chosen_in_flight_is_promised_and_played_after_it(autojump_clock):
    async with open_game() as game:
        player = await game.play(200, 300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        player.say("client_seed", value="mine")
        await player.until("client_seed")
        assert (await player.until("round_ended"))["next"]["client_seed"] == "mine"
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_started"))["client_seed"] == "mine"


async def test_a_client_seed_with_the_bet_holds_from_that_round_on(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        player.say("bet", amount_minor=1_000, client_seed="mine")
        assert (await player.until("round_started"))["client_seed"] == "mine"
        assert (await player.until("round_ended"))["next"]["client_seed"] == "mine"


async def test_a_flight_that_is_still_shown_is_not_in_the_history(autojump_clock):
    """Its end is stored, and on its way: until it is told the page must not show a round as over and under way."""
    async with open_game() as game:
        token = await game.launch(300)
        player, commit = await game.enter(token), game.ledger.commit

        async def commit_slowly(transitions):
            answers = await commit(transitions)
            if isinstance(transitions[0], EndRound):
                await trio.sleep(2)
            return answers

        game.ledger.commit = commit_slowly
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        await trio.sleep(5)  # a cash-out at once is too early
        player.say("cashout", round_id=started["round_id"])
        await trio.sleep(1)
        (stored,) = game.ledger.rounds.values()
        assert stored.finished is not None
        back = await game.enter(token)
        welcome = await back.until("welcome")
        assert (welcome["round"]["round_id"], welcome["history"]) == (started["round_id"], [])
        back.say("history")
        assert (await back.until("history"))["rounds"] == []
        ended = await back.until("round_ended")
        back.say("history")
        page = await back.until("history")
        assert [past["round_id"] for past in page["rounds"]] == [ended["round_id"]] == [started["round_id"]]


async def test_history_is_paged_newest_first(autojump_clock):
    async with open_game() as game:
        player = await game.play(150, 150, 150)
        played = []
        for _ in range(3):
            player.say("bet", amount_minor=1_000)
            played.insert(0, (await player.until("round_ended"))["round_id"])
        player.say("history", limit=2, id="p1")
        page = await player.until("history")
        assert (page["id"], [past["round_id"] for past in page["rounds"]], page["more"]) == ("p1", played[:2], True)
        player.say("history", before=played[1])
        page = await player.until("history")
        assert ([past["round_id"] for past in page["rounds"]], page["more"]) == (played[2:], False)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "history", "limit": 0},
        {"type": "history", "limit": 51},
        {"type": "history", "before": "x"},
        {"type": "client_seed"},
        {"type": "cashout", "round_id": 5},
        {"type": "ping"},
        {"type": "ping", "t": "now"},
        {"type": "unheard-of"},
        {"type": 5},
        {"type": "bet", "amount_minor": 100, "id": 5},
        {"type": "bet", "amount_minor": 100, "id": "x" * 65},
        {"type": "hello", "session": "again"},
    ],
)
async def test_a_bad_frame_gets_an_error_and_the_session_goes_on(autojump_clock, frame):
    async with open_game() as game:
        player = await game.play()
        player.say(**{"frame_type" if name == "type" else name: value for name, value in frame.items()})
        assert (await player.until("error"))["code"] in {"bad_message", "bad_client_seed"}
        player.say("ping", t=5)
        assert (await player.until("pong"))["t"] == 5
        assert game.wallet.calls == []


async def test_a_ping_brings_the_servers_time(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        player.say("ping", t=12.5, id="p")
        assert await player.until("pong") == {
            "type": "pong", "id": "p", "t": 12.5, "server_time": game.clock.now_ms(),
        }  # fmt: skip


async def test_another_sessions_round_cannot_be_cashed_out(autojump_clock):
    async with open_game() as game:
        owner, thief = await game.play(300), await game.play()
        owner.say("bet", amount_minor=1_000)
        started = await owner.until("round_started")
        await trio.sleep(5)
        thief.say("cashout", round_id=started["round_id"])
        assert (await thief.until("error"))["code"] == "no_such_round"
        assert (await owner.until("round_ended"))["result"] == "crash"


async def test_a_cash_out_of_an_older_round_leaves_the_live_one_alone(autojump_clock):
    """A click that came too late for the round before must not take this one."""
    async with open_game() as game:
        player = await game.play(101, 300)
        player.say("bet", amount_minor=1_000)
        before = await player.until("round_ended")
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await trio.sleep(5)
        for round_id, code in ((before["round_id"], "too_late"), (str(UUID(int=9)), "no_such_round")):
            player.say("cashout", round_id=round_id)
            assert (await player.until("error"))["code"] == code
        assert (await player.until("round_ended"))["result"] == "crash"


async def test_an_expired_session_ends_after_its_round(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300, ttl_s=60)
        player = await game.enter(token)
        await trio.sleep(55)
        player.say("bet", amount_minor=1_000)
        await player.until("round_ended")
        assert (await player.until("session_ended"))["reason"] == "expired"
        assert player.closed
        late = await enter_with(game, json.dumps({"type": "hello", "session": token}).encode())
        assert [frame["reason"] for frame in late.frames] == ["expired"]


async def test_a_session_in_which_nothing_happens_ends_when_it_expires(autojump_clock):
    async with open_game() as game:
        began_ms = game.clock.now_ms()
        player = await game.play(ttl_s=60)
        assert (await player.until("session_ended"))["reason"] == "expired"
        assert began_ms + 60_000 <= game.clock.now_ms() <= began_ms + 60_001 + SLACK_MS


async def test_a_suspension_ends_sessions_within_five_seconds_and_rounds_end_first(autojump_clock):
    async with open_game() as game:
        idle, flying = await game.play(), await game.play(300)
        flying.say("bet", amount_minor=1_000, auto_cashout=2)
        await flying.until("round_started")
        game.ledger.operators[0] = replace(game.ledger.operators[0], status=OperatorStatus.SUSPENDED)
        with trio.fail_after(5):
            assert (await idle.until("session_ended"))["reason"] == "operator_suspended"
        assert (await flying.until("round_ended"))["payout_minor"] == 2_000
        assert (await flying.until("session_ended"))["reason"] == "operator_suspended"
        await trio.sleep(60)
        assert len(game.wallet.sent(CallKind.WIN)) == 1


async def test_a_session_that_ends_first_shows_that_the_win_has_arrived(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_started")
        game.wallet.delay_s = 1
        game.ledger.operators[0] = replace(game.ledger.operators[0], status=OperatorStatus.SUSPENDED)
        await player.until("round_ended")
        assert (await player.until("balance"))["pending_minor"] == 2_000
        paid = await player.until("balance")
        assert (paid["pending_minor"], paid["balance_minor"]) == (0, 11_000)
        assert (await player.until("session_ended"))["reason"] == "operator_suspended"


async def test_a_session_does_not_wait_for_ever_for_a_win_to_arrive(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_started")
        game.wallet.script[CallKind.WIN].extend([Unclear("500")] * 20)
        game.ledger.operators[0] = replace(game.ledger.operators[0], status=OperatorStatus.SUSPENDED)
        await player.until("round_ended")
        ended_at = trio.current_time()
        assert (await player.until("session_ended"))["reason"] == "operator_suspended"
        assert trio.current_time() - ended_at == pytest.approx(3, abs=0.2)


async def test_taking_a_currency_away_ends_its_sessions_and_their_rounds_end_first(autojump_clock):
    async with open_game() as game:
        idle, flying = await game.play(), await game.play(300)
        flying.say("bet", amount_minor=1_000, auto_cashout=2)
        await flying.until("round_started")
        game.ledger.operators[0] = replace(game.ledger.operators[0], bet_limits={"EUR": None})
        with trio.fail_after(5):
            assert (await idle.until("session_ended"))["reason"] == "operator_suspended"
        assert (await flying.until("round_ended"))["payout_minor"] == 2_000
        assert (await flying.until("session_ended"))["reason"] == "operator_suspended"


async def test_draining_lets_rounds_end_refuses_bets_and_closes_sessions(autojump_clock):
    async with open_game() as game:
        idle, flying = await game.play(), await game.play(300)
        flying.say("bet", amount_minor=1_000, auto_cashout=2)
        await flying.until("round_started")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(game.node.drain)
            assert (await idle.until("session_ended"))["reason"] == "shutdown"
            assert (await flying.until("round_ended"))["result"] == "cashout"
            assert (await flying.until("session_ended"))["reason"] == "shutdown"
        assert len(game.wallet.sent(CallKind.WIN)) == 1
        refused = await enter_with(game, b'{"type":"hello","session":"any"}')
        assert [frame["reason"] for frame in refused.frames] == ["shutdown"]


async def test_a_round_that_outlasts_the_drain_is_refunded(autojump_clock):
    settings = GameSettings(bet_limits={"USD": LIMITS}, drain_ms_max=2_000)
    async with open_game(settings=settings) as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        await game.node.drain()
        ended = await player.until("round_ended")
        assert (ended["status"], ended["reason"], ended["payout_minor"]) == ("refunded", "shutdown", 0)
        assert len(game.wallet.sent(CallKind.REFUND)) == 1


async def test_a_full_house_turns_away(autojump_clock):
    async with open_game(settings=GameSettings(bet_limits={"USD": LIMITS}, sessions_max=1)) as game:
        await game.play()
        second = await enter_with(game, json.dumps({"type": "hello", "session": await game.launch()}).encode())
        assert [frame["reason"] for frame in second.frames] == ["shutdown"]
        assert game.observer.overflows == ["lobby"]


async def test_a_flood_of_frames_is_refused_and_the_round_stays_right(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("client_seed", value="takes-a-moment")  # behind which all else queues
        for number in range(200):
            player.say("bet", amount_minor=1_000, id=str(number))
        started = await player.until("round_started")
        await player.until("round_ended")
        codes = {frame["code"] for frame in player.frames if frame["type"] == "error"}
        assert codes == {"round_in_progress", "rate_limited"}
        assert started["id"] == "0"
        assert len(game.wallet.sent(CallKind.BET)) == 1


async def test_half_of_a_mailbox_is_kept_for_news_however_much_a_player_says(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        (session,) = game.node.lobby._sessions._actors.values()
        player.say("client_seed", value="takes-a-moment")
        for number in range(session.mailbox_max):
            player.say("bet", amount_minor=1_000, id=str(number))
        assert session.queued == session.mailbox_max // 2
        assert [frame["code"] for frame in player.frames[1:]] == ["rate_limited"] * (session.mailbox_max // 2 + 1)
        for _ in range(session.mailbox_max // 2):
            session.tell(Look())


async def test_many_sockets_at_once_open_one_session(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        players: list[Player] = []

        async def enter() -> None:
            players.append(await game.enter(token))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(enter)
        await trio.sleep(1)
        assert game.node.lobby.sessions_open == 1
        assert sum(not player.closed for player in players) == 1
        replaced = [player for player in players if player.closed]
        assert all(player.frames[-1] == {"type": "session_ended", "reason": "replaced"} for player in replaced)


async def test_a_session_that_nobody_watches_does_not_wait_for_a_win_to_arrive(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        game.wallet.script[CallKind.WIN].extend([Unclear("500")] * 20)
        player.say("bet", amount_minor=1_000, auto_cashout=2)
        await player.until("round_ended")
        player.door.leave()
        game.node.lobby.begin_drain()
        await trio.sleep(0.1)
        assert game.node.lobby.sessions_open == 0


async def test_a_session_stays_in_memory_for_a_while_from_when_its_player_has_left(autojump_clock):
    """However long it was watched before."""
    async with open_game() as game:
        player, linger_s = await game.play(), game.node.services.settings.session_linger_ms / 1000
        await trio.sleep(3 * linger_s)
        player.door.leave()
        await trio.sleep(linger_s - 0.5)
        assert game.node.lobby.sessions_open == 1
        await trio.sleep(1)
        assert game.node.lobby.sessions_open == 0


@pytest.mark.parametrize("how", ["a drain", "a hand-over"])
async def test_a_session_that_nobody_watches_ends_at_once_when_it_must(autojump_clock, how):
    async with open_game() as game:
        player = await game.play()
        player.door.leave()
        await trio.sleep(1)
        (session,) = game.node.lobby._sessions._actors.values()
        before = trio.current_time()
        if how == "a drain":
            await game.node.drain()
        else:
            session.tell(Leave())
            await trio.sleep(0.1)
        assert session.is_stopped and trio.current_time() - before < 1


async def test_a_bet_is_refused_while_the_wallet_may_not_be_called_and_nothing_is_stored(autojump_clock):
    async with open_game() as game:
        player = await game.play()
        bulkhead = game.node.pool.bulkheads.of(OPERATOR_ID)
        for _ in range(game.node.services.settings.breaker_failures_max):
            bulkhead.note(CallKind.BET, Unclear("as told"), was_trial=False)
        assert not bulkhead.permits
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "wallet_unavailable"
        await trio.sleep(0.1)
        assert not [frame for frame in player.frames if frame["type"] in {"bet_pending", "round_ended"}]
