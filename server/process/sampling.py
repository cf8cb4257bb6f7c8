"""Log lines that somebody outside can cause at will: so many a second of each kind, and a count of the rest.

Whoever fills a disk, or buries one line under a million others, does it with requests that are refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 1.0
KINDS_MAX: Final = 256
"""Kinds are of closed sets, so there are never so many. Overflow: the kinds beyond it share one."""
OTHERS: Final = "others"


@dataclass(slots=True)
class _Window:
    """A second of one kind."""

    began_s: float
    admitted: int = 0
    left_out: int = 0


class Sampler:
    """Admits ``per_second`` lines of each kind. ``now_s``: seconds of a clock that never goes back."""

    def __init__(self, per_second: int, now_s: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now_s = now_s
        self._windows: dict[str, _Window] = {}

    def admit(self, kind: str) -> int | None:
        """``None``: leave this line out. Else write it, with how many of its kind were left out before it."""
        if kind not in self._windows and len(self._windows) >= KINDS_MAX:
            kind = OTHERS
        now_s = self._now_s()
        window = self._windows.setdefault(kind, _Window(now_s))
        if now_s - window.began_s >= WINDOW_S:
            window.began_s, window.admitted = now_s, 0
        if window.admitted >= self._per_second:
            window.left_out += 1
            return None
        window.admitted += 1
        left_out, window.left_out = window.left_out, 0
        return left_out

    def left_out(self) -> Iterator[tuple[str, int]]:
        """Kinds of which lines were left out and none has come for a second since: what no line would tell."""
        now_s = self._now_s()
        for kind, window in self._windows.items():
            if window.left_out and now_s - window.began_s >= WINDOW_S:
                count, window.left_out = window.left_out, 0
                yield kind, count
