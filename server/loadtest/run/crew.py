"""The processes of players: started, told what to do, listened to, and in any case ended, by their parent."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from server.loadtest.plan.plan import WorkerPlan
from server.loadtest.report.beats import Beat
from server.loadtest.run.lines import Value, Word, line_of, lines, read

READY_S: Final = 60.0
_END_S: Final = 5.0
_WORDS_BYTES_MAX: Final = 20_000
_ERROR: Final = re.compile(r"[A-Za-z_.]+(?:Error|Exception|Closed|Interrupt)\b")


class CrewError(Exception):
    """A process of players ended when it should not have; the message tells its last words."""


class _Member:
    def __init__(self, number: int, process: trio.Process) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.number = number
        self.process = process
        self.words = b""
        self.is_done = False
        self._heard = lines(process.stdout)
        self._words_end = trio.Event()

    async def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        try:
            await self.process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # it has ended, which whoever listens is told

    async def hear(self, kind: type[Value]) -> Value:
        """What it says next. Raises ``CrewError`` when it has ended, or speaks in tongues."""
        try:
            return read(await anext(self._heard), kind)
        except StopAsyncIteration:
            with trio.move_on_after(_END_S):
                await self.process.wait()
                await self._words_end.wait()
        except (ValueError, msgspec.DecodeError):
            self.words = self.words or b"it wrote what is no beat"
        why = _last_error(self.words.decode("utf-8", "replace")) or f"exit status {self.process.returncode}"
        raise CrewError(f"process {self.number} of the players ended early: {why}")

    async def keep_words(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.words = (self.words + data)[-_WORDS_BYTES_MAX:]
        self._words_end.set()


def _last_error(words: str) -> str:
    """The line of a traceback, also of one in groups, that says what went wrong."""
    lines = [line.strip(" |+-") for line in words.splitlines()]
    told = [line for line in lines if line]
    return next((line for line in reversed(told) if _ERROR.match(line)), told[-1] if told else "")


class Crew:
    """All processes of a run."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members

    async def start(self) -> None:
        """Let all begin at the same moment, now that they are ready. Raises ``CrewError``."""
        for member in self._members:
            with trio.move_on_after(READY_S):
                await member.hear(Word)
                continue
            raise CrewError(f"process {member.number} of the players is not ready after {READY_S:.0f} s")
        await self._say(Word.START)

    async def stop(self) -> None:
        await self._say(Word.STOP)

    async def listen(self, take: Callable[[int, Beat], None]) -> None:
        """Hand every beat to ``take``, with the process's number, until all are done. Raises ``CrewError``."""
        async with trio.open_nursery() as nursery:
            for member in self._members:
                nursery.start_soon(self._listen, member, take)

    async def _listen(self, member: _Member, take: Callable[[int, Beat], None]) -> None:
        while not member.is_done:
            beat = await member.hear(Beat)
            take(member.number, beat)
            member.is_done = beat.done is not None

    async def _say(self, word: Word) -> None:
        for member in self._members:
            with trio.move_on_after(_END_S):
                await member.say(line_of(word))


@asynccontextmanager
async def crew(plans: Sequence[WorkerPlan]) -> AsyncIterator[Crew]:
    """Processes with their plans, in a session of their own so that Ctrl-C reaches only their parent."""
    members: list[_Member] = []
    async with trio.open_nursery() as nursery:
        try:
            for number, plan in enumerate(plans):
                members.append(_Member(number, await _spawn()))
                nursery.start_soon(members[-1].keep_words)
                await members[-1].say(line_of(plan))
            yield Crew(members)
        finally:
            with trio.CancelScope(shield=True):
                for member in members:
                    await _end(member)
            nursery.cancel_scope.cancel()


async def _spawn() -> trio.Process:
    return await trio.lowlevel.open_process(
        [sys.executable, "-m", "server.loadtest.run.worker"],
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


async def _end(member: _Member) -> None:
    """Close its input, which ends it; one that does not listen is killed."""
    assert member.process.stdin is not None and member.process.stdout is not None
    await member.process.stdin.aclose()
    with trio.move_on_after(_END_S if member.is_done else 1.0):
        await member.process.wait()
    if member.process.poll() is None:
        member.process.kill()
        await member.process.wait()
    await member.process.stdout.aclose()
