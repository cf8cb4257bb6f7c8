"""``getaway loadtest``: simulated players against a running server, from the outside."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO
from uuid import UUID

import click

from actors.rules.money import MINOR_MAX
from server.cli.context import environ_of, json_option
from server.cli.kinds import CURRENCY, Parsed
from server.cli.output import print_json
from server.cli.problems import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOTHING_CHECKED,
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    CommandError,
)
from server.loadtest.plan.plan import NAME_PREFIX, Credentials, RunPlan, StandIn
from server.loadtest.plan.quantities import duration_s, listen_address, target_origin
from server.loadtest.plan.strategy import parse_strategy
from server.loadtest.plan.thresholds import allowed_names, parse_threshold

if TYPE_CHECKING:
    from server.loadtest.report.results import Results

PLAYERS_MAX: Final = 100_000
PLAYERS_PER_PROCESS: Final = 250
PROCESSES_MAX: Final = 64
_CREDENTIAL_FIELDS: Final = ("operator_id", "api_key", "hmac_secret")
_VARIABLES: Final = ("OPERATOR_ID", "API_KEY", "HMAC_SECRET")
_STAKES_OPENING: Final = 100_000
_NAME_LENGTH_MAX: Final = 128

TARGET: Final = Parsed("url", target_origin)
STRATEGY: Final = Parsed("strategy", parse_strategy)
THRESHOLD: Final = Parsed("condition", parse_threshold)
LISTEN: Final = Parsed("host:port", listen_address)
LENGTH: Final = Parsed("duration", lambda text: duration_s(text, 1.0))
SPAN: Final = Parsed("duration", lambda text: duration_s(text, 0.0, 3600.0))
MINOR: Final = click.IntRange(1, MINOR_MAX)
FILE: Final = click.Path(path_type=Path, dir_okay=False)


_ALLOWED_NAMES: Final = allowed_names().replace(", and ", ",\nand ")


@click.command(
    epilog=f"""\b
--fail-if knows {_ALLOWED_NAMES}.
Credentials: --credentials, or OPERATOR_ID, API_KEY and HMAC_SECRET in the environment.
Exit status: 0 fine, 1 a threshold missed or books that differ, 2 wrong usage or refused credentials,
3 the target can't be reached, 4 no round was played, 130 interrupted (the results are printed all the same).
"""
)
@click.option("--target", required=True, type=TARGET, help="The server's public origin.")
@click.option("--credentials", type=FILE, help="What `getaway operator create --json` printed.")
@click.option("--currency", type=CURRENCY, default="USD", show_default=True, help="What sessions play in.")
@click.option(
    "--players", type=click.IntRange(1, PLAYERS_MAX), help="How many. Default: 100, or as --players-file has."
)
@click.option("--players-file", type=FILE, help="Names of players of the operator's wallet, one a line.")
@click.option("--duration", type=LENGTH, default="60s", show_default=True, help="How long bets are due, ramp included.")
@click.option("--ramp", type=SPAN, default="10s", show_default=True, help="Launches are spread over it.")
@click.option("--strategy", type=STRATEGY, default="fixed:1.5", show_default=True, help="fixed:M, random or hold.")
@click.option("--bet", "stake_minor", type=MINOR, default=100, show_default=True, help="Each stake, in minor units.")
@click.option(
    "--bets-per-second",
    type=click.FloatRange(0, 1e6, min_open=True),
    help="Default: players are busy most of the time.",
)
@click.option(
    "--wallet",
    type=click.Choice(["stand-in", "operator"]),
    default="stand-in",
    show_default=True,
    help="Who answers as the wallet.",
)
@click.option("--wallet-listen", type=LISTEN, help="Where the stand-in answers: the wallet callback URL's address.")
@click.option("--wallet-latency", type=SPAN, default="0ms", show_default=True, help="How long the stand-in thinks.")
@click.option("--wallet-certificate", type=FILE, help="PEM chain: the stand-in speaks TLS.")
@click.option("--wallet-key", type=FILE, help="Its key.")
@click.option("--balance", "balance_minor", type=MINOR, help="What each player has at first. Default: 100,000 stakes.")
@click.option("--landing", type=SPAN, default="30s", show_default=True, help="How long rounds may fly on at the end.")
@click.option("--processes", type=click.IntRange(1, PROCESSES_MAX), help="Default: one for each 250 players.")
@click.option("--seed", type=click.IntRange(0, 2**53), default=1, show_default=True, help="Of all that is drawn.")
@click.option("--compare-rounds-max", type=click.IntRange(0), default=2000, show_default=True, help="Asked of /round.")
@click.option("--fail-if", "thresholds", multiple=True, type=THRESHOLD, help='Such as "bet_p99>50ms"; may be repeated.')
@click.option("--report", type=FILE, help="Write one self-contained HTML page.")
@json_option
@click.pass_context
def loadtest(context: click.Context, /, as_json: bool, report: Path | None, **options: Any) -> int:
    """Simulate players against a running server, and compare everybody's books in the end."""
    plan = planned(options, environ_of(context))
    with ExitStack() as stack:
        page = None if report is None else stack.enter_context(_opened(report))
        results = _run(plan)
        if page is not None:
            from server.loadtest.report.html_report import html_report

            page.write(html_report(results))
    return _tell(results, as_json=as_json)


def planned(options: Mapping[str, Any], environ: Mapping[str, str]) -> RunPlan:
    """The run that the options ask for. Raises ``click.UsageError``."""
    if options["ramp"] > options["duration"]:
        raise click.UsageError("--ramp must not be longer than --duration")
    names = _names(options)
    stake_minor = options["stake_minor"]
    return RunPlan(
        target=options["target"],
        credentials=read_credentials(options["credentials"], environ),
        currency=options["currency"],
        names=names,
        duration_s=options["duration"],
        ramp_s=options["ramp"],
        landing_s=options["landing"],
        strategy=options["strategy"],
        stake_minor=stake_minor,
        balance_minor=options["balance_minor"] or min(stake_minor * _STAKES_OPENING, MINOR_MAX),
        bets_per_second=options["bets_per_second"],
        seed=options["seed"],
        processes=min(options["processes"] or _processes(len(names)), len(names)),
        stand_in=_stand_in(options),
        compare_rounds_max=options["compare_rounds_max"],
        thresholds=options["thresholds"],
    )


def read_credentials(path: Path | None, environ: Mapping[str, str]) -> Credentials:
    """An operator's credentials, from a file or the environment. Raises ``click.UsageError``, without a secret."""
    if path is None:
        values = {
            field: environ.get(variable, "") for field, variable in zip(_CREDENTIAL_FIELDS, _VARIABLES, strict=True)
        }
        source, names = "the environment", dict(zip(_CREDENTIAL_FIELDS, _VARIABLES, strict=True))
        if not any(values.values()):
            raise click.UsageError(f"--credentials FILE is needed, or {', '.join(_VARIABLES)} in the environment")
    else:
        values, source, names = _read_json(path), str(path), {field: field for field in _CREDENTIAL_FIELDS}
    for field in _CREDENTIAL_FIELDS:
        value = values.get(field)
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise click.UsageError(f"{source} has no good {names[field]}")
    try:
        UUID(values["operator_id"])
    except ValueError:
        raise click.UsageError(f"{source} has no good {names['operator_id']}: it is a UUID") from None
    return Credentials(**{field: values[field] for field in _CREDENTIAL_FIELDS})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"--credentials {path}: {error.strerror}") from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise click.UsageError(f"--credentials {path} must be JSON as `getaway operator create --json` prints it")
    return document


def _names(options: Mapping[str, Any]) -> tuple[str, ...]:
    path, players = options["players_file"], options["players"]
    if path is None:
        run = secrets.token_hex(4)
        return tuple(f"{NAME_PREFIX}{run}-{number}" for number in range(1, (players or 100) + 1))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--players-file {path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    names = [line.strip() for line in lines if line.strip()]
    if len(set(names)) < len(names):
        raise click.UsageError(f"--players-file {path} has a name twice")
    if any(len(name) > _NAME_LENGTH_MAX or not name.isprintable() for name in names):
        raise click.UsageError(
            f"--players-file {path} has a name that is not 1 to {_NAME_LENGTH_MAX} printable characters"
        )
    if not names or (players is not None and players > len(names)):
        raise click.UsageError(f"--players-file {path} has {len(names)} names, and --players asks for {players or 1}")
    return tuple(names[: players or PLAYERS_MAX])


def _stand_in(options: Mapping[str, Any]) -> StandIn | None:
    certificate, key = options["wallet_certificate"], options["wallet_key"]
    given = [name for name in ("wallet_listen", "wallet_certificate", "wallet_key") if options[name] is not None]
    if options["wallet"] == "operator":
        if given or options["wallet_latency"]:
            name = (given or ["wallet_latency"])[0].replace("_", "-")
            raise click.UsageError(
                f"--{name} is for --wallet stand-in: with --wallet operator the operator's own answers"
            )
        return None
    if options["wallet_listen"] is None:
        raise click.UsageError("--wallet-listen HOST:PORT is needed: the address of the operator's wallet callback URL")
    if (certificate is None) != (key is None):
        raise click.UsageError("--wallet-certificate and --wallet-key go together")
    return StandIn(
        listen=options["wallet_listen"],
        latency_s=options["wallet_latency"],
        certificate_file=None if certificate is None else str(certificate),
        key_file=None if key is None else str(key),
    )


def _processes(players: int) -> int:
    return min(-(-players // PLAYERS_PER_PROCESS), os.cpu_count() or 1, PROCESSES_MAX)


def _opened(report: Path) -> TextIO:
    # Opened before the run: a minute of play is not to be lost to a wrong path.
    try:
        return report.open("w", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--report {report}: {error.strerror}") from None


def _run(plan: RunPlan) -> "Results":
    import trio

    from server.loadtest.play.probe import ProbeError
    from server.loadtest.report.progress import progress_on
    from server.loadtest.run.run import InterruptedRunError, run_load
    from server.loadtest.wallet.stand_in import StandInError

    progress = progress_on(sys.stderr, lambda line: click.echo(line, err=True))
    try:
        return trio.run(run_load, plan, progress)
    except ProbeError as error:
        _refuse(error, EXIT_UNREACHABLE if error.is_unreachable else EXIT_USAGE)
    except StandInError as error:
        _refuse(error, EXIT_USAGE)
    except InterruptedRunError:
        raise KeyboardInterrupt from None
    finally:
        progress.close()


def _refuse(error: Exception, status: int) -> NoReturn:
    raise CommandError(str(error), status) from None


def _tell(results: "Results", *, as_json: bool) -> int:
    if as_json:
        from server.loadtest.report.document import results_document

        print_json(results_document(results))
    else:
        from server.loadtest.report.text_report import text_report

        for line in text_report(results):
            click.echo(line)
    if results.was_interrupted:
        return EXIT_INTERRUPTED
    if results.has_failed:
        return EXIT_FAILED
    return EXIT_OK if results.is_good else EXIT_NOTHING_CHECKED
