"""A gateway, an operator and a call for the tests of the wallet gateway."""

import hashlib
import hmac
from contextlib import asynccontextmanager
from uuid import UUID

from actors.facts.records import CallKind, Operator, OperatorStatus, WalletCall
from actors.ports.wallet import NotSent, Unclear
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.raw_http import raw_server

SECRET = "the-hmac-secret-of-this-operator"
KEY = "the-api-key-of-this-operator"
NOW_MS = 1_782_864_001_999
GOOD = b'{"ok":true,"balance_minor":490000}'


class FrozenClock:
    def __init__(self):
        self.ms = NOW_MS

    def now_ms(self):
        return self.ms

    wall_ms = now_ms


def operator(url: str, number: int = 1) -> Operator:
    return Operator(
        operator_id=UUID(int=number),
        name="Test",
        api_key=KEY,
        hmac_secret=SECRET,
        wallet_callback_url=url,
        rtp_bps=9600,
        max_win_multiplier=2000,
        rev_share_bps=1500,
        status=OperatorStatus.ACTIVE,
        bet_limits={"USD": None},
        allow_cidrs=(),
        frame_origins=("https://casino.example",),
    )


def call(kind: CallKind = CallKind.BET) -> WalletCall:
    return WalletCall(
        operator_id=UUID(int=1),
        session_id=UUID(int=2),
        round_id=UUID(int=3),
        operator_tx_id=f"{kind.value}-{UUID(int=3)}",
        kind=kind,
        amount_minor=10_000,
        body='{"operator_tx_id":"bet-1","operator_player_id":"player-é€"}'.encode(),
        position=2,
        created_at_ms=NOW_MS,
        next_attempt_at_ms=NOW_MS,
    )


@asynccontextmanager
async def gateway(**settings):
    async with HttpWalletGateway(
        WalletGatewaySettings(allow_insecure_callbacks=True, **settings), FrozenClock()
    ) as made:
        yield made


async def answer_to(behaviour, timeout_ms=2000, **settings):
    async with raw_server(behaviour) as server, gateway(**settings) as wallet:
        return await wallet.send(operator(server.url + "/wallet"), call(), timeout_ms)


def assert_unclear(answer, says=""):
    assert isinstance(answer, Unclear), answer
    assert says in answer.detail
    assert 0 < len(answer.detail) <= 120
    assert answer.detail.isprintable()


def assert_not_sent(answer, says=""):
    assert isinstance(answer, NotSent), answer
    assert (answer.is_unreachable, answer.sends) == (True, 0)
    assert says in answer.detail
    assert answer.detail.isprintable()


def signature_by_hand(timestamp: str, target: str, body: bytes) -> str:
    text = timestamp + ".POST." + target + "." + hashlib.sha256(body).hexdigest()
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
