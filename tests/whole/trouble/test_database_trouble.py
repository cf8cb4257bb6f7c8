"""PostgreSQL stops, is killed, or takes no more connections: nothing is decided that is not stored, and it goes on.

``OUTAGE_S=60 pytest tests/whole/trouble`` keeps the database away for longer than usual.
"""

import os
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import trio

from tests.chaos.cluster import killable_cluster
from tests.whole import player
from tests.whole.house import audit_house, open_house
from tests.whole.player import Player, connected

OUTAGE_S = float(os.environ.get("OUTAGE_S", "5"))
RESUMED_S_MAX = 20
FLYERS = 6
RATE_PER_MS = "0.0003"
AUTO_CASHOUT = 3
"""Reached after 3.7 s: within the outage."""
AWAY_HUNDREDTHS = 200
"""Shown while the database is away; then some cash out by hand."""
ROLE = "getaway_server"
NOT_STORED = "The bet could not be stored. Nothing was staked."


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Players wait for as long as the outage takes."""
    monkeypatch.setattr(player, "FRAME_S_MAX", OUTAGE_S + 30)


@pytest.fixture(scope="module")
def cluster():
    with killable_cluster() as cluster:
        cluster.make_template()
        yield cluster


def status(house, path):
    try:
        with urllib.request.urlopen(f"{house.url}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


async def until_status(house, path, wanted):
    with trio.fail_after(RESUMED_S_MAX):
        while await trio.to_thread.run_sync(status, house, path) != wanted:
            await trio.sleep(0.1)


async def refused_bet(player):
    """The words for a bet during an outage."""
    error = await player.ask("bet", "error", amount_minor=1_000)
    assert error["code"] == "wallet_unavailable"
    return error["message"]


async def until_sent_away(player):
    """Who bet in vain is told to come back once it is known that nothing was stored, and nothing else."""
    ended = await player.until("session_ended")
    assert ended["reason"] == "shutdown"
    assert await player.closed() == []


async def is_let_in(house, session):
    """A life that is over sends everybody away while it stores its last ends; the next one lets them in."""
    async with connected(house.url) as socket:
        visitor = Player(socket, session, house.rate_per_ms)
        await visitor.send("hello", session=session.token)
        return (await visitor.receive())["type"] == "welcome"


async def bet_until_it_starts(house, session):
    """Service resumes by itself: who says hello again, as the page does, is soon taken."""
    with trio.fail_after(RESUMED_S_MAX):
        while True:
            if not await is_let_in(house, session):
                await trio.sleep(0.1)
                continue
            async with house.playing(session) as player:
                frame = await player.bet(1_000, auto_cashout=1.01)
                if frame["type"] == "round_started":
                    return await player.until("round_ended")
                assert frame["type"] == "error" and frame["code"] == "wallet_unavailable", frame
                if frame["message"] == NOT_STORED:
                    await until_sent_away(player)
            await trio.sleep(0.2)


class Outage:
    """Players who fly, one who would bet, and the database between them."""

    def __init__(self, house):
        self.house = house
        self.ends = []
        self.flying = 0
        self.away = trio.Event()
        self.is_going = self.is_away = False

    async def fly(self, number):
        """A flight that ends while the database is away, one in two by a cash-out by hand."""
        by_hand = number % 2 == 1
        async with self.house.playing(self.house.operator.session()) as player:
            while not self.is_going:
                started = await player.bet(1_000, **({} if by_hand else {"auto_cashout": AUTO_CASHOUT}))
                assert started["type"] == "round_started"
                self.flying += 1
                await self._until_away_or_ended(player)
                self.flying -= player.round is None
            if by_hand and await player.wait_for_multiplier(AWAY_HUNDREDTHS):
                await player.send("cashout", round_id=started["round_id"])
            while player.round is not None:
                await player.until("round_ended", "error")
            assert not self.is_away, "shown before it was stored"
            self.ends.append(next(frame for frame in reversed(player.seen) if frame["type"] == "round_ended"))

    async def _until_away_or_ended(self, player):
        async with trio.open_nursery() as nursery:

            async def until_away():
                await self.away.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_away)
            await player.until("round_ended")
            nursery.cancel_scope.cancel()

    async def run(self, go_away, come_back):
        house = self.house
        async with house.playing(house.operator.session()) as waiting, trio.open_nursery() as nursery:
            for number in range(FLYERS):
                nursery.start_soon(self.fly, number)
            while self.flying < FLYERS:
                await trio.sleep(0.01)
            self.is_going = True
            await trio.to_thread.run_sync(go_away)
            self.away.set()
            await trio.sleep(1)  # what was stored before may still be on its way to its player
            self.is_away, ended_before = True, len(self.ends)
            await trio.sleep(OUTAGE_S)
            assert await refused_bet(waiting) == NOT_STORED
            await until_status(house, "/readyz", 503)
            assert await trio.to_thread.run_sync(status, house, "/livez") == 200
            assert len(self.ends) == ended_before < FLYERS
            self.is_away = False
            await trio.to_thread.run_sync(come_back)
            await until_sent_away(waiting)
            assert (await bet_until_it_starts(house, waiting.session))["status"] == "settled"
            await until_status(house, "/readyz", 200)
        # Their server lived: none of them was interrupted. What each was paid is the audit's business.
        assert [ended["status"] for ended in self.ends] == ["settled"] * FLYERS


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_flights_keep_their_rules_while_the_database_is_away(cluster, tmp_path, end):
    with open_house(cluster, tmp_path, rate_per_ms=RATE_PER_MS, GETAWAY_DATABASE_COMMAND_TIMEOUT_MS="2000") as house:
        try:
            await Outage(house).run(getattr(cluster, end), cluster.start)
        finally:
            await trio.to_thread.run_sync(cluster.start)
        house.forgets_attempts = True
        audit_house(house)


class OfRole:
    """Databases of a role that, unlike a superuser, can be kept out."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.execute(f"CREATE ROLE {ROLE} LOGIN")

    @contextmanager
    def database(self):
        with self.cluster.database(template="template1") as url:
            name = url.rsplit("/", 1)[1].partition("?")[0]
            self.cluster.execute(f"ALTER DATABASE {name} OWNER TO {ROLE}")
            yield url.replace("//postgres@", f"//{ROLE}@")

    def keep_out(self):
        self.cluster.execute(
            f"ALTER ROLE {ROLE} CONNECTION LIMIT 0",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'",
        )

    def let_in(self):
        self.cluster.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


async def test_flights_keep_their_rules_while_the_database_takes_no_connections(cluster, tmp_path):
    role = OfRole(cluster)
    with open_house(role, tmp_path, rate_per_ms=RATE_PER_MS, GETAWAY_DATABASE_COMMAND_TIMEOUT_MS="2000") as house:
        await Outage(house).run(role.keep_out, role.let_in)
        house.forgets_attempts = True
        audit_house(house)
