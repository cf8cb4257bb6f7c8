"""Sessions on their way between nodes."""

from typing import Protocol

from actors.facts.records import Owner, SessionRequest

REQUESTS_MAX = 500
"""Requests for sessions that are read at once; the rest is read when these are gone."""


class HandOvers(Protocol):
    """How a session goes from one living node to another. Every method raises ``LedgerUnavailableError``."""

    async def request_session(self, token_digest: bytes, asker: Owner) -> None:
        """Ask the session's living owner for it. Asked again, the request is as young as the last time."""

    async def withdraw_request(self, token_digest: bytes, asker: Owner) -> None:
        """``asker`` wants the session no more. What it was given meanwhile stays for it to take up."""

    async def end_request(self, request: SessionRequest) -> None:
        """The asker has taken up what it was given."""

    async def session_requests(self, owner: Owner, lease_ms: int, age_ms_max: int) -> list[SessionRequest]:
        """What living nodes have wanted of ``owner`` for at most ``age_ms_max``, the oldest first, at most
        ``REQUESTS_MAX``; and, however old, what ``owner`` itself was given and has not taken up."""

    async def move_session(self, owner: Owner, request: SessionRequest, lease_ms: int) -> bool:
        """Give a session of ``owner``, and the flight that ``owner`` plays in it, to the asker; whether it is there.

        Not if ``owner`` has lost the session, if the asker is dead or has withdrawn, nor while a bet of it is undecided
        or its round was interrupted. May be repeated. A round that a third node has taken stays there.
        """
