"""``getaway verify``: anybody's check of a round, with nothing but its seeds."""

import click

from actors.rules.fairness import commitment, is_client_seed, is_server_seed, outcome
from actors.rules.money import multiplier_number
from server.cli.context import json_option
from server.cli.kinds import MAX_WIN, PERCENT_OF_RETURN
from server.cli.output import multiplier_text, print_fields, print_json

NONCE_MAX = 2**63 - 1


def _server_seed(_: click.Context, __: click.Parameter, text: str) -> str:
    if not is_server_seed(text):
        raise click.BadParameter("must be 64 lower-case hex characters")
    return text


def _client_seed(_: click.Context, __: click.Parameter, text: str) -> str:
    if not is_client_seed(text):
        raise click.BadParameter("must be 1 to 64 characters of A-Z a-z 0-9 _ -")
    return text


@click.command()
@click.option("--server-seed", required=True, callback=_server_seed, help="The revealed server seed.")
@click.option("--client-seed", required=True, callback=_client_seed, help="The round's client seed.")
@click.option("--nonce", required=True, type=click.IntRange(1, NONCE_MAX), help="The round's number in its session.")
@click.option("--rtp", "rtp_bps", type=PERCENT_OF_RETURN, default="96", show_default=True, help="rtp_target, percent.")
@click.option("--max-win", type=MAX_WIN, default=2000, show_default=True, help="max_win_multiplier.")
@json_option
def verify(*, server_seed: str, client_seed: str, nonce: int, rtp_bps: int, max_win: int, as_json: bool) -> None:
    """Recompute a round from its seeds: commitment, crash point and scenery. Needs no database."""
    result = outcome(server_seed, client_seed, nonce, rtp_bps, max_win)
    document: dict[str, object] = {
        "server_seed_hash": commitment(server_seed),
        "crash_point": multiplier_number(result.crash_hundredths),
        "map_seed": result.map_seed,
        "loot_seed": result.loot_seed,
        "guard_seed": result.guard_seed,
    }
    if as_json:
        print_json(document)
    else:
        print_fields(document | {"crash_point": multiplier_text(result.crash_hundredths)})
