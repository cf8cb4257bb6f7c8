"""Transitions for the ledger's tests, built by the actors' own code from chosen seeds and moments."""

import hashlib
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import count
from uuid import UUID

from actors.facts import ends
from actors.facts.calls import bet_call
from actors.facts.records import (
    CallKind,
    CallStatus,
    Commitment,
    LiveRound,
    OpenedSession,
    Operator,
    Owner,
    RoundStatus,
    RoundTerms,
)
from actors.facts.transitions import (
    AcknowledgeCall,
    ChangeClientSeed,
    CreateSession,
    EndRound,
    PlaceBet,
    PostponeCall,
    StartRound,
)
from actors.ports.ledger import Ledger
from actors.rules import fairness
from actors.rules.limits import BetLimits
from actors.rules.settlement import Result, Settlement
from server.ports.operators import NewOperator
from tests.helpers.clocked_ledger import ClockedLedger

CLIENT_SEED = "player"
NOON_MS = 1_782_864_000_000
HOUR_MS = 3_600_000
LEASE_MS = 10_000
LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=1_000, bet_step_minor=10, max_payout_minor=100_000)


def new_operator(**changes) -> NewOperator:
    fields = {
        "name": "Casino",
        "wallet_callback_url": "https://wallet.example",
        "rtp_bps": 9_600,
        "max_win_multiplier": 2_000,
        "rev_share_bps": 1_500,
        "bet_limits": {"USD": None, "EUR": LIMITS},
        "frame_origins": ("https://casino.example",),
        "api_key": "key-in-the-clear",
        "hmac_secret": "secret-in-the-clear",
    }
    return NewOperator(**(fields | changes))


@cache
def seed(session_id: UUID, nonce: int, client_seed: str = CLIENT_SEED) -> str:
    """The server seed of a session's n-th round: it crashes at 2.00x or later."""
    for attempt in count():
        text = hashlib.sha256(f"{session_id}:{nonce}:{attempt}".encode()).hexdigest()
        if fairness.outcome(text, client_seed, nonce, 9_600, 2_000).crash_hundredths >= 200:
            return text
    raise AssertionError


def identifier(*name: object) -> UUID:
    return UUID(bytes=hashlib.sha256(repr(name).encode()).digest()[:16], version=4)


def token_digest(session_id: UUID) -> bytes:
    return hashlib.sha256(b"token" + session_id.bytes).digest()


def new_session(operator: Operator, name: object = 1, **changes) -> CreateSession:
    session_id = identifier(operator.operator_id, "session", name)
    fields = {
        "operator_id": operator.operator_id,
        "session_id": session_id,
        "operator_player_id": "player-42",
        "currency": "USD",
        "balance_minor": 10_000,
        "token_digest": token_digest(session_id),
        "created_at_ms": NOON_MS,
        "expires_at_ms": NOON_MS + HOUR_MS,
        "client_seed": CLIENT_SEED,
        "server_seed": seed(session_id, 1),
        "signature_digest": hashlib.sha256(b"signature" + session_id.bytes).digest(),
        "sealed_token": b"sealed" + session_id.bytes,
        "replay_until_ms": NOON_MS + 600_000,
    }
    return CreateSession(**(fields | changes))


def new_round(created: CreateSession, nonce: int = 1, **changes) -> LiveRound:
    """The session's n-th round, as a session that only ever saw the seeds of this module would start it."""
    server_seed = changes.pop("server_seed", seed(created.session_id, nonce) if nonce > 1 else created.server_seed)
    client_seed = changes.pop("client_seed", created.client_seed)
    terms = changes.pop("terms", {})
    fields = {
        "operator_id": created.operator_id,
        "session_id": created.session_id,
        "round_id": identifier(created.session_id, "round", nonce),
        "operator_player_id": created.operator_player_id,
        "currency": created.currency,
        "amount_minor": 100,
        "auto_cashout_hundredths": None,
        "commitment": Commitment(server_seed, fairness.commitment(server_seed), client_seed, nonce),
        "terms": RoundTerms(
            **(
                {
                    "rtp_bps": 9_600,
                    "max_win_multiplier": 2_000,
                    "rev_share_bps": 1_500,
                    "max_payout_minor": 10_000_000,
                    "growth_rate_per_ms": Decimal("0.00006"),
                }
                | terms
            )
        ),
        "status": RoundStatus.BETTING,
        "created_at_ms": created.created_at_ms + 1_000 * nonce,
        "started_at_ms": None,
        "outcome": fairness.outcome(
            server_seed, client_seed, nonce, terms.get("rtp_bps", 9_600), terms.get("max_win_multiplier", 2_000)
        ),
    }
    return LiveRound(**(fields | changes))


def place(owner: Owner, live: LiveRound, next_server_seed: str | None = None) -> PlaceBet:
    following = next_server_seed or seed(live.session_id, live.commitment.nonce + 1)
    return PlaceBet(owner=owner, round=live, call=bet_call(live), next_server_seed=following)


def start(
    owner: Owner, live: LiveRound, at_ms: int | None = None, balance_minor: int = 9_900, attempts: int = 1
) -> StartRound:
    return StartRound(
        owner=owner,
        operator_id=live.operator_id,
        session_id=live.session_id,
        round_id=live.round_id,
        started_at_ms=live.created_at_ms + 10 if at_ms is None else at_ms,
        balance_minor=balance_minor,
        attempts=attempts,
    )


def flying(live: LiveRound, at_ms: int | None = None) -> LiveRound:
    return replace(live, status=RoundStatus.FLYING, started_at_ms=live.created_at_ms + 10 if at_ms is None else at_ms)


def cash_out(owner: Owner, live: LiveRound, hundredths: int = 150, at_ms: int | None = None):
    """A cash-out with a win, of at most 2.00x."""
    settlement = Settlement(Result.CASHOUT, hundredths, live.amount_minor * hundredths // 100)
    return ends.settled(live, owner, settlement, live.created_at_ms + 500 if at_ms is None else at_ms)


def crash(owner: Owner, live: LiveRound, at_ms: int | None = None):
    at_ms = live.created_at_ms + 500 if at_ms is None else at_ms
    return ends.settled(live, owner, Settlement(Result.CRASH, 0, 0), at_ms)


def void(owner: Owner, live: LiveRound, status: CallStatus = CallStatus.DECLINED, at_ms: int | None = None):
    at_ms = live.created_at_ms + 500 if at_ms is None else at_ms
    return ends.void(live, owner, "declined", bet_status=status, attempts=1, now_ms=at_ms, detail="as told")


def refund(owner: Owner, live: LiveRound, at_ms: int | None = None):
    at_ms = live.created_at_ms + 500 if at_ms is None else at_ms
    return ends.refunded(live, owner, ends.INTERRUPTED, at_ms)


def changed(end: EndRound, **changes) -> EndRound:
    """An end whose revealed round says something else."""
    return replace(end, finished=replace(end.finished, **changes))


def acknowledge(live: LiveRound, kind: CallKind = CallKind.WIN, balance_minor: int | None = 10_000, attempts: int = 1):
    return AcknowledgeCall(
        operator_id=live.operator_id,
        session_id=live.session_id,
        operator_tx_id=f"{kind}-{live.round_id}",
        attempts=attempts,
        balance_minor=balance_minor,
        acknowledged_at_ms=live.created_at_ms + 600,
    )


def postpone(
    live: LiveRound,
    kind: CallKind = CallKind.WIN,
    *,
    owner: Owner | None = None,
    attempts: int = 1,
    parked: bool = False,
):
    return PostponeCall(
        owner=owner or Owner("any", 1),
        operator_id=live.operator_id,
        session_id=live.session_id,
        operator_tx_id=f"{kind}-{live.round_id}",
        attempts=attempts,
        next_attempt_at_ms=live.created_at_ms + 5_000,
        last_error="connection lost",
        parked=parked,
    )


def change_client_seed(owner: Owner, created: CreateSession, client_seed: str) -> ChangeClientSeed:
    return ChangeClientSeed(
        owner=owner, operator_id=created.operator_id, session_id=created.session_id, client_seed=client_seed
    )


def promise(created: CreateSession, nonce: int = 1) -> str:
    """The seed that an opening draws so that ``new_round`` plays what was promised."""
    return created.server_seed if nonce == 1 else seed(created.session_id, nonce)


async def opened(
    ledger: Ledger, created: CreateSession, owner: Owner, now_ms: int = NOON_MS, *, nonce: int = 1
) -> OpenedSession:
    """The session, opened when it has played ``nonce - 1`` rounds."""
    at = (now_ms,) if isinstance(ledger, ClockedLedger) else ()
    session = await ledger.open_session(created.token_digest, owner, LEASE_MS, *at, promise(created, nonce))
    assert session is not None
    return session
