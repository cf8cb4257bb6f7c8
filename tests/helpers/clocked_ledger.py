"""A ledger whose database's clock the test sets: what is judged by it can be tried to the millisecond."""

from collections.abc import Awaitable, Callable

AT = {
    "register_node": 1,
    "open_session": 3,
    "request_session": 2,
    "session_requests": 2,
    "move_session": 3,
    "has_company": 2,
    "take_orphans": 2,
    "claim_calls": 2,
    "give_up_claims": 2,
    "release_claims": 2,
    "end_silent": 2,
    "end_life": 1,
}
"""Where among the arguments of these calls the test says what the database's clock shows."""
ALSO_TOLD = ("register_node", "give_up_claims")
"""They are told a time of the node's own, too: the same one."""
NEVER_MS = 10**12
"""A lease that does not run out."""


class ClockedLedger:
    """``set_clock`` is awaited before each call that says what time it is."""

    def __init__(self, ledger, set_clock: Callable[[int], Awaitable[None]]) -> None:
        self.real = ledger
        self._set_clock = set_clock

    async def heartbeat(self, owner, now_ms: int, written_ms: int | None = None, lease_ms: int = NEVER_MS):
        await self._set_clock(now_ms)
        return await self.real.heartbeat(owner, now_ms, lease_ms, written_ms)

    def __getattr__(self, name: str):
        method = getattr(self.real, name)
        place = AT.get(name)
        if place is None:
            return method

        async def call(*arguments):
            await self._set_clock(arguments[place])
            return await method(*(arguments if name in ALSO_TOLD else arguments[:place] + arguments[place + 1 :]))

        return call
