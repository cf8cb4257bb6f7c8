"""Which signals tell a process to stop, and which of them are a second word."""

import os
import signal

import pytest
import trio

from server.process.stopping import StoppedAtOnceError, stop_signals, told_to_stop

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.fixture(autouse=True)
def unharmed():
    """A signal that comes too late for whom it is meant does not end the tests."""
    before = {number: signal.signal(number, lambda *_: None) for number in (TERM, HUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def said(*numbers: signal.Signals) -> None:
    async with told_to_stop() as told:
        for number in numbers:
            os.kill(os.getpid(), number)
            await trio.sleep(0.01)
        with trio.fail_after(5):
            await told.wait()


@pytest.mark.parametrize("numbers", [(TERM,), (INT,), (HUP,), (HUP, HUP), (TERM, HUP), (HUP, TERM), (HUP, INT, HUP)])
async def test_one_word(numbers):
    await said(*numbers)


@pytest.mark.parametrize("numbers", [(TERM, TERM), (INT, INT), (TERM, INT), (HUP, TERM, INT)])
async def test_two_words(numbers):
    with pytest.raises(ExceptionGroup) as raised:
        await said(*numbers)
    assert isinstance(raised.value.exceptions[0], StoppedAtOnceError)


async def test_who_was_told_to_ignore_a_hang_up_goes_on_doing_so():
    """As by ``nohup``."""
    before = signal.signal(HUP, signal.SIG_IGN)
    try:
        assert stop_signals() == [TERM, INT]
        async with told_to_stop() as told:
            os.kill(os.getpid(), HUP)
            await trio.sleep(0.05)
            assert not told.is_set()
    finally:
        signal.signal(HUP, before)
