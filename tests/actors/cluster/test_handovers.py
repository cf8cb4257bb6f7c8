"""Two living nodes: a player who comes to the other one finds the session, the bet and the flight there."""

from contextlib import asynccontextmanager
from uuid import UUID

import pytest
import trio

from actors.cluster.handover import HandOvers
from actors.facts.records import CallKind, Owner, SessionRequest
from actors.facts.transitions import ChangeClientSeed
from actors.kit.errors import MailboxFullError
from actors.play.lobby import token_digest
from actors.ports.handovers import REQUESTS_MAX
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.wallet import Declined, Unclear
from actors.shared.game_settings import GameSettings
from actors.shared.messages import Cashout, HandOver
from tests.helpers.game import LIMITS, OPERATOR_ID, Player, open_game

CRASH_400_S = 23.105
"""When a flight that crashes at 4.00x ends."""


@asynccontextmanager
async def two_games(**options):
    async with open_game(**options) as first, open_game(beside=first, name="node-b") as second:
        await trio.sleep(1.1)  # until each knows that it is not alone
        yield first, second


def actors_in(game) -> tuple[int, int]:
    return game.node.lobby.sessions_open, game.node.lobby.rounds_live


async def fly(game, token) -> tuple[Player, dict]:
    player = await game.enter(token)
    player.say("bet", amount_minor=1_000)
    return player, await player.until("round_started")


async def win_that_stays_pending(game) -> tuple[str, Player, dict]:
    """A session's token, its player, and the end of a round whose win the wallet has not answered clearly."""
    token = await game.launch(400)
    player, started = await fly(game, token)
    await trio.sleep(3)
    game.wallet.script[CallKind.WIN].append(Unclear("away"))
    player.say("cashout", round_id=started["round_id"])
    return token, player, await player.until("round_ended")


async def test_an_idle_session_goes_where_its_player_goes(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch()
        left = await first.enter(token)
        began_at = trio.current_time()
        player = await second.enter(token)
        assert trio.current_time() - began_at < 0.5
        assert (await player.until("welcome"))["round"] is None
        assert (await left.until("session_ended"))["reason"] == "replaced"
        assert left.closed
        assert (actors_in(first), actors_in(second)) == ((0, 0), (1, 0))
        player.say("bet", amount_minor=1_000, auto_cashout=1.01)
        await player.until("round_ended")
        await trio.sleep(0.5)
        assert second.ledger.requests == {}
        assert (first.observer.failures, second.observer.failures) == ([], [])


async def test_a_session_that_left_memory_is_given_at_once(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch()
        (await first.enter(token)).door.leave()
        await trio.sleep(31)
        assert actors_in(first) == (0, 0)
        began_at = trio.current_time()
        await (await second.enter(token)).until("welcome")
        assert trio.current_time() - began_at < 0.5


async def test_a_flight_goes_on_at_the_other_node(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        await trio.sleep(3)
        player = await second.enter(token)
        welcome = await player.until("welcome")
        assert welcome["round"]["round_id"] == started["round_id"]
        assert welcome["round"]["started_at"] == started["started_at"]
        assert welcome["balance_minor"] == 9_000
        assert (actors_in(first), actors_in(second)) == ((0, 0), (1, 1))
        await trio.sleep(2)
        numbers = [number for number, _ in player.ticks]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert 28 <= numbers[0] <= 36
        player.say("cashout", round_id=started["round_id"])
        ended = await player.until("round_ended")
        assert (ended["result"], ended["realized_multiplier"]) == ("cashout", pytest.approx(1.35, abs=0.02))
        balance = await player.until("balance")
        while balance["pending_minor"]:
            balance = await player.until("balance")
        assert balance["balance_minor"] == 9_000 + ended["payout_minor"]
        player.say("bet", amount_minor=1_000, auto_cashout=1.01)
        assert (await player.until("round_ended"))["nonce"] == 2


async def test_a_flight_ends_by_its_rules_when_nobody_watches_it(autojump_clock):
    """Its player asked from another node and was gone before it came."""
    async with two_games() as (first, second):
        token = await first.launch(400)
        first.wallet.delay_s = 2
        player = await first.enter(token)
        player.say("bet", amount_minor=1_000, auto_cashout=3)
        await player.until("bet_pending")
        with trio.move_on_after(0.3):
            await second.enter(token)
        request = _stored_request(second, first, token)
        await trio.sleep(3)
        assert actors_in(first) == (1, 1), "a request that was withdrawn moves nothing"
        second.ledger.requests[request.session_id, request.asker] = request
        assert await first.ledger.move_session(first.node.services.owner, request, 10_000) is True
        await trio.sleep(1)
        assert actors_in(second) == (1, 1)
        await trio.sleep(CRASH_400_S)
        (stored,) = second.ledger.rounds.values()
        assert (stored.finished.result, stored.finished.realized_hundredths) == ("cashout", 300)
        assert stored.owner == second.node.services.owner


def _stored_request(asking, owning, token):
    """A request as it is granted although its asker has gone."""
    digest = token_digest(token)
    (session,) = [each for each in owning.ledger.sessions.values() if each.token_digest == digest]
    return SessionRequest(
        operator_id=session.record.operator_id,
        session_id=session.record.session_id,
        token_digest=digest,
        asker=asking.node.services.owner,
        asked_at_ms=asking.clock.now_ms(),
    )


async def test_a_cash_out_that_was_received_before_decides(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        left, started = await fly(first, token)
        await trio.sleep(3)
        first.ledger.loses_commits = True
        left.say("cashout", round_id=started["round_id"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_allow_commits_after, first.ledger, 1.0)
            player = await second.enter(token)
        welcome = await player.until("welcome")
        assert welcome["round"] is None
        assert [past["round_id"] for past in welcome["history"]] == [started["round_id"]]
        assert welcome["history"][0]["result"] == "cashout"
        assert (first.observer.failures, second.observer.failures) == ([], [])


async def _allow_commits_after(ledger, delay_s: float) -> None:
    await trio.sleep(delay_s)
    ledger.loses_commits = False


async def test_cash_outs_behind_the_hand_over_decide_while_the_actor_lives(autojump_clock):
    """Both are in the mailbox before the round's task runs again."""
    async with two_games() as (first, _):
        token = await first.launch(400)
        await fly(first, token)
        await trio.sleep(3)
        (running,) = first.node.lobby._rounds._actors.values()
        running.tell(HandOver())
        running.tell(Cashout(None, first.clock.steady_ms()))
        await trio.sleep(0.1)
        (stored,) = first.ledger.rounds.values()
        assert stored.finished.result == "cashout"


@pytest.mark.parametrize(("answer", "status"), [(None, "flying"), (Declined("no"), "void"), (Unclear("what"), "void")])
async def test_a_bet_is_decided_before_its_session_goes(autojump_clock, answer, status):
    async with two_games() as (first, second):
        token = await first.launch(400)
        first.wallet.delay_s = 2
        if answer is not None:
            first.wallet.script[CallKind.BET].append(answer)
        left = await first.enter(token)
        left.say("bet", amount_minor=1_000)
        await left.until("bet_pending")
        player = await second.enter(token)
        welcome = await player.until("welcome")
        (stored,) = second.ledger.rounds.values()
        if status == "flying":
            assert welcome["round"]["round_id"] == str(stored.live.round_id)
            assert stored.owner == second.node.services.owner
        else:
            assert welcome["round"] is None
            assert stored.finished.status == status
        assert len(first.wallet.sent(CallKind.BET)) == 1
        assert actors_in(first) == (0, 0)


async def test_a_pending_win_is_shown_and_delivered_after_the_move(autojump_clock):
    async with two_games() as (first, second):
        token, _, ended = await win_that_stays_pending(first)
        player = await second.enter(token)
        assert (await player.until("welcome"))["pending_minor"] == ended["payout_minor"]
        balance = await player.until("balance")
        assert (balance["pending_minor"], balance["balance_minor"]) == (0, 9_000 + ended["payout_minor"])


async def test_a_bet_that_waits_for_a_pending_win_is_refused_before_its_session_goes(autojump_clock):
    async with two_games() as (first, second):
        token, left, _ = await win_that_stays_pending(first)
        left.say("bet", amount_minor=1_000, id="waits")
        await second.enter(token)
        refused = await left.until("error")
        assert (refused["code"], refused["id"]) == ("wallet_pending", "waits")
        assert (await left.until("session_ended"))["reason"] == "replaced"


async def test_a_cash_out_counts_for_as_long_as_its_session_has_not_left(autojump_clock):
    """The session is busy with a change that takes its time, and its round must not leave before it."""
    async with two_games() as (first, second), trio.open_nursery() as nursery:
        token = await first.launch(400)
        left, started = await fly(first, token)
        commit = first.ledger.commit

        async def slowly(transitions):
            if any(isinstance(transition, ChangeClientSeed) for transition in transitions):
                await trio.sleep(2)
            return await commit(transitions)

        first.ledger.commit = slowly
        await trio.sleep(3)
        left.say("client_seed", value="slow")
        nursery.start_soon(second.enter, token)
        await trio.sleep(1)
        left.say("cashout", round_id=started["round_id"])
        await left.until_closed()
        (stored,) = first.ledger.rounds.values()
        assert stored.finished.result == "cashout"
        assert "error" not in {frame["type"] for frame in left.frames}


async def test_who_has_said_hello_when_its_session_goes_asks_for_it_back(autojump_clock):
    """Its history is still being read when another node asks, and the session is too busy to leave at once."""
    async with two_games() as (first, second), trio.open_nursery() as nursery:
        token, entered = await first.launch(400), []
        left = await first.enter(token)
        commit, history = first.ledger.commit, first.ledger.history

        async def commit_slowly(transitions):
            if any(isinstance(transition, ChangeClientSeed) for transition in transitions):
                await trio.sleep(2)
            return await commit(transitions)

        async def read_slowly(*arguments):
            first.ledger.history = history
            await trio.sleep(1)
            return await history(*arguments)

        async def enter(game):
            entered.append(await game.enter(token))

        first.ledger.commit, first.ledger.history = commit_slowly, read_slowly
        left.say("client_seed", value="slow")
        nursery.start_soon(enter, first)
        await trio.sleep(0.1)
        nursery.start_soon(enter, second)
        await trio.sleep(10)
        frames = [{frame["type"] for frame in player.frames} for player in entered]
        assert len(frames) == 2 and all("welcome" in types for types in frames)


async def test_who_asks_and_dies_takes_nothing_along(autojump_clock):
    async with open_game() as first:
        token = await first.launch(400)
        first.wallet.delay_s = 2
        async with open_game(beside=first, name="node-b") as second:
            await trio.sleep(1.1)
            left = await first.enter(token)
            left.say("bet", amount_minor=1_000, auto_cashout=3)
            await left.until("bet_pending")
            with trio.move_on_after(0.5):
                await second.enter(token)
        assert (await left.until("session_ended"))["reason"] == "replaced"
        player = await first.enter(token)
        assert (await player.until("welcome"))["round"] is not None
        assert (await player.until("round_ended"))["realized_multiplier"] == 3


async def test_a_ledger_that_is_away_during_the_move_delays_it(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        real = first.ledger.move_session
        attempts = []

        async def move_session(*arguments):
            attempts.append(arguments)
            if len(attempts) in {1, 3}:
                raise LedgerUnavailableError("before its effect")
            if len(attempts) == 2:
                await real(*arguments)
                raise LedgerUnavailableError("after its effect")
            return await real(*arguments)

        first.ledger.move_session = move_session
        player = await second.enter(token)
        assert (await player.until("welcome"))["round"]["round_id"] == started["round_id"]
        await trio.sleep(1)
        assert len(attempts) == 4
        assert (actors_in(first), actors_in(second)) == ((0, 0), (1, 1))


async def test_patience_ends_with_the_refusal(autojump_clock):
    """The owner lives but reads no requests."""
    async with two_games() as (first, second):
        token = await first.launch(400)
        left, _ = await fly(first, token)

        async def nothing(*_arguments):
            return []

        first.ledger.session_requests = nothing
        began_at = trio.current_time()
        player = Player(second.clock)
        assert await second.node.lobby.enter(b'{"type": "hello", "session": "%s"}' % token.encode(), player) is None
        assert 12 <= trio.current_time() - began_at < 13
        assert (player.frames[0]["code"], player.closed) == ("wallet_unavailable", True)
        assert second.ledger.requests == {}
        assert not left.closed


async def test_who_is_about_to_stop_waits_for_no_session_of_others(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        await fly(first, token)

        async def nothing(*_arguments):
            return []

        first.ledger.session_requests = nothing
        player, began_at = Player(second.clock), trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.node.lobby.enter, b'{"type": "hello", "session": "%s"}' % token.encode(), player)
            await trio.sleep(0.5)
            second.node.lobby.begin_drain()
        assert trio.current_time() - began_at < 1
        assert player.closed and second.ledger.requests == {}


async def test_a_drain_waits_until_what_is_being_given_has_gone(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        await fly(first, token)
        real, moved = first.ledger.move_session, []

        async def move_slowly(*arguments):
            await trio.sleep(1)
            moved.append(await real(*arguments))
            return moved[-1]

        first.ledger.move_session = move_slowly
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.enter, token)
            await trio.sleep(0.5)
            assert actors_in(first) == (0, 0) and not moved
            await first.node.lobby.drain()
            assert moved == [True]


async def test_each_session_is_given_once_and_so_many_at_once(autojump_clock):
    async with open_game() as game:
        services, given = game.node.services, []
        asked = [
            SessionRequest(
                operator_id=OPERATOR_ID,
                session_id=UUID(int=number),
                token_digest=b"%d" % number,
                asker=Owner("node-b", 1),
                asked_at_ms=0,
            )
            for number in range(REQUESTS_MAX + 5)
        ]
        wanted = asked[:3]

        async def session_requests(*_arguments):
            return wanted

        game.ledger.session_requests = session_requests
        hand_overs = HandOvers(services, game.node.lobby, lambda work, kind: given.append(work.args[1]))
        await hand_overs._serve()
        await hand_overs._serve()
        assert given == asked[:3]
        wanted[:] = asked
        await hand_overs._serve()
        assert given == asked[:REQUESTS_MAX]


async def test_two_sockets_that_take_turns_leave_nothing_behind(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        for turn in range(20):
            game = (second, first)[turn % 2]
            player = await game.enter(token)
            assert (await player.until("welcome"))["round"]["round_id"] == started["round_id"]
            assert (actors_in(first), actors_in(second)) == (((0, 0), (1, 1)), ((1, 1), (0, 0)))[turn % 2]
        player.say("cashout", round_id=started["round_id"])
        assert (await player.until("round_ended"))["result"] == "cashout"
        await trio.sleep(1)
        assert first.ledger.requests == {}
        assert (first.observer.failures, second.observer.failures) == ([], [])


async def test_two_sockets_at_the_same_moment_both_enter_and_one_stays(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        players = []

        async def enter(game):
            players.append(await game.enter(token))

        for _ in range(10):
            players.clear()
            async with trio.open_nursery() as nursery:
                for game in (first, second, second, first):
                    nursery.start_soon(enter, game)
            await trio.sleep(2)
            assert [await player.until("welcome") for player in players]
            assert sum(not player.closed for player in players) == 1
            assert sorted((actors_in(first), actors_in(second))) == [(0, 0), (1, 1)]
        (player,) = [player for player in players if not player.closed]
        player.say("cashout", round_id=started["round_id"])
        await player.until("round_ended")


async def test_a_full_mailbox_delays_the_hand_over(autojump_clock):
    async with two_games() as (first, second):
        token = await first.launch(400)
        await fly(first, token)
        (running,) = first.node.lobby._rounds._actors.values()
        real, refused = running.tell, []

        def tell(message):
            if len(refused) < 3:
                refused.append(message)
                raise MailboxFullError("round")
            real(message)

        running.tell = tell
        assert (await (await second.enter(token)).until("welcome"))["round"] is not None
        assert len(refused) == 3


async def test_a_draining_node_gives_its_flights_to_who_asks(autojump_clock):
    async with two_games(settings=GameSettings(bet_limits={"USD": LIMITS}, drain_ms_max=8_000)) as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.node.lobby.drain)
            await trio.sleep(1)
            player = await second.enter(token)
            assert (await player.until("welcome"))["round"]["round_id"] == started["round_id"]
            began_at = trio.current_time()
        assert trio.current_time() - began_at < 1, "the drain waits for nothing more"
        await trio.sleep(10)
        player.say("cashout", round_id=started["round_id"])
        assert (await player.until("round_ended"))["result"] == "cashout"


async def test_who_is_alone_asks_the_ledger_little(autojump_clock):
    async with open_game() as game:
        asked = []
        real = game.ledger.session_requests

        async def session_requests(*arguments):
            asked.append(trio.current_time())
            return await real(*arguments)

        game.ledger.session_requests = session_requests
        await trio.sleep(20)
        assert len(asked) <= 21
        async with open_game(beside=game, name="node-b"):
            await trio.sleep(2)
            asked.clear()
            await trio.sleep(3)
            assert len(asked) >= 30


async def test_what_could_not_be_taken_up_is_still_asked_for(autojump_clock):
    """Its player has gone: nobody but the request knows that there is a flight to be ended."""
    async with two_games() as (first, second):
        token = await first.launch(400)
        _, started = await fly(first, token)
        take_up, attempts = second.node.lobby.giving.take_up, []

        async def fails_first(digest):
            attempts.append(len(second.ledger.requests))
            if len(attempts) == 1:
                raise LedgerUnavailableError("not yet")
            await take_up(digest)

        second.node.lobby.giving.take_up = fails_first
        await second.ledger.request_session(token_digest(token), second.node.services.owner)
        await trio.sleep(2)
        assert attempts[:2] == [1, 1]
        assert (actors_in(second), second.ledger.requests) == ((1, 1), {})
        await trio.sleep(CRASH_400_S)
        (stored,) = second.ledger.rounds.values()
        assert str(stored.live.round_id) == started["round_id"] and stored.finished.status == "settled"
