"""A simulated world: operators, nodes on one ledger, players, and what happens to them, all from one seed."""

import hashlib
import random
import sys
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import trio

from actors.facts.records import Owner
from actors.shared.game_settings import GameSettings
from tests.helpers.game import CLIENT_SEED, LIMITS, CountingObserver, operator
from tests.worlds import final
from tests.worlds.cut_history import CutHistory
from tests.worlds.failures import is_injected
from tests.worlds.faults import Faults
from tests.worlds.invariants import Audit
from tests.worlds.mishaps import Mishaps
from tests.worlds.nodes import Life, SharedLedger
from tests.worlds.players import Browser
from tests.worlds.restoring import Person
from tests.worlds.trace import SimulationFailedError, Trace
from tests.worlds.wallets import Network, OperatorBook

PLAY_S = (60,) * 38 + (120, 300)
REST_S_MAX = 120.0
LINES_MAX = 100_000
SKEW_MS_USUAL = 900
"""Machines that a time service keeps: near enough for bets."""
SKEW_MS_MAX = 3_600_000
WRONG_SHARE = 0.15
"""Processes that begin on a machine whose clock is quite wrong. Those take no bets until it is put right."""
REST_AFTER_A_CUT_S = 40.0
PROMISES = frozenset(
    {
        "a revealed seed has the hash that was shown",
        "a round plays what was promised",
        "no flight under a seed that was revealed",
        "no hash is promised after its seed was revealed",
        "no actor fails",
        "no bet before the history is restored",
        "no orphan is ended before the history is restored",
    }
)
"""What holds also after the database has gone back."""
CALLS = frozenset({"same id, same bytes", "never win and refund", "a win belongs to a taken bet", "one id a call"})
REST = frozenset(
    {
        "a restore comes to its end",
        "a world comes to rest",
        "every stake is paid, lost, given back or named to a person",
        "a bet's end fits its round's",
        "every end owes what it should",
        "both ledgers say the same",
        "an operator's book adds up",
        "a nonce is used once",
    }
)
"""What a careful person's restore comes to."""
RESTORED_WITHIN_S = 120.0
CROWDED_SHARE = 0.12
"""Worlds in which all players are at one operator, in a hurry, and their bets wait for each other."""
HURRY_S = 0.7
LONG_SHARE = 0.005
"""Worlds in which an operator is gone for hours."""


class SimulatedEntropy:
    """Counts, so that a value depends on the order of the draws alone; server seeds look random."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def server_seed(self) -> str:
        return hashlib.sha256(self._rng.randbytes(16)).hexdigest()

    def client_seed(self) -> str:
        return CLIENT_SEED

    def identifier(self) -> UUID:
        return UUID(int=self._next(), version=4)

    def token(self) -> str:
        return f"token-{self._next()}"

    def fraction(self) -> float:
        return self._rng.random()


class World:
    """``run`` it under trio's mock clock. The first broken invariant ends it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.trace = Trace()
        self.failure: SimulationFailedError | None = None
        self.scope = trio.CancelScope()
        rng = self.draws("world")
        self.rng = rng
        self.network_rng = self.draws("network")
        self.faults = Faults(self.draws("faults"))
        self.entropy = SimulatedEntropy(self.draws("entropy"))
        self.observer = FailureObserver(self)
        self.is_long = rng.random() < LONG_SHARE
        self.play_s = rng.uniform(4_000, 8_000) if self.is_long else rng.choice(PLAY_S)
        self.settings = settings_of(rng, is_long=self.is_long)
        self.ledger = SharedLedger()
        self.books: dict[UUID, OperatorBook] = {}
        self.browsers: list[Browser] = []
        self.lives: list[Life] = []
        self.lives_begun = 0
        self.rounds_ended = 0
        self.flights_moved = 0
        self.was_cut = False
        self.judged_after_a_cut = PROMISES
        self.is_money_judged = True
        self.person = Person(self)
        self.playing = True
        self.over = False
        self._populate(rng)
        self.network = Network(self, list(self.books.values()))
        self.audit = Audit(self)

    def draws(self, purpose: str) -> random.Random:
        """Numbers of this world for one purpose."""
        return random.Random(f"{self.seed} {purpose}")

    def _populate(self, rng: random.Random) -> None:
        is_crowded = self.settings.operator_bets_max == 1
        for number in range(1, 2 if is_crowded else rng.randint(1, 3) + 1):
            record = operator(
                operator_id=UUID(int=number), name=f"casino-{number}", max_win_multiplier=rng.choice((2, 10, 20))
            )
            self.ledger.operators.append(record)
            self.books[record.operator_id] = OperatorBook(self, record)
        books = list(self.books.values())
        players = 1 if self.is_long else 4 if is_crowded else rng.choice((1, 1, 2, 2, 3))
        for number in range(players):
            self.browsers.append(Browser(self, number, books[number % len(books)]))
            if is_crowded:
                self.browsers[-1].patience_s = HURRY_S

    def broken(self, invariant: str, detail: str) -> None:
        """Note the first broken invariant and end the world."""
        if self.was_cut and invariant not in self.judged_after_a_cut:
            return
        if self.failure is None:
            self.failure = SimulationFailedError(self.seed, invariant, detail, list(self.trace.tail))
            self.scope.cancel()

    def begin(self, name: str) -> Life:
        """Start a process of a node."""
        self.lives_begun += 1
        life = Life(self, name, self.lives_begun, self.draw_skew_ms(WRONG_SHARE))
        self.lives.append(life)
        self.nursery.start_soon(life.run)
        return life

    def draw_skew_ms(self, wrong_share: float) -> int:
        """How far a machine's clock is ahead of the truth: usually a little, now and then by minutes or an hour."""
        if self.rng.random() >= wrong_share:
            return self.rng.randint(-SKEW_MS_USUAL, SKEW_MS_USUAL)
        return self.rng.choice((-1, 1)) * self.rng.choice((3_000, 15_000, 120_000, SKEW_MS_MAX))

    def cut(self, backup: dict, *, is_quiet: bool, is_told: bool) -> None:
        """The database goes back. From then on the books of the world outside are ahead of ours, and what is judged is
        what holds all the same: where a careful person restores and all nodes are told of the cut, or stopped
        (``is_told``), all the money; where nothing was live or owed in the backup (``is_quiet``), what wallets hear."""
        self.was_cut = True
        self.is_money_judged = self.person.is_careful and is_told
        is_heard = self.is_money_judged or is_quiet
        self.judged_after_a_cut = (
            PROMISES | (CALLS if is_heard else frozenset()) | (REST if self.is_money_judged else frozenset())
        )
        self.ledger.go_back(backup)
        for browser in self.browsers:
            browser.promises.was_cut = True

    def taken_from(self, owner: Owner) -> None:
        """Something of this owner has a new one: the worst moment for a paused process to go on."""
        for life in self.lives:
            if life.owner == owner and life.paused and self.rng.random() < 0.7:
                self.trace.note(f"{life.label} goes on at the worst moment")
                life.go_on()

    def living(self) -> list[Life]:
        return [life for life in self.lives if not life.dead]

    async def run(self) -> None:
        with self.scope:
            async with trio.open_nursery() as self.nursery:
                for name in ("node-a", "node-b")[: 1 if self.is_long else self.rng.choice((1, 2))]:
                    self.begin(name)
                for browser in self.browsers:
                    self.nursery.start_soon(browser.play)
                mishaps = Mishaps(self)
                self.nursery.start_soon(CutHistory(self).happen)
                await mishaps.happen()
                self.playing = False
                mishaps.stop()
                self.faults.stop()
                if self.is_money_judged:
                    if self.was_cut:
                        await self._be_restored()
                    await self._come_to_rest()
                else:
                    await trio.sleep(REST_AFTER_A_CUT_S)
                self.over = True
                if self.is_money_judged:
                    final.judge(self)
                for life in self.lives:
                    life.kill("is no longer needed")
                self.nursery.cancel_scope.cancel()
        if self.failure is not None:
            raise self.failure

    async def _be_restored(self) -> None:
        with trio.move_on_after(RESTORED_WITHIN_S):
            await self.person.is_done.wait()
            return
        self.broken("a restore comes to its end", f"not within {RESTORED_WITHIN_S:.0f} s after the last fault")
        await trio.sleep_forever()

    async def _come_to_rest(self) -> None:
        gives_up_at = trio.current_time() + REST_S_MAX
        while (unrest := final.unrest(self)) is not None or self.network.under_way:
            if self.trace.lines > LINES_MAX:
                self.broken("a world comes to rest", "it goes on and on")
            if trio.current_time() > gives_up_at:
                self.broken("a world comes to rest", f"{REST_S_MAX:.0f} s after the last fault {unrest}")
                await trio.sleep_forever()
            await trio.sleep(2)


class FailureObserver(CountingObserver):
    """No actor ever fails by itself, whatever happens around it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def actor_failed(self, actor: str) -> None:
        if not is_injected():
            failed = sys.exc_info()[1]
            self._world.broken("no actor fails", f"an actor of the kind {actor} failed: {failed!r:.200}")


def settings_of(rng: random.Random, *, is_long: bool) -> GameSettings:
    """Production's rules with longer polls: a world that waits should cost nothing."""
    is_crowded = rng.random() < CROWDED_SHARE
    usual = GameSettings(
        bet_limits={"USD": LIMITS},
        growth_rate_per_ms=rng.choice((Decimal("0.00006"), Decimal("0.0002"))),
        tick_ms=1_000,
        heartbeat_ms=3_000,
        lease_ms=24_000,
        orphan_sweep_ms=5_000,
        handover_poll_ms=400,
        handover_look_ms=100,
        courier_poll_ms=5_000,
        outbox_watch_ms=3_600_000,
        operator_refresh_ms=60_000,
        operators_age_ms_max=300_000,
        session_linger_ms=rng.choice((3_000, 30_000)),
        drain_ms_max=rng.choice((1_000, 8_000)),
        operator_bets_max=1 if is_crowded else 64,
        breaker_failures_max=1 if is_crowded else 8,
    )
    if not is_long:
        return usual
    return replace(
        usual,
        heartbeat_ms=8_000,
        lease_ms=64_000,
        courier_poll_ms=15_000,
        orphan_sweep_ms=30_000,
        retry_period_ms=rng.choice((3_600_000, 10**9)),
    )
