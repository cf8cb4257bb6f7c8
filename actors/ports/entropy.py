"""What nobody can predict: seeds and ids."""

from typing import Protocol
from uuid import UUID


class Entropy(Protocol):
    """Unpredictable values, from the system's CSPRNG in production."""

    def server_seed(self) -> str:
        """A new one: 64 lower-case hex characters."""

    def client_seed(self) -> str:
        """A default client seed: 16 characters of ``[A-Za-z0-9_-]``."""

    def identifier(self) -> UUID:
        """A UUID with at least 74 random bits."""

    def token(self) -> str:
        """A session token: 256 random bits as 43 URL-safe characters."""

    def fraction(self) -> float:
        """From 0 inclusive to 1 exclusive, for the jitter of retries."""
