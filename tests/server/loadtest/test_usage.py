"""What is wrong on the command line is refused before anything starts, naming the option."""

import json

import pytest

from tests.helpers.command_line import CommandLine

OPERATOR = {"operator_id": "8e4cabfd-7f66-49e7-bf80-1e5d946932b2", "api_key": "gk_x", "hmac_secret": "gs_x"}


@pytest.fixture
def refusal(tmp_path):
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(OPERATOR))
    given = {"--target": "http://127.0.0.1:9", "--credentials": str(path), "--wallet-listen": "127.0.0.1:9100"}

    def run(changes=(), **variables):
        options = given | dict(changes)
        line = [part for name, value in options.items() if value is not None for part in (name, value)]
        return CommandLine({}).refusal(2, "loadtest", *line, **variables)

    return run


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--target": "127.0.0.1:9"}, "--target"),
        ({"--duration": "60"}, "'--duration': must be a number with its unit"),
        ({"--duration": "5s"}, "--ramp must not be longer than --duration"),
        ({"--strategy": "fixed:1"}, "'--strategy': must have a multiplier of 1.01 or more"),
        ({"--bet": "0"}, "--bet"),
        ({"--players": "0"}, "--players"),
        ({"--fail-if": "speed>1"}, "'--fail-if': knows no speed: there are errors"),
        ({"--wallet-listen": None}, "--wallet-listen HOST:PORT is needed"),
        ({"--wallet": "operator"}, "--wallet-listen is for --wallet stand-in"),
        ({"--wallet": "operator", "--wallet-listen": None, "--wallet-latency": "1ms"}, "--wallet-latency is for"),
        ({"--wallet-key": "key.pem"}, "--wallet-certificate and --wallet-key go together"),
        ({"--credentials": None}, "--credentials FILE is needed, or OPERATOR_ID, API_KEY, HMAC_SECRET"),
        ({"--credentials": "missing.json"}, "--credentials missing.json: No such file"),
        ({"--players-file": "missing.txt"}, "--players-file missing.txt: No such file"),
        ({"--report": "missing/out.html"}, "--report missing/out.html: No such file"),
    ],
)
def test_it_names_the_option(refusal, changes, words):
    assert words in refusal(changes)


def test_bad_credentials_are_not_repeated(refusal, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(OPERATOR | {"operator_id": "top-secret"}))
    told = refusal({"--credentials": str(path)})
    assert "has no good operator_id: it is a UUID" in told
    assert "top-secret" not in told
    path.write_text('["gs_top"]')
    assert "must be JSON as `getaway operator create --json` prints it" in refusal({"--credentials": str(path)})
    assert "the environment has no good HMAC_SECRET" in refusal(
        {"--credentials": None}, OPERATOR_ID=OPERATOR["operator_id"], API_KEY="k"
    )


def test_a_file_of_players_has_each_once_and_enough_of_them(refusal, tmp_path):
    path = tmp_path / "players.txt"
    path.write_text("ann\nbob\nann\n")
    assert "has a name twice" in refusal({"--players-file": str(path)})
    path.write_text("ann\n\nbob\n")
    assert "has 2 names, and --players asks for 3" in refusal({"--players-file": str(path), "--players": "3"})
    path.write_text("a\tb\n")
    assert "printable" in refusal({"--players-file": str(path)})
