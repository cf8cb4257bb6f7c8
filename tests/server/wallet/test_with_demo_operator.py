"""One suite for the gateway before the demo operator's wallet, over a real socket, and for the actors' twin of both."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from uuid import UUID

import pytest
import trio

from actors.facts.calls import bet_tx_id, call_body
from actors.facts.records import CallKind, Operator, OperatorStatus, WalletCall
from actors.ports.wallet import Acknowledged, Declined, Unclear
from server.sandbox.getaway_client import GetawayClient
from server.sandbox.operator import OperatorServer
from server.sandbox.signatures import Credentials
from server.sandbox.site import OperatorSite
from server.sandbox.wallet_book import WalletBook
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.scripted_wallet import ScriptedWallet

CREDENTIALS = Credentials(str(UUID(int=7)), "the-key", "the-secret")
NOW_S = 1_782_864_001


class FrozenClock:
    def wall_ms(self):
        return NOW_S * 1000

    now_ms = wall_ms


@pytest.fixture
def lines():
    return []


@pytest.fixture
def operator(tmp_path, lines):
    server = OperatorServer(("127.0.0.1", 0))
    book = WalletBook(tmp_path / "wallet.sqlite")
    book.open_account("ada", "USD", NOW_S * 1000)
    client = GetawayClient("http://127.0.0.1:1", CREDENTIALS)
    server.site = OperatorSite(book, client, CREDENTIALS, origins=[], say=lines.append, now_s=lambda: NOW_S)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Operator(
        operator_id=UUID(CREDENTIALS.operator_id),
        name="Demo",
        api_key=CREDENTIALS.api_key,
        hmac_secret=CREDENTIALS.hmac_secret,
        wallet_callback_url=f"http://127.0.0.1:{server.server_port}/wallet",
        rtp_bps=9600,
        max_win_multiplier=2000,
        rev_share_bps=1500,
        status=OperatorStatus.ACTIVE,
        bet_limits={"USD": None},
        allow_cidrs=(),
        frame_origins=(),
    )
    server.shutdown()
    server.server_close()
    book.close()


@pytest.fixture
async def gateway():
    async with HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock()) as gateway:
        yield gateway


def call(kind: CallKind, number: int, amount_minor: int) -> WalletCall:
    round_id, session_id = UUID(int=number), UUID(int=1)
    tx_id = f"{kind.value}-{round_id}"
    return WalletCall(
        operator_id=UUID(CREDENTIALS.operator_id),
        session_id=session_id,
        round_id=round_id,
        operator_tx_id=tx_id,
        kind=kind,
        amount_minor=amount_minor,
        body=call_body(
            operator_tx_id=tx_id,
            operator_player_id="ada",
            session_id=session_id,
            round_id=round_id,
            currency="USD",
            amount_minor=amount_minor,
            multiplier_hundredths=250 if kind is CallKind.WIN else None,
            bet_tx_id=None if kind is CallKind.BET else bet_tx_id(round_id),
        ),
        position=2,
        created_at_ms=0,
        next_attempt_at_ms=0,
    )


@pytest.fixture(params=["real", "twin"])
async def wallet(request, gateway):
    """A gateway to a wallet with 5,000.00: over HTTP to the demo operator's, or the twin of the actors' tests."""
    return gateway if request.param == "real" else ScriptedWallet(500_000)


async def test_a_bet_and_its_win_move_the_money_once(operator, wallet):
    bet, win = call(CallKind.BET, 1, 10_000), call(CallKind.WIN, 1, 25_000)
    assert await wallet.send(operator, bet, 2000) == Acknowledged(490_000)
    assert await wallet.send(operator, bet, 2000) == Acknowledged(490_000)
    assert await wallet.send(operator, win, 2000) == Acknowledged(515_000)
    assert await wallet.send(operator, win, 2000) == Acknowledged(515_000)


async def test_a_bet_that_is_not_covered_is_declined(operator, wallet):
    assert await wallet.send(operator, call(CallKind.BET, 2, 600_000), 2000) == Declined("the wallet answered 402")
    assert await wallet.send(operator, call(CallKind.BET, 3, 500_000), 2000) == Acknowledged(0)


async def test_a_refund_gives_a_bet_back_once(operator, wallet):
    assert await wallet.send(operator, call(CallKind.BET, 1, 10_000), 2000) == Acknowledged(490_000)
    for _ in range(2):
        assert await wallet.send(operator, call(CallKind.REFUND, 1, 10_000), 2000) == Acknowledged(500_000)


async def test_a_refund_of_a_bet_that_never_came_cancels_it(operator, wallet):
    assert await wallet.send(operator, call(CallKind.REFUND, 3, 5), 2000) == Acknowledged(500_000)
    assert await wallet.send(operator, call(CallKind.BET, 3, 5), 2000) == Declined("the wallet answered 409")
    assert await wallet.send(operator, call(CallKind.BET, 4, 5), 2000) == Acknowledged(499_995)


async def test_calls_of_several_rounds_may_be_in_flight(operator, wallet):
    answers = []

    async def bet(number):
        answers.append(await wallet.send(operator, call(CallKind.BET, number, 100), 5000))

    async with trio.open_nursery() as nursery:
        for number in range(1, 9):
            nursery.start_soon(bet, number)
    assert sorted(answer.balance_minor for answer in answers) == [500_000 - 100 * count for count in range(8, 0, -1)]


async def test_no_answer_in_time_is_unclear(operator, wallet, tmp_path):
    if isinstance(wallet, ScriptedWallet):
        wallet.delay_s = 10
    with closing(sqlite3.connect(tmp_path / "wallet.sqlite", isolation_level=None)) as another_user:
        another_user.execute("BEGIN IMMEDIATE")
        assert await wallet.send(operator, call(CallKind.BET, 1, 10), 100) == Unclear("no answer in time")
        another_user.execute("ROLLBACK")


async def test_the_demo_operator_says_what_it_did(operator, gateway, lines):
    for one in (call(CallKind.BET, 1, 10), call(CallKind.BET, 1, 10), call(CallKind.BET, 2, 600_000)):
        await gateway.send(operator, one, 2000)
    assert [line.split()[-1] for line in lines] == ["accepted", "repeated", "insufficient_funds"]


async def test_another_secret_is_refused(operator, gateway):
    stranger = replace(operator, hmac_secret="another")
    assert await gateway.send(stranger, call(CallKind.BET, 1, 10), 2000) == Declined("the wallet answered 401")
    assert await gateway.send(operator, call(CallKind.REFUND, 1, 10), 2000) == Acknowledged(500_000)
