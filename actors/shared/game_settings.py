"""The actors' settings, each bound with its overflow rule beside it. Times are milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from actors.rules.limits import BetLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class GameSettings:
    """How the game is run. ``bet_limits`` are the configured limits by currency."""

    growth_rate_per_ms: Decimal = Decimal("0.00006")
    tick_ms: int = 100
    bet_limits: Mapping[str, BetLimits]

    bet_timeout_ms: int = 5_000
    """A `/bet` without an answer after this is unclear: the round is void and its refund is queued."""
    delivery_timeout_ms: int = 10_000
    """One attempt at a `/win` or `/refund`."""
    pending_wait_ms: int = 3_000
    """A bet waits this long for an unacknowledged win or refund; then it is refused (``wallet_pending``)."""
    retry_first_ms: int = 1_000
    retry_max_ms: int = 60_000
    retry_period_ms: int = 76 * 3_600_000
    """A call that was not acknowledged after this is parked for a person."""
    operator_bets_max: int = 64
    """Bets in flight to one operator. Overflow: they wait, within their own deadline, then are void, never sent."""
    operator_deliveries_max: int = 32
    """Wins and refunds in flight to one operator. Overflow: they stay in the ledger until there is room."""
    claim_ms: int = 20_000
    """For so long a due call is left to the node that claimed it. Longer than an attempt and its way to it."""
    courier_poll_ms: int = 500
    """How often due calls are looked for without being told."""
    outbox_watch_ms: int = 5_000
    breaker_failures_max: int = 8
    """So many calls in a row without a clear answer open an operator's breaker."""
    breaker_open_first_ms: int = 1_000
    breaker_open_max_ms: int = 10_000
    """An open breaker lets one trial through after the first of these, then doubling up to the second."""
    outbox_check_ms: int = 5_000
    """A session that waits for a win or refund looks so often whether somebody else has delivered it."""

    session_linger_ms: int = 30_000
    """A session without a socket and without a round leaves memory after this; its row stays."""
    operator_refresh_ms: int = 2_000
    """How often the operators are read again: a change takes effect within this, and a second for the reading."""
    operators_age_ms_max: int = 30_000
    """Operators that could not be read for so long are not bet on: new bets and launches are refused, in words."""
    heartbeat_ms: int = 500
    lease_ms: int = 4_000
    """A node that was silent for this long has lost its sessions and rounds, and registers anew."""
    orphan_sweep_ms: int = 2_000
    """How often a node looks what the dead have left, without being told that somebody has died."""
    unattended_look_ms: int = 10_000
    unattended_age_ms: int = 30_000
    """A node looks so often for live rounds of its own that no actor has, and ends those that are older and had none at
    two looks: within a minute."""
    handover_poll_ms: int = 150
    """How often a node looks, while it is not alone, what others ask of it."""
    company_look_ms: int = 1_000
    """How often it looks whether it is alone, and what it was given itself."""
    handover_look_ms: int = 50
    """How often a node that has asked for a session looks whether it has it."""
    handover_patience_ms: int = 12_000
    """For so long it waits; then the player is told to try again. Longer than a bet may take to be decided, and shorter
    than the edge waits for the lobby."""
    orphan_batch_max: int = 500
    drain_ms_max: int = 30_000
    """At shutdown live rounds may fly on for this long; then their stakes are refunded."""
    delivery_drain_ms_max: int = 3_000
    """At shutdown calls in flight may finish for this long; what is left stays stored and goes out after the start."""
    ends_drain_ms_max: int = 2_000
    """A life that is over may store the ends of flights for so long; what is left is ended by what is stored."""
    start_patience_ms: int = 5_000
    """An accepted stake whose start cannot be stored for this long is refunded."""

    session_void_rounds_per_minute: int = 30
    session_void_rounds_burst: int = 20
    operator_void_rounds_per_second: int = 20
    operator_void_rounds_burst: int = 200
    """Rounds whose bets the wallet did not take, of one session and of all sessions of one operator. Overflow: bets are
    refused (``rate_limited``) before they are stored."""

    session_mailbox_max: int = 64
    """Overflow: a player's frame is refused (``rate_limited``) when half is taken; the rest is for rounds, wallets."""
    round_mailbox_max: int = 8
    """Overflow: a cash-out is refused (``rate_limited``); eight are queued already."""
    wallet_mailbox_max: int = 8
    """Overflow: the bet is void (``wallet_unavailable``); a win or refund is due again when its claim ends."""
    courier_mailbox_max: int = 8_192
    """Overflow: what is due is found at the next poll."""
    ledger_mailbox_max: int = 8_192
    """Overflow: the change is refused as ``LedgerUnavailableError``."""
    ledger_group_max: int = 256
    """Transitions in one commit; the rest waits for the next."""
    sessions_of_player_max: int = 50
    """Sessions of one player that sockets of this node show. Overflow: `hello` is refused (``rate_limited``)."""
    sessions_of_operator_max: int = 10_000
    """Sessions of one operator in this node's memory. Overflow: as of a player's."""
    sessions_of_operator_beside_others_max: int = 7_500
    """The same while another operator is active: fewer than the node has places for players, so that no operator takes
    them all from the others. Overflow: the same; who is in stays."""
    sessions_max: int = 20_000
    """Overflow: `hello` is answered with ``session_ended`` (``shutdown``) and the client tries again later."""
