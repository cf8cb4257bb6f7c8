"""Whether a bet is taken, to the millisecond and the minor unit, and the round that it makes."""

from dataclasses import replace

import pytest
import trio

from actors.facts.frames_in import BetIn
from actors.facts.records import OperatorStatus
from actors.play.judging import bet_error, bet_terms_of, new_round, next_commitment, place_error
from actors.play.session import end_reason
from actors.rules import fairness
from tests.helpers.game import LIMITS, open_game

FREE = {"is_busy": False, "is_draining": False, "permits": True}


@pytest.fixture
async def opened():
    async with open_game(bet_limits={"USD": replace(LIMITS, max_payout_minor=777_777)}) as game:
        await game.play()
        (session,) = game.node.lobby._sessions._actors.values()
        yield game.node.services, session.record


def bet(amount_minor=1_000, client_seed=None, auto=None):
    return BetIn(None, amount_minor, auto, client_seed)


async def test_what_keeps_any_bet_from_being_placed(autojump_clock, opened):
    services, session = opened
    now_ms = services.clock.now_ms()
    assert place_error(services, session, **FREE) is None
    assert place_error(services, session, **FREE | {"is_busy": True, "is_draining": True}) == "round_in_progress"
    assert place_error(services, session, **FREE | {"is_draining": True, "permits": False}) == "draining"
    assert place_error(services, session, **FREE | {"permits": False}) == "wallet_unavailable"
    services.contact.is_cut = True
    assert place_error(services, session, **FREE) == "wallet_unavailable"
    services.contact.is_cut = False
    beat_at = services.contact._beat_at
    services.contact._beat_at = trio.current_time() - services.settings.lease_ms / 1000
    assert place_error(services, session, **FREE) == "wallet_unavailable", "others may play what this life had"
    services.contact._beat_at += 0.001
    assert place_error(services, session, **FREE) is None
    services.contact._beat_at = beat_at
    assert place_error(services, replace(session, expires_at_ms=now_ms + 1), **FREE) is None
    assert place_error(services, replace(session, expires_at_ms=now_ms), **FREE) == "session_expired"


async def test_a_suspended_operator_takes_no_bet_and_ends_its_sessions(autojump_clock, opened):
    services, session = opened
    assert end_reason(services, session, is_draining=False) is None
    assert end_reason(services, session, is_draining=True) == "shutdown"
    expired = replace(session, expires_at_ms=services.clock.now_ms())
    assert end_reason(services, expired, is_draining=True) == "expired"
    known = services.operators._operators
    known[session.operator_id] = replace(known[session.operator_id], status=OperatorStatus.SUSPENDED)
    assert place_error(services, session, **FREE) == "bet_declined"
    assert end_reason(services, session, is_draining=True) == "operator_suspended"


async def test_a_stake_may_be_the_whole_balance_and_no_more(autojump_clock, opened):
    terms = bet_terms_of(*opened)
    assert bet_error(bet(1_000), terms, 1_000) is None
    assert bet_error(bet(1_000), terms, 999) == "insufficient_funds"
    assert bet_error(bet(1_000), terms, None) is None, "the wallet judges"
    assert bet_error(bet(1_000, auto=200_000), terms, 1_000) is None
    assert bet_error(bet(1_000, auto=200_001), terms, 1_000) == "bad_auto_cashout"


@pytest.mark.parametrize("client_seed", [None, "of-the-bet"])
async def test_a_round_is_played_on_the_promise_and_the_client_seed_of_its_bet(autojump_clock, opened, client_seed):
    services, session = opened
    promised, terms = session.next, bet_terms_of(services, session)
    live = new_round(services, session, promised, bet(client_seed=client_seed, auto=150), terms)
    used = client_seed or promised.client_seed
    assert live.commitment == replace(promised, client_seed=used)
    assert live.outcome == fairness.outcome(promised.server_seed, used, promised.nonce, 9_600, 2_000)
    assert (live.terms.max_payout_minor, live.auto_cashout_hundredths, live.amount_minor) == (777_777, 150, 1_000)
    after = next_commitment(live, "f" * 64)
    assert (after.nonce, after.client_seed) == (promised.nonce + 1, used)
    assert after.server_seed_hash == fairness.commitment("f" * 64)
