"""The look at the target before anything starts: is it there, does it know us, does its table take our bets?"""

from dataclasses import dataclass
from typing import Any, Final

import trio
from trio_websocket import ConnectionClosed

from actors.rules.limits import BetLimits, payout_cap_hundredths, stake_error
from server.loadtest.plan.plan import ANSWER_S, RunPlan
from server.loadtest.play.operator_api import ApiError, OperatorApi
from server.loadtest.play.player import LOSSES
from server.loadtest.play.seen_round import hundredths
from server.loadtest.play.sockets import frame_text, player_socket, read_frame

PROTOCOL: Final = 1


class ProbeError(Exception):
    """The run can't begin. ``is_unreachable``: nothing good answers at the target; else what was asked for is wrong."""

    def __init__(self, message: str, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the server plays by, as its welcome tells."""

    rate_per_ms: float
    tick_ms: int
    rtp_bps: int
    max_win_multiplier: int
    limits: BetLimits

    def cap_hundredths(self, stake_minor: int) -> int:
        """The largest multiplier that a stake can win."""
        return min(100 * self.max_win_multiplier, payout_cap_hundredths(stake_minor, self.limits.max_payout_minor))


async def probe(plan: RunPlan, api: OperatorApi) -> Terms:
    """Launch a session of the first player and look at its table; no money moves. Raises ``ProbeError``."""
    try:
        launched = await api.launch(plan.names[0], plan.currency, plan.balance_minor, plan.ttl_s)
    except ApiError as error:
        raise _refused(plan, error) from None
    terms = _terms(await _welcome(plan, launched.token))
    problem = table_problem(plan, terms)
    if problem is not None:
        raise ProbeError(problem)
    return terms


def table_problem(plan: RunPlan, terms: Terms) -> str | None:
    """Why the server would refuse every bet of this run, as a sentence that names the option."""
    limits, code = terms.limits, stake_error(plan.stake_minor, terms.limits)
    if code is not None:
        allowed = f"{limits.min_bet_minor} to {limits.max_bet_minor} in steps of {limits.bet_step_minor}"
        return f"--bet {plan.stake_minor} is refused ({code}): stakes in {plan.currency} are {allowed} minor units"
    target = plan.strategy.target_hundredths
    if target is not None and target > 100 * terms.max_win_multiplier:
        return f"--strategy {plan.strategy} is above the operator's largest multiplier, {terms.max_win_multiplier}"
    return None


async def _welcome(plan: RunPlan, token: str) -> dict[str, Any]:
    frame: dict[str, Any] = {}
    try:
        with trio.fail_after(ANSWER_S):
            async with player_socket(plan.target) as socket:
                await socket.send_message(frame_text("hello", session=token))
                frame = read_frame(await socket.get_message())
    except* (*LOSSES, ConnectionClosed):
        where = f"the websocket {plan.target.origin}/stream"
        raise ProbeError(f"{where} can't be opened, though launches work there", is_unreachable=True) from None
    except* ValueError:
        raise ProbeError(f"{plan.target.origin}/stream does not speak the player's protocol") from None
    return frame


def _terms(frame: dict[str, Any]) -> Terms:
    if frame.get("type") != "welcome":
        raise ProbeError(
            f"the server answers hello with {frame.get('code') or frame.get('reason') or frame.get('type')}"
        )
    if frame.get("protocol") != PROTOCOL:
        raise ProbeError(f"the server speaks protocol {frame.get('protocol')}; this tool speaks {PROTOCOL}")
    try:
        limits = frame["limits"]
        return Terms(
            rate_per_ms=float(frame["growth"]["rate_per_ms"]),
            tick_ms=int(frame["tick_ms"]),
            rtp_bps=hundredths(frame["rtp_target"]),
            max_win_multiplier=int(limits["max_win_multiplier"]),
            limits=BetLimits(
                min_bet_minor=int(limits["min_bet_minor"]),
                max_bet_minor=int(limits["max_bet_minor"]),
                bet_step_minor=int(limits["bet_step_minor"]),
                max_payout_minor=int(limits["max_payout_minor"]),
            ),
        )
    except (KeyError, TypeError, ValueError):
        raise ProbeError("the server's welcome lacks what protocol 1 has") from None


def _refused(plan: RunPlan, error: ApiError) -> ProbeError:
    if error.is_unreachable:
        return ProbeError(f"--target {plan.target.origin}: {error}", is_unreachable=True)
    hints = {
        "invalid_credentials": "check operator_id and api_key of --credentials, and that --target is their server",
        "bad_signature": "operator_id and api_key are right, hmac_secret is not",
        "stale_timestamp": "this machine's clock and the server's differ by more than 300 s",
        "not_found": "--target must be the public origin of a Getaway server, without a path",
        "ip_not_allowed": "allow this machine's address: getaway operator update --allow-ip",
        "operator_suspended": "getaway operator resume lets it launch again",
    }
    hint = hints.get(error.code)
    told = str(error) if error.code != "bad_signature" else "The signature is wrong."
    return ProbeError(f"the server refuses a launch ({error.code}): {told}" + (f" To do: {hint}." if hint else ""))
