"""What happened in a simulated world, in order: hashed as a whole, its tail kept for whoever reads a failure."""

import hashlib
from collections import deque

import trio

TAIL_LINES_MAX = 80


class Trace:
    """Every crossing of a port, wallet call, frame and fault, each with its simulated time."""

    def __init__(self) -> None:
        self.lines = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES_MAX)
        self._digest = hashlib.blake2b(digest_size=16)

    def note(self, text: str) -> None:
        """Something that a reader wants to see."""
        self.tail.append(self.mark(text))

    def mark(self, text: str) -> str:
        """Something that happens all the time: it counts for the hash alone."""
        line = f"{trio.current_time():12.4f}  {text}"
        self.lines += 1
        self._digest.update(line.encode())
        return line

    @property
    def digest(self) -> str:
        """The same for two runs exactly if all their lines are."""
        return self._digest.hexdigest()


class SimulationFailedError(AssertionError):
    """An invariant was broken: says which, under which seed, what came before it, and how to see it again."""

    def __init__(self, seed: int, invariant: str, detail: str, tail: list[str]) -> None:
        self.seed = seed
        self.invariant = invariant
        self.detail = detail
        self.tail = tail
        lines = [
            f"seed {seed}: {invariant}: {detail}",
            *tail,
            f"seed {seed}: {invariant}: {detail}",
            f"replay: make simulate SEEDS=1 FIRST={seed}",
        ]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple:
        """It crosses from one process to another whole."""
        return SimulationFailedError, (self.seed, self.invariant, self.detail, self.tail)
