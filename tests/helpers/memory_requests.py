"""The twin's side of hand-overs: requests for sessions, and the move to whoever asks."""

from actors.facts.records import Owner, RoundStatus, SessionRequest
from actors.ports.handovers import REQUESTS_MAX
from actors.ports.ledger import LedgerUnavailableError

FORGOTTEN_AFTER_MS = 60_000


class MemoryRequests:
    """Part of ``MemoryLedger``: works on its sessions and rounds."""

    def __init__(self) -> None:
        self.requests: dict[tuple[object, Owner], SessionRequest] = {}

    async def request_session(self, token_digest: bytes, asker: Owner) -> None:
        await self._cross()
        now_ms = self.now_ms()
        for session in list(self.sessions.values()):
            if session.token_digest == token_digest:
                self._forget_requests(now_ms - FORGOTTEN_AFTER_MS, asker)
                record = session.record
                self.requests[record.session_id, asker] = SessionRequest(
                    operator_id=record.operator_id,
                    session_id=record.session_id,
                    token_digest=token_digest,
                    asker=asker,
                    asked_at_ms=now_ms,
                )

    def _forget_requests(self, before_ms: int, asking: Owner) -> None:
        for (session_id, asker), request in list(self.requests.items()):
            given = self.sessions[session_id].owner == asker and not self._is_superseded(asker)
            if request.asked_at_ms < before_ms and not given and asker != asking:
                del self.requests[session_id, asker]

    async def withdraw_request(self, token_digest: bytes, asker: Owner) -> None:
        await self._cross()
        for key, request in list(self.requests.items()):
            same = request.token_digest == token_digest and request.asker == asker
            if same and self.sessions[request.session_id].owner != asker:
                del self.requests[key]

    async def end_request(self, request: SessionRequest) -> None:
        await self._cross()
        self.requests.pop((request.session_id, request.asker), None)

    async def session_requests(self, owner: Owner, lease_ms: int, age_ms_max: int) -> list[SessionRequest]:
        await self._cross()
        now_ms = self.now_ms()
        wanted = [
            request
            for request in self.requests.values()
            if self.sessions[request.session_id].owner == owner
            and (
                request.asker == owner
                or (request.asked_at_ms > now_ms - age_ms_max and self._is_alive(request.asker, lease_ms, now_ms))
            )
        ]
        return sorted(wanted, key=lambda each: (each.asked_at_ms, each.session_id))[:REQUESTS_MAX]

    async def move_session(self, owner: Owner, request: SessionRequest, lease_ms: int) -> bool:
        await self._cross()
        if request.session_id in self.locked:
            raise LedgerUnavailableError("the session is locked")
        return self._move(owner, request, lease_ms, self.now_ms())

    def _move(self, owner: Owner, request: SessionRequest, lease_ms: int, now_ms: int) -> bool:
        session, asker = self._session(request.operator_id, request.session_id), request.asker
        if session is None or session.owner == asker:
            return session is not None
        if session.owner != owner or (request.session_id, asker) not in self.requests:
            return False
        if not self._is_alive(asker, lease_ms, now_ms):
            return False
        flights = [
            stored
            for stored in self.rounds.values()
            if stored.live.session_id == request.session_id and stored.finished is None and stored.owner == owner
        ]
        if any(
            stored.live.status is RoundStatus.BETTING or stored.live.interrupted_at_ms is not None for stored in flights
        ):
            return False
        session.owner = asker
        for stored in flights:
            stored.owner = asker
        self.requests.pop((request.session_id, owner), None)
        return True

    async def has_company(self, owner: Owner, lease_ms: int) -> bool:
        await self._cross()
        now_ms = self.now_ms()
        return any(other != owner and self._is_alive(other, lease_ms, now_ms) for other in self.heartbeats_ms)
