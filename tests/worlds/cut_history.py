"""The mishap "the database goes back": restored from a backup, or a standby promoted without the newest commits.

It happens under living nodes, which notice nothing at first, under one that is replaced meanwhile by another of its
name, or while all are down. Until somebody has run what follows a restore, the players' side is what must hold.
"""

import trio

from tests.helpers.game import NOON_MS

SHARE = 0.2
"""Worlds in which it happens."""
MOVED_SHARE = 0.75
"""Of those, the ones in which the database says so: it is on another timeline, or in another cluster. A copied disk
says nothing."""
AGE_S = (0.05, 0.5, 2.0, 5.0, 10.0, 30.0)
HOW = (
    *("under living nodes",) * 5,
    *("under a life that is replaced",) * 2,
    *("with a restart",) * 2,
)
AIMED_SHARE = 0.8
"""Of those again, the ones whose backup has a flight that has ended when the database goes back."""
PATIENCE_S = 0.5
LEFT_MS = 500
AGAIN_MS = 3_000
"""A flight that is backed up should have so much before it: it ends, and one with much could fly again."""
FLIGHT_WITHIN_S = 30.0
LOOK_S = 0.1
ENDS_WITHIN_S = 20.0
OUTLASTS_LEASE_SHARE = 0.35
"""Where so much is lost that all nodes look dead to each other, before they know."""
LATE_BEATS_SHARE = 0.5
HOPS_SHARE = 0.5
"""Where all players go to another node at once, which opens what is stored."""
LATE_BEATS_S = (2.0, 5.5, 5.5)
"""For so long no heartbeat gets through to tell of the cut, while everything else does."""


class CutHistory:
    """Draws whether, when and how; one a world."""

    def __init__(self, world) -> None:
        self._world = world
        self._rng = world.draws("history")
        self._happens = not world.is_long and self._rng.random() < SHARE
        self._how = self._rng.choice(HOW)
        self._age_s = self._rng.choice(AGE_S)
        self._aims = self._rng.random() < AIMED_SHARE
        self._outlasts_lease = self._aims and self._rng.random() < OUTLASTS_LEASE_SHARE
        self._left_ms = LEFT_MS if self._outlasts_lease else AGAIN_MS
        self._wants_win = self._rng.random() < 0.7
        self._cut_at = self._rng.uniform(
            2 + self._age_s, max(3 + self._age_s, world.play_s * (0.2 if self._aims else 0.7))
        )

    async def happen(self) -> None:
        """The backup, and later what makes it the present."""
        if not self._happens:
            return
        world, rng = self._world, self._rng
        await trio.sleep_until(self._cut_at - self._age_s)
        if self._aims and self._how == "under living nodes" and len(world.living()) == 1:
            # What one node has told another would do again.
            world.begin("node-b")
        flying = await self._flight() if self._aims else None
        for browser in world.browsers:
            # What goes wrong does so soon: who bets late finds flights that have ended by themselves.
            browser.patience_s = min(browser.patience_s, PATIENCE_S)
        backup, backup_at = world.ledger.backup(), trio.current_time()
        if self._how == "under a life that is replaced":
            # Who registers now is not known after the cut.
            for life in world.living():
                life.kill("is killed after the backup")
                world.begin(life.name)
        if flying is None:
            await trio.sleep(self._age_s)
        else:
            if self._wants_win:
                await trio.sleep(rng.uniform(0.1, LEFT_MS / 1000))
                self._cash_out(flying)
            await self._end_of(flying.round_id)
        if self._outlasts_lease:
            await trio.sleep_until(backup_at + world.settings.lease_ms / 1000 + 0.5)
        if not world.playing:
            return
        world.faults.count(f"history cut {self._how}")
        age_s = trio.current_time() - backup_at
        world.trace.note(f"the database goes back by {age_s:.2f} s {self._how}")
        lives = world.living()
        if self._how == "with a restart":
            for life in lives:
                life.kill("is stopped for the restore")
            world.person.stops_nodes()
        has_moved = rng.random() < MOVED_SHARE
        is_told = has_moved or self._how != "under living nodes"
        world.cut(backup, is_quiet=_is_quiet(backup), is_told=is_told)
        world.ledger.has_moved = has_moved
        if self._aims or rng.random() < LATE_BEATS_SHARE:
            world.faults.hold_beats(trio.current_time() + rng.choice(LATE_BEATS_S))
        world.nursery.start_soon(world.person.see_to_it, backup_at)
        if rng.random() < HOPS_SHARE:
            for browser in world.browsers:
                browser.hops_next = True
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
        """A round that flies and has time left, once there is one; ``None`` if there is none for long."""
        world, gives_up_at = self._world, trio.current_time() + FLIGHT_WITHIN_S
        while world.playing and trio.current_time() < gives_up_at:
            now_ms = NOON_MS + trio.current_time() * 1000
            for stored in world.ledger.rounds.values():
                live = stored.live
                if stored.finished is not None or live.started_at_ms is None:
                    continue
                if live.started_at_ms + live.plan().ends_at_ms > now_ms + self._left_ms:
                    return live
            await trio.sleep(LOOK_S)
        return None

    def _cash_out(self, flying) -> None:
        """What is paid is in an operator's list. The list tells nothing of flights that crashed."""
        for life in self._world.living():
            for connection in list(life.connections):
                if connection.browser.session_id == flying.session_id:
                    connection.say("cashout", round_id=str(flying.round_id))

    async def _end_of(self, round_id) -> None:
        with trio.move_on_after(ENDS_WITHIN_S):
            while self._world.ledger.rounds[round_id].finished is None:
                await trio.sleep(LOOK_S)
        await trio.sleep(self._rng.choice((0.05, 0.5)))


def _is_quiet(backup: dict) -> bool:
    live = any(stored.finished is None for stored in backup["rounds"].values())
    return not live and not any(stored.is_in_outbox for stored in backup["calls"].values())
