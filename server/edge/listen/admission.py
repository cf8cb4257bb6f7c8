"""Who gets one of a port's places, before anybody has said who he is.

A connection without a session is worth little: it gives way when the places are gone. First goes the oldest one of
the address that has most of them, so that one address with a thousand idle connections pays for itself. What has proved
to be somebody stays: a player's socket whose ``hello`` was accepted, and a connection whose last request an operator
had signed.
"""

from collections.abc import Hashable
from itertools import islice
from operator import itemgetter
from typing import Final, Protocol

import trio

GRACE_S: Final = 1.0
"""For so long a connection keeps its place before others of addresses that have as many: newcomers of one address shall
not push out each other before any of them is answered."""
LOOKED_AT_MAX: Final = 16
"""Of addresses that have equally many connections so many are looked at for the one that was idle for longest."""
KEPT_PART: Final = 10
"""One of so many places is kept: for connections without a session, signed calls among them, and for players who come
back to a session that is in memory."""


class Placed(Protocol):
    """A connection that has a place."""

    def cut(self) -> None: ...


class Admission:
    """The places of a port.

    ``places_max`` at once, of which one address may have ``of_one_max`` without a session. Beyond the first, and where
    nobody gives way, the newest is refused; beyond the second the oldest of that address is cut.
    """

    def __init__(self, places_max: int, of_one_max: int) -> None:
        assert places_max > 0 and of_one_max > 0
        self._places_max = places_max
        self._of_one_max = of_one_max
        self._kept = places_max // KEPT_PART
        self._signed_max = max(1, self._kept)
        self._groups: dict[Hashable | None, dict[Placed, float]] = {}
        """Of each address the connections that may have to give way, the one that was idle for longest first, each with
        the moment since when it is."""
        self._by_size: dict[int, dict[Hashable | None, None]] = {}
        """The addresses by how many of those each has."""
        self._largest = 0
        self._group_of: dict[Placed, Hashable | None] = {}
        self._signed: dict[Placed, None] = {}
        """Connections whose last request was signed, the longest ago first."""
        self._players: set[Placed] = set()
        self.gave_way = 0
        """Connections that were cut for others so far."""

    @property
    def taken(self) -> int:
        return len(self._group_of)

    @property
    def players(self) -> int:
        """Connections whose player's ``hello`` was accepted."""
        return len(self._players)

    @property
    def is_crowded(self) -> bool:
        """Whether only players whose session was here get in: the places that are left are kept."""
        return len(self._players) >= self._places_max - self._kept

    def admit(self, newcomer: Placed, group: Hashable | None) -> bool:
        """Give it a place, for which another one may be cut; ``False``: there is none. ``None``: an address that many
        share, such as a proxy's, is not bounded."""
        if group is not None and len(self._groups.get(group, ())) >= self._of_one_max:
            self._evict(group)
        elif len(self._group_of) >= self._places_max and not self._make_room(group):
            return False
        self._group_of[newcomer] = group
        self._join(newcomer, group)
        return True

    def _make_room(self, own: Hashable | None) -> bool:
        if not self._largest:
            return False
        others = [group for group in islice(self._by_size[self._largest], LOOKED_AT_MAX) if group != own]
        since, group = min(((self._since(group), group) for group in others or [own]), key=itemgetter(0))
        if self._largest <= len(self._groups.get(own, ())) + 1 and trio.current_time() - since < GRACE_S:
            return False
        self._evict(group)
        return True

    def _since(self, group: Hashable | None) -> float:
        return next(iter(self._groups[group].values()))

    def _evict(self, group: Hashable | None) -> None:
        victim = next(iter(self._groups[group]))
        self.leave(victim)
        self.gave_way += 1
        victim.cut()

    def heard(self, placed: Placed) -> None:
        """It has said something: among the idle ones of its address it is the youngest."""
        group = self._groups.get(self._group_of.get(placed))
        if group is not None and group.pop(placed, None) is not None:
            group[placed] = trio.current_time()

    def signed(self, placed: Placed, *, is_signed: bool) -> None:
        """Whether the request that it has sent now was signed by an operator."""
        if placed not in self._group_of or placed in self._players:
            return
        if not is_signed:
            if placed in self._signed:
                del self._signed[placed]
                self._join(placed, self._group_of[placed])
            return
        self._part(placed)
        self._signed.pop(placed, None)
        self._signed[placed] = None
        if len(self._signed) > self._signed_max:
            oldest = next(iter(self._signed))
            del self._signed[oldest]
            self._join(oldest, self._group_of[oldest])

    def move(self, placed: Placed, group: Hashable) -> None:
        """It belongs to another address: a trusted proxy has said whose it is."""
        if placed not in self._group_of or self._group_of[placed] == group:
            return
        may_give_way = placed in self._groups.get(self._group_of[placed], ())
        self._part(placed)
        self._group_of[placed] = group
        if may_give_way:
            self._join(placed, group)
            if len(self._groups[group]) > self._of_one_max:
                self._evict(group)

    def entered(self, placed: Placed) -> None:
        """Its player's ``hello`` was accepted: it gives way no more."""
        if placed in self._group_of:
            self._part(placed)
            self._signed.pop(placed, None)
            self._players.add(placed)

    def leave(self, placed: Placed) -> None:
        """It is gone. Twice is harmless."""
        if placed in self._group_of:
            self._part(placed)
            self._signed.pop(placed, None)
            self._players.discard(placed)
            del self._group_of[placed]

    def _join(self, placed: Placed, group: Hashable | None) -> None:
        members = self._groups.get(group)
        if members is None:
            members = self._groups[group] = {}
        if placed not in members:
            members[placed] = trio.current_time()
            self._resize(group, len(members) - 1, len(members))

    def _part(self, placed: Placed) -> None:
        group = self._group_of[placed]
        members = self._groups.get(group)
        if members is not None and members.pop(placed, None) is not None:
            self._resize(group, len(members) + 1, len(members))
            if not members:
                del self._groups[group]

    def _resize(self, group: Hashable | None, before: int, after: int) -> None:
        if before:
            same = self._by_size[before]
            del same[group]
            if not same:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[group] = None
            self._largest = max(self._largest, after)
        while self._largest and self._largest not in self._by_size:
            self._largest -= 1
