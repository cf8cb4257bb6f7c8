"""A node's contact with the ledger, told by its heartbeats: whether it is ready, and whether it may judge others.

After an outage of the database every node's last heartbeat is old. Whoever came back first would take all others for
dead, so a node counts silence against others only once its own heartbeats have been recorded for a while again.
"""

import math
from collections.abc import Callable

import trio

from actors.kit.clock import ServerClock
from actors.ports.nodes import Pulse
from actors.rules.clock_offset import ClockOffset
from actors.shared.game_settings import GameSettings

DIFFERENCE_MS_WARNED = 250
"""Of the machine's clock and the database's: worth a warning."""
DIFFERENCE_MS_MAX = 1_000
"""Beyond it a node is not ready and takes no bets: one of the two clocks is wrong, and its signatures may be stale."""

BEATS_MISSED_MAX = 6
"""A node that could not record more beats than these is not ready for new players."""
BEATS_SILENT = 3
"""A node that missed so many is dead if its connection is gone as well. One that has only lost its connection makes a
new one for its next beat."""

_NEVER_MS = 10**12
"""A silence that no node reaches: then only a newer life of its own name makes a node dead."""


class LedgerContact:
    """Kept by the heartbeat, asked by all. Its beginning is the node's registration, a contact itself."""

    def __init__(self, settings: GameSettings, clock: ServerClock) -> None:
        self._lease_ms = settings.lease_ms
        self._clock = clock
        self._gap_s_max = BEATS_MISSED_MAX * settings.heartbeat_ms / 1000
        self.silent_ms = BEATS_SILENT * settings.heartbeat_ms
        self._newest_end_ms: int | None = None
        self._somebody_ended = trio.Event()
        self._has_company = False
        self._sent_away = False
        self._on_change: list[Callable[[], None]] = []
        self._since = self._beat_at = trio.current_time()
        self._database = ClockOffset()
        self.written_ms: int | None = None
        """The last beat whose recording was answered, by the database's clock."""
        self.history_id: str | None = None
        """The database's history in which this life was registered."""
        self.is_cut = False
        """Its history was cut: nothing new begins here until a person has run ``getaway restored``."""
        self.must_register = False
        """This life's history is over: the process is to begin another life."""

    def beat(self, pulse: Pulse, asked_at: float) -> int:
        """A heartbeat that was sent at ``asked_at`` (trio's seconds) was recorded and answered with ``pulse``.

        The house's time follows the database's: the step it took, in milliseconds.
        """
        if not self.is_recent or self._since == float("inf"):
            self._since = trio.current_time()
        self._beat_at = trio.current_time()
        self._database.learn(asked_at * 1000, pulse.database_ms, self._beat_at * 1000)
        # The estimate is by trio's clock, which the steady one is carried by.
        ahead_ms = self._database.ahead_ms + self._clock.trio_time(0) * 1000
        step_ms = self._clock.follow_house(ahead_ms, self._database.doubt_ms)
        self._tell_change()
        return step_ms

    @property
    def difference_ms(self) -> float:
        """How far the machine's clock is ahead of the database's, less what is in doubt. 0 before the first beat."""
        if not self._database.is_known:
            return 0.0
        ahead_ms = self._clock.wall_ahead_ms - self._clock.trio_time(0) * 1000 - self._database.ahead_ms
        return math.copysign(max(abs(ahead_ms) - self._database.doubt_ms, 0.0), ahead_ms)

    @property
    def is_ready(self) -> bool:
        """Whether new players should come here."""
        return self.is_recent and self.is_in_time and not self.is_cut

    @property
    def takes_bets(self) -> bool:
        """Whether a bet may begin here, as far as the ledger and the clocks are concerned."""
        return self.is_in_time and not self.is_cut and not self.has_outlived_lease

    @property
    def has_outlived_lease(self) -> bool:
        """Whether no beat was recorded for a whole lease: others may play what this life had, and its promises may be
        revealed. The database refuses its bets then, unless it has gone back meanwhile."""
        return trio.current_time() - self._beat_at >= self._lease_ms / 1000

    @property
    def is_in_time(self) -> bool:
        """Whether the machine's clock is near enough to the database's for new bets."""
        return abs(self.difference_ms) <= DIFFERENCE_MS_MAX

    @property
    def sends_away(self) -> bool:
        """Whether players belong on another node: this machine's clock is wrong, and it is not the only one."""
        return self._has_company and not self.is_in_time

    def note_company(self, *, has_company: bool) -> None:
        """Whether any other node lives."""
        self._has_company = has_company
        self._tell_change()

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` when ``sends_away`` does."""
        self._on_change.append(changed)

    def _tell_change(self) -> None:
        if self.sends_away != self._sent_away:
            self._sent_away = self.sends_away
            for changed in self._on_change:
                changed()

    def failed(self) -> None:
        """A heartbeat could not be recorded."""
        self._since = float("inf")

    @property
    def is_recent(self) -> bool:
        """Whether a beat was recorded lately: the ledger can be written."""
        return trio.current_time() - self._beat_at <= self._gap_s_max

    @property
    def lease_ms(self) -> int:
        """The silence after which another node counts as dead."""
        return self._lease_ms if self.may_judge else _NEVER_MS

    @property
    def may_judge(self) -> bool:
        """Whether the silence of another node is its own: this one's beats have been recorded for a while."""
        return self.is_recent and trio.current_time() - self._since >= self._gap_s_max

    def note_end(self, newest_end_ms: int | None) -> None:
        """The newest end of a life that the database knows of."""
        if newest_end_ms is not None and newest_end_ms > (self._newest_end_ms or 0):
            self._newest_end_ms = newest_end_ms
            self._somebody_ended.set()
            self._somebody_ended = trio.Event()

    async def somebody_ended(self) -> None:
        """Until the next life is known to be over."""
        await self._somebody_ended.wait()
