"""The database goes back under living nodes: what was told stays told, and no flight that has ended flies again."""

from types import SimpleNamespace

import pytest
import trio

from actors.cluster.handover import note_return
from actors.facts.records import CallKind
from actors.facts.transitions import StartRound
from actors.shared.flights import KEPT_MS, FlightMemory, HistoryCutError
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, Player, open_game
from tests.helpers.promises import Promises, Sheet
from tests.helpers.stores import stores_of

AWAY_S = 5.0
"""When a flight of 4.00x still has 18 s to go."""


def broken(invariant, detail):
    raise AssertionError(f"{invariant}: {detail}")


class Keeper:
    """One player who remembers across all sockets."""

    def __init__(self) -> None:
        self.promises = Promises(broken)

    async def enter(self, game, token) -> Player:
        player, sheet = await game.enter(token), Sheet(self.promises)
        send = player.send

        def keep(*frames):
            send(*frames)
            for frame in player.frames[-len(frames) :]:
                sheet.sees(frame)

        for frame in player.frames:
            sheet.sees(frame)
        player.send = keep
        return player


async def fly(player) -> dict:
    player.say("bet", amount_minor=1_000)
    return await player.until("round_started")


async def cash_out(player, started) -> dict:
    player.say("cashout", round_id=started["round_id"])
    return await player.until("round_ended")


def slow_beats() -> GameSettings:
    """A player comes back before the next heartbeat finds that the database has gone back."""
    return GameSettings(bet_limits={"USD": LIMITS}, heartbeat_ms=1_000)


async def leave_memory(game, player) -> None:
    player.door.leave()
    session = next(iter(game.node.lobby._sessions._actors.values()))
    session.tell("no news")  # its actor fails: the next hello opens the session again
    await trio.sleep(0.1)
    assert game.node.lobby.sessions_open == 0


@pytest.mark.logs_errors(
    "a round that has ended is stored as live: the database has gone back",
    "an actor failed (session, AssertionError)",
    "the database's history was cut: no bets until `getaway restored`",
    "this life ends, and the node registers anew",
)
async def test_a_flight_that_has_ended_does_not_fly_again(autojump_clock):
    async with open_game(settings=slow_beats()) as game:
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        started = await fly(player)
        await trio.sleep(AWAY_S)
        backup = game.ledger.backup()
        ended = await cash_out(player, started)
        assert ended["result"] == "cashout"
        await trio.sleep(0.5)
        game.ledger.go_back(backup)
        calls = list(game.wallet.calls)
        await leave_memory(game, player)
        back = await keeper.enter(game, token)
        assert back.closed and back.frames[-1]["code"] == "wallet_unavailable"
        assert game.node.lobby.rounds_live == 0
        await trio.sleep(5)
        assert game.wallet.calls == calls, "nothing is paid a second time"


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_a_flight_whose_time_is_over_is_ended_as_stored_and_never_shown(autojump_clock):
    """However long ago, also when nobody remembers it any more."""
    async with open_game() as game:
        token, keeper = await game.launch(120), Keeper()
        player = await keeper.enter(game, token)
        await fly(player)
        backup = game.ledger.backup()
        await player.until("round_ended")
        await leave_memory(game, player)
        await trio.sleep(2 * KEPT_MS / 1000)
        later = await game.play(101)
        later.say("bet", amount_minor=10)
        await later.until("round_ended")
        game.ledger.go_back(backup)
        keeper.promises.was_cut = True
        welcome = await (await keeper.enter(game, token)).until("welcome")
        assert (welcome["round"], welcome["history"][0]["result"]) == (None, "crash")


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_one_that_flies_again_is_complained_of_once(autojump_clock, caplog):
    async with open_game() as game:
        player = await game.play(400)
        await fly(player)
        (stored,) = game.ledger.rounds.values()
        flights, live = game.node.services.flights, stored.live
        flights.end(live.session_id, live.round_id, game.clock.steady_ms())
        for _ in range(3):
            with pytest.raises(HistoryCutError):
                flights.check(live, flights.moment)
    assert [record.levelname for record in caplog.records if "gone back" in record.getMessage()] == ["ERROR"]


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_a_flight_of_the_dead_that_was_ended_is_not_ended_again(autojump_clock):
    """Its end was told, and may have been paid: a person has to look."""
    async with open_game(settings=slow_beats()) as game:
        async with open_game(beside=game, name="node-b", settings=slow_beats()) as dying:
            await trio.sleep(1.1)
            await fly(await dying.play(400))
        backup, sweeper = game.ledger.backup(), game.node.lobby.sweeper
        assert await sweeper.sweep() == 1
        (stored,) = game.ledger.rounds.values()
        assert stored.finished.status == "refunded"
        game.ledger.go_back(backup)
        assert await sweeper.sweep() == 1
        (stored,) = game.ledger.rounds.values()
        assert stored.finished is None


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_the_seed_of_a_flight_stays_secret_though_its_bet_is_not_stored_any_more(autojump_clock):
    """What is stored promises that seed again, and opening the session discards and reveals what was promised."""
    async with open_game(settings=slow_beats()) as game:
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        backup = game.ledger.backup()
        started = await fly(player)
        game.ledger.go_back(backup)
        await leave_memory(game, player)
        welcome = await (await keeper.enter(game, token)).until("welcome")
        assert welcome["round"]["server_seed_hash"] == started["server_seed_hash"]
        assert "discarded" not in welcome


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_a_flight_that_has_ended_is_not_given_to_fly_elsewhere(autojump_clock):
    slow = slow_beats()
    async with open_game(settings=slow) as game, open_game(beside=game, name="node-b", settings=slow) as other:
        await trio.sleep(1.1)
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        started = await fly(player)
        await trio.sleep(AWAY_S)
        backup = game.ledger.backup()
        await cash_out(player, started)
        await trio.sleep(0.5)
        game.ledger.go_back(backup)
        await trio.sleep(0.5)
        there = await keeper.enter(other, token)
        assert there.closed and there.frames[-1]["code"] == "wallet_unavailable"
        assert (game.node.lobby.rounds_live, other.node.lobby.rounds_live) == (0, 0)


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_a_flight_that_was_given_away_does_not_fly_on_where_it_came_from(autojump_clock):
    async with open_game() as game, open_game(beside=game, name="node-b") as other:
        await trio.sleep(1.1)
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        started = await fly(player)
        await trio.sleep(AWAY_S)
        backup = game.ledger.backup()
        there = await keeper.enter(other, token)
        await cash_out(there, started)
        there.door.leave()
        await trio.sleep(0.5)
        game.ledger.go_back(backup)
        back = await keeper.enter(game, token)
        assert back.closed and back.frames[-1]["code"] == "wallet_unavailable"
        assert game.node.lobby.rounds_live == 0


@pytest.mark.logs_errors(
    "a round that has ended is stored as live: the database has gone back", "an actor failed (session, AssertionError)"
)
async def test_a_flight_that_was_never_shown_and_has_ended_does_not_fly_either(autojump_clock):
    """Its start was stored too late: its stake was given back, and its seed revealed."""
    async with open_game() as game:
        token, keeper = await game.launch(400), Keeper()
        player, commit = await keeper.enter(game, token), game.ledger.commit
        backups = []

        async def commit_slowly(transitions):
            answers = await commit(transitions)
            if isinstance(transitions[0], StartRound):
                backups.append(game.ledger.backup())
                await trio.sleep(0.5)
            return answers

        game.ledger.commit = commit_slowly
        player.say("bet", amount_minor=1_000)
        assert (await player.until("round_ended"))["status"] == "refunded"
        game.ledger.go_back(backups[0])
        await leave_memory(game, player)
        back = await keeper.enter(game, token)
        assert back.closed and back.frames[-1]["code"] == "wallet_unavailable"
        assert game.node.lobby.rounds_live == 0


@pytest.mark.logs_errors(
    "a round that has ended is stored as live: the database has gone back",
    "an actor failed (round, AttributeError)",
    "an actor failed (session, AssertionError)",
)
async def test_a_flight_that_was_ended_for_its_failed_actor_does_not_fly_either(autojump_clock):
    async with open_game() as game:
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        await fly(player)
        backup = game.ledger.backup()
        next(iter(game.node.lobby._rounds._actors.values())).tell("no message")
        assert (await player.until("round_ended"))["status"] == "refunded"
        game.ledger.go_back(backup)
        await leave_memory(game, player)
        back = await keeper.enter(game, token)
        assert back.closed and game.node.lobby.rounds_live == 0


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_a_flight_that_was_asked_back_does_not_fly_on_by_what_was_stored_before(autojump_clock):
    """The database goes back while the player's new socket waits for the session."""
    async with open_game() as game, open_game(beside=game, name="node-b") as other:
        await trio.sleep(1.1)
        token, keeper = await game.launch(400), Keeper()
        player = await keeper.enter(game, token)
        started = await fly(player)
        await trio.sleep(AWAY_S)
        backup = game.ledger.backup()
        there = await keeper.enter(other, token)
        await cash_out(there, started)
        backs = []

        async def come_back():
            backs.append(await keeper.enter(game, token))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_back)
            await trio.sleep(0.01)
            assert game.ledger.requests, "the session was asked for"
            game.ledger.go_back(backup)
        assert game.node.lobby.rounds_live == 0
        assert backs[0].closed and backs[0].frames[-1]["code"] == "wallet_unavailable"


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
async def test_a_flight_that_has_gone_is_not_given_a_second_time(autojump_clock):
    """Its new node has begun another life, and does not know any more that it has ended."""
    async with open_game() as game:
        await trio.sleep(1.1)
        token, keeper = await game.launch(400), Keeper()
        async with open_game(beside=game, name="node-b") as other:
            await trio.sleep(1.1)
            started = await fly(await keeper.enter(game, token))
            await trio.sleep(AWAY_S)
            backup = game.ledger.backup()
            await cash_out(await keeper.enter(other, token), started)
        game.ledger.go_back(backup)
        async with open_game(beside=game, name="node-b") as other:
            await trio.sleep(1.1)
            there = await keeper.enter(other, token)
            assert there.closed and there.frames[-1]["code"] == "wallet_unavailable"
            assert (game.node.lobby.rounds_live, other.node.lobby.rounds_live) == (0, 0)


async def test_a_flight_that_comes_back_from_another_node_flies_on(autojump_clock):
    async with open_game() as game, open_game(beside=game, name="node-b") as other:
        await trio.sleep(1.1)
        token, keeper = await game.launch(400), Keeper()
        started = await fly(await keeper.enter(game, token))
        for node in (other, game, other, game):
            await trio.sleep(1)
            player = await keeper.enter(node, token)
            assert (await player.until("welcome"))["round"]["round_id"] == started["round_id"]
        assert (await cash_out(player, started))["result"] == "cashout"
        assert (game.observer.failures, other.observer.failures) == ([], [])


@pytest.mark.parametrize("rounds", [0, 1, 3])
async def test_what_was_promised_in_the_lost_history_is_not_promised_again(autojump_clock, rounds):
    async with open_game() as game:
        token, keeper = await game.launch(), Keeper()
        player = await keeper.enter(game, token)

        async def play():
            player.say("bet", amount_minor=100, auto_cashout=1.01)
            await player.until("round_ended")
            await trio.sleep(1)

        for _ in range(rounds):
            await play()
        backup = game.ledger.backup()
        for _ in range(2):
            await play()
        game.ledger.go_back(backup)
        keeper.promises.was_cut = True
        player.say("bet", amount_minor=100)
        await player.until("session_ended")
        back = await keeper.enter(game, token)
        assert (await back.until("welcome"))["next"]["nonce"] == rounds + 1
        assert keeper.promises.revealed
        assert len(game.wallet.sent(CallKind.BET)) == rounds + 2


async def test_no_two_lives_share_an_epoch_although_the_database_went_back(autojump_clock):
    async with open_game() as game:
        before = game.ledger.backup()
        async with open_game(beside=game, name="node-b") as first:
            lost = first.node.services.owner
        game.ledger.go_back(before)
        async with open_game(beside=game, name="node-b") as second:
            assert second.node.services.owner.epoch > lost.epoch


async def test_a_flight_that_was_given_to_a_node_which_died_is_ended_by_the_giver(autojump_clock):
    async with open_game() as game:
        token = await game.launch(400)
        async with open_game(beside=game, name="node-b") as other:
            await trio.sleep(1.1)
            await fly(await game.enter(token))
            await (await other.enter(token)).until("welcome")
        await trio.sleep(16)  # its lease, and a sweep
        back = await game.enter(token)
        assert (await back.until("welcome"))["history"][0]["reason"] == "interrupted"


def live(round_id, interrupted_at_ms=None):
    return SimpleNamespace(round_id=round_id, interrupted_at_ms=interrupted_at_ms)


def asked(at_ms, session_id="asked", asker=None):
    return SimpleNamespace(session_id=session_id, asked_at_ms=at_ms, asker=asker)


class Clock:
    now = 1_000

    def steady_ms(self):
        return self.now


def test_memory_lasts_as_long_as_a_flight_would():
    clock = Clock()
    memory = FlightMemory(clock)
    for number in range(5):
        memory.end("session", f"round-{number}", 2_000 + number)
    memory.go(asked(500), "given", 2_010)
    assert all(memory.contradicts(live(f"round-{number}", 1_500)) for number in range(5))
    assert memory.contradicts(live("given")) and len(memory) == 6
    assert not memory.contradicts(live("given", 1_500)), "its new owner died"
    clock.now = KEPT_MS + 2_003
    memory.end("other", "another", KEPT_MS + 9_000)
    assert memory.known_in("session") == {"round-3", "round-4"}
    clock.now = 2 * KEPT_MS + 9_001
    memory.end("last", "of-all", 2 * KEPT_MS + 9_500)
    assert memory.known_in("session") == memory.known_in("other") == memory.known_in("asked") == frozenset()
    assert not memory.contradicts(live("given")) and len(memory) == 1


@pytest.mark.logs_errors("a round that has ended is stored as live: the database has gone back")
def test_what_was_learned_while_a_round_was_read_contradicts_nothing():
    memory = FlightMemory(Clock())
    assert memory.check(live("ended"), memory.moment)
    asked = memory.moment
    memory.end("session", "ended", 2_000)
    assert not memory.check(live("ended"), asked), "it is to be read again"
    with pytest.raises(HistoryCutError):
        memory.check(live("ended"), memory.moment)


async def nobody_yet(*_arguments):
    return []


async def test_a_round_that_a_sweep_ends_while_its_player_comes_back_is_no_cut(autojump_clock, caplog):
    async with open_game() as game:
        token = await game.launch(400)
        await fly(await game.enter(token))
        await trio.sleep(2)
        died, clock = game.ledger.copy_at_death(), game.clock
    take_orphans = died.take_orphans
    died.take_orphans = nobody_yet
    async with open_game(ledger=died, clock=clock) as again:
        open_session, reads = died.open_session, []

        async def read_amid_a_sweep(*arguments):
            reads.append(arguments)
            if len(reads) != 2:
                return await open_session(*arguments)
            (orphan,) = await take_orphans(again.node.services.owner, 1, 10)
            opened = await open_session(*arguments)
            assert opened.owns_round
            await again.node.lobby.sweeper._end(orphan, 0)
            return opened

        died.open_session = read_amid_a_sweep
        welcome = await (await again.enter(token)).until("welcome")
        assert (welcome["round"], welcome["history"][0]["status"]) == (None, "refunded")
    assert "gone back" not in caplog.text


def test_a_flight_has_come_back_only_by_a_request_that_is_younger_than_its_going():
    memory = FlightMemory(Clock())
    memory.go(asked(500), "earlier", 2_000)
    memory.go(asked(700), "given", 2_000)
    memory.come_back(asked(699), "given")
    assert memory.contradicts(live("given")), "that request had brought it here before"
    memory.come_back(asked(701), "given")
    assert not memory.contradicts(live("given"))
    assert memory.contradicts(live("earlier")), "it has ended elsewhere, and did not come"
    memory.end("asked", "given", 2_000)
    memory.come_back(asked(900), "given")
    assert memory.contradicts(live("given")), "what has ended never comes back"


async def test_what_another_node_has_asked_for_has_not_come_back():
    memory, requests = FlightMemory(Clock()), [asked(700, asker="node-b")]

    async def session_requests(*_):
        return requests

    reads, settings = SimpleNamespace(session_requests=session_requests), GameSettings(bet_limits={"USD": LIMITS})
    services = SimpleNamespace(flights=memory, owner="node-a", stores=stores_of(reads), settings=settings)
    opened = SimpleNamespace(live_round=SimpleNamespace(round_id="given", session_id="asked"), owns_round=True)
    memory.go(asked(500), "given", 2_000)
    await note_return(services, opened)
    assert memory.has_gone("given")
    requests.append(asked(700, asker="node-a"))
    await note_return(services, opened)
    assert not memory.has_gone("given")
