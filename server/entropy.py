"""Unpredictable values from the system's CSPRNG."""

import secrets
from random import SystemRandom
from uuid import UUID, uuid4

_RANDOM = SystemRandom()


class SystemEntropy:
    """Implements ``actors.ports.Entropy``."""

    def server_seed(self) -> str:
        """64 lower-case hex characters: 256 bits."""
        return secrets.token_hex(32)

    def client_seed(self) -> str:
        """16 characters of ``[A-Za-z0-9_-]``: 96 bits."""
        return secrets.token_urlsafe(12)

    def identifier(self) -> UUID:
        """A random (version 4) UUID."""
        return uuid4()

    def token(self) -> str:
        """256 random bits as 43 URL-safe characters."""
        return secrets.token_urlsafe(32)

    def fraction(self) -> float:
        """From 0 inclusive to 1 exclusive, for the jitter of retries."""
        return _RANDOM.random()
