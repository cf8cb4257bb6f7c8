"""Judging a bet and drawing up its round: pure, from what the session and its operator's terms say."""

from dataclasses import dataclass

from actors.facts.error_texts import NOT_STORED, OPERATORS_ARE_OLD, TOO_MANY_VOID, words
from actors.facts.frames_in import BetIn
from actors.facts.frames_out import ErrorOut
from actors.facts.records import Commitment, LiveRound, Operator, RoundStatus, RoundTerms, SessionRecord
from actors.rules import fairness
from actors.rules.limits import BetLimits, auto_cashout_is_valid, stake_error
from actors.shared.operators import limits_for
from actors.shared.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class BetTerms:
    """What a session's bets are judged under, as of now."""

    operator: Operator
    limits: BetLimits


def bet_terms_of(services: Services, session: SessionRecord) -> BetTerms | None:
    """The session's bet terms; ``None`` if its operator or its currency has been taken away."""
    operator = services.operators.find(session.operator_id)
    if operator is None:
        return None
    limits = limits_for(operator, session.currency, services.settings.bet_limits)
    return None if limits is None else BetTerms(operator=operator, limits=limits)


def place_error(
    services: Services, session: SessionRecord, *, is_busy: bool, is_draining: bool, permits: bool
) -> str | None:
    """The protocol's error code for any bet at this moment, or ``None``.

    ``is_busy``: another one is under way. ``permits``: the operator's wallet may be called.
    """
    if is_busy:
        return "round_in_progress"
    if is_draining:
        return "draining"
    if not services.contact.takes_bets:
        return "wallet_unavailable"
    if services.clock.now_ms() >= session.expires_at_ms:
        return "session_expired"
    if not services.operators.is_active(session.operator_id):
        return "bet_declined"
    return None if permits else "wallet_unavailable"


def bet_error(bet: BetIn, terms: BetTerms, balance_minor: int | None) -> str | None:
    """The protocol's error code for a bet that breaks the limits or exceeds the balance, or ``None``.

    ``balance_minor`` is ``None`` while it is not known: then the wallet judges.
    """
    auto = bet.auto_cashout_hundredths
    if auto is not None and not auto_cashout_is_valid(auto, terms.operator.max_win_multiplier):
        return "bad_auto_cashout"
    code = stake_error(bet.amount_minor, terms.limits)
    if code is None and balance_minor is not None and bet.amount_minor > balance_minor:
        return "insufficient_funds"
    return code


def judge(
    services: Services,
    session: SessionRecord,
    bet: BetIn,
    *,
    is_busy: bool,
    is_draining: bool,
    permits: bool,
    balance_minor: int | None,
) -> BetTerms | ErrorOut:
    """What a good bet is placed under, or why it is refused. Its arguments are those of ``place_error`` and
    ``bet_error``."""
    terms = bet_terms_of(services, session)
    code = place_error(services, session, is_busy=is_busy, is_draining=is_draining, permits=permits)
    if code or terms is None or (code := bet_error(bet, terms, balance_minor)):
        # What is ours is not put down to the wallet, which was not asked.
        is_ours = code == "wallet_unavailable" and not services.contact.takes_bets
        return _refusal(bet, code or "bet_declined", NOT_STORED if is_ours else None)
    if not services.operators.is_fresh:
        return _refusal(bet, "wallet_unavailable", OPERATORS_ARE_OLD)
    whose = session.operator_id, session.operator_player_id, session.session_id
    if services.tally.wait_ms(*whose, services.clock.steady_ms()):
        return _refusal(bet, "rate_limited", TOO_MANY_VOID)
    return terms


def _refusal(bet: BetIn, code: str, message: str | None = None) -> ErrorOut:
    return ErrorOut(id=bet.frame_id, code=code, message=message or words(code))


def new_round(
    services: Services, session: SessionRecord, promised: Commitment, bet: BetIn, terms: BetTerms
) -> LiveRound:
    """The round that a good bet starts, under the promised seed and the operator's present terms."""
    operator = terms.operator
    client_seed = bet.client_seed or promised.client_seed
    return LiveRound(
        operator_id=session.operator_id,
        session_id=session.session_id,
        round_id=services.entropy.identifier(),
        operator_player_id=session.operator_player_id,
        currency=session.currency,
        amount_minor=bet.amount_minor,
        auto_cashout_hundredths=bet.auto_cashout_hundredths,
        commitment=Commitment(promised.server_seed, promised.server_seed_hash, client_seed, promised.nonce),
        terms=RoundTerms(
            rtp_bps=operator.rtp_bps,
            max_win_multiplier=operator.max_win_multiplier,
            rev_share_bps=operator.rev_share_bps,
            max_payout_minor=terms.limits.max_payout_minor,
            growth_rate_per_ms=services.settings.growth_rate_per_ms,
        ),
        status=RoundStatus.BETTING,
        created_at_ms=services.clock.now_ms(),
        started_at_ms=None,
        outcome=fairness.outcome(
            promised.server_seed, client_seed, promised.nonce, operator.rtp_bps, operator.max_win_multiplier
        ),
    )


def next_commitment(live: LiveRound, next_server_seed: str) -> Commitment:
    """What is promised for the round after ``live``."""
    return Commitment(
        next_server_seed, fairness.commitment(next_server_seed), live.commitment.client_seed, live.commitment.nonce + 1
    )
