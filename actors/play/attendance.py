"""Which rounds have an actor here, for who looks after those that have none."""

from contextlib import AbstractAsyncContextManager
from uuid import UUID

from actors.facts.records import FinishedRound, RoundKey
from actors.play.leaving_sessions import Departures
from actors.play.live_rounds import LiveRounds
from actors.play.open_sessions import OpenSessions
from actors.wallet.pool import WalletPool


class PlayersAttendance:
    """Implements ``actors.cluster.unattended.Attendance`` for sessions and rounds."""

    def __init__(self, sessions: OpenSessions, rounds: LiveRounds, departures: Departures, pool: WalletPool) -> None:
        self._sessions = sessions
        self._rounds = rounds
        self._departures = departures
        self._pool = pool

    def attends(self, session_id: UUID) -> bool:
        """Whether the session's round has an actor here, or is being given away."""
        return session_id in self._rounds or session_id in self._departures

    def forsaken(self) -> list[RoundKey]:
        """Rounds of open sessions that have no actor any more."""
        return self._sessions.forsaken()

    def alone_with(self, token_digest: bytes) -> AbstractAsyncContextManager[None]:
        """Only one task opens a session, hands it over or ends what is left of it."""
        return self._sessions.alone(token_digest)

    def lost_at_ms(self, round_id: UUID) -> int:
        """When its actor failed, if that is known."""
        return self._rounds.failed_at_ms(round_id)

    async def note_end(self, key: RoundKey, finished: FinishedRound | None) -> None:
        """Tell the session, if it is open and still waits for the round."""
        self._rounds.forget_failure(key.round_id)
        session = self._sessions.of(key.token_digest)
        if session is not None and session.waits_for == key.round_id:
            await self._rounds.tell_end(key.operator_id, key.session_id, key.round_id, finished)
        else:
            self._pool.wake_courier(key.operator_id)
