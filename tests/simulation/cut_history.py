"""The mishap "the database goes back": restored from a backup, or a standby promoted without the newest commits.

It happens under living nodes, which notice nothing at first, under one that is replaced meanwhile by another of its
name, or while all are down. Until somebody has run what follows a restore, the players' side is what must hold.
"""

import trio

from tests.helpers.game import NOON_MS

SHARE = 0.2
"""Worlds in which it happens."""
MOVED_SHARE = 0.7
"""Of those, the ones in which the database says so: it is on another timeline, or in another cluster. A copied disk
says nothing."""
AGE_S = (0.05, 0.5, 2.0, 5.0, 10.0, 30.0)
HOW = (
    *("under living nodes",) * 3,
    *("under a life that is replaced",) * 2,
    "with a restart",
)
PATIENCE_S = 0.5
LEFT_MS = 8_000
"""A flight that is backed up should have so much before it: it ends, is cut off, and could fly again."""
LOOK_S = 0.1
ENDS_WITHIN_S = 20.0


class CutHistory:
    """Draws whether, when and how; one a world."""

    def __init__(self, world) -> None:
        self._world = world
        self._rng = world.draws("history")
        self._happens = not world.is_long and self._rng.random() < SHARE
        self._how = self._rng.choice(HOW)
        self._age_s = self._rng.choice(AGE_S)
        self._aims = self._how == "under living nodes" and self._rng.random() < 0.7
        self._cut_at = self._rng.uniform(2 + self._age_s, max(3 + self._age_s, world.play_s * 0.7))

    async def happen(self) -> None:
        """The backup, and later what makes it the present."""
        if not self._happens:
            return
        world, rng = self._world, self._rng
        await trio.sleep_until(self._cut_at - self._age_s)
        flying = await self._flight() if self._aims else None
        for browser in world.browsers:
            # What goes wrong does so soon: who bets late finds flights that have ended by themselves.
            browser.patience_s = min(browser.patience_s, PATIENCE_S)
        backup = world.ledger.backup()
        if self._how == "under a life that is replaced":
            # Who registers now is not known after the cut.
            for life in world.living():
                life.kill("is killed after the backup")
                world.begin(life.name)
        if flying is None:
            await trio.sleep_until(self._cut_at)
        else:
            await self._end_of(flying)
        if not world.playing:
            return
        world.faults.count(f"history cut {self._how}")
        world.trace.note(f"the database goes back by {self._age_s} s {self._how}")
        lives = world.living()
        if self._how == "with a restart":
            for life in lives:
                life.kill("is stopped for the restore")
        world.cut(backup, is_quiet=_is_quiet(backup))
        world.ledger.has_moved = rng.random() < MOVED_SHARE
        if self._how == "with a restart":
            for name in sorted({life.name for life in lives} or {"node-a"}):
                world.begin(name)
        elif self._how == "under a life that is replaced" and lives:
            life = rng.choice(lives)
            life.pause()
            world.begin(life.name)
            await trio.sleep(rng.choice((0.5, 2.0, 6.0)))
            life.go_on()

    async def _flight(self):
        """A round that flies and has time left, once there is one."""
        world = self._world
        while world.playing:
            now_ms = NOON_MS + trio.current_time() * 1000
            for stored in world.ledger.rounds.values():
                live = stored.live
                if stored.finished is not None or live.started_at_ms is None:
                    continue
                if live.started_at_ms + live.plan().ends_at_ms > now_ms + LEFT_MS:
                    return live.round_id
            await trio.sleep(LOOK_S)
        return None

    async def _end_of(self, round_id) -> None:
        with trio.move_on_after(ENDS_WITHIN_S):
            while self._world.ledger.rounds[round_id].finished is None:
                await trio.sleep(LOOK_S)
        await trio.sleep(self._rng.choice((0.05, 0.5)))


def _is_quiet(backup: dict) -> bool:
    live = any(stored.finished is None for stored in backup["rounds"].values())
    return not live and not any(stored.is_owed for stored in backup["calls"].values())
