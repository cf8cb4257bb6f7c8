"""What players and developers of clients are told with each error code."""

WORDS = {
    "unauthorized": "This session is not known. Open the game from the casino again.",
    "stake_too_low": "The stake is below the smallest bet.",
    "stake_too_high": "The stake is above the largest bet.",
    "stake_step": "The stake is not a whole number of bet steps.",
    "bad_auto_cashout": "The automatic cash-out must be at least 1.01 and at most the largest multiplier.",
    "insufficient_funds": "The balance is too low for this stake.",
    "bet_declined": "The casino declined this bet. Nothing was staked.",
    "wallet_unavailable": "The casino's wallet could not be reached. If the stake was taken, it is given back.",
    "wallet_pending": "An earlier win or refund is still on its way to the wallet. Bet again when it has arrived.",
    "round_in_progress": "A round is in progress. Bet again when it is over.",
    "no_such_round": "There is no such round in this session.",
    "too_early": "The lowest cash-out is 1.01x, and the round has not reached it.",
    "too_late": "The round was over before this cash-out arrived.",
    "rate_limited": "Too many requests at once. Wait a moment.",
    "session_expired": "The session has expired. Open the game from the casino again.",
    "draining": "The server is about to restart and takes no new bets. Try again in a minute.",
}

TOO_MANY_VOID = "Too many bets in a row were not taken by the casino. Wait a moment."
"""``rate_limited`` where a session, or all sessions of its operator, had too many void rounds."""

TOO_MANY_SESSIONS = "Too many games are open at once. Close one of them and try again."
"""``rate_limited`` for a hello beyond what a player, or an operator, may have open on one node."""

OPERATORS_ARE_OLD = "New bets have to wait a moment: the casino's terms can't be read. Nothing was staked."
"""``wallet_unavailable`` while nobody knows whether the operator has been suspended meanwhile."""

NOT_STORED = "The bet could not be stored. Nothing was staked."
"""``wallet_unavailable`` while it is our database that is away."""


def words(code: str) -> str:
    """The sentence for an error code of the player protocol."""
    return WORDS[code]
