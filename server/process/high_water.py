"""How far this node had got in which history of the database: a file that does not go back with it.

A node that runs notices a database that has gone back. Put back while nothing runs, as a snapshot of a volume is, it
looks like one that was stopped then. So the newest heartbeat that was answered is kept, and compared at each start.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Never
from urllib.parse import quote

import msgspec
import trio

log = logging.getLogger("getaway.server")

KEEP_S: Final = 1.0
"""How often it is written while the node runs; the last time at its end."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``beat_ms``: the newest heartbeat of life ``epoch`` that the database answered, by its clock, in this history."""

    history_id: str
    epoch: int
    beat_ms: int


class HighWater:
    """The file of one node below ``data_dir``. Where none can be kept the log says so once, and nothing is compared."""

    def __init__(self, data_dir: Path, node: str) -> None:
        self._path = data_dir / f"high-water-{quote(node, safe='')}.json"
        self._written: Mark | None = None
        self._is_in_trouble = False
        """Whether the last mark could not be written: that is told once."""

    def read(self) -> Mark | None:
        """What the life before has left; ``None`` if there is nothing, or nothing that makes sense."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the node's high-water mark can't be read", extra={"error": type(error).__name__})
            return None

    def write(self, mark: Mark | None) -> None:
        """Keep it, unless it is kept already. A machine that loses power may lose the newest: then less is noticed."""
        if mark is None or mark == self._written:
            return
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(msgspec.json.encode(mark).decode())
            draft.replace(self._path)
        except OSError as error:
            if not self._is_in_trouble:
                log.warning(
                    "no high-water mark is kept: a database put back while nothing runs is not noticed",
                    extra={"error": error.strerror},
                )
            self._is_in_trouble = True
        else:
            self._written, self._is_in_trouble = mark, False

    async def keep(self, now: Callable[[], Mark | None]) -> Never:
        """Write what ``now`` tells every ``KEEP_S``, and once more in the end."""
        try:
            while True:
                await trio.sleep(KEEP_S)
                await trio.to_thread.run_sync(self.write, now())
        finally:
            self.write(now())
