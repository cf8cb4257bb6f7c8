"""``getaway demo``: the game server, a demo operator and its lobby, with one command and on one machine."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from server.config.configuration import ConfigError
from server.config.loading import load_config
from server.sandbox.provisioning import Provisioning
from server.sandbox.show import DemoError, DemoPlan, check_ports, play

# What the demo operator's wallet offers.
CURRENCIES: Final = ("USD", "EUR", "JPY")
# How long the server may take to end after its drain.
SERVER_STOP_S: Final = 15


def run_demo(
    config_path: Path | None, environ: Mapping[str, str], *, host: str = "127.0.0.1", lobby_port: int = 8090
) -> int:
    """Run the demo until Ctrl-C or SIGTERM; the exit status: 0 then, 1 if it could not start or a part of it died."""
    try:
        plan = plan_demo(config_path, environ, host=host, lobby_port=lobby_port)
        check_ports(plan)
    except (ConfigError, DemoError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    return trio.run(partial(play, plan, say))


def plan_demo(config_path: Path | None, environ: Mapping[str, str], *, host: str, lobby_port: int) -> DemoPlan:
    """Settings and command lines. Raises ``server.config.configuration.ConfigError`` or ``DemoError``."""
    config = load_config(config_path, environ)
    server_port = config.server.port
    currencies = [currency for currency in CURRENCIES if currency in config.currencies]
    if not currencies:
        raise DemoError(f"none of {', '.join(CURRENCIES)} is configured: add [currencies.{CURRENCIES[0]}]")
    server_url, lobby_origin = f"http://{host}:{server_port}", f"http://{host}:{lobby_port}"
    demo_dir = config.database.data_dir.absolute() / "demo"
    child_environ = {
        **environ,
        "GETAWAY_SERVER_HOST": host,
        "GETAWAY_SERVER_PUBLIC_URL": server_url,
        # The lobby embeds the game by plain http on this machine, whatever else is configured.
        "GETAWAY_SERVER_TLS_CERTIFICATE_FILE": "",
        "GETAWAY_SERVER_TLS_KEY_FILE": "",
        "GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true",
    }
    command = [sys.executable, "-m", "server.cli"]
    if config_path is not None:
        command += ["--config", str(config_path)]
    credentials_path = demo_dir / "operator.json"
    operator_options = {
        "--host": host,
        "--port": str(lobby_port),
        "--getaway-url": server_url,
        "--credentials": str(credentials_path),
        "--database": str(demo_dir / "wallet.sqlite"),
    }
    return DemoPlan(
        host=host,
        server_port=server_port,
        metrics_host=config.server.metrics_host,
        metrics_ports=config.server.metrics_ports,
        lobby_port=lobby_port,
        demo_dir=demo_dir,
        server_stop_s=config.server.drain_ms_max / 1000 + SERVER_STOP_S,
        provisioning=Provisioning(
            command=command,
            environ=child_environ,
            credentials_path=credentials_path,
            wallet_callback_url=f"{lobby_origin}/wallet",
            frame_origins=list(dict.fromkeys([lobby_origin, f"http://localhost:{lobby_port}"])),
            currencies=currencies,
        ),
        server_command=[*command, "serve"],
        operator_command=[
            *(sys.executable, "-m", "server.sandbox.operator"),
            *(part for option in operator_options.items() for part in option),
        ],
    )


def say(line: str) -> None:
    """One line on standard output, at once. A terminal that is gone doesn't keep the demo from ending."""
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
