"""The in-memory twin's pure rules: what the database's schema refuses, and how a live round becomes a finished one."""

import re

from actors.facts.records import CallKind, CallStatus, LiveRound, PageOptions, RoundStatus, WalletCall
from actors.facts.transitions import CreateSession, EndRound, PlaceBet
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
        or _is_another_call(bet.call, live, CallKind.BET, live.amount_minor)
    )


def refuses_end(live: LiveRound, end: EndRound) -> bool:
    finished, call = end.finished, end.call
    if fairness.commitment(finished.server_seed) != live.commitment.server_seed_hash:
        return True
    if not 100 <= finished.outcome.crash_hundredths <= 100 * live.terms.max_win_multiplier:
        return True
    if finished.status is RoundStatus.SETTLED:
        return _refuses_settlement(live, end)
    if end.bet is not None:
        owes = {CallStatus.DECLINED: False, CallStatus.UNKNOWN: True}.get(end.bet.status)
        if owes is None or owes is not (call is not None):
            return True
    return call is not None and _is_another_call(call, live, CallKind.REFUND, live.amount_minor)


def _refuses_settlement(live: LiveRound, end: EndRound) -> bool:
    finished = end.finished
    if finished.result is Result.CRASH:
        return bool(finished.realized_hundredths or finished.payout_minor or end.call)
    return (
        not 101 <= finished.realized_hundredths <= finished.outcome.crash_hundredths
        or not 0 < finished.payout_minor <= live.terms.max_payout_minor
        or finished.payout_minor != live.amount_minor * finished.realized_hundredths // 100
        or end.call is None
        or _is_another_call(end.call, live, CallKind.WIN, finished.payout_minor)
    )


def _is_another_call(call: WalletCall, live: LiveRound, kind: CallKind, amount_minor: int) -> bool:
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


def same_end(one: EndRound, other: EndRound) -> bool:
    """Whether two ends say the same, whenever they were decided."""
    return _timeless(one) == _timeless(other)


def _timeless(end: EndRound) -> tuple[object, ...]:
    ended = end.finished
    fate = end.bet and end.bet.status
    return ended.status, ended.result, ended.reason, ended.realized_hundredths, ended.payout_minor, fate
