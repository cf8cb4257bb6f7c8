"""Addresses: which actors of sessions and rounds live on this node, and its courier.

A table that the lobby alone writes, and the node once. Everybody else finds a mailbox in it, and tells: nobody holds
on to an actor that may have ended, and a session that was opened again gets the news of a round that the one before it
had begun.
"""

import logging
from contextlib import suppress
from uuid import UUID

from actors.kit.actor import Actor
from actors.kit.errors import ActorError
from actors.shared.messages import HistoryRead, Look, RoundMessage, RoundNews, SessionMessage, WalletNews

log = logging.getLogger("getaway.lobby")


class Addresses:
    """Sessions by their ids, rounds by those of their session and their own."""

    def __init__(self) -> None:
        self.sessions: dict[UUID, Actor[SessionMessage]] = {}
        self.rounds: dict[tuple[UUID, UUID], Actor[RoundMessage]] = {}
        self.courier: Actor[UUID] | None = None

    def round_of(self, session_id: UUID, round_id: UUID | None) -> Actor[RoundMessage] | None:
        """The mailbox of this round, if the session plays it here."""
        return None if round_id is None else self.rounds.get((session_id, round_id))

    def tell_courier(self, operator_id: UUID) -> None:
        """Something of this operator may be due. What a courier that is too busy is not told, it finds by itself."""
        if self.courier is not None:
            with suppress(ActorError):
                self.courier.tell(operator_id)

    def tell_session(self, session_id: UUID, news: RoundNews | WalletNews | HistoryRead | Look) -> None:
        """News of a session's round or wallet. If nobody has it open here, what is stored says the same. Half of its
        mailbox is kept for news, so there is room."""
        session = self.sessions.get(session_id)
        if session is None:
            return
        try:
            session.tell(news)
        except ActorError:
            log.warning("news did not reach a session that is gone", extra={"news": type(news).__name__})
