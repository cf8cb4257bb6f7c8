"""A node's contact with the ledger, told by its heartbeats: whether it is ready, and whether it may judge others.

After an outage of the database every node's last heartbeat is old. Whoever came back first would take all others for
dead, so a node counts silence against others only once its own heartbeats have been recorded for a while again.
"""

import trio

from actors.settings import GameSettings

BEATS_MISSED_MAX = 3
"""A node that could not record more beats than these is not ready for new players."""

_NEVER_MS = 10**12
"""A silence that no node reaches: then only a newer life of its own name makes a node dead."""


class LedgerContact:
    """Kept by the heartbeat, asked by all. Its beginning is the node's registration, a contact itself."""

    def __init__(self, settings: GameSettings) -> None:
        self._lease_ms = settings.lease_ms
        self._gap_s_max = BEATS_MISSED_MAX * settings.heartbeat_ms / 1000
        self._since = self._beat_at = trio.current_time()

    def beat(self) -> None:
        """A heartbeat was recorded."""
        if not self.is_recent or self._since == float("inf"):
            self._since = trio.current_time()
        self._beat_at = trio.current_time()

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
        is_steady = self.is_recent and trio.current_time() - self._since >= self._gap_s_max
        return self._lease_ms if is_steady else _NEVER_MS
