"""``getaway operator`` on a real database: an operator's whole life, and every refusal."""

import json

import pytest

from server.cli.stores import run_on_operators
from server.config.loading import load_config
from tests.helpers.command_line import CommandLine, on_database

WALLET_URL = "https://wallet.casino.example/callbacks"
NOBODY = "00000000-0000-4000-8000-000000000000"
CREATE = ("operator", "create", "--name", "Casino", "--wallet-url", WALLET_URL, "--currency", "USD")
USD_DEFAULTS = {"min_bet_minor": 10, "max_bet_minor": 100_000, "bet_step_minor": 10, "max_payout_minor": 10_000_000}


@pytest.fixture
def getaway(database_url) -> CommandLine:
    return on_database(database_url)


def secrets_of(getaway: CommandLine, operator_id: str) -> tuple[str, str]:
    """What a server would read of the operator's secrets."""

    async def load(store):
        return await store.load_operators()

    for found in run_on_operators(load_config(None, getaway.environ), getaway.environ, load):
        if str(found.operator_id) == operator_id:
            return found.api_key, found.hmac_secret
    raise AssertionError(operator_id)


def test_the_whole_life_of_an_operator(getaway):
    created = getaway(*CREATE, "--json").document
    operator_id, api_key, hmac_secret = (created.pop(name) for name in ("operator_id", "api_key", "hmac_secret"))
    terms = {
        "name": "Casino",
        "status": "active",
        "wallet_callback_url": WALLET_URL,
        "rtp_target": 96,
        "max_win_multiplier": 2_000,
        "rev_share": 15,
        "allowed_currencies": ["USD"],
        "bet_limits": {"USD": USD_DEFAULTS},
        "allow_ips": [],
        "frame_origins": ["https://wallet.casino.example"],
    }
    assert created == terms
    assert secrets_of(getaway, operator_id) == (api_key, hmac_secret)

    shown = {"operator_id": operator_id} | terms
    assert getaway("operator", "list", "--json").document == [shown]
    assert getaway("operator", "show", operator_id, "--json").document == shown

    changes = {"name": "Palace", "rtp_target": 94.25, "max_win_multiplier": 500, "rev_share": 12.5}
    update = ("operator", "update", operator_id, "--json")
    options = ("--name", "Palace", "--rtp", "94.25", "--max-win", "500", "--rev-share", "12.5")
    assert getaway(*update, *options).document == shown | changes
    shown |= changes
    assert getaway("operator", "suspend", operator_id, "--json").document == shown | {"status": "suspended"}
    assert getaway("operator", "suspend", operator_id, "--json").document == shown | {"status": "suspended"}
    assert getaway("operator", "show", operator_id, "--json").document == shown | {"status": "suspended"}
    assert getaway("operator", "resume", operator_id, "--json").document == shown
    assert secrets_of(getaway, operator_id) == (api_key, hmac_secret), "no change touches the secrets"


def test_secrets_are_shown_once_and_to_people_with_a_word_about_it(getaway):
    done = getaway(*CREATE)
    assert done.status == 0 and "Shown this once" in done.out
    fields = dict(line.split(maxsplit=1) for line in done.out.splitlines() if len(line.split(maxsplit=1)) == 2)
    secrets = (fields["api_key"], fields["hmac_secret"])
    assert all(len(secret) > 40 for secret in secrets) and secrets[0] != secrets[1]
    operator_id = fields["operator_id"]
    for command in (("list",), ("show", operator_id), ("update", operator_id, "--rtp", "95"), ("suspend", operator_id)):
        for form in ((), ("--json",)):
            done = getaway("operator", *command, *form)
            assert done.status == 0 and operator_id in done.out
            assert not any(secret in done.out + done.err for secret in secrets)
            assert "api_key" not in done.out and "hmac_secret" not in done.out


def test_people_read_aligned_columns(getaway):
    assert getaway("operator", "list").err == "there are no operators\n"
    first = getaway(*CREATE, "--currency", "JPY", "--json").document["operator_id"]
    getaway("operator", "suspend", first)
    second = getaway(*CREATE, "--json").document["operator_id"]
    assert getaway("operator", "list").out.splitlines() == [
        f"{'operator_id':<36}  status     currencies  name",
        f"{first}  suspended  JPY,USD     Casino",
        f"{second}  active     USD         Casino",
    ]
    lines = getaway("operator", "show", first).out.splitlines()
    assert "rtp_target           96 %" in lines
    assert "allow_ips            any" in lines
    assert "limits JPY           10 JPY to 100000 JPY in steps of 10 JPY, pays up to 10000000 JPY (configured)" in lines


def test_all_options_of_a_new_operator(getaway):
    created = getaway(
        *CREATE,
        *("--currency", "KWD", "--rtp", "92.5", "--max-win", "100", "--rev-share", "0", "--limits", "KWD:5:50:5:1000"),
        *("--allow-ip", "10.0.0.0/8", "--allow-ip", "2001:db8::1", "--allow-ip", "10.0.0.0/8"),
        *("--frame-origin", "https://Casino.example:443", "--frame-origin", "http://localhost:3000", "--json"),
    ).document
    kwd = {"min_bet_minor": 5, "max_bet_minor": 50, "bet_step_minor": 5, "max_payout_minor": 1_000}
    assert created["bet_limits"] == {"KWD": kwd, "USD": USD_DEFAULTS}
    assert created["allow_ips"] == ["10.0.0.0/8", "2001:db8::1/128"]
    assert created["frame_origins"] == ["https://casino.example", "http://localhost:3000"]
    assert (created["rtp_target"], created["max_win_multiplier"], created["rev_share"]) == (92.5, 100, 0)


def test_lists_are_replaced_and_own_limits_come_and_go(getaway):
    operator_id = getaway(*CREATE, "--allow-ip", "10.0.0.0/8", "--json").document["operator_id"]

    def updated(*options: str) -> dict:
        return getaway("operator", "update", operator_id, *options, "--json").document

    assert updated("--allow-ip", "192.0.2.1")["allow_ips"] == ["192.0.2.1/32"]
    kept = updated("--rtp", "95", "--frame-origin", "https://casino.example")
    assert (kept["allow_ips"], kept["allowed_currencies"]) == (["192.0.2.1/32"], ["USD"]), "what is not named stays"
    assert updated("--allow-any-ip")["allow_ips"] == []
    assert updated("--name", "Other")["frame_origins"] == ["https://casino.example"]
    assert updated("--frame-origin", "*")["frame_origins"] == ["*"]
    assert updated("--limits", "USD:20:200:20:4000")["bet_limits"]["USD"]["max_bet_minor"] == 200
    # Its own limits survive another currency beside them, and end with "default".
    both = updated("--currency", "USD", "--currency", "EUR")
    assert both["allowed_currencies"] == ["EUR", "USD"] and both["bet_limits"]["USD"]["max_bet_minor"] == 200
    assert updated("--limits", "USD:default")["bet_limits"]["USD"] == USD_DEFAULTS
    assert updated("--currency", "EUR")["allowed_currencies"] == ["EUR"]


def test_a_currency_that_left_the_configuration_is_shown_as_unplayable(getaway, tmp_path):
    operator_id = getaway(*CREATE, "--json").document["operator_id"]
    euro = tmp_path / "euro.toml"
    euro.write_text(
        "[currencies.EUR]\nmin_bet_minor = 1\nmax_bet_minor = 2\nbet_step_minor = 1\nmax_payout_minor = 9\n"
    )
    command = ("--config", str(euro), "operator", "show", operator_id)
    assert getaway(*command, "--json").document["bet_limits"] == {"USD": None}
    assert "none configured: it can't be played" in getaway(*command).out


WRONG_TERMS = [
    ("--name", "  ", "must have 1 to 100 printable characters"),
    ("--name", "x" * 101, "must have 1 to 100 printable characters"),
    ("--name", "a\nb", "must have 1 to 100 printable characters"),
    ("--wallet-url", "http://127.0.0.1:9/", "must be https"),
    ("--wallet-url", "wallet.example", "must begin with https://"),
    ("--wallet-url", "https://wallet.example/?a=1", "must not have a query"),
    ("--wallet-url", "https://", "must name a host"),
    ("--currency", "usd", "must be an ISO 4217 code: three capital letters"),
    ("--currency", "XXX", "XXX has no limits in the configuration"),
    ("--rtp", "0", "must be a percentage from 1 to 100"),
    ("--rtp", "100.5", "must be a percentage from 1 to 100"),
    ("--rtp", "96%", "must be a percentage from 1 to 100"),
    ("--rev-share", "-1", "must be a percentage from 0 to 100"),
    ("--rev-share", "101", "must be a percentage from 0 to 100"),
    ("--max-win", "1", "1 is not in the range 2<=x<=100000"),
    ("--max-win", "2000.5", "is not a valid integer"),
    ("--allow-ip", "10.0.0.1/8", "has host bits set: 10.0.0.1/8 is not a network, 10.0.0.0/8 is"),
    ("--allow-ip", "casino.example", "must be an address or a network"),
    ("--frame-origin", "https://casino.example/lobby", "must end after the host or port, without a path"),
    ("--frame-origin", "casino.example", "must begin with https:// or http://"),
    ("--limits", "USD:1:2:3", "must be CODE:min_bet_minor:max_bet_minor:bet_step_minor:max_payout_minor"),
    ("--limits", "USD:0:100:10:1000", "min_bet_minor must be an integer from 1 to "),
    ("--limits", f"USD:10:{10**30}:10:1000", "max_bet_minor must be an integer from 1 to "),
    ("--limits", "USD:10:5:5:1000", "max_bet_minor must not be less than min_bet_minor"),
    ("--limits", "JPY:10:100:10:1000", "JPY is not one of its currencies"),
]


def test_wrong_terms_are_one_line_that_names_the_option_and_change_nothing(getaway):
    operator_id = getaway(*CREATE, "--json").document["operator_id"]
    before = getaway("operator", "list", "--json").document
    for option, value, clause in WRONG_TERMS:
        for command in (CREATE, ("operator", "update", operator_id)):
            line = getaway.refusal(2, *command, option, value)
            assert line.startswith(f"getaway operator {command[1]}: Invalid value for '{option}'"), line
            assert clause in line
    assert getaway("operator", "list", "--json").document == before
    for options, clause in (
        ((), "Nothing to change: give an option."),
        (("--allow-any-ip", "--allow-ip", "10.0.0.0/8"), "exclude each other"),
    ):
        assert clause in getaway.refusal(2, "operator", "update", operator_id, *options)


@pytest.mark.parametrize("missing", ["--name", "--wallet-url", "--currency"])
def test_a_new_operator_needs_a_name_a_wallet_and_a_currency(missing):
    at = CREATE.index(missing)
    line = CommandLine({}).refusal(2, *CREATE[:at], *CREATE[at + 2 :])
    assert f"Missing option '{missing}'" in line


def test_http_wallets_on_loopback_are_for_configurations_that_allow_them(getaway):
    allow = {"GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true"}
    create = ("operator", "create", "--name", "Casino", "--currency", "USD", "--json", "--wallet-url")
    assert getaway(*create, "http://127.0.0.1:9/", **allow).document["wallet_callback_url"] == "http://127.0.0.1:9/"
    assert "or http on loopback" in getaway.refusal(2, *create, "http://192.0.2.1/", **allow)


def test_the_first_local_operator_is_told_the_setting_that_it_needs():
    line = CommandLine({}).refusal(2, *CREATE[:4], "--wallet-url", "http://127.0.0.1:9/", *CREATE[6:])
    assert "'--wallet-url'" in line and "for this command and for the server" in line
    assert "[wallet] allow_insecure_callbacks = true" in line
    assert "GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS=true" in line
    # What the setting would not help gets no such advice.
    line = CommandLine({}).refusal(2, *CREATE[:4], "--wallet-url", "http://wallet.example/", *CREATE[6:])
    assert "must be https" in line and "allow_insecure" not in line


@pytest.mark.parametrize(
    "url", ["https://10.1.2.3/wallet", "https://[fd00::1]/", "https://169.254.169.254/", "https://localhost/"]
)
def test_a_wallet_that_no_call_would_reach_is_refused_with_the_setting_that_would_allow_it(url, database_url):
    getaway = on_database(database_url)
    create = ("operator", "create", "--name", "C", "--currency", "USD", "--wallet-url")
    line = getaway.refusal(2, *create, url)
    assert "'--wallet-url'" in line and "[wallet] allow_private_networks" in line
    assert "GETAWAY_WALLET_ALLOW_PRIVATE_NETWORKS" in line
    networks = "10.0.0.0/8,fd00::/16,169.254.169.254,127.0.0.0/8,::1"
    created = getaway(*create, url, "--json", GETAWAY_WALLET_ALLOW_PRIVATE_NETWORKS=networks).document
    assert created["wallet_callback_url"] == url
    assert "[wallet] allow_private_networks" in getaway.refusal(
        2, "operator", "update", created["operator_id"], "--wallet-url", "https://192.168.0.1"
    )


def test_another_master_key_is_told_by_its_name(getaway):
    getaway(*CREATE)
    other = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU="
    assert "GETAWAY_MASTER_KEY" in getaway.refusal(2, "operator", "list", GETAWAY_MASTER_KEY=other)


def test_a_currency_without_limits_is_told_where_to_get_them(getaway):
    line = getaway.refusal(2, *CREATE[:-1], "XXX")
    assert "[currencies.XXX]" in line and "--limits XXX:" in line


@pytest.mark.parametrize("command", [("show",), ("suspend",), ("resume",), ("update", "--rtp", "95")])
def test_an_operator_that_is_not_there(command, getaway):
    name, *options = command
    assert getaway.refusal(1, "operator", name, NOBODY, *options) == f"getaway: there is no operator {NOBODY}"
    for wrong in ("1", NOBODY[:-1], f"{{{NOBODY}}}"):
        line = getaway.refusal(2, "operator", name, wrong, *options)
        assert line.startswith(f"getaway operator {name}: Invalid value for 'OPERATOR_ID': must be a UUID")


def test_another_master_key_adds_no_operator_that_the_server_could_not_open(getaway):
    getaway(*CREATE)
    other = {"GETAWAY_MASTER_KEY": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="}
    assert "is written with another master key than this one" in getaway.refusal(2, *CREATE, **other)
    assert len(getaway("operator", "list", "--json").document) == 1


def test_an_operator_whose_row_was_edited_is_named_and_left_out(getaway, postgres, database_url):
    edited, other = (getaway(*CREATE, "--json").document["operator_id"] for _ in range(2))
    edit = f"UPDATE operators SET wallet_callback_url = 'https://x.example' WHERE operator_id = '{edited}'"
    postgres.execute("SET session_replication_role = replica", edit, url=database_url)
    done = getaway("operator", "list", "--json")
    assert [each["operator_id"] for each in done.document] == [other]
    assert done.err.startswith(f"getaway: operator {edited} is put aside: ") and len(done.err.splitlines()) == 1


ADD_NODE = """
INSERT INTO nodes (node, started_at_ms, heartbeat_at_ms, operators_version)
VALUES ('{node}', 0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + {ahead_ms}, {version})
"""


def test_a_suspension_says_which_nodes_have_not_confirmed_it(getaway, postgres, database_url, monkeypatch):
    """It is stored all the same; what confirms in time is not named."""
    monkeypatch.setattr("server.cli.operators.CONFIRMED_WITHIN_S", 0.3)
    operator_id = getaway(*CREATE, "--json").document["operator_id"]
    nodes = {"hangs": "NULL", "is behind": "1", "is ahead": "1000"}
    postgres.execute(
        *(ADD_NODE.format(node=node, ahead_ms=600_000, version=version) for node, version in nodes.items()),
        ADD_NODE.format(node="is dead", ahead_ms=-600_000, version="NULL"),
        url=database_url,
    )
    done = getaway("operator", "suspend", operator_id, "--json")
    assert (done.status, json.loads(done.out)["status"]) == (1, "suspended")
    assert "not confirmed it within 0.3 s" in done.err and "old terms: hangs, is behind. " in done.err
    postgres.execute("UPDATE nodes SET operators_version = 1000", url=database_url)
    done = getaway("operator", "resume", operator_id)
    assert (done.status, done.err) == (0, "")
