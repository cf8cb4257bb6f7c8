"""The in-memory twin's pure rules: what the database's schema refuses, and how a live round becomes a finished one."""

import re

from actors.facts.records import CallKind, CallStatus, FinishedRound, LiveRound, PageOptions, RoundStatus, WalletCall
from actors.facts.transitions import CreateSession, PlaceBet, RefundRound, SettleRound, Transition, VoidRound
from actors.rules import fairness
from actors.rules.settlement import Result


def refuses_session(new: CreateSession) -> bool:
    return (
        new.balance_minor < 0
        or new.expires_at_ms <= new.created_at_ms
        or len(new.token_digest) != 32
        or not fairness.is_client_seed(new.client_seed)
        or _refuses_page(new.page)
    )


def _refuses_page(page: PageOptions) -> bool:
    lang, minutes, lobby_url = page.lang, page.reality_check_minutes, page.lobby_url
    is_tag = lang is None or (len(lang) <= 35 and re.fullmatch("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", lang))
    return (
        not is_tag
        or not (minutes is None or 1 <= minutes <= 1_440)
        or not (lobby_url is None or 1 <= len(lobby_url) <= 2_048)
    )


def refuses_bet(bet: PlaceBet) -> bool:
    live = bet.round
    auto = live.auto_cashout_hundredths
    return (
        live.amount_minor <= 0
        or (auto is not None and auto < 101)
        or not fairness.is_client_seed(live.commitment.client_seed)
        or _is_not_owed(bet.call, live, CallKind.BET, live.amount_minor)
    )


def refuses_end(live: LiveRound, end: SettleRound | VoidRound | RefundRound) -> bool:
    if fairness.commitment(end.server_seed) != live.commitment.server_seed_hash:
        return True
    if not 100 <= end.outcome.crash_hundredths <= 100 * live.terms.max_win_multiplier:
        return True
    match end:
        case SettleRound():
            return _refuses_settlement(live, end)
        case VoidRound():
            owes = {CallStatus.DECLINED: False, CallStatus.UNKNOWN: True}.get(end.bet_status)
            if owes is None or owes is not (end.refund is not None):
                return True
        case RefundRound():
            pass
    return end.refund is not None and _is_not_owed(end.refund, live, CallKind.REFUND, live.amount_minor)


def _refuses_settlement(live: LiveRound, end: SettleRound) -> bool:
    if end.result is Result.CRASH:
        return bool(end.realized_hundredths or end.payout_minor or end.win)
    return (
        not 101 <= end.realized_hundredths <= end.outcome.crash_hundredths
        or not 0 < end.payout_minor <= live.terms.max_payout_minor
        or end.payout_minor != live.amount_minor * end.realized_hundredths // 100
        or end.win is None
        or _is_not_owed(end.win, live, CallKind.WIN, end.payout_minor)
    )


def _is_not_owed(call: WalletCall, live: LiveRound, kind: CallKind, amount_minor: int) -> bool:
    return (call.operator_id, call.session_id, call.round_id, call.kind, call.amount_minor) != (
        live.operator_id,
        live.session_id,
        live.round_id,
        kind,
        amount_minor,
    ) or (call.operator_tx_id, call.position) != (
        f"{kind}-{live.round_id}",
        2 * live.commitment.nonce + (kind is not CallKind.BET),
    )


def same_end(one: Transition, other: Transition) -> bool:
    """Whether two ends say the same, whenever they were decided."""
    return _timeless(one) == _timeless(other)


def _timeless(end: Transition) -> tuple[object, ...]:
    match end:
        case SettleRound():
            return (SettleRound, end.result, end.realized_hundredths, end.payout_minor)
        case VoidRound():
            return (VoidRound, end.reason, end.bet_status)
        case RefundRound():
            return (RefundRound, end.reason)
        case _:
            raise AssertionError("not an end")


def finish(live: LiveRound, end: VoidRound | SettleRound | RefundRound) -> FinishedRound:
    settled = end if isinstance(end, SettleRound) else None
    statuses = {SettleRound: RoundStatus.SETTLED, VoidRound: RoundStatus.VOID, RefundRound: RoundStatus.REFUNDED}
    return FinishedRound(
        round_id=live.round_id,
        session_id=live.session_id,
        status=statuses[type(end)],
        result=settled and settled.result,
        reason=None if isinstance(end, SettleRound) else end.reason,
        currency=live.currency,
        amount_minor=live.amount_minor,
        auto_cashout_hundredths=live.auto_cashout_hundredths,
        realized_hundredths=settled.realized_hundredths if settled else 0,
        payout_minor=settled.payout_minor if settled else 0,
        server_seed=end.server_seed,
        server_seed_hash=live.commitment.server_seed_hash,
        client_seed=live.commitment.client_seed,
        nonce=live.commitment.nonce,
        rtp_bps=live.terms.rtp_bps,
        max_win_multiplier=live.terms.max_win_multiplier,
        outcome=end.outcome,
        started_at_ms=live.started_at_ms,
        settled_at_ms=end.settled_at_ms,
    )
