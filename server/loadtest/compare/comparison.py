"""The books compared: what players saw, what the wallet booked, what the server tells its operator. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from server.loadtest.play.seen_round import REFUNDED, SETTLED, SeenRound, hundredths
from server.loadtest.wallet.wallet_books import Booking, WalletBooks

RESTING: Final = {"acknowledged", "declined", "unknown"}


@dataclass(slots=True)
class Compared:
    """Differences, one sentence each, and how much was compared."""

    differences: list[str] = field(default_factory=list)
    wallet_rounds: int = 0
    wallet_calls: int = 0
    wallet_balances: int = 0
    told_rounds: int = 0
    fair_rounds: int = 0


@dataclass(frozen=True, slots=True)
class LastBalance:
    """What a player was told last; ``None`` if it never sat down."""

    player: str
    balance_minor: int | None
    pending_minor: int


def compare_fairness(seen: Iterable[SeenRound], compared: Compared) -> None:
    """Every round that ended against its promise and the public rules."""
    for one in seen:
        compared.fair_rounds += 1
        compared.differences += [f"round {one.round_id}: {complaint}" for complaint in one.complaints]


def owed_minor(seen: SeenRound) -> dict[str, int]:
    """What a round must have moved in the wallet, by kind of call."""
    if seen.status == SETTLED:
        return {"bet": -seen.stake_minor} | ({"win": seen.payout_minor} if seen.payout_minor else {})
    return {"bet": -seen.stake_minor, "refund": seen.stake_minor} if seen.status == REFUNDED else {}


def _booked(seen: SeenRound, books: WalletBooks) -> dict[str, Booking]:
    calls = ((kind, books.bookings.get(f"{kind}-{seen.round_id}")) for kind in ("bet", "win", "refund"))
    return {kind: booking for kind, booking in calls if booking is not None}


def is_complete(seen: Iterable[SeenRound], books: WalletBooks) -> bool:
    """Whether every win and refund that rounds owe has come to the wallet."""
    for one in seen:
        booked = _booked(one, books)
        if any(kind not in booked for kind in owed_minor(one)):
            return False
        # A void round whose bet was booked is owed its refund.
        if one.status not in {SETTLED, REFUNDED} and sum(booking.moved_minor for booking in booked.values()) != 0:
            return False
    return True


def compare_books(
    seen: Iterable[SeenRound], books: WalletBooks, balances: Iterable[LastBalance], compared: Compared
) -> None:
    """Every round against every call that the wallet booked, and the last balances against the accounts."""
    known = set()
    for one in seen:
        known.add(one.round_id)
        compared.wallet_rounds += 1
        compared.differences += _compare_round(one, _booked(one, books))
    for operator_tx_id, booking in books.bookings.items():
        compared.wallet_calls += 1
        if booking.round_id not in known and booking.moved_minor:
            what = f"{booking.kind} of {booking.amount_minor} for {booking.player}"
            compared.differences.append(f"{operator_tx_id}: the wallet booked a {what}, whose round no player saw end")
    for balance in balances:
        booked_minor = books.balances.get(balance.player)
        if balance.balance_minor is None or balance.pending_minor or booked_minor is None:
            continue
        compared.wallet_balances += 1
        if balance.balance_minor != booked_minor:
            told = f"was told a balance of {balance.balance_minor}, the wallet has {booked_minor}"
            compared.differences.append(f"player {balance.player} {told}")


def _compare_round(seen: SeenRound, booked: Mapping[str, Booking]) -> list[str]:
    prefix = f"round {seen.round_id} of {seen.player}:"
    owed = owed_minor(seen)
    moved = {kind: booking.moved_minor for kind, booking in booked.items()}
    strangers = {booking.player for booking in booked.values()} - {seen.player}
    complaints = [f"{prefix} the wallet booked it for {name}" for name in sorted(strangers)]
    if seen.status not in {SETTLED, REFUNDED}:
        if sum(moved.values()) or "win" in moved:
            complaints.append(f"{prefix} it is {seen.status}, and the wallet has moved {moved}")
        return complaints
    for kind in ("bet", "win", "refund"):
        if owed.get(kind, 0) != moved.get(kind, 0):
            shown = f"the player saw a {kind} of {abs(owed.get(kind, 0))}, the wallet booked {abs(moved.get(kind, 0))}"
            complaints.append(f"{prefix} {shown}")
    return complaints


def has_come_to_rest(told: Mapping[str, Any]) -> bool:
    """Whether the server waits for no answer of the wallet about this round."""
    return all(one.get("status") in RESTING for one in told.get("transactions", ()))


def compare_told(seen: SeenRound, told: Mapping[str, Any], compared: Compared) -> None:
    """A round against what the server tells its operator. Raises ``KeyError`` or ``TypeError`` for what is no round."""
    compared.told_rounds += 1
    prefix = f"round {seen.round_id}: the player saw"
    realized, outcome = told["realized_multiplier"], told["outcome"]
    pairs = {
        "player": (seen.player, told["operator_player_id"]),
        "status": (seen.status, told["status"]),
        "result": (seen.result, told["result"]),
        "stake": (seen.stake_minor, told["amount_minor"]),
        "payout": (seen.payout_minor, told["payout_minor"]),
        "multiplier": (seen.realized_hundredths, None if realized is None else hundredths(realized)),
        "crash point": (seen.crash_hundredths, None if outcome is None else hundredths(outcome["crashPoint"])),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            compared.differences.append(f"{prefix} the {name} {ours}, /round tells {theirs}")
    calls = {one["kind"]: one for one in told["transactions"]}
    for kind, moved_minor in owed_minor(seen).items():
        call = calls.get(kind)
        if call is None or call["amount_minor"] != abs(moved_minor):
            amount = None if call is None else call["amount_minor"]
            compared.differences.append(f"{prefix} a {kind} of {abs(moved_minor)}, /round tells {amount}")
        elif call["status"] != "acknowledged":
            words = f"/round tells that it is {call['status']}"
            compared.differences.append(f"{prefix} a {kind} of {abs(moved_minor)}, {words}")
