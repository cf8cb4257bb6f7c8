"""What a session is owed: news in any order, and looks that become rare."""

from itertools import pairwise
from types import SimpleNamespace
from uuid import UUID

import pytest
import trio

from actors.facts.records import CallKind
from actors.play.outbox import CHECK_FIRST_MS, SessionOutbox
from actors.shared.settings import GameSettings
from tests.helpers.game import LIMITS
from tests.helpers.stores import stores_of
from tests.helpers.wallet_calls import call

WIN = call(CallKind.WIN)
SETTINGS = GameSettings(bet_limits={"USD": LIMITS})


class Books:
    """What the ledger says is pending, and the balance."""

    def __init__(self):
        self.calls = [WIN]

    async def outbox_of(self, operator_id, session_id):
        return self.calls

    async def balance_minor(self, operator_id, session_id):
        return 77


@pytest.fixture
def books():
    return Books()


@pytest.fixture
async def owed(books):
    services = SimpleNamespace(settings=SETTINGS, stores=stores_of(books))
    session = SimpleNamespace(operator_id=UUID(int=1), session_id=UUID(int=2))
    return SessionOutbox(services, session, [WIN])


async def test_an_end_that_is_told_before_its_beginning_is_an_end(autojump_clock, owed):
    owed.end(WIN.operator_tx_id)
    owed.end("win-early")
    owed.add("win-early", 500)
    assert owed.minor == 0
    owed.add("win-next", 300)
    assert owed.minor == 300


async def test_what_is_owed_is_the_sum_of_all_that_is(autojump_clock, owed):
    owed.add("win-next", 300)
    owed.add("refund-next", 50)
    assert owed.minor == WIN.amount_minor + 350
    owed.end(WIN.operator_tx_id)
    assert owed.minor == 350
    owed.add("win-next", 300)
    assert owed.minor == 350, "told twice it is owed once"
    owed.end("win-next")
    owed.end("refund-next")
    assert owed.minor == 0


async def test_looks_become_rare_up_to_a_bound(autojump_clock, owed):
    pauses_ms = []
    for _ in range(12):
        began_at = trio.current_time()
        pauses_ms.append(round((owed.check_at - began_at) * 1_000))
        await trio.sleep_until(owed.check_at)
        assert await owed.check() is None
    assert pauses_ms[0] == CHECK_FIRST_MS
    assert all(later == min(2 * earlier, SETTINGS.outbox_check_ms) for earlier, later in pairwise(pauses_ms))
    assert pauses_ms[-1] == SETTINGS.outbox_check_ms


async def test_what_others_have_seen_to_is_found_with_the_balance(autojump_clock, owed, books):
    books.calls = []
    assert await owed.check() is None, "not before it is due"
    await trio.sleep_until(owed.check_at)
    assert await owed.check() == 77
    assert owed.minor == 0 and owed.check_at == float("inf")
