"""The connection beside the pool: kept while it is of use, replaced at once when it is not, and never waited for."""

import asyncio

import asyncpg
import pytest

from server.db.driver.heartbeat_line import KeptLine


class Connection:
    def __init__(self):
        self.is_past_use = self.has_ended = False

    def is_closed(self):
        return self.has_ended

    def terminate(self):
        self.has_ended = True


class Scene:
    """A line, the connections that it has made, and on which of them work was begun."""

    def __init__(self):
        self.made, self.begun, self.held = [], [], []
        self.line = KeptLine(self._connect)

    async def _connect(self):
        self.made.append(Connection())
        return self.made[-1]

    async def run(self, *errors):
        """Work that raises these one after the other as it is repeated, and takes a lock where it succeeds."""
        left = list(errors)

        async def work(line):
            self.begun.append(self.made.index(line.connection))
            if left:
                raise left.pop(0)
            self.held.append(len(line.held))
            line.held.add(len(self.begun))

        await self.line.run(work)


def story(play):
    """A test on a loop of its own, as the line is for its loop's thread alone."""

    def test():
        async def run():
            async with asyncio.timeout(5):
                await play(Scene())

        asyncio.run(run())

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


@story
async def test_one_connection_is_kept_with_its_locks_until_it_is_closed(scene):
    for _ in range(3):
        await scene.run()
    await scene.line.close()
    await scene.run()
    assert scene.begun == [0, 0, 0, 1]
    assert scene.held == [0, 1, 2, 0], "with the connection go its locks"
    assert [each.has_ended for each in scene.made] == [True, False]


@story
async def test_one_that_is_too_old_or_has_ended_is_replaced_before_its_next_use(scene):
    await scene.run()
    scene.made[0].is_past_use = True
    await scene.run()
    scene.made[1].has_ended = True
    await scene.run()
    assert scene.begun == [0, 1, 2]
    assert [each.has_ended for each in scene.made] == [True, True, False]


@story
async def test_what_fails_on_a_kept_connection_is_repeated_once_on_a_new_one(scene):
    await scene.run()
    await scene.run(ConnectionResetError())
    assert scene.begun == [0, 0, 1] and scene.made[0].has_ended
    with pytest.raises(ConnectionResetError):
        await scene.run(ConnectionResetError(), ConnectionResetError())
    assert scene.begun == [0, 0, 1, 1, 2] and scene.made[2].has_ended


@story
async def test_what_fails_on_a_new_connection_is_not_repeated(scene):
    with pytest.raises(ConnectionResetError):
        await scene.run(ConnectionResetError())
    assert scene.begun == [0]


@story
async def test_a_refusal_of_the_server_keeps_the_connection_and_is_not_repeated(scene):
    await scene.run()
    with pytest.raises(asyncpg.LockNotAvailableError):
        await scene.run(asyncpg.LockNotAvailableError("as told"))
    await scene.run()
    assert scene.begun == [0, 0, 0]


@story
async def test_a_server_of_no_use_is_left_at_once(scene):
    for place, error in enumerate((asyncpg.ReadOnlySQLTransactionError, asyncpg.AdminShutdownError)):
        await scene.run()
        await scene.run(error("as told"))
        assert scene.made[place].has_ended


def test_a_silent_server_is_left_after_its_time_and_not_asked_twice(monkeypatch):
    """Half a lease must remain to reach another one."""

    @story
    async def play(scene):
        await scene.run()

        async def hang(line):
            scene.begun.append(scene.made.index(line.connection))
            await asyncio.sleep(60)

        with monkeypatch.context() as patch:
            patch.setattr("server.db.driver.heartbeat_line.LINE_MS_MAX", 20)
            with pytest.raises(TimeoutError):
                await scene.line.run(hang)
        assert scene.begun == [0, 0] and scene.made[0].has_ended
        await scene.run()
        assert scene.begun == [0, 0, 1]

    play()


@story
async def test_work_that_is_cancelled_ends_its_connection(scene):
    await scene.run()

    async def work(line):
        await asyncio.sleep(60)

    task = asyncio.ensure_future(scene.line.run(work))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.made[0].has_ended


@story
async def test_one_works_at_a_time(scene):
    at_work, most = 0, []

    async def work(line):
        nonlocal at_work
        at_work += 1
        most.append(at_work)
        await asyncio.sleep(0.001)
        at_work -= 1

    await asyncio.gather(*(scene.line.run(work) for _ in range(5)))
    assert most == [1] * 5 and len(scene.made) == 1
