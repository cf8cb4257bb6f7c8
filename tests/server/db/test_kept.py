"""Which connection is lent: the last one used, unless it is too old, broken, or was idle for too long."""

import asyncio
from collections.abc import Awaitable, Callable

from server.db.driver.kept import IDLE_S_MAX, KeptConnections


class Lent:
    def __init__(self) -> None:
        self.is_past_use = self.is_gone = False

    def is_closed(self) -> bool:
        return self.is_gone

    def terminate(self) -> None:
        self.is_gone = True


class Pool:
    def __init__(self) -> None:
        self.made: list[Lent] = []
        self.back: list[Lent] = []

    async def acquire(self, timeout: float) -> Lent:
        self.made.append(Lent())
        return self.made[-1]

    async def release(self, connection: Lent) -> None:
        self.back.append(connection)


def story(tell: Callable[[Pool, KeptConnections], Awaitable[None]]) -> None:
    pool = Pool()
    asyncio.run(tell(pool, KeptConnections(pool)))


def test_the_last_one_used_is_lent_first() -> None:
    async def tell(pool: Pool, kept: KeptConnections) -> None:
        first, second = await kept.take(1), await kept.take(1)
        await kept.give_back(first, is_well=True)
        await kept.give_back(second, is_well=True)
        assert await kept.take(1) is second and await kept.take(1) is first
        assert len(pool.made) == 2 and pool.back == []

    story(tell)


def test_what_became_too_old_while_it_was_idle_is_closed_and_not_lent() -> None:
    async def tell(pool: Pool, kept: KeptConnections) -> None:
        old = await kept.take(1)
        await kept.give_back(old, is_well=True)
        old.is_past_use = True
        assert await kept.take(1) is not old
        assert old.is_gone and pool.back == [old]

    story(tell)


def test_what_is_too_old_when_it_comes_back_or_out_of_the_pool_is_closed() -> None:
    async def tell(pool: Pool, kept: KeptConnections) -> None:
        old = await kept.take(1)
        old.is_past_use = True
        await kept.give_back(old, is_well=True)
        assert old.is_gone and await kept.take(1) is not old

    story(tell)


def test_what_had_trouble_or_was_closed_goes_back() -> None:
    async def tell(pool: Pool, kept: KeptConnections) -> None:
        failed = await kept.take(1)
        await kept.give_back(failed, is_well=False)
        assert pool.back == [failed]
        closed = await kept.take(1)
        await kept.give_back(closed, is_well=True)
        closed.is_gone = True
        assert await kept.take(1) is not closed and pool.back == [failed, closed]

    story(tell)


def test_what_was_not_used_for_long_goes_back() -> None:
    async def tell(pool: Pool, kept: KeptConnections) -> None:
        first, second = await kept.take(1), await kept.take(1)
        await kept.give_back(first, is_well=True)
        kept._idle[0] = kept._idle[0][0] - IDLE_S_MAX - 1, first
        await kept.give_back(second, is_well=True)
        assert pool.back == [first]

    story(tell)
