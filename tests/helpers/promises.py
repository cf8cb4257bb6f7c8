"""A player who keeps everything: what was promised, what was revealed, and whether the one was played by the other.

It remembers across sockets, nodes and restored databases, as a player does.
"""

import hashlib
from collections.abc import Callable

SEEDS = ("server_seed_hash", "client_seed", "nonce")


class Promises:
    """What one player has been shown in one session. ``broken`` is told the invariant and what broke it."""

    def __init__(self, broken: Callable[[str, str], object]) -> None:
        self.broken = broken
        self.revealed: dict[str, str] = {}
        """Seeds by their hashes."""
        self.played: dict[str, tuple] = {}
        """By round: hash, client seed and nonce, as promised when its bet was taken, or as first shown."""
        self.discarded = 0
        self.was_cut = False
        """The database has gone back: what was played since then it takes for unplayed."""

    def reveal(self, server_seed: str, server_seed_hash: str) -> None:
        if hashlib.sha256(server_seed.encode("ascii")).hexdigest() != server_seed_hash:
            self.broken("a revealed seed has the hash that was shown", f"{server_seed} and {server_seed_hash}")
        self.revealed[server_seed_hash] = server_seed

    def plays(self, round_id: str, seeds: tuple) -> None:
        promised = self.played.setdefault(round_id, seeds)
        if promised != seeds:
            self.broken("a round plays what was promised", f"{round_id}: promised {promised}, played {seeds}")


class Sheet:
    """One socket of the player's: the frames of its two ways, in order."""

    def __init__(self, promises: Promises) -> None:
        self._promises = promises
        self._binds = True
        self._next: dict | None = None
        self._bets: dict[str, str | None] = {}
        """Client seeds by the ids of the bets that nothing has answered yet."""

    def says_bet(self, frame_id: str, client_seed: str | None) -> None:
        """A bet leaves under this id."""
        self._bets[frame_id] = client_seed

    def sees(self, frame: dict, *, binds: bool = True) -> None:
        """A frame that the server sends. It binds nobody if it is of a process that was paused and has lost the session
        since: no bet and no cash-out there has any effect, and it ends with its next heartbeat."""
        self._binds = binds
        kind, promises = frame["type"], self._promises
        if kind in {"bet_pending", "round_ended"}:
            self._bet_is_taken(frame)
        if kind == "round_started" or frame.get("round"):
            # Before the history beside it, which may have been read after an end that is on its way to the player.
            self._flies(frame.get("round") or frame)
        for past in (*frame.get("history", ()), *frame.get("rounds", ()), *([frame] if kind == "round_ended" else ())):
            promises.reveal(past["server_seed"], past["server_seed_hash"])
            promises.plays(past["round_id"], tuple(past[name] for name in SEEDS))
        if "discarded" in frame:
            self._is_discarded(frame["discarded"])
        if "next" in frame:
            self._is_promised(frame["next"])

    def _bet_is_taken(self, frame: dict) -> None:
        if frame.get("id") not in self._bets or self._next is None:
            return
        chosen = self._bets.pop(frame["id"])
        promised = self._next | ({} if chosen is None else {"client_seed": chosen})
        self._promises.plays(frame["round_id"], tuple(promised[name] for name in SEEDS))

    def _flies(self, flying: dict) -> None:
        self._promises.plays(flying["round_id"], tuple(flying[name] for name in SEEDS))
        if self._binds and flying["server_seed_hash"] in self._promises.revealed:
            self._promises.broken("no flight under a seed that was revealed", str(flying))

    def _is_discarded(self, discarded: dict) -> None:
        promises = self._promises
        promises.discarded += 1
        promises.reveal(discarded["server_seed"], discarded["server_seed_hash"])
        if not promises.was_cut and any(
            seeds[0] == discarded["server_seed_hash"] for seeds in promises.played.values()
        ):
            promises.broken("what is discarded was never played", str(discarded))

    def _is_promised(self, promised: dict) -> None:
        if self._binds and promised["server_seed_hash"] in self._promises.revealed:
            self._promises.broken("no hash is promised after its seed was revealed", str(promised))
        self._next = promised
