"""Void rounds, bounded: a bet that the wallet refuses is a round like any other, with rows that stay for ever, and it
costs whoever makes them nothing. An operator whose wallet refuses everything, and forty sessions, made 300 a second."""

from collections import Counter
from uuid import UUID

from actors.facts.records import RoundStatus
from actors.rules.rate_limits import RateLimits
from actors.shared.game_settings import GameSettings

OPERATORS_MAX = 10_000
SESSIONS_OF_PLAYER = 4
"""All sessions of a player together may have as many void rounds as so many sessions. A player whose bets are refused,
if only by a limit of his own, opens as many as he likes, and must not use up what all players of his operator have."""


class RoundTally:
    """Rounds that ended, by operator and status, and the bound on those that ended void."""

    def __init__(self, settings: GameSettings) -> None:
        per_minute = settings.session_void_rounds_per_minute
        self._sessions = RateLimits(per_minute / 60, settings.session_void_rounds_burst, settings.sessions_max)
        self._players = RateLimits(
            SESSIONS_OF_PLAYER * per_minute / 60,
            SESSIONS_OF_PLAYER * settings.session_void_rounds_burst,
            settings.sessions_max,
        )
        per_second = settings.operator_void_rounds_per_second
        self._operators = RateLimits(per_second, settings.operator_void_rounds_burst, OPERATORS_MAX)
        self._ended: Counter[tuple[UUID, str]] = Counter()

    def ended(
        self, operator_id: UUID, operator_player_id: str, session_id: UUID, status: RoundStatus, now_ms: int
    ) -> None:
        self._ended[operator_id, status.value] += 1
        if status is RoundStatus.VOID:
            self._sessions.take(session_id, now_ms)
            self._players.take((operator_id, operator_player_id), now_ms)
            self._operators.take(operator_id, now_ms)

    def wait_ms(self, operator_id: UUID, operator_player_id: str, session_id: UUID, now_ms: int) -> int:
        """How long the session is to wait before its next bet; 0: not at all."""
        return max(
            self._sessions.wait_ms(session_id, now_ms),
            self._players.wait_ms((operator_id, operator_player_id), now_ms),
            self._operators.wait_ms(operator_id, now_ms),
        )

    def take(self) -> Counter[tuple[UUID, str]]:
        """What has ended since this was asked last, by operator and status."""
        ended, self._ended = self._ended, Counter()
        return ended
