"""``getaway operator``: provisioning. An operator's secrets are printed when it is created and never again."""

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import click
import trio

from actors.facts.records import Operator, OperatorStatus
from server.cli.context import config_option, environ_of, json_option, loaded_config
from server.cli.kinds import IDENTIFIER
from server.cli.output import print_fields, print_json, print_table
from server.cli.problems import EXIT_FAILED, EXIT_OK, CommandError
from server.cli.terms import (
    GivenTerms,
    check_wallet_url,
    chosen_frame_origins,
    chosen_limits,
    terms_document,
    terms_fields,
    terms_options,
)
from server.config.configuration import Config
from server.ports.operators import NewOperator, OperatorChange, OperatorStore

Value = TypeVar("Value")

CONFIRMED_WITHIN_S: Final = 5
"""How long a change waits for the nodes: they read the operators every two seconds."""
LOOK_AGAIN_S: Final = 0.1


class Change(NamedTuple):
    """An operator as changed, and the living nodes that do not go by it yet."""

    operator: Operator
    unconfirmed: tuple[str, ...]


id_argument = click.argument("operator_id", type=IDENTIFIER)


@click.group()
@config_option
def operator() -> None:
    """Provision the operators (casinos) that this server serves."""


@operator.command()
@terms_options(is_new=True)
@json_option
@config_option
@click.pass_context
def create(context: click.Context, /, as_json: bool, **options: Any) -> None:
    """Provision an operator. Its api_key and hmac_secret are shown this once."""
    given, config = GivenTerms(**options), loaded_config(context)
    assert given.name is not None and given.wallet_url is not None, "they are required"
    assert given.rtp_bps is not None and given.max_win is not None and given.rev_share_bps is not None
    wallet_url = check_wallet_url(given.wallet_url, config)
    new = NewOperator(
        name=given.name,
        wallet_callback_url=wallet_url,
        rtp_bps=given.rtp_bps,
        max_win_multiplier=given.max_win,
        rev_share_bps=given.rev_share_bps,
        bet_limits=chosen_limits(given, config, present={}),
        allow_cidrs=tuple(dict.fromkeys(given.allow_cidrs)),
        frame_origins=chosen_frame_origins(given, wallet_url),
        api_key=f"gk_{secrets.token_urlsafe(32)}",
        hmac_secret=f"gs_{secrets.token_urlsafe(32)}",
    )

    async def create_beside_others(store: OperatorStore) -> Operator:
        # Secrets sealed with another key than the others' would be found out only by the server that can't open them.
        await store.load_operators()
        return await store.create_operator(new, _now_ms())

    created = _on_operators(context, config, create_beside_others, may_make=True)
    credentials: dict[str, object] = {"api_key": created.api_key, "hmac_secret": created.hmac_secret}
    if as_json:
        print_json(terms_document(created, config) | credentials)
        return
    print_fields(terms_fields(created, config))
    click.echo("\nShown this once, so keep them now:")
    print_fields(credentials)
    click.echo("\nA server that runs knows this operator within 5 seconds.")


@operator.command("list")
@json_option
@config_option
@click.pass_context
def list_operators(context: click.Context, as_json: bool) -> None:
    """List all operators, the oldest first."""
    config = loaded_config(context)
    operators = _on_operators(context, config, lambda store: store.load_operators())
    if as_json:
        print_json([terms_document(found, config) for found in operators])
    elif operators:
        rows = [
            (str(found.operator_id), found.status.value, ",".join(sorted(found.bet_limits)), found.name)
            for found in operators
        ]
        print_table(("operator_id", "status", "currencies", "name"), rows)
    else:
        click.echo("there are no operators", err=True)


@operator.command()
@id_argument
@json_option
@config_option
@click.pass_context
def show(context: click.Context, operator_id: UUID, as_json: bool) -> None:
    """Show one operator's terms, and the bet limits in force."""
    config = loaded_config(context)
    _print(_on_operators(context, config, lambda store: _find(store, operator_id)), config, as_json)


@operator.command()
@id_argument
@terms_options(is_new=False)
@click.option("--allow-any-ip", is_flag=True, help="Empty the list of --allow-ip.")
@json_option
@config_option
@click.pass_context
def update(context: click.Context, /, operator_id: UUID, allow_any_ip: bool, as_json: bool, **options: Any) -> int:
    """Change an operator's terms; what is not named stays. Rounds keep the terms that they started under.

    It ends when all nodes go by the new terms, or says which do not.
    """
    given, config = GivenTerms(**options), loaded_config(context)
    if allow_any_ip and given.allow_cidrs:
        raise click.UsageError("--allow-ip and --allow-any-ip exclude each other.", context)
    if not allow_any_ip and not any(value not in {None, ()} for value in options.values()):
        raise click.UsageError("Nothing to change: give an option.", context)
    if given.wallet_url is not None:
        check_wallet_url(given.wallet_url, config)

    async def change(store: OperatorStore) -> Change:
        present = await _find(store, operator_id)
        concerns_limits = bool(given.currencies or given.limits)
        return await _changed(
            store,
            operator_id,
            OperatorChange(
                name=given.name,
                wallet_callback_url=given.wallet_url,
                rtp_bps=given.rtp_bps,
                max_win_multiplier=given.max_win,
                rev_share_bps=given.rev_share_bps,
                bet_limits=chosen_limits(given, config, present.bet_limits) if concerns_limits else None,
                allow_cidrs=() if allow_any_ip else tuple(dict.fromkeys(given.allow_cidrs)) or None,
                frame_origins=tuple(dict.fromkeys(given.frame_origins)) or None,
            ),
        )

    return _print_change(_on_operators(context, config, change), config, as_json)


@operator.command()
@id_argument
@json_option
@config_option
@click.pass_context
def suspend(context: click.Context, operator_id: UUID, as_json: bool) -> int:
    """Let an operator launch nothing and its players bet no more. Rounds that fly end as ever; wins are paid.

    It ends when all nodes do so, or says which do not.
    """
    return _set_status(context, operator_id, OperatorStatus.SUSPENDED, as_json)


@operator.command()
@id_argument
@json_option
@config_option
@click.pass_context
def resume(context: click.Context, operator_id: UUID, as_json: bool) -> int:
    """Let a suspended operator go on."""
    return _set_status(context, operator_id, OperatorStatus.ACTIVE, as_json)


def _set_status(context: click.Context, operator_id: UUID, status: OperatorStatus, as_json: bool) -> int:
    config = loaded_config(context)
    change = OperatorChange(status=status)
    changed = _on_operators(context, config, lambda store: _changed(store, operator_id, change))
    return _print_change(changed, config, as_json)


def _print(found: Operator, config: Config, as_json: bool) -> None:
    if as_json:
        print_json(terms_document(found, config))
    else:
        print_fields(terms_fields(found, config))


async def _find(store: OperatorStore, operator_id: UUID) -> Operator:
    for found in await store.load_operators():
        if found.operator_id == operator_id:
            return found
    raise _no_such(operator_id)


async def _changed(store: OperatorStore, operator_id: UUID, change: OperatorChange) -> Change:
    """Change it, then wait for the nodes. Raises ``CommandError``."""
    changed = await store.change_operator(operator_id, change, _now_ms())
    if changed is None:
        raise _no_such(operator_id)
    version = await store.operators_version()
    with trio.move_on_after(CONFIRMED_WITHIN_S):
        while await store.unconfirmed(version):  # noqa: ASYNC110 - they are other processes
            await trio.sleep(LOOK_AGAIN_S)
    return Change(changed, tuple(await store.unconfirmed(version)))


def _print_change(change: Change, config: Config, as_json: bool) -> int:
    """Print the change. Returns the exit status."""
    _print(change.operator, config, as_json)
    if not change.unconfirmed:
        return EXIT_OK
    click.echo(
        f"getaway: the change is stored, but these nodes have not confirmed it within {CONFIRMED_WITHIN_S} s and may "
        f"go by the old terms: {', '.join(change.unconfirmed)}. Look at their logs, or stop them",
        err=True,
    )
    return EXIT_FAILED


def _no_such(operator_id: UUID) -> CommandError:
    return CommandError(f"there is no operator {operator_id}")


def _on_operators(
    context: click.Context,
    config: Config,
    work: Callable[[OperatorStore], Awaitable[Value]],
    *,
    may_make: bool = False,
) -> Value:
    from server.cli.stores import run_on_operators

    return run_on_operators(config, environ_of(context), work, may_make=may_make)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
