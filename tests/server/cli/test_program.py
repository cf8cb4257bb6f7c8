"""The program as a whole: how it is started, what it says about wrong usage and configuration, how it exits."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
import trio

from server.cli.problems import complain_unexpected
from server.db.driver.database import open_database
from tests.helpers.command_line import MASTER_KEY, CommandLine, on_database

ROOT = Path(__file__).parents[3]
NOWHERE = "postgresql://user:hunter2@127.0.0.1:1/getaway"
OPERATOR = "00000000-0000-4000-8000-000000000000"
getaway = CommandLine({})


def started(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """``python -m server.cli`` as a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GETAWAY_")}
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_also_a_module_and_its_status_is_the_process_s():
    done = started("verify", "--server-seed", "0" * 64, "--client-seed", "a", "--nonce", "1")
    assert (done.returncode, done.stderr) == (0, "") and "crash_point" in done.stdout
    done = started("verify")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1


ALL_COMMANDS = [
    "",
    *("serve", "demo", "migrate", "verify"),
    *("operator", "operator create", "operator list", "operator show"),
    *("operator update", "operator suspend", "operator resume"),
    *("round", "round show"),
]


@pytest.mark.parametrize("words", [tuple(command.split()) for command in ALL_COMMANDS], ids=" ".join)
def test_every_command_explains_itself(words):
    done = getaway(*words, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Usage: {' '.join(('getaway', *words))} [OPTIONS]")
    if words and words != ("verify",):
        assert "--config FILE" in done.out


def test_the_help_says_what_the_exit_statuses_mean():
    lines = [line.split(maxsplit=1) for line in getaway("--help").out.split("Exit status:")[1].strip().splitlines()]
    assert [number for number, _ in lines] == ["0", "1", "2", "3", "4", "130"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nope",), "getaway: No such command 'nope'. (see getaway --help)"),
        (("operator", "nope"), "getaway operator: No such command 'nope'. (see getaway operator --help)"),
        (("serve", "--port", "1"), "getaway serve: No such option '--port'. (see getaway serve --help)"),
        (("migrate", "x"), "getaway migrate: Got unexpected extra argument (x) (see getaway migrate --help)"),
    ],
)
def test_wrong_usage_is_one_line(arguments, line):
    assert getaway.refusal(2, *arguments) == line


@pytest.mark.parametrize("arguments", [(), ("operator",), ("round",)])
def test_a_command_without_its_second_word_shows_the_help(arguments):
    done = getaway(*arguments)
    assert (done.status, done.out) == (2, "") and done.err.startswith("Usage: getaway")


COMMANDS = [
    ("serve",),
    ("demo",),
    ("migrate",),
    ("operator", "list"),
    ("operator", "show", OPERATOR),
    ("operator", "suspend", OPERATOR),
    ("operator", "update", OPERATOR, "--rtp", "95"),
    ("operator", "create", "--name", "C", "--wallet-url", "https://wallet.example", "--currency", "USD"),
    ("round", "show", OPERATOR),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_configuration_is_one_line_and_status_2(command, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[server]\nprot = 1\n")
    assert "wrong.toml: [server] prot is no setting" in getaway.refusal(2, *command, "--config", str(wrong))
    assert "wrong.toml: [server] prot is no setting" in getaway.refusal(2, "--config", str(wrong), *command)
    assert "none.toml: can't be read" in getaway.refusal(2, *command, "--config", str(tmp_path / "none.toml"))
    line = getaway.refusal(2, *command, GETAWAY_SERVER_PORT="x")
    assert line == "getaway: GETAWAY_SERVER_PORT: [server] port must be an integer from 0 to 65535"


@pytest.mark.parametrize("command", COMMANDS[2:], ids=" ".join)
def test_a_database_that_cannot_be_reached_is_one_line_and_status_3(command):
    line = getaway.refusal(3, *command, GETAWAY_DATABASE_URL=NOWHERE, GETAWAY_MASTER_KEY=MASTER_KEY)
    assert "the database can't be used" in line and "refused" in line.lower()
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "getaway: set GETAWAY_MASTER_KEY to 32 random bytes in base64 (there is no {folder}/master.key)"),
        ({"GETAWAY_MASTER_KEY": "c2hvcnQ="}, "getaway: GETAWAY_MASTER_KEY must be 32 bytes in base64"),
    ],
)
def test_a_missing_or_wrong_master_key_is_one_line_and_status_2(variables, line, tmp_path):
    places = {"GETAWAY_DATABASE_URL": NOWHERE, "GETAWAY_DATABASE_DATA_DIR": str(tmp_path)}
    assert getaway.refusal(2, "operator", "list", **places, **variables) == line.format(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_migrations_are_applied_once_and_named(postgres):
    with postgres.database(template="template1") as url:
        command = on_database(url)
        applied = command("migrate", "--json").document["applied"]
        assert applied and len(applied) == len(set(applied))
        assert command("migrate", "--json").document == {"applied": []}
        assert command("migrate").out == "the schema is up to date\n"
    with postgres.database(template="template1") as url:
        assert on_database(url)("migrate").out == "".join(f"applied {name}\n" for name in applied)


def test_a_schema_of_a_newer_version_is_left_alone(postgres):
    with postgres.database() as url:

        async def add_a_migration() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute("INSERT INTO migrations (name, checksum) VALUES ('9999_future.sql', '0')")
            await connection.close()

        asyncio.run(add_a_migration())
        assert "9999_future" in on_database(url).refusal(3, "operator", "list")


def test_the_embedded_database_is_shared_with_a_process_that_already_uses_it():
    # A short path: it holds the database's socket, whose name is limited.
    folder = Path(tempfile.mkdtemp(prefix="getaway-cli-"))
    create = ("operator", "create", "--name", "C", "--wallet-url", "https://wallet.example", "--currency", "USD")
    try:

        async def beside_a_server() -> None:
            async with open_database("embedded", folder / "var"):
                done = await trio.to_thread.run_sync(lambda: started(*create, "--json", folder=folder))
                assert done.returncode == 0, done.stderr
                key = folder / "var" / "master.key"
                assert key.stat().st_mode & 0o777 == 0o600
                done = await trio.to_thread.run_sync(lambda: started("operator", "list", folder=folder))
                assert (done.returncode, done.stdout.count("active"), done.stderr) == (0, 1, "")

        trio.run(beside_a_server)
    finally:
        shutil.rmtree(folder)


def test_a_reader_that_went_away_is_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "--help"],
        cwd=ROOT,
        stdout=(pipe := os.pipe())[1],
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(pipe[0])
    os.close(pipe[1])
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (1, "")


def test_ctrl_c_ends_a_command_that_waits_for_its_database():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/getaway"
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "migrate"],
            cwd=ROOT,
            env=os.environ | {"GETAWAY_DATABASE_URL": url},
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            told_at = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint.strip()) == (130, ""), f"after {time.monotonic() - told_at:.1f} s"


def test_a_defect_is_one_line_without_its_text(capsys):
    try:
        raise ExceptionGroup("several", [ValueError("secret-text")])
    except ExceptionGroup as error:
        complain_unexpected(error)
    complaint = capsys.readouterr().err
    assert complaint.startswith("getaway: unexpected ValueError") and complaint.count("\n") == 1
    assert "secret-text" not in complaint
