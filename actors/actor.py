"""The actor: one task, one bounded mailbox, answers under a deadline.

``tell`` never waits. ``ask`` waits for the answer under a deadline; the caller's cancellation abandons the answer,
never the operation. When an actor ends, everybody who still waits for its answer gets ``ActorStoppedError`` at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from actors.errors import ActorStoppedError, MailboxFullError

Message = TypeVar("Message")
Value = TypeVar("Value")


class Reply(Generic[Value]):
    """A slot for one answer. Whoever answers never waits and need not know whether anybody still listens."""

    __slots__ = ("_error", "_event", "_values")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._values: list[Value] = []
        self._error: Exception | None = None

    def answer(self, value: Value) -> None:
        """Give the answer; later answers are ignored."""
        if not self._event.is_set():
            self._values.append(value)
            self._event.set()

    def fail(self, error: Exception) -> None:
        """Let the waiter raise ``error``; ignored after an answer."""
        if not self._event.is_set():
            self._error = error
            self._event.set()

    async def wait(self) -> Value:
        """The answer, or the error that took its place."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._values[0]


class Actor(ABC, Generic[Message]):
    """A task with a bounded mailbox. Subclasses write ``run``; a supervisor calls ``live``."""

    def __init__(self, name: str, mailbox_max: int) -> None:
        self.name = name
        self.mailbox_max = mailbox_max
        self._inbox, self._outbox = trio.open_memory_channel[Message](mailbox_max)
        self._open_replies: set[Reply[Any]] = set()
        self.stopped = trio.Event()

    @abstractmethod
    async def run(self) -> None:
        """The actor's life. Returning ends it normally."""

    async def live(self) -> None:
        """Run to the end, whatever it is, and release everybody who waits for an answer."""
        try:
            await self.run()
        finally:
            self.stopped.set()
            self._inbox.close()
            self._outbox.close()
            self.release_waiters()

    def release_waiters(self) -> None:
        """Tell everybody who waits for an answer that none will come."""
        for reply in list(self._open_replies):
            reply.fail(ActorStoppedError(self.name))

    @property
    def queued(self) -> int:
        """How many messages wait in the mailbox."""
        return self._outbox.statistics().current_buffer_used if not self.stopped.is_set() else 0

    def tell(self, message: Message) -> None:
        """Queue a message without waiting. Raises ``MailboxFullError`` or ``ActorStoppedError``."""
        try:
            self._inbox.send_nowait(message)
        except trio.WouldBlock:
            raise MailboxFullError(self.name) from None
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise ActorStoppedError(self.name) from None

    async def ask(self, message: Callable[[Reply[Value]], Message], timeout_ms: int) -> Value:
        """Queue ``message(reply)`` and wait for the answer.

        Raises ``MailboxFullError``, ``ActorStoppedError``, ``trio.TooSlowError`` after ``timeout_ms``, or the
        error that the actor answered with.
        """
        reply: Reply[Value] = Reply()
        self.tell(message(reply))
        self._open_replies.add(reply)
        try:
            with trio.fail_after(timeout_ms / 1000):
                return await reply.wait()
        finally:
            self._open_replies.discard(reply)

    async def receive(self) -> Message:
        """The next message."""
        return await self._outbox.receive()

    def receive_nowait(self) -> Message | None:
        """The next message if one is queued."""
        try:
            return self._outbox.receive_nowait()
        except trio.WouldBlock:
            return None
