"""The actor: one task, one bounded mailbox, answers under a deadline.

Its mailbox is the only way into an actor. ``tell`` never waits. ``ask`` waits for the answer under a deadline; the
caller's cancellation abandons the answer, never the operation. When an actor ends, everybody who still waits for its
answer gets ``ActorStoppedError`` at once. All else that an actor shows is a property, true as of now, for whoever owns
it to read: nobody calls it to do something, or writes to it (``tests/tidy/test_ways_in.py``).

What has a task and no mailbox, such as the heartbeat or the timers, is no actor, but a ``supervisor.Task``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from uuid import UUID

import trio

from actors.kit.errors import ActorStoppedError, MailboxFullError

Message = TypeVar("Message")
Value = TypeVar("Value")


class Reply(Generic[Value]):
    """A slot for one answer, for which one task waits. Whoever answers never waits and need not know whether anybody
    still listens."""

    __slots__ = ("_error", "_values", "_waiter")

    def __init__(self) -> None:
        self._values: list[Value] = []
        self._error: Exception | None = None
        self._waiter: trio.lowlevel.Task | None = None

    def answer(self, value: Value) -> None:
        """Give the answer; later answers are ignored."""
        if self._is_open():
            self._values.append(value)
            self._wake()

    def fail(self, error: Exception) -> None:
        """Let the waiter raise ``error``; ignored after an answer."""
        if self._is_open():
            self._error = error
            self._wake()

    async def wait(self) -> Value:
        """The answer, or the error that took its place."""
        if self._is_open():
            assert self._waiter is None, "an answer has one reader"
            self._waiter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _is_open(self) -> bool:
        return not self._values and self._error is None

    def _wake(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            trio.lowlevel.reschedule(waiter)

    def _stop_waiting(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED


class Actor(ABC, Generic[Message]):
    """A task with a bounded mailbox. Subclasses write ``run``; a supervisor calls ``live``."""

    # Of a subclass's attributes thousands of instances share the names, but only up to thirty of them.
    __slots__ = ("_mail", "_open_replies", "_reader", "_subject", "is_stopped", "kind", "mailbox_max")

    def __init__(self, kind: str, mailbox_max: int, subject: UUID | None = None) -> None:
        self.kind = kind
        self._subject = subject
        """Of whom or what there is one of its kind."""
        self.mailbox_max = mailbox_max
        self.is_stopped = False
        # A list: short, and an empty one is a tenth of a deque or a memory channel.
        self._mail: list[Message] = []
        self._reader: trio.lowlevel.Task | None = None
        self._open_replies: set[Reply[Any]] | None = None

    @abstractmethod
    async def run(self) -> None:
        """The actor's life. Returning ends it normally."""

    async def live(self) -> None:
        """Run to the end, whatever it is, and release everybody who waits for an answer."""
        try:
            await self.run()
        finally:
            self.is_stopped = True
            unread, self._mail = self._mail, []
            for message in unread:
                self.leave_unread(message)
            self.release_waiters()

    def release_waiters(self) -> None:
        """Tell everybody who waits for an answer that none will come."""
        for reply in list(self._open_replies or ()):
            reply.fail(ActorStoppedError(self.name))

    def leave_unread(self, message: Message) -> None:
        """A message was taken, and the actor has ended before it came to it. Who waits for an answer is told anyway."""

    @property
    def name(self) -> str:
        """For errors: its kind, and its subject if it has one."""
        return self.kind if self._subject is None else f"{self.kind}:{self._subject}"

    @property
    def queued(self) -> int:
        """How many messages wait in the mailbox."""
        return len(self._mail)

    def tell(self, message: Message) -> None:
        """Queue a message without waiting. Raises ``MailboxFullError`` or ``ActorStoppedError``."""
        if self.is_stopped:
            raise ActorStoppedError(self.name)
        if len(self._mail) >= self.mailbox_max and self._reader is None:
            raise MailboxFullError(self.name)
        self._mail.append(message)
        if self._reader is not None:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)

    async def ask(self, message: Callable[[Reply[Value]], Message], timeout_ms: int) -> Value:
        """Queue ``message(reply)`` and wait for the answer.

        Raises ``MailboxFullError``, ``ActorStoppedError``, ``trio.TooSlowError`` after ``timeout_ms``, or the
        error that the actor answered with.
        """
        reply: Reply[Value] = Reply()
        self.tell(message(reply))
        if self._open_replies is None:
            self._open_replies = set()
        self._open_replies.add(reply)
        try:
            with trio.fail_after(timeout_ms / 1000):
                return await reply.wait()
        finally:
            self._open_replies.discard(reply)

    async def receive(self) -> Message:
        """The next message. Only the actor's own task receives. A cancelled wait has taken nothing."""
        if self._mail:
            await trio.lowlevel.checkpoint()
        else:
            assert self._reader is None, "a mailbox has one reader"
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
        return self._mail.pop(0)

    def _stop_waiting(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def receive_nowait(self) -> Message | None:
        """The next message if one is queued."""
        return self._mail.pop(0) if self._mail else None
