"""Each frame that players are sent, against bytes that were recorded when protocol 1 was given out."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest

from actors.facts.frames_in import PingIn
from actors.facts.frames_out import (
    BalanceOut,
    BetPendingOut,
    ClientOut,
    ClientSeedOut,
    DiscardedPromise,
    ErrorOut,
    FlyingRound,
    Growth,
    HistoryOut,
    Limits,
    PastRound,
    PongOut,
    Promise,
    RoundEndedOut,
    RoundStartedOut,
    SessionEndedOut,
    TickOut,
    Totals,
    WaitOut,
    WelcomeOut,
    encode,
)
from actors.facts.records import (
    Commitment,
    FinishedRound,
    LiveRound,
    RoundStatus,
    RoundTerms,
    SessionRecord,
    SessionTotals,
)
from actors.rules.fairness import Outcome
from actors.rules.limits import BetLimits
from actors.rules.settlement import Result

RECORDED = (Path(__file__).parents[2] / "data" / "player_frames.jsonl").read_bytes().splitlines()
SESSION_ID, ROUND_ID = UUID("00000000-0000-4000-8000-000000000001"), UUID("00000000-0000-4000-8000-000000000002")
PLAYED = Commitment("seed-7", "ab" * 32, "client_7", 7)
PROMISED = Commitment("seed-8", "cd" * 32, "client_7", 8)
OUTCOME = Outcome(crash_hundredths=1234, map_seed="map-1", loot_seed="loot-2", guard_seed="guard-3")
LIVE = LiveRound(
    operator_id=SESSION_ID,
    session_id=SESSION_ID,
    round_id=ROUND_ID,
    operator_player_id="p",
    currency="EUR",
    amount_minor=250,
    auto_cashout_hundredths=250,
    commitment=PLAYED,
    terms=RoundTerms(
        rtp_bps=9725,
        max_win_multiplier=100,
        rev_share_bps=1000,
        max_payout_minor=10**7,
        growth_rate_per_ms=Decimal("0.00006"),
    ),
    status=RoundStatus.FLYING,
    created_at_ms=1,
    started_at_ms=1_760_000_000_123,
    outcome=OUTCOME,
)
WON = FinishedRound(
    round_id=ROUND_ID,
    session_id=SESSION_ID,
    status=RoundStatus.SETTLED,
    result=Result.CASHOUT,
    reason=None,
    currency="EUR",
    amount_minor=250,
    auto_cashout_hundredths=None,
    realized_hundredths=200,
    payout_minor=500,
    server_seed="seed-7",
    server_seed_hash="ab" * 32,
    client_seed="client_7",
    nonce=7,
    rtp_bps=9725,
    max_win_multiplier=100,
    outcome=OUTCOME,
    started_at_ms=1_760_000_000_123,
    settled_at_ms=1_760_000_009_999,
)
VOID = replace(
    WON,
    status=RoundStatus.VOID,
    result=None,
    reason="bet_declined",
    auto_cashout_hundredths=101,
    realized_hundredths=0,
    payout_minor=0,
    started_at_ms=None,
)
LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=10_000, bet_step_minor=10, max_payout_minor=10**7)
TOTALS = Totals.of(
    SessionRecord(
        operator_id=SESSION_ID,
        session_id=SESSION_ID,
        operator_player_id="p",
        currency="EUR",
        balance_minor=1,
        created_at_ms=1_759_999_999_000,
        expires_at_ms=1_760_003_600_000,
        next=PROMISED,
    ),
    SessionTotals(3, 750, 500, 6),
)


def _welcome(
    frame_id: str | None = None,
    discarded: DiscardedPromise | None = None,
    flying: FlyingRound | None = None,
    history: list[PastRound] | None = None,
) -> WelcomeOut:
    return WelcomeOut(
        id=frame_id,
        protocol=1,
        session_id=SESSION_ID,
        player='pläyer "1"',
        currency="EUR",
        balance_minor=9750,
        pending_minor=0,
        limits=Limits.of(
            BetLimits(min_bet_minor=10, max_bet_minor=10_000, bet_step_minor=10, max_payout_minor=10**7), 100
        ),
        rtp_target=97.25,
        growth=Growth(rate_per_ms=float(LIVE.terms.growth_rate_per_ms)),
        tick_ms=50,
        next=Promise.of(PROMISED),
        discarded=discarded,
        round=flying,
        history=history,
        totals=TOTALS,
        server_time=1_760_000_000_200,
        expires_at=1_760_003_600_000,
    )


def _ended(frame_id: str | None, finished: FinishedRound) -> RoundEndedOut:
    return RoundEndedOut.after(
        finished, frame_id, balance_minor=9750, promised=PROMISED, totals=TOTALS, pending_minor=500
    )


PAST = [PastRound.of(WON), PastRound.of(VOID)]
FRAMES: list[ClientOut] = [
    _welcome("h1", DiscardedPromise.of(PLAYED), FlyingRound.of(LIVE, 9750), PAST),
    _welcome(history=[]),
    _welcome(),
    BetPendingOut(id="b1", round_id=ROUND_ID, amount_minor=250),
    BetPendingOut(round_id=ROUND_ID, amount_minor=250),
    RoundStartedOut.of(LIVE, 9750, "b1"),
    RoundStartedOut.of(replace(LIVE, auto_cashout_hundredths=None), 9750),
    TickOut(e=0, x=1),
    TickOut(e=50, x=1.01),
    TickOut(e=40_000, x=11.5),
    _ended("c1", WON),
    _ended(None, VOID),
    BalanceOut(balance_minor=9750, pending_minor=500),
    ClientSeedOut(id="s1", next=Promise.of(PROMISED)),
    HistoryOut(id="q1", rounds=PAST, more=True),
    HistoryOut(rounds=[], more=False),
    PongOut.to(PingIn("p1", 12), 1_760_000_000_200),
    PongOut.to(PingIn(None, Decimal("12.50")), 1_760_000_000_200),
    ErrorOut(id="c1", code="too_late", message="The round was over — before this."),
    ErrorOut(code="bad_message", message='`t` must be "a" number.'),
    ErrorOut(id="half \ud800 ä", code="bad_message", message="x"),
    ClientSeedOut(id="\udfff", next=Promise.of(PROMISED)),
    _ended("\ud800", WON),
    WaitOut(ms=15_000),
    SessionEndedOut(reason="expired"),
]


@pytest.mark.parametrize(("frame", "recorded"), list(zip(FRAMES, RECORDED, strict=True)))
def test_a_frame_has_the_recorded_bytes(frame: ClientOut, recorded: bytes):
    assert encode(frame) == recorded


def test_every_type_of_frame_is_recorded():
    assert {type(frame) for frame in FRAMES} == set(get_args(ClientOut))
