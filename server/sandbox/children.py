"""Child processes of the demo: started in a session of their own, so that Ctrl-C reaches only their parent."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

# A longer line is passed on in pieces.
_LINE_BYTES_MAX: Final = 8_192


class Child:
    """A running child process. ``name`` is how it is called in front of people."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], environ: Mapping[str, str], log_path: Path | None = None
    ) -> "Child":
        """Start it; what it prints is appended to ``log_path``, or without one is read by ``forward``."""
        log = log_path.open("ab") if log_path is not None else None
        try:
            process = await trio.lowlevel.open_process(
                list(command),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log if log is not None else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()
        return cls(name, process)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    async def wait(self) -> int:
        """Its exit status, once it has ended; minus the signal's number if a signal ended it."""
        return await self._process.wait()

    async def forward(self, say: Callable[[str], None]) -> None:
        """Pass its lines on until it closes its output."""
        assert self._process.stdout is not None, "it writes to a file"
        pending = b""
        async for data in self._process.stdout:
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                say(line.decode("utf-8", "replace").rstrip())
            if len(pending) > _LINE_BYTES_MAX:
                say(pending.decode("utf-8", "replace"))
                pending = b""
        if pending:
            say(pending.decode("utf-8", "replace"))

    async def stop(self, grace_s: float) -> bool:
        """Ask it to end and wait; after ``grace_s``, or when cancelled, end it. Whether it ended by itself."""
        if not self.is_running:
            return True
        self._process.terminate()
        try:
            with trio.move_on_after(grace_s):
                await self._process.wait()
                return True
        finally:
            if self.is_running:
                self._process.kill()
                with trio.CancelScope(shield=True):
                    await self._process.wait()
        return False


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log file, for a person who asks why."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 65_536))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []
