"""A session's finished rounds, read a page at a time beside the session's own work."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from actors.facts.frames_in import HistoryIn
from actors.facts.frames_out import HistoryOut, PastRound
from actors.facts.records import SessionRecord
from actors.kit.fair_queue import QueueFullError
from actors.kit.supervisor import RunBeside
from actors.play.screen import Screen
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.messages import HistoryRead
from actors.shared.services import Services


class HistoryReader:
    """Answers ``history`` on the ``screen``. One read at a time, and one large answer unsent: another one meanwhile, or
    while the player is behind with reading what came before, is refused (``rate_limited``). A round that still
    ``flies`` for its player, because its end is stored and not told yet, is left out."""

    __slots__ = ("_flies", "_is_reading", "_run_beside", "_screen", "_services", "_session")

    def __init__(
        self,
        services: Services,
        session: SessionRecord,
        screen: Screen,
        run_beside: RunBeside,
        *,
        flies: Callable[[UUID], bool],
    ) -> None:
        self._services = services
        self._session = session
        self._screen = screen
        self._run_beside = run_beside
        self._flies = flies
        self._is_reading = False

    def start(self, request: HistoryIn) -> None:
        """Have it read; the session is told ``HistoryRead``, whatever comes of it."""
        if self._is_reading or self._screen.is_behind:
            self._screen.refuse("rate_limited", request.frame_id)
            return
        self._is_reading = True
        self._run_beside(partial(_read, self._services, self._session, request), "history")

    def show(self, read: HistoryRead) -> None:
        """Answer, unless the actor before this one had asked."""
        if not self._is_reading:
            return
        self._is_reading = False
        if read.refusal is not None:
            self._screen.refuse(read.refusal, read.frame_id, read.message)
            return
        told = [PastRound.of(past) for past in read.rounds if not self._flies(past.round_id)]
        self._screen.show(HistoryOut(id=read.frame_id, rounds=told, more=read.more))


async def _read(services: Services, session: SessionRecord, request: HistoryIn) -> None:
    message = "The history could not be read. Try again."
    read = HistoryRead(request.frame_id, refusal="wallet_unavailable", message=message)
    try:
        async with services.read_share.turn(session.session_id):
            rounds, more = await services.stores.rounds.history(
                session.operator_id, session.operator_player_id, request.before, request.limit
            )
            read = HistoryRead(request.frame_id, rounds, more)
    except LedgerUnavailableError:
        pass
    except QueueFullError:
        read = HistoryRead(request.frame_id, refusal="rate_limited")
    finally:
        services.addresses.tell_session(session.session_id, read)
