"""An operator's terms as options of a command, as checked values, and as shown. Secrets are no part of them."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from actors.facts.records import Operator
from actors.rules.limits import BetLimits
from actors.rules.money import multiplier_number
from actors.shared.operators import limits_for
from server.cli.kinds import (
    ANY_ORIGIN,
    CIDR,
    CURRENCY,
    FRAME_ORIGIN,
    LIMITS,
    MAX_WIN,
    NAME,
    PERCENT_OF_RETURN,
    PERCENT_OF_SHARE,
    CurrencyLimits,
)
from server.config.callback_url import wallet_url_error
from server.config.configuration import Config
from server.config.currencies import format_minor
from server.config.origins import origin_of
from server.wallet.address_policy import AddressPolicy

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Any], Any]

RTP_BPS: Final = 9_600
MAX_WIN_MULTIPLIER: Final = 2_000
REV_SHARE_BPS: Final = 1_500
RESOLVE_S_MAX: Final = 5.0
"""How long a name server may take to say where a wallet's host is. Overflow: the wallet is taken as it is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTerms:
    """The options that were given; what was not is ``None`` or empty."""

    name: str | None
    wallet_url: str | None
    currencies: tuple[str, ...]
    limits: tuple[CurrencyLimits, ...]
    rtp_bps: int | None
    max_win: int | None
    rev_share_bps: int | None
    allow_cidrs: tuple[str, ...]
    frame_origins: tuple[str, ...]


def terms_options(*, is_new: bool) -> Callable[[Command], Command]:
    """The options of ``GivenTerms``; for a new operator some are required and the others have defaults."""
    options = (*_money_options(is_new), *_access_options(is_new))

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _money_options(is_new: bool) -> tuple[Option, ...]:
    """Who it is, and the terms of its money."""
    replaces = "" if is_new else " Replaces the whole list."
    return (
        click.option("--name", type=NAME, required=is_new, help="The casino's name."),
        click.option(
            "--wallet-url",
            "--wallet-callback-url",
            "wallet_url",
            metavar="URL",
            required=is_new,
            help="wallet_callback_url: https, or http on loopback if the configuration allows it.",
        ),
        click.option(
            "--currency",
            "currencies",
            type=CURRENCY,
            multiple=True,
            required=is_new,
            help=f"A currency to play in; again for more.{replaces}",
        ),
        click.option(
            "--limits",
            type=LIMITS,
            multiple=True,
            metavar="CODE:MIN:MAX:STEP:MAX_PAYOUT",
            help="Bet limits of its own in a currency, in minor units; CODE:default for the configured ones.",
        ),
        _percent("--rtp", "rtp_bps", PERCENT_OF_RETURN, "96" if is_new else None, "rtp_target in percent."),
        click.option(
            "--max-win",
            type=MAX_WIN,
            default=MAX_WIN_MULTIPLIER if is_new else None,
            show_default=is_new,
            help="max_win_multiplier.",
        ),
        _percent(
            "--rev-share", "rev_share_bps", PERCENT_OF_SHARE, "15" if is_new else None, "The house's percent of GGR."
        ),
    )


def _access_options(is_new: bool) -> tuple[Option, ...]:
    """Who may call the API, and which pages may embed the game."""
    replaces = "" if is_new else " Replaces the whole list."
    return (
        click.option(
            "--allow-ip",
            "allow_cidrs",
            type=CIDR,
            multiple=True,
            help=f"An address or network that may call the API; again for more. None: any.{replaces}",
        ),
        click.option(
            "--frame-origin",
            "frame_origins",
            type=FRAME_ORIGIN,
            multiple=True,
            help=f"scheme://host[:port] of a page that may embed the game, or {ANY_ORIGIN}; again for more."
            + (" Default: the wallet URL's origin." if is_new else replaces),
        ),
    )


def check_wallet_url(url: str, config: Config) -> str:
    """The URL. Raises ``click.BadParameter`` if an operator can't have it."""
    error = wallet_url_error(url, config.wallet.allow_insecure_callbacks) or _wallet_host_error(url, config)
    if error is not None:
        raise click.BadParameter(error, param_hint="'--wallet-url'")
    return url


def _wallet_host_error(url: str, config: Config) -> str | None:
    """Why no call would ever reach the wallet where its host is now; ``None`` if one would, or if that is not known.

    A name that does not resolve, here or yet, is no error: each connection asks again.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None, "the URL was checked"
    wallet = config.wallet
    policy = AddressPolicy(wallet.allow_private_networks, allow_loopback=wallet.allow_insecure_callbacks)
    addresses = _addresses(parts.hostname)
    if not addresses or policy.permitted(addresses):
        return None
    return (
        f"{parts.hostname} is at {addresses[0]}, which is {policy.problem(addresses[0])}. If that is right, name its "
        "network in [wallet] allow_private_networks, or GETAWAY_WALLET_ALLOW_PRIVATE_NETWORKS, for this command and "
        "for the server"
    )


def _addresses(host: str) -> list[str]:
    """The host's addresses; none if they are not known within ``RESOLVE_S_MAX``."""
    found: list[str] = []

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(entry[4][0]) for entry in entries))

    # The system's resolver knows no deadline; a thread that is left behind does not keep the command from ending.
    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(RESOLVE_S_MAX)
    return list(found)


def chosen_frame_origins(given: GivenTerms, wallet_url: str) -> tuple[str, ...]:
    """The given origins, else the wallet URL's: at least one is needed."""
    return tuple(dict.fromkeys(given.frame_origins)) or (origin_of(wallet_url),)


def chosen_limits(
    given: GivenTerms, config: Config, present: Mapping[str, BetLimits | None]
) -> dict[str, BetLimits | None]:
    """The currencies with the operator's own limits, if it has any, from the options and what it has at present.

    Raises ``click.BadParameter`` for limits of a currency that it doesn't have, and for a currency without any limits.
    """
    own = dict(present) | {entry.currency: entry.limits for entry in given.limits}
    currencies = tuple(dict.fromkeys(given.currencies)) or tuple(present)
    for entry in given.limits:
        if entry.currency not in currencies:
            raise click.BadParameter(f"{entry.currency} is not one of its currencies", param_hint="'--limits'")
    for currency in currencies:
        if own.get(currency) is None and currency not in config.currencies:
            configured = ", ".join(config.currencies)
            raise click.BadParameter(
                f"{currency} has no limits in the configuration (there are {configured}): "
                f"add [currencies.{currency}], or give --limits {currency}:...",
                param_hint="'--currency'",
            )
    return {currency: own.get(currency) for currency in currencies}


def terms_document(operator: Operator, config: Config) -> dict[str, object]:
    """The operator as JSON, without its secrets. ``bet_limits`` are the ones in force, null where there are none."""
    in_force = {currency: limits_for(operator, currency, config.currencies) for currency in sorted(operator.bet_limits)}
    return {
        "operator_id": str(operator.operator_id),
        "name": operator.name,
        "status": operator.status.value,
        "wallet_callback_url": operator.wallet_callback_url,
        "rtp_target": multiplier_number(operator.rtp_bps),
        "max_win_multiplier": operator.max_win_multiplier,
        "rev_share": multiplier_number(operator.rev_share_bps),
        "allowed_currencies": list(in_force),
        "bet_limits": {currency: _limits_document(limits) for currency, limits in in_force.items()},
        "allow_ips": list(operator.allow_cidrs),
        "frame_origins": list(operator.frame_origins),
    }


def terms_fields(operator: Operator, config: Config) -> dict[str, object]:
    """The operator for people, without its secrets."""
    shown = terms_document(operator, config)
    del shown["bet_limits"]
    shown |= {
        "rtp_target": f"{shown['rtp_target']} %",
        "rev_share": f"{shown['rev_share']} %",
        "max_win_multiplier": f"{operator.max_win_multiplier}x",
        "allow_ips": ", ".join(operator.allow_cidrs) or "any",
        "frame_origins": ", ".join(operator.frame_origins),
        "allowed_currencies": ", ".join(sorted(operator.bet_limits)),
    }
    for currency in sorted(operator.bet_limits):
        shown[f"limits {currency}"] = _limits_text(operator, currency, config)
    return shown


def _limits_document(limits: BetLimits | None) -> dict[str, int] | None:
    if limits is None:
        return None
    return {
        "min_bet_minor": limits.min_bet_minor,
        "max_bet_minor": limits.max_bet_minor,
        "bet_step_minor": limits.bet_step_minor,
        "max_payout_minor": limits.max_payout_minor,
    }


def _limits_text(operator: Operator, currency: str, config: Config) -> str:
    limits = limits_for(operator, currency, config.currencies)
    if limits is None:
        return "none configured: it can't be played"
    stakes = f"{format_minor(limits.min_bet_minor, currency)} to {format_minor(limits.max_bet_minor, currency)}"
    step, payout = format_minor(limits.bet_step_minor, currency), format_minor(limits.max_payout_minor, currency)
    source = "configured" if operator.bet_limits[currency] is None else "its own"
    return f"{stakes} in steps of {step}, pays up to {payout} ({source})"


def _percent(
    name: str, argument: str, kind: click.ParamType[int], default: str | None, words: str
) -> Callable[[Command], Command]:
    return click.option(name, argument, type=kind, default=default, show_default=default is not None, help=words)
