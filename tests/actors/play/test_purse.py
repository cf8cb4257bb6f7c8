"""What a session has and what is pending: news in any order, and looks that become rare."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from uuid import UUID

import pytest
import trio

from actors.facts.calls import outbox_tx_id
from actors.facts.frames_out import BalanceOut
from actors.facts.records import CallKind, SessionTotals
from actors.play.purse import CHECK_FIRST_MS, Purse
from actors.shared.game_settings import GameSettings
from actors.shared.messages import RoundFlies, RoundOver, WalletNews
from tests.actors.facts.test_frames_out import VOID, WON
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
async def purse(books):
    services = SimpleNamespace(settings=SETTINGS, stores=stores_of(books))
    session = SimpleNamespace(operator_id=UUID(int=1), session_id=UUID(int=2), balance_minor=900, balance_is_known=True)
    return Purse(services, SimpleNamespace(session=session, outbox=[WIN], totals=SessionTotals()))


def won(number: int, outbox_minor: int) -> RoundOver:
    return RoundOver(replace(WON, round_id=UUID(int=number)), outbox_minor, None)


def win_of(number: int, balance_minor: int | None = None, *, is_parked: bool = False) -> WalletNews:
    return WalletNews(outbox_tx_id(won(number, 0).finished), balance_minor, is_parked)


FIRST = WalletNews(WIN.operator_tx_id, None)


async def test_an_end_that_is_told_before_its_beginning_is_an_end(autojump_clock, purse):
    purse.end_call(FIRST)
    purse.end_call(win_of(8))
    purse.end_round(won(8, 500))
    assert purse.pending_minor == 0
    purse.end_round(won(9, 300))
    assert purse.pending_minor == 300


async def test_what_is_pending_is_the_sum_of_all_that_is(autojump_clock, purse):
    purse.end_round(won(8, 300))
    purse.end_round(RoundOver(VOID, 50, None))
    assert purse.pending_minor == WIN.amount_minor + 350
    purse.end_call(FIRST)
    assert purse.pending_minor == 350
    purse.end_round(won(8, 300))
    assert purse.pending_minor == 350, "told twice it is pending once"
    purse.end_call(win_of(8))
    purse.end_call(WalletNews(outbox_tx_id(VOID), None))
    assert purse.pending_minor == 0


async def test_the_balance_is_what_was_heard_last_and_is_known_until_somebody_says_none(autojump_clock, purse):
    assert purse.known_minor == 900
    purse.end_call(WalletNews("parked", None, is_parked=True))
    assert purse.known_minor == 900
    purse.end_call(win_of(8))
    assert (purse.known_minor, purse.balance_minor) == (None, 900)
    purse.end_call(win_of(8, is_parked=True))
    assert purse.known_minor is None, "what is parked tells nothing"
    purse.end_round(RoundOver(VOID, 0, None, 800))
    assert (purse.known_minor, purse.balance_minor) == (None, 800)
    purse.pay_stake(RoundFlies(None, None, 700))
    assert purse.known_minor == 700
    purse.end_call(win_of(8))
    purse.end_call(win_of(8, 1_200))
    assert purse.known_minor == 1_200
    assert purse.frame == BalanceOut(balance_minor=1_200, pending_minor=WIN.amount_minor)


async def test_totals_are_those_of_settled_rounds(autojump_clock, purse):
    purse.end_round(won(8, 500))
    purse.end_round(RoundOver(VOID, 250, None))
    assert purse.totals == SessionTotals(1, 250, 500, 7)


async def test_looks_become_rare_up_to_a_bound(autojump_clock, purse):
    pauses_ms = []
    for _ in range(12):
        began_at = trio.current_time()
        pauses_ms.append(round((purse.refresh_at - began_at) * 1_000))
        await trio.sleep_until(purse.refresh_at)
        assert not await purse.refresh()
    assert pauses_ms[0] == CHECK_FIRST_MS
    assert all(later == min(2 * earlier, SETTINGS.outbox_check_ms) for earlier, later in pairwise(pauses_ms))
    assert pauses_ms[-1] == SETTINGS.outbox_check_ms


async def test_what_others_have_seen_to_is_found_with_the_balance(autojump_clock, purse, books):
    books.calls = []
    assert not await purse.refresh(), "not before it is due"
    await trio.sleep_until(purse.refresh_at)
    assert await purse.refresh()
    assert (purse.balance_minor, purse.known_minor) == (77, None), "nobody here has heard it from the wallet"
    assert purse.pending_minor == 0 and purse.refresh_at == float("inf")
