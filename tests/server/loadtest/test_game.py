"""What a simulated player makes of the frames that it gets."""

import json
from types import SimpleNamespace

import pytest
import trio
from trio_websocket import ConnectionClosed

from server.loadtest.play.game import Game

NEXT = {"server_seed_hash": "0" * 64, "client_seed": "chosen", "nonce": 2}


class Socket:
    """Says these frames, then closes."""

    def __init__(self, *frames):
        self._frames = list(frames)

    async def get_message(self):
        await trio.lowlevel.checkpoint()
        if not self._frames:
            raise ConnectionClosed(None)
        return json.dumps(self._frames.pop(0))


async def heard(game, *frames):
    with pytest.raises(ConnectionClosed):
        await game.read(Socket(*frames))


@pytest.mark.parametrize(
    ("status", "payout_minor", "rests"),
    [("settled", 150, False), ("settled", 0, True), ("refunded", 0, False), ("void", 0, True)],
)
async def test_a_player_rests_when_what_the_round_owes_has_come(status, payout_minor, rests):
    game = Game("ada", SimpleNamespace())
    ended = {"status": status, "payout_minor": payout_minor, "amount_minor": 100, "nonce": 1, "next": NEXT}
    await heard(game, {"type": "round_ended", **ended})
    assert game.is_resting is rests
    await heard(game, {"type": "balance", "balance_minor": 900, "pending_minor": 150})
    assert not game.is_resting
    await heard(game, {"type": "balance", "balance_minor": 1_050, "pending_minor": 0})
    assert game.is_resting and game.view.balance_minor == 1_050
