"""Unpredictable values from the system's CSPRNG."""

import secrets
from random import SystemRandom
from uuid import UUID

from actors.kit.clock import ServerClock

_RANDOM = SystemRandom()


class SystemEntropy:
    """Implements ``actors.ports.entropy.Entropy``. The clock is for identifiers alone."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock

    def server_seed(self) -> str:
        """64 lower-case hex characters: 256 bits."""
        return secrets.token_hex(32)

    def client_seed(self) -> str:
        """16 characters of ``[A-Za-z0-9_-]``: 96 bits."""
        return secrets.token_urlsafe(12)

    def identifier(self) -> UUID:
        """A UUID of version 7 (RFC 9562): its millisecond, then 74 random bits.

        What was made at about the same time lies together in the database's indexes: however many rounds there are,
        the new ones touch the same few pages.
        """
        number = self._clock.now_ms() << 80 | secrets.randbits(80)
        return UUID(int=number & ~(0xF << 76) & ~(0b11 << 62) | 7 << 76 | 0b10 << 62)

    def token(self) -> str:
        """256 random bits as 43 URL-safe characters."""
        return secrets.token_urlsafe(32)

    def fraction(self) -> float:
        """From 0 inclusive to 1 exclusive, for the jitter of retries."""
        return _RANDOM.random()
