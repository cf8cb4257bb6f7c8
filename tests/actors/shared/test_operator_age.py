"""What is known of the operators has an age: too old, it takes no new obligation, and keeps every old one."""

import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from actors.shared.game_settings import GameSettings
from tests.helpers.game import LIMITS, open_game

SETTINGS = GameSettings(bet_limits={"USD": LIMITS})
REFRESH_S, AGE_S_MAX = SETTINGS.operator_refresh_ms / 1000, SETTINGS.operators_age_ms_max / 1000


def cannot_be_read(game, monkeypatch):
    """All else of the ledger works."""

    async def fails():
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailableError("the operators can't be read")

    monkeypatch.setattr(game.ledger, "load_operators", fails)


@pytest.mark.logs_errors("operators are too old to bet on")
async def test_operators_that_are_too_old_are_not_bet_on(autojump_clock, monkeypatch, caplog):
    async with open_game(settings=SETTINGS) as game:
        directory, player = game.node.services.operators, await game.play(101, 500)
        await trio.sleep(10 * REFRESH_S)
        assert directory.is_fresh and directory.age_s <= REFRESH_S
        with monkeypatch.context() as patched:
            cannot_be_read(game, patched)
            await trio.sleep(AGE_S_MAX - 2 * REFRESH_S)
            player.say("bet", amount_minor=100)
            await player.until("round_ended")
            await trio.sleep(2 * REFRESH_S)
            assert not directory.is_fresh
            player.say("bet", id="b", amount_minor=100)
            refused = await player.until("error")
            assert (refused["code"], refused["id"]) == ("wallet_unavailable", "b")
            assert "can't be read" in refused["message"] and "Nothing was staked" in refused["message"]
            assert len(game.wallet.calls) == 1
            await trio.sleep(AGE_S_MAX)
        await trio.sleep(REFRESH_S)
        player.say("bet", amount_minor=100)
        await player.until("round_started")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "operators are too old to bet on"
    ]
    caplog.clear()


@pytest.mark.logs_errors("operators are too old to bet on")
async def test_what_flies_lands_and_is_paid_however_old_the_operators_are(autojump_clock, monkeypatch, caplog):
    async with open_game(settings=SETTINGS) as game:
        player = await game.play(500)
        await trio.sleep(10 * REFRESH_S)
        cannot_be_read(game, monkeypatch)
        await trio.sleep(AGE_S_MAX - 3 * REFRESH_S)
        player.say("bet", amount_minor=100)
        started = await player.until("round_started")
        await trio.sleep(4 * REFRESH_S)
        assert not game.node.services.operators.is_fresh
        player.say("cashout", round_id=started["round_id"])
        assert (await player.until("round_ended"))["result"] == "cashout"
        with trio.fail_after(10):
            while len(game.wallet.calls) < 2:
                await trio.sleep(0.1)
        assert [call.kind.value for call in game.wallet.calls] == ["bet", "win"]
    caplog.clear()


async def test_a_node_confirms_what_it_goes_by(autojump_clock):
    """Only once it does: a listener may still have ended nothing before."""
    async with open_game(settings=SETTINGS) as game:
        owner, seen = game.node.services.owner, []
        assert game.ledger.confirmed == {owner: 0}
        game.node.services.operators.on_change(lambda: seen.append(dict(game.ledger.confirmed)))
        game.ledger.operators.clear()
        game.ledger.version_of_operators = 1
        await trio.sleep(1.5 * REFRESH_S)
        assert (seen, game.ledger.confirmed) == ([{owner: 0}], {owner: 1})


async def test_what_was_changed_while_it_was_read_is_not_confirmed(autojump_clock, monkeypatch):
    async with open_game(settings=SETTINGS) as game:
        owner, load = game.node.services.owner, game.ledger.load_operators

        async def load_slowly():
            loaded = await load()
            game.ledger.version_of_operators = 7
            return loaded

        monkeypatch.setattr(game.ledger, "load_operators", load_slowly)
        await trio.sleep(1.5 * REFRESH_S)
        assert game.ledger.confirmed == {owner: 0}
        await trio.sleep(REFRESH_S)
        assert game.ledger.confirmed == {owner: 7}


async def test_what_took_long_to_be_read_is_as_old_as_its_question(autojump_clock, monkeypatch):
    """A suspension may have come just after the question."""
    async with open_game(settings=SETTINGS) as game:
        directory, load = game.node.services.operators, game.ledger.load_operators

        async def load_slowly():
            loaded = await load()
            await trio.sleep(AGE_S_MAX + 1)
            return loaded

        monkeypatch.setattr(game.ledger, "load_operators", load_slowly)
        await directory.refresh()
        assert directory.age_s >= AGE_S_MAX + 1 and not directory.is_fresh
