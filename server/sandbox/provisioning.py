"""Provisions the demo operator through the command line, once, and keeps its credentials."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

_CREDENTIAL_FIELDS: Final = ("operator_id", "api_key", "hmac_secret")
_COMMAND_S_MAX: Final = 60


class ProvisioningError(Exception):
    """The demo operator could not be provisioned; the message is one line and holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """What the demo operator needs. ``command`` begins every call of the command line."""

    command: Sequence[str]
    environ: Mapping[str, str]
    credentials_path: Path
    wallet_callback_url: str
    frame_origins: Sequence[str]
    currencies: Sequence[str]


async def provision(wanted: Provisioning) -> bool:
    """Create the operator, or bring one from an earlier run up to date; whether it is new.

    An operator whose credentials are kept but whom the database doesn't know (it was deleted) is created again.
    Raises ``ProvisioningError``.
    """
    operator_id = _kept_operator_id(wanted.credentials_path)
    places = ["--wallet-url", wanted.wallet_callback_url]
    for origin in wanted.frame_origins:
        places += ["--frame-origin", origin]
    if operator_id is not None:
        # On an older schema, an operator that is there would not be found, and be created a second time.
        status, _, complaint = await _run(wanted, ["migrate"])
        if status != 0:
            raise ProvisioningError(f"the demo's database can't be used: {complaint}")
        status, _, _ = await _run(wanted, ["operator", "update", operator_id, *places])
        if status == 0:
            return False
    currencies = [argument for currency in wanted.currencies for argument in ("--currency", currency)]
    create = ["operator", "create", "--json", "--name", "Demo operator", *currencies, *places]
    status, output, complaint = await _run(wanted, create)
    if status != 0:
        raise ProvisioningError(f"the demo operator could not be created: {complaint}")
    _keep(wanted.credentials_path, _read_credentials(output))
    return True


async def _run(wanted: Provisioning, arguments: Sequence[str]) -> tuple[int, bytes, str]:
    """Exit status, standard output and the last line of the complaint."""
    with trio.move_on_after(_COMMAND_S_MAX):
        done = await trio.run_process(
            [*wanted.command, *arguments],
            env=dict(wanted.environ),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the demo, which ends this in its own way.
            start_new_session=True,
        )
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return done.returncode, done.stdout, lines[-1] if lines else f"exit status {done.returncode}"
    raise ProvisioningError(f"the command line did not end within {_COMMAND_S_MAX} s")


def _read_credentials(output: bytes) -> dict[str, str]:
    try:
        document = json.loads(output)
        return {name: str(document[name]) for name in _CREDENTIAL_FIELDS}
    except (ValueError, KeyError, TypeError):
        raise ProvisioningError("the command line did not show the new operator's credentials") from None


def _kept_operator_id(path: Path) -> str | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return str(document["operator_id"]) if all(document.get(name) for name in _CREDENTIAL_FIELDS) else None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


def _keep(path: Path, credentials: Mapping[str, str]) -> None:
    """Written for the owner's eyes only, and whole or not at all: the secrets are shown once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(credentials, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
