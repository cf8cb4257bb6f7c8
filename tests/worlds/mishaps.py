"""What happens to a world while it is played: crashes, pauses, takeovers, outages, dropped sockets."""

import trio

PAUSE_S_MAX = 34.0
"""Longer than anybody waits for an answer of the ledger: what was asked for before it happens after all."""
MISHAPS = (
    "kill",
    "kill at a step",
    "kill at a crossing",
    "pause",
    "pause and replace",
    "pause at a commit",
    "pause at a commit and replace",
    "pause at a commit and replace",
    "pause at a commit and replace",
    "kill and pause the heirs",
    "pause at a move and replace",
    "pause at a move and replace",
    "pause at a move, and its player comes back",
    "pause at a move, and its player comes back",
    "pause at a move, and the asker dies",
    "pause at a move, and the asker dies",
    "pause at a send",
    "pause at a bet's commit and replace",
    "pause at a bet's commit and replace",
    "no commits, then a kill",
    "drain",
    "ledger away",
    "ledger away from one node",
    "operator away",
    "drop sockets",
    "clock steps",
    "clock steps",
    "a row is damaged",
    "a row is locked",
    "a row is locked",
    "an actor fails",
    "an actor fails",
    "an actor fails while it waits",
)
"""Some are listed more than once: what needs more luck to hurt is tried more often."""
COMMITS = ("PlaceBet", "PlaceBet", "StartRound", "void", "void", "settled")


class StepKiller(trio.abc.Instrument):
    """Kills a life between two steps of the scheduler, the n-th from now."""

    def __init__(self, life, steps: int) -> None:
        self._life = life
        self._steps = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps -= 1
        if self._steps <= 0:
            trio.lowlevel.remove_instrument(self)
            if not self._life.dead and self._life.world.playing:
                self._life.world.faults.count("crash at a step")
                self._life.kill("is killed at a step")


class Mishaps:
    """Draws what happens and when, lets it happen, and puts everything right in ``stop``."""

    def __init__(self, world) -> None:
        self._world = world
        self._rng = world.draws("mishaps")
        kinds = self._rng.sample(MISHAPS, self._rng.randint(1, len(MISHAPS)))
        count = self._rng.randint(0, 8)
        self._plan = sorted((self._rng.uniform(1, world.play_s), self._rng.choice(kinds)) for _ in range(count))
        if world.is_long:
            self._plan = [(self._rng.uniform(1, 60), "operator away for hours")]

    async def happen(self) -> None:
        """Until the playing time is over."""
        for at_s, kind in self._plan:
            await trio.sleep_until(at_s)
            self._world.trace.note(f"mishap: {kind}")
            await self._do(kind)
        await trio.sleep_until(self._world.play_s)

    def stop(self) -> None:
        """All operators and the ledger answer, what was paused goes on, a node lives."""
        world = self._world
        world.trace.note("the faults stop")
        for book in world.books.values():
            book.down_until = 0.0
        for life in world.lives:
            life.crash_after_crossings = life.pauses_at = None
            life.skew_ms = 0
            life.failures.forget()
            life.go_on()
        world.ledger.locked.clear()
        if not world.living():
            world.begin("node-a")

    async def _do(self, kind: str) -> None:
        world, rng, faults = self._world, self._rng, self._world.faults
        now = trio.current_time()
        match kind:
            case "ledger away" | "ledger away from one node":
                node = None if kind == "ledger away" else rng.choice(("node-a", "node-b"))
                faults.take_ledger_away(node, now + rng.choice((0.5, 3, 8, 15)))
            case "operator away" | "operator away for hours":
                book = rng.choice(list(world.books.values()))
                book.down_until = now + (rng.uniform(3_600, 7_000) if kind.endswith("hours") else rng.uniform(1, 60))
                faults.count(kind)
            case "a row is damaged":
                self._damage()
            case "a row is locked":
                session_id = rng.choice(list(world.ledger.sessions))
                faults.count(kind)
                world.ledger.locked.add(session_id)
                world.nursery.start_soon(self._unlock_after, session_id, rng.choice((0.1, 2.0, 7.0, 20.0)))
            case "drop sockets":
                for life in world.living():
                    for connection in list(life.connections):
                        faults.count("socket dropped")
                        connection.cut()
            case _:
                lives = world.living()
                if lives:
                    self._to_a_life(kind, rng.choice(lives))

    def _damage(self) -> None:
        """A round, a call that is owed or a session does not open any more. All others go on."""
        ledger = self._world.ledger
        rows = {
            "round": [key for key, stored in ledger.rounds.items() if stored.finished is None] or list(ledger.rounds),
            "call": [key for key, stored in ledger.calls.items() if stored.is_in_outbox],
            "session": list(ledger.sessions),
        }
        kind = self._rng.choice([kind for kind, keys in rows.items() if keys] or ["none"])
        if kind != "none":
            key = self._rng.choice(rows[kind])
            self._world.trace.note(f"{kind} {key} is damaged")
            self._world.faults.count(f"damaged {kind}")
            ledger.damaged.add(key)

    def _to_a_life(self, kind: str, life) -> None:
        world, rng = self._world, self._rng
        again_s = rng.choice((0.1, 2.0, 12.0))
        match kind:
            case "kill":
                world.faults.count("crash")
                life.kill("is killed")
                world.nursery.start_soon(self._begin_again, life.name, again_s)
            case "kill at a step":
                trio.lowlevel.add_instrument(StepKiller(life, rng.randint(1, 400)))
                world.nursery.start_soon(self._begin_after, life, again_s)
            case "kill at a crossing":
                life.crash_after_crossings = rng.randint(1, 30)
                world.nursery.start_soon(self._begin_after, life, again_s)
            case "pause" | "pause and replace":
                world.faults.count(kind)
                life.pause()
                world.nursery.start_soon(self._go_on, life, rng.choice((1.0, 6.0, 14.0, PAUSE_S_MAX)))
                if kind == "pause and replace":
                    world.nursery.start_soon(self._begin_again, life.name, rng.uniform(0.1, 5))
            case "pause at a commit" | "pause at a commit and replace":
                life.pauses_at = rng.choice(COMMITS)
                world.nursery.start_soon(self._go_on_after_pause, life, kind.endswith("replace"))
            case "pause at a bet's commit and replace":
                life.pauses_at = "PlaceBet"
                world.nursery.start_soon(self._go_on_after_pause, life, True)
            case "pause at a send":
                life.pauses_at = "send"
                world.nursery.start_soon(self._go_on_after_pause, life, rng.random() < 0.5)
            case "kill and pause the heirs":
                world.faults.count("crash")
                life.kill("is killed")
                for heir in (world.begin(life.name), *world.living()):
                    heir.pauses_at = "refunded"
                    world.nursery.start_soon(self._go_on_after_pause, heir, True)
            case "pause at a move and replace":
                for giver in world.living():
                    giver.pauses_at = "move_session"
                    world.nursery.start_soon(self._go_on_after_pause, giver, True)
            case "pause at a move, and its player comes back" | "pause at a move, and the asker dies":
                asker_dies = kind.endswith("dies")
                for giver in world.living():
                    giver.pauses_at = "move_session"
                    world.nursery.start_soon(self._after_pause_at_a_move, giver, asker_dies)
                for browser in world.browsers:
                    browser.hops_next = True
            case "no commits, then a kill":
                away_s = rng.uniform(3, 9)
                world.faults.count("commits unavailable")
                world.faults.commits_down_until = trio.current_time() + away_s
                world.nursery.start_soon(self._kill_after, life, away_s - 0.1)
            case "clock steps":
                world.faults.count(kind)
                life.skew_ms = world.draw_skew_ms(0.5)
                world.trace.note(f"{life.label}: its machine's clock is {life.skew_ms} ms ahead now")
            case "an actor fails":
                life.failures.plan(rng)
            case "an actor fails while it waits":
                life.failures.strike_one_who_waits(rng)
            case "drain":
                world.faults.count("drained")
                world.nursery.start_soon(life.drain)
                world.nursery.start_soon(self._begin_after, life, again_s)

    async def _unlock_after(self, session_id, after_s: float) -> None:
        await trio.sleep(after_s)
        self._world.ledger.locked.discard(session_id)

    async def _go_on(self, life, after_s: float) -> None:
        await trio.sleep(after_s)
        self._world.trace.note(f"{life.label} goes on")
        life.go_on()

    async def _go_on_after_pause(self, life, replaces: bool) -> None:
        await life.has_paused.wait()
        if replaces:
            self._world.nursery.start_soon(self._begin_again, life.name, self._rng.uniform(0.1, 3))
        await self._go_on(life, self._rng.choice((9.0, 18.0, PAUSE_S_MAX)))

    async def _after_pause_at_a_move(self, giver, asker_dies: bool) -> None:
        """The giver is stuck with its answer: its asker dies, or its own next life is given the session by nobody."""
        world, rng = self._world, self._rng
        await giver.has_paused.wait()
        if not world.playing:
            return
        if asker_dies:
            for asker in world.living():
                if asker is not giver:
                    world.faults.count("crash")
                    asker.kill("is killed while it is given something")
                    world.nursery.start_soon(self._begin_again, asker.name, 0.1)
            await self._go_on(giver, rng.choice((0.5, 1.0, 3.0)))
            return
        for browser in world.browsers:
            browser.aims_at = giver.name
        for life in world.living():
            for connection in list(life.connections):
                connection.cut()
        await self._begin_again(giver.name, 0.1)
        await self._go_on(giver, rng.choice((9.0, 18.0, PAUSE_S_MAX)))
        for browser in world.browsers:
            browser.aims_at = None

    async def _kill_after(self, life, after_s: float) -> None:
        await trio.sleep(after_s)
        if self._world.playing and not life.dead:
            self._world.faults.count("crash")
            life.kill("is killed")
            await self._begin_again(life.name, 0.1)

    async def _begin_again(self, name: str, after_s: float) -> None:
        await trio.sleep(after_s)
        self._world.begin(name)

    async def _begin_after(self, life, after_s: float) -> None:
        """Start the node again when this life of it has ended, if it does."""
        await life.ended.wait()
        await self._begin_again(life.name, after_s)
