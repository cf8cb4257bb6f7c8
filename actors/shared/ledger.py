"""The ledger actor: commits the transitions of all rounds in groups, so that many share one crossing and one fsync.

What somebody else has locked in the database is ``Busy`` and delays its own session only: it is offered again, apart
from all others, and what else is asked of its session waits behind it.
"""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from uuid import UUID

import trio

from actors.facts.transitions import AcknowledgeCall, Answer, Busy, EndRound, PlaceBet, Transition
from actors.kit.actor import Actor, Reply
from actors.kit.errors import ActorError
from actors.ports.ledger import Ledger, LedgerUnavailableError
from actors.rules.settlement import Result
from actors.shared.game_settings import GameSettings

log = logging.getLogger("getaway.ledger")

ANSWER_TIMEOUT_MS = 30_000
"""Longer than the database's own deadlines: an answer that is later than this counts as lost."""

ACKNOWLEDGEMENT_PATIENCE_MS = 20
"""How long an acknowledgement waits for others to share its commit with. The money has moved, and should the commit be
lost the call is repeated with the same id: nobody is kept from anything."""

LOSS_PATIENCE_MS = 5
"""How long the end of a flight that pays nothing waits: too short to be seen, and with fifty rounds a second or more
another commit is as near."""

BUSY_FIRST_MS = 10
BUSY_RETRY_MS_MAX = 250
"""When what was busy is offered again: after the first of these, doubling up to the second."""
BUSY_MS_MAX = 5_000
"""For so long a transition may be busy; then it counts as not stored, as on any other trouble of the ledger."""
BUSY_WAITING_MAX = 4_096
"""Transitions of busy sessions that wait. Overflow: the next ones are refused as ``LedgerUnavailableError``."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    transition: Transition
    reply: Reply[Answer]


@dataclass(slots=True)
class _BusySession:
    """What is asked of a session of which somebody has locked a row, in order."""

    waiting: deque[_Waiting]
    retry_at: float
    """On trio's clock, as the others."""
    give_up_at: float
    wait_ms: int = field(default=BUSY_FIRST_MS)


class GroupObserver(Protocol):
    """Told about every group that was committed."""

    def ledger_group(self, size: int, duration_s: float) -> None:
        """``size`` transitions were committed together in ``duration_s`` seconds."""


def session_of(transition: Transition) -> UUID:
    """The session that a transition changes: a group holds at most one of each session."""
    return transition.round.session_id if isinstance(transition, PlaceBet) else transition.session_id


def _patience_s(group: Iterable[_Waiting]) -> float:
    """How long all of them can wait."""
    return min(_patience_ms(waiting.transition) for waiting in group) / 1000


def _patience_ms(transition: Transition) -> int:
    if isinstance(transition, AcknowledgeCall):
        return ACKNOWLEDGEMENT_PATIENCE_MS
    is_loss = isinstance(transition, EndRound) and transition.finished.result is Result.CRASH
    return LOSS_PATIENCE_MS if is_loss else 0


class LedgerActor(Actor[_Waiting]):
    """Serializes all changes through one mailbox; while one group is being committed the next one gathers."""

    def __init__(self, ledger: Ledger, settings: GameSettings, observer: GroupObserver) -> None:
        super().__init__("ledger", settings.ledger_mailbox_max)
        self._ledger = ledger
        self._group_max = settings.ledger_group_max
        self._observer = observer
        self._left_over: deque[_Waiting] = deque()
        self._busy: dict[UUID, _BusySession] = {}

    async def commit(self, transition: Transition) -> Answer:
        """Store one transition; returns once it is durable.

        Raises ``LedgerUnavailableError`` when it is not known whether it was stored; it may be repeated.
        """
        try:
            return await self.ask(lambda reply: _Waiting(transition, reply), ANSWER_TIMEOUT_MS)
        except (ActorError, trio.TooSlowError) as error:
            raise LedgerUnavailableError("the ledger did not answer") from error

    async def run(self) -> NoReturn:
        while True:
            self._gather()
            if not self._left_over:
                await self._wait_for_work()
                self._gather()
            if self._left_over:
                if (patience_s := _patience_s(self._left_over)) > 0:
                    await self._wait_for_company(patience_s)
                if group := self._take_group():
                    await self._commit_group(group)
            if self._busy and (due := self._take_due()):
                await self._commit_group(due)

    async def _wait_for_work(self) -> None:
        """Until there is a transition, or it is time to offer busy ones again."""
        if not self._busy:
            self._left_over.append(await self.receive())
            return
        with trio.move_on_at(min(session.retry_at for session in self._busy.values())):
            self._left_over.append(await self.receive())

    def _gather(self) -> None:
        while len(self._left_over) < self._group_max and (waiting := self.receive_nowait()) is not None:
            self._left_over.append(waiting)

    async def _wait_for_company(self, patience_s: float) -> None:
        """A commit costs the same for one as for many, and while there are rounds the next one is not far."""
        with trio.move_on_after(patience_s) as scope:
            while patience_s > 0 and len(self._left_over) < self._group_max:
                scope.deadline = min(scope.deadline, trio.current_time() + patience_s)
                self._left_over.append(await self.receive())
                patience_s = _patience_s(self._left_over)
            self._gather()

    def _take_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        sessions: set[UUID] = set()
        later: deque[_Waiting] = deque()
        for waiting in self._left_over:
            session_id = session_of(waiting.transition)
            if session_id in self._busy:
                self._queue_behind(self._busy[session_id], waiting)
            elif session_id in sessions:
                later.append(waiting)
            else:
                sessions.add(session_id)
                group.append(waiting)
        self._left_over = later
        return group

    def _queue_behind(self, busy: _BusySession, waiting: _Waiting) -> None:
        if self._has_room_for_busy():
            busy.waiting.append(waiting)
        else:
            self._refuse_busy(waiting)

    def _has_room_for_busy(self) -> bool:
        return sum(len(session.waiting) for session in self._busy.values()) < BUSY_WAITING_MAX

    def _refuse_busy(self, waiting: _Waiting) -> None:
        waiting.reply.fail(LedgerUnavailableError("too much waits for sessions that are locked"))

    def _take_due(self) -> list[_Waiting]:
        """The first of each busy session whose time has come. It stays the first until it is known not to be busy."""
        now = trio.current_time()
        due = [session.waiting[0] for session in self._busy.values() if session.retry_at <= now]
        return due[: self._group_max]

    async def _commit_group(self, group: list[_Waiting]) -> None:
        began_at = trio.current_time()
        try:
            answers = await self._ledger.commit([waiting.transition for waiting in group])
        except LedgerUnavailableError as error:
            log.warning("a group was not committed", extra={"transitions": len(group), "error": str(error)})
            for waiting in group:
                self._leave_queue(waiting)
                waiting.reply.fail(LedgerUnavailableError(str(error)))
            return
        assert len(answers) == len(group), "the ledger answers each transition"
        self._observer.ledger_group(len(group), trio.current_time() - began_at)
        for waiting, answer in zip(group, answers, strict=True):
            if isinstance(answer, Busy):
                self._note_busy(waiting)
                continue
            self._leave_queue(waiting)
            waiting.reply.answer(answer)

    def _note_busy(self, waiting: _Waiting) -> None:
        session_id, now = session_of(waiting.transition), trio.current_time()
        session = self._busy.get(session_id)
        if session is None:
            if not self._has_room_for_busy():
                self._refuse_busy(waiting)
                return
            session = _BusySession(deque([waiting]), now, now + BUSY_MS_MAX / 1000)
            self._busy[session_id] = session
        if now < session.give_up_at:
            session.retry_at = now + session.wait_ms / 1000
            session.wait_ms = min(2 * session.wait_ms, BUSY_RETRY_MS_MAX)
            return
        log.warning(
            "a change was given up: somebody has locked a row of its session",
            extra={"session_id": str(session_id), "kind": type(waiting.transition).__name__, "after_ms": BUSY_MS_MAX},
        )
        self._leave_queue(waiting)
        waiting.reply.fail(LedgerUnavailableError("a row of the session is locked"))

    def _leave_queue(self, waiting: _Waiting) -> None:
        """One that was the first of a busy session is busy no more; the next one has its whole time before it."""
        session_id = session_of(waiting.transition)
        session = self._busy.get(session_id)
        if session is None:
            return
        assert session.waiting[0] is waiting, "what is asked of a session goes in order"
        session.waiting.popleft()
        if session.waiting:
            now = trio.current_time()
            self._busy[session_id] = _BusySession(session.waiting, now, now + BUSY_MS_MAX / 1000)
        else:
            del self._busy[session_id]
