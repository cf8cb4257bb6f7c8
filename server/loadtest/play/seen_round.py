"""A round as its player saw it, and whether it kept what was promised. Pure: only the public rules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.rules.fairness import commitment, is_client_seed, is_server_seed, outcome
from actors.rules.money import payout_minor
from server.loadtest.figures.returns import Wager

SETTLED: Final = "settled"
VOID: Final = "void"
REFUNDED: Final = "refunded"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the player knew before the bet."""

    server_seed_hash: str
    client_seed: str
    nonce: int


@dataclass(frozen=True, slots=True)
class SeenRound:
    """``target_hundredths``: what the player intended; ``was_cut``: the tool's end took it instead."""

    round_id: str
    player: str
    status: str
    result: str | None
    stake_minor: int
    payout_minor: int
    realized_hundredths: int
    crash_hundredths: int
    target_hundredths: int
    rtp_bps: int
    was_cut: bool
    complaints: tuple[str, ...]

    @property
    def wager(self) -> Wager:
        """For the return to the player."""
        was_taken_early = self.was_cut and self.payout_minor > 0
        target = self.realized_hundredths if was_taken_early else self.target_hundredths
        return Wager(self.stake_minor, self.payout_minor, target, self.rtp_bps)


def hundredths(number: float) -> int:
    """A multiplier of the protocol, as an integer."""
    return round(float(number) * 100)


def see(
    ended: Mapping[str, Any],
    *,
    player: str,
    promise: Promise | None,
    stake_minor: int,
    target_hundredths: int,
    automatic_hundredths: int | None,
    was_cut: bool,
) -> SeenRound:
    """A round from its ``round_ended`` or history entry. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
    seen = SeenRound(
        round_id=str(ended["round_id"]),
        player=player,
        status=str(ended["status"]),
        result=ended["result"],
        stake_minor=int(ended["amount_minor"]),
        payout_minor=int(ended["payout_minor"]),
        realized_hundredths=hundredths(ended["realized_multiplier"]),
        crash_hundredths=hundredths(ended["crash_point"]),
        target_hundredths=target_hundredths,
        rtp_bps=hundredths(ended["rtp_target"]),
        was_cut=was_cut,
        complaints=tuple(_unfair(ended, promise)),
    )
    money = _wrong_money(seen, stake_minor, automatic_hundredths)
    return replace(seen, complaints=(*seen.complaints, *money))


def _unfair(ended: Mapping[str, Any], promise: Promise | None) -> list[str]:
    """Where the revealed seeds do not give what was promised or shown."""
    seed, client_seed, nonce = str(ended["server_seed"]), str(ended["client_seed"]), int(ended["nonce"])
    if not is_server_seed(seed) or not is_client_seed(client_seed) or nonce < 1:
        return ["it reveals no seeds"]
    complaints = []
    if promise is not None and (promise.client_seed, promise.nonce) != (client_seed, nonce):
        complaints.append("its client seed or nonce are not those of the bet")
    if commitment(seed) != (ended["server_seed_hash"] if promise is None else promise.server_seed_hash):
        complaints.append("its server seed is not the one that was promised")
    drawn = outcome(seed, client_seed, nonce, hundredths(ended["rtp_target"]), int(ended["max_win_multiplier"]))
    if drawn.crash_hundredths != hundredths(ended["crash_point"]):
        complaints.append(
            f"its seeds give the crash point {drawn.crash_hundredths / 100:.2f}, not {ended['crash_point']}"
        )
    shown = tuple(ended[f"{topic}_seed"] for topic in ("map", "loot", "guard"))
    if shown != (drawn.map_seed, drawn.loot_seed, drawn.guard_seed):
        complaints.append("its scenery is not what its seeds give")
    return complaints


def _wrong_money(seen: SeenRound, stake_minor: int, automatic_hundredths: int | None) -> list[str]:
    complaints = []
    if seen.stake_minor != stake_minor:
        complaints.append(f"its stake is {seen.stake_minor}, and {stake_minor} was bet")
    if seen.payout_minor != payout_minor(seen.stake_minor, seen.realized_hundredths):
        complaints.append(
            f"it pays {seen.payout_minor}, which is not its stake at {seen.realized_hundredths / 100:.2f}x"
        )
    if seen.realized_hundredths > seen.crash_hundredths:
        complaints.append("it was taken above its crash point")
    is_paid = seen.status == SETTLED and seen.result != "crash"
    if not is_paid and seen.payout_minor:
        complaints.append(f"it pays {seen.payout_minor}, though it is {seen.result or seen.status}")
    if automatic_hundredths is not None and seen.status == SETTLED:
        due = automatic_hundredths if automatic_hundredths <= seen.crash_hundredths else 0
        if seen.realized_hundredths != due and seen.result != "max_win":
            complaints.append(f"it was taken at {seen.realized_hundredths / 100:.2f}x, not at {due / 100:.2f}x")
    return complaints
