"""The ledger actor: commits the transitions of all rounds in groups, so that many share one crossing and one fsync."""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn, Protocol
from uuid import UUID

import trio

from actors.actor import Actor, Reply
from actors.errors import ActorError
from actors.ports import Ledger, LedgerUnavailableError
from actors.settings import GameSettings
from actors.transitions import AcknowledgeCall, Answer, PlaceBet, SettleRound, Transition

log = logging.getLogger("getaway.ledger")

ANSWER_TIMEOUT_MS = 30_000
"""Longer than the database's own deadlines: an answer that is later than this counts as lost."""

ACKNOWLEDGEMENT_PATIENCE_MS = 20
"""How long an acknowledgement waits for others to share its commit with. The money has moved, and should the commit be
lost the call is repeated with the same id: nobody is kept from anything."""

LOSS_PATIENCE_MS = 5
"""How long the end of a flight that pays nothing waits: too short to be seen, and with fifty rounds a second or more
another commit is as near."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    transition: Transition
    reply: Reply[Answer]


class GroupObserver(Protocol):
    """Told about every group that was committed."""

    def ledger_group(self, size: int, duration_s: float) -> None:
        """``size`` transitions were committed together in ``duration_s`` seconds."""
        ...


def session_of(transition: Transition) -> UUID:
    """The session that a transition changes: a group holds at most one of each session."""
    return transition.round.session_id if isinstance(transition, PlaceBet) else transition.session_id


def _patience_s(group: Iterable[_Waiting]) -> float:
    """How long all of them can wait."""
    return min(_patience_ms(waiting.transition) for waiting in group) / 1000


def _patience_ms(transition: Transition) -> int:
    if isinstance(transition, AcknowledgeCall):
        return ACKNOWLEDGEMENT_PATIENCE_MS
    return LOSS_PATIENCE_MS if isinstance(transition, SettleRound) and transition.win is None else 0


class LedgerActor(Actor[_Waiting]):
    """Serializes all changes through one mailbox; while one group is being committed the next one gathers."""

    def __init__(self, ledger: Ledger, settings: GameSettings, observer: GroupObserver) -> None:
        super().__init__("ledger", settings.ledger_mailbox_max)
        self._ledger = ledger
        self._group_max = settings.ledger_group_max
        self._observer = observer
        self._left_over: deque[_Waiting] = deque()

    async def commit(self, transition: Transition) -> Answer:
        """Store one transition; returns once it is durable.

        Raises ``LedgerUnavailableError`` when it is not known whether it was stored; it may be repeated.
        """
        try:
            return await self.ask_patrolled(lambda reply: _Waiting(transition, reply), ANSWER_TIMEOUT_MS)
        except (ActorError, trio.TooSlowError) as error:
            raise LedgerUnavailableError("the ledger did not answer") from error

    async def run(self) -> NoReturn:
        """Commit group after group."""
        while True:
            self._gather()
            if not self._left_over:
                self._left_over.append(await self.receive())
                self._gather()
            if (patience_s := _patience_s(self._left_over)) > 0:
                await self._wait_for_company(patience_s)
            await self._commit_group(self._take_group())

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
            if session_id in sessions:
                later.append(waiting)
            else:
                sessions.add(session_id)
                group.append(waiting)
        self._left_over = later
        return group

    async def _commit_group(self, group: list[_Waiting]) -> None:
        began_at = trio.current_time()
        try:
            answers = await self._ledger.commit([waiting.transition for waiting in group])
        except LedgerUnavailableError as error:
            log.warning("a group was not committed", extra={"transitions": len(group), "error": str(error)})
            for waiting in group:
                waiting.reply.fail(LedgerUnavailableError(str(error)))
            return
        assert len(answers) == len(group), "the ledger answers each transition"
        self._observer.ledger_group(len(group), trio.current_time() - began_at)
        for waiting, answer in zip(group, answers, strict=True):
            waiting.reply.answer(answer)
