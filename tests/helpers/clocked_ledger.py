"""A ledger whose database's clock the test sets: what is judged by it can be tried to the millisecond."""

from collections.abc import Awaitable, Callable

AT = {
    "register_node": 1,
    "heartbeat": 1,
    "open_session": 3,
    "request_session": 2,
    "session_requests": 2,
    "move_session": 3,
    "has_company": 2,
    "take_orphans": 2,
    "claim_due_calls": 2,
    "give_up_claims": 2,
    "release_claims": 2,
}
"""Where among the arguments of these calls the test says what the database's clock shows."""
ALSO_TOLD = ("register_node", "heartbeat", "give_up_claims")
"""They are told a time of the node's own, too: the same one."""


class ClockedLedger:
    """``set_clock`` is awaited before each call that says what time it is."""

    def __init__(self, ledger, set_clock: Callable[[int], Awaitable[None]]) -> None:
        self.real = ledger
        self._set_clock = set_clock

    def __getattr__(self, name: str):
        method = getattr(self.real, name)
        place = AT.get(name)
        if place is None:
            return method

        async def call(*arguments):
            await self._set_clock(arguments[place])
            return await method(*(arguments if name in ALSO_TOLD else arguments[:place] + arguments[place + 1 :]))

        return call
