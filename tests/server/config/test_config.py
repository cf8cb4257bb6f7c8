"""The configuration: defaults, the file, the environment over it, and the one line about whatever is wrong."""

import contextlib
import re
import socket
import tomllib
from dataclasses import fields
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec import structs

from actors.rules.limits import BetLimits
from server.config.configuration import Config, ConfigError
from server.config.currencies import CURRENCY_EXPONENTS, DEFAULT_BET_LIMITS, format_minor
from server.config.loading import bet_limits_error, foreign_variables, load_config, service_variables

SHIPPED = Path(__file__).parents[3] / "config.toml"
SECTIONS = ("server", "database", "game", "wallet", "limits", "log")
USD = {"min_bet_minor": 10, "max_bet_minor": 100, "bet_step_minor": 10, "max_payout_minor": 1_000}

# Every key, with one value as TOML, as a variable, and as the program sees it.
KEYS = [
    ("server", "host", '"0.0.0.0"', "0.0.0.0", "0.0.0.0"),
    ("server", "port", "9_000", "9000", 9_000),
    ("server", "workers", "4", "4", 4),
    ("server", "public_url", '"https://Play.example:443"', "https://Play.example:443", "https://play.example"),
    ("server", "metrics_host", '"::1"', "::1", "::1"),
    ("server", "metrics_port", "0", "0", 0),
    (
        "server",
        "trusted_proxies",
        '["10.0.0.0/8", "2001:db8::1"]',
        "10.0.0.0/8, 2001:db8::1",
        (ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128")),
    ),
    ("server", "tls_certificate_file", '"cert.pem"', "cert.pem", Path("cert.pem")),
    ("server", "tls_key_file", '"key.pem"', "key.pem", Path("key.pem")),
    ("server", "node", '"node-1"', "node-1", "node-1"),
    ("server", "connections_max", "5", "5", 5),
    ("server", "drain_ms_max", "0", "0", 0),
    ("database", "url", '"postgresql://u:p@db/name"', "postgresql://u:p@db/name", "postgresql://u:p@db/name"),
    ("database", "data_dir", '"/var/lib/getaway"', "/var/lib/getaway", Path("/var/lib/getaway")),
    ("database", "pool_size", "20", "20", 20),
    ("database", "command_timeout_ms", "1_000", "1000", 1_000),
    ("database", "connection_age_ms_max", "1000", "1000", 1_000),
    ("database", "allow_unsafe_durability", "true", "true", True),
    ("game", "growth_rate_per_ms", "0.000123456789", "0.000123456789", Decimal("0.000123456789")),
    ("game", "tick_ms", "50", "50", 50),
    ("wallet", "bet_timeout_ms", "2_000", "2000", 2_000),
    ("wallet", "delivery_timeout_ms", "3_000", "3000", 3_000),
    ("wallet", "pending_wait_ms", "0", "0", 0),
    ("wallet", "retry_first_ms", "500", "500", 500),
    ("wallet", "retry_max_ms", "30_000", "30000", 30_000),
    ("wallet", "retry_period_ms", "300_000_000", "300000000", 300_000_000),
    ("wallet", "bets_in_flight_max", "5", "5", 5),
    ("wallet", "deliveries_in_flight_max", "6", "6", 6),
    ("wallet", "breaker_failures_max", "7", "7", 7),
    ("wallet", "breaker_pause_ms_max", "8_000", "8000", 8_000),
    ("wallet", "allow_insecure_callbacks", "true", "true", True),
    (
        "wallet",
        "allow_private_networks",
        '["10.20.0.0/16", "fd12::1"]',
        "10.20.0.0/16,fd12::1",
        (ip_network("10.20.0.0/16"), ip_network("fd12::1")),
    ),
    ("limits", "requests_per_second", "10", "10", 10),
    ("limits", "requests_burst", "500", "500", 500),
    ("limits", "messages_per_second", "10", "10", 10),
    ("limits", "messages_burst", "50", "50", 50),
    ("limits", "sessions_of_player_max", "3", "3", 3),
    ("limits", "sessions_of_operator_max", "4", "4", 4),
    ("limits", "void_rounds_of_session_per_minute", "5", "5", 5),
    ("limits", "void_rounds_of_operator_per_second", "6", "6", 6),
    ("log", "format", '"console"', "console", "console"),
    ("log", "level", '"debug"', "debug", "debug"),
]
PARTNERS = {"tls_certificate_file": "tls_key_file", "tls_key_file": "tls_certificate_file"}


def written(folder: Path, text: str) -> Path:
    path = folder / "getaway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    message = str(caught.value)
    assert message.isprintable(), "one line"
    return message.removeprefix(f"{path}: ")


def test_the_table_above_has_every_key():
    sections = {item.name: item.type for item in structs.fields(Config) if item.name != "currencies"}
    keys = [(name, key.name) for name, section in sections.items() for key in structs.fields(section)]
    assert [row[:2] for row in KEYS] == keys


@pytest.mark.parametrize(
    ("section", "key", "toml", "variable", "expected"), KEYS, ids=[".".join(row[:2]) for row in KEYS]
)
def test_each_key_is_read_from_the_file_and_from_the_environment_over_it(
    section, key, toml, variable, expected, tmp_path
):
    partner = f'{PARTNERS[key]} = "partner.pem"\n' if key in PARTNERS else ""
    from_file = load_config(written(tmp_path, f"[{section}]\n{key} = {toml}\n{partner}"), {})
    assert getattr(getattr(from_file, section), key) == expected

    name = f"GETAWAY_{section}_{key}".upper()
    overridden = load_config(written(tmp_path, f"[{section}]\n{partner}"), {name: variable})
    assert getattr(getattr(overridden, section), key) == expected
    assert type(getattr(getattr(overridden, section), key)) is type(getattr(getattr(from_file, section), key))


def test_the_shipped_file_is_the_built_in_defaults_and_names_every_key():
    assert load_config(SHIPPED, {}) == load_config_without_file()
    document = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    named = [(section, key) for section in SECTIONS for key in document[section]]
    assert named == [row[:2] for row in KEYS]
    assert list(document) == [*SECTIONS, "currencies"]
    assert set(document["currencies"]) == set(DEFAULT_BET_LIMITS)


def test_the_documented_table_names_every_key():
    text = (SHIPPED.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `\[([a-z.<>A-Z]+)\]` \| (.+) \|$", text, re.MULTILINE))
    documented = {section: re.findall("`([a-z_]+)`", keys) for section, keys in table.items()}
    known = {section: [key for name, key, *_ in KEYS if name == section] for section in SECTIONS}
    assert documented == known | {"currencies.<CODE>": [limit.name for limit in fields(BetLimits)]}


def load_config_without_file() -> Config:
    return load_config(Path("/dev/null"), {})


def test_without_a_name_the_file_is_config_toml_in_the_working_directory(tmp_path):
    with contextlib.chdir(tmp_path):
        assert load_config(None, {}).server.port == 8_080
        (tmp_path / "config.toml").write_text("[server]\nport = 8181\n")
        assert load_config(None, {}).server.port == 8_181


def test_the_public_url_and_the_node_are_never_empty(tmp_path):
    default = load_config_without_file().server
    assert default.public_url == "http://127.0.0.1:8080"
    assert default.node == socket.gethostname()[:64]
    tls = '[server]\nhost = "0.0.0.0"\nport = 8443\ntls_certificate_file = "c"\ntls_key_file = "k"\n'
    assert load_config(written(tmp_path, tls), {}).server.public_url == "https://localhost:8443"
    assert load_config(written(tmp_path, '[server]\nhost = "::1"\n'), {}).server.public_url == "http://[::1]:8080"


WRONG_VALUES = [
    ("server", "host", '""', "must be an IP address or a host name"),
    ("server", "host", "1", "must be a string"),
    ("server", "port", "65_536", "must be an integer from 0 to 65535"),
    ("server", "port", "-1", "must be an integer from 0 to 65535"),
    ("server", "port", '"80"', "must be an integer from 0 to 65535"),
    ("server", "port", "80.0", "must be an integer from 0 to 65535"),
    ("server", "port", "true", "must be an integer from 0 to 65535"),
    ("server", "public_url", '"play.example"', "must begin with https:// or http://"),
    ("server", "workers", "0", "must be an integer from 1 to 64"),
    ("server", "public_url", '"https://play.example/path"', "must end after the host or port, without a path"),
    ("server", "workers", "0", "must be an integer from 1 to 64"),
    ("server", "public_url", '"https://u:p@play.example"', "must be scheme://host or scheme://host:port"),
    ("server", "trusted_proxies", '"10.0.0.0/8"', 'must be a list of networks like "10.0.0.0/8"'),
    ("server", "trusted_proxies", "[10]", 'must be a list of networks like "10.0.0.0/8"'),
    ("server", "trusted_proxies", '["ten"]', "must be an address or a network like 10.0.0.0/8 or 2001:db8::/32"),
    ("server", "trusted_proxies", '["10.0.0.1/8"]', "has host bits set: 10.0.0.1/8 is not a network, 10.0.0.0/8 is"),
    ("server", "tls_key_file", "1", "must be a path"),
    ("server", "node", '"a b"', "must have 1 to 64 characters of A-Z a-z 0-9 . _ -"),
    ("server", "connections_max", "0", "must be an integer from 1 to 1000000"),
    ("database", "url", '"mysql://u:p@host/name"', 'must be "embedded" or begin with postgresql://'),
    ("database", "data_dir", '""', "must not be empty"),
    ("database", "pool_size", "0", "must be an integer from 1 to 200"),
    ("game", "growth_rate_per_ms", '"0.00006"', "must be a number from 0.000001 to 0.01 with at most 12 decimals"),
    ("game", "growth_rate_per_ms", "1", "must be a number from 0.000001 to 0.01 with at most 12 decimals"),
    ("game", "growth_rate_per_ms", "0.0", "must be a number from 0.000001 to 0.01 with at most 12 decimals"),
    ("game", "growth_rate_per_ms", "nan", "must be a number from 0.000001 to 0.01 with at most 12 decimals"),
    (
        "game",
        "growth_rate_per_ms",
        "0.0000600000001",
        "must be a number from 0.000001 to 0.01 with at most 12 decimals",
    ),
    ("game", "tick_ms", "0", "must be an integer from 10 to 1000"),
    ("wallet", "retry_period_ms", "273_599_999", "must be an integer from 273600000 to 5184000000"),
    ("wallet", "allow_insecure_callbacks", "1", "must be true or false"),
    ("wallet", "allow_insecure_callbacks", '"yes"', "must be true or false"),
    ("log", "format", '"xml"', "must be one of json, console"),
    ("log", "level", "10", "must be one of debug, info, warning, error"),
]


@pytest.mark.parametrize(("section", "key", "value", "clause"), WRONG_VALUES)
def test_a_wrong_value_in_the_file_is_one_line_that_names_its_key(section, key, value, clause, tmp_path):
    assert refusal(tmp_path, f"[{section}]\n{key} = {value}\n") == f"[{section}] {key} {clause}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("GETAWAY_SERVER_PORT", "http", "[server] port must be an integer from 0 to 65535"),
        ("GETAWAY_SERVER_PORT", "", "[server] port must be an integer from 0 to 65535"),
        ("GETAWAY_SERVER_PORT", "9" * 5_000, "[server] port must be an integer from 0 to 65535"),
        ("GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS", "True", "[wallet] allow_insecure_callbacks must be true or false"),
        ("GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS", "1", "[wallet] allow_insecure_callbacks must be true or false"),
        *(
            ("GETAWAY_SERVER_PORT", text, "[server] port must be an integer from 0 to 65535")
            for text in ("1e3", "80.0", " 80", "0x50", "true")
        ),
        (
            "GETAWAY_GAME_GROWTH_RATE_PER_MS",
            "1e-99",
            "[game] growth_rate_per_ms must be a number from 0.000001 to 0.01",
        ),
        ("GETAWAY_GAME_GROWTH_RATE_PER_MS", "fast", "[game] growth_rate_per_ms must be a number from 0.000001 to 0.01"),
        ("GETAWAY_LOG_LEVEL", "INFO", "[log] level must be one of debug, info, warning, error"),
        ("GETAWAY_SERVER_TRUSTED_PROXIES", "10.0.0.1,,", "[server] trusted_proxies must be an address or a network"),
        ("GETAWAY_SERVER_PROT", "1", "[server] prot is no setting (there are host, port, "),
        ("GETAWAY_CURRENCIES_USD_MIN", "1", "[currencies.USD] min is no setting (there are min_bet_minor, "),
    ],
)
def test_a_wrong_variable_is_named_with_its_key(name, text, expected, tmp_path):
    assert refusal(tmp_path, "", {name: text}).startswith(f"{name}: {expected}")


def test_a_variable_that_was_read_from_a_file_ends_in_a_newline():
    variables = {"GETAWAY_SERVER_PORT": "8081\r\n", "GETAWAY_SERVER_HOST": "::1\n", "GETAWAY_LOG_FORMAT": "console\n"}
    config = load_config(None, variables | {"GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true\n"})
    assert (config.server.port, config.server.host, config.log.format) == (8081, "::1", "console")
    assert config.wallet.allow_insecure_callbacks is True


def test_the_value_of_a_refused_variable_is_not_repeated(tmp_path):
    message = refusal(tmp_path, "", {"GETAWAY_DATABASE_URL": "postgres:u:hunter2@db"})
    assert "hunter2" not in message
    assert "hunter2" not in repr(load_config(written(tmp_path, '[database]\nurl = "postgresql://u:hunter2@db/x"'), {}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sever]\nport = 1\n", "[sever] is no section"),
        ("port = 1\n", "[port] is no section"),
        ("server = 1\n", "[server] must be a table"),
        ("[server]\nprot = 1\n", "[server] prot is no setting (there are host, port, "),
        ('[server]\n"a\\nb" = 1\n', "[server] a b is no setting"),
        ("[server\n", "Expected ']' at the end of a table declaration"),
        ("[server]\nport = 1\nport = 2\n", "Cannot overwrite a value"),
        ("[server]\nport = 9090\n", "[server] metrics_port must differ from port"),
        (
            "[server]\nworkers = 3\nport = 9092\n",
            "[server] metrics_port must differ from port, and so must the port of each further worker, one above the"
            " other",
        ),
        (
            "[server]\nworkers = 4\nmetrics_port = 65_533\n",
            "[server] metrics_port must be at most 65532: each of the 4 workers takes the port after the one before",
        ),
        (
            f'[server]\nworkers = 12\nnode = "{"n" * 62}"\n',
            "[server] node must have at most 61 characters: workers add their number to it",
        ),
        ("[server]\nport = 0\n", "[server] public_url must be given when port is 0"),
        ('[server]\ntls_key_file = "k"\n', "[server] tls_certificate_file and tls_key_file must be given together"),
        ("[wallet]\nretry_first_ms = 5_000\nretry_max_ms = 4_000\n", "[wallet] retry_max_ms must not be less than"),
        ("[limits]\nrequests_burst = 1\n", "[limits] requests_burst must not be less than requests_per_second"),
        ("[limits]\nmessages_burst = 1\n", "[limits] messages_burst must not be less than messages_per_second"),
    ],
)
def test_what_is_wrong_with_a_whole_file(text, expected, tmp_path):
    assert refusal(tmp_path, text).startswith(expected)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: can't be read \(No such file or directory\)"):
        load_config(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path, {})
    path = tmp_path / "latin.toml"
    path.write_bytes(b'[server]\nhost = "\xe9"\n')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(path, {})
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(path, {})


def currency(code: str, **changes: int) -> str:
    return f"[currencies.{code}]\n" + "".join(f"{key} = {value}\n" for key, value in (USD | changes).items())


def test_a_file_with_currencies_replaces_the_whole_list(tmp_path):
    config = load_config(written(tmp_path, currency("USD")), {})
    assert dict(config.currencies) == {"USD": BetLimits(**USD)}


def test_variables_change_and_add_currencies(tmp_path):
    environ = {f"GETAWAY_CURRENCIES_KWD_{key}".upper(): str(value) for key, value in USD.items()}
    environ["GETAWAY_CURRENCIES_USD_MIN_BET_MINOR"] = "50"
    config = load_config(written(tmp_path, currency("USD")), environ)
    assert config.currencies["USD"].min_bet_minor == 50
    assert config.currencies["KWD"] == BetLimits(**USD)
    assert load_config(Path("/dev/null"), {"GETAWAY_CURRENCIES_USD_MAX_BET_MINOR": "50"}).currencies.keys() == (
        DEFAULT_BET_LIMITS.keys()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (currency("usd"), "[currencies.usd] is no ISO 4217 currency (three capital letters)"),
        (currency("ABC"), "[currencies.ABC] is no ISO 4217 currency (three capital letters)"),
        ("[currencies]\n", "[currencies] must list at least one currency"),
        ("currencies = 1\n", "[currencies] must hold a table for each currency"),
        ("[currencies]\nUSD = 1\n", "[currencies.USD] must be a table"),
        ("[currencies.USD]\nmin_bet_minor = 1\n", "[currencies.USD] max_bet_minor is missing"),
        (currency("USD", min_bet_minor=0), "[currencies.USD] min_bet_minor must be an integer from 1 to "),
        (currency("USD", min_bet_minor=200), "[currencies.USD] max_bet_minor must not be less than min_bet_minor"),
        (currency("USD", min_bet_minor=15), "[currencies.USD] min_bet_minor must be a multiple of bet_step_minor"),
        (currency("USD", max_bet_minor=95), "[currencies.USD] max_bet_minor must be a multiple of bet_step_minor"),
        (currency("USD", max_payout_minor=100), "[currencies.USD] max_payout_minor must be at least 1.01 times "),
    ],
)
def test_a_wrong_currency_is_named(text, expected, tmp_path):
    assert refusal(tmp_path, text).startswith(expected)


def test_variables_that_name_no_section_are_found():
    environ = {
        "GETAWAY_SERVER_PORT": "1",
        "GETAWAY_CURRENCIES_USD_MIN_BET_MINOR": "1",
        "GETAWAY_MASTER_KEY": "k",
        "GETAWAY_SERVRE_PORT": "1",
        "GETAWAY_PORT": "1",
        "GETAWAY_server_port": "1",
        "PATH": "/bin",
    }
    assert foreign_variables(environ) == ["GETAWAY_PORT", "GETAWAY_SERVRE_PORT", "GETAWAY_server_port"]


def service(name: str, address: str = "10.0.0.7", port: int = 5432, protocol: str = "tcp") -> dict[str, str]:
    """The variables that Kubernetes makes for a service, by its documentation."""
    prefix, proto = name.upper().replace("-", "_"), protocol.upper()
    whole = f"{protocol}://{address}:{port}"
    return {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(port),
        f"{prefix}_SERVICE_PORT_MAIN": str(port),
        f"{prefix}_PORT": whole,
        f"{prefix}_PORT_{port}_{proto}": whole,
        f"{prefix}_PORT_{port}_{proto}_PROTO": protocol,
        f"{prefix}_PORT_{port}_{proto}_PORT": str(port),
        f"{prefix}_PORT_{port}_{proto}_ADDR": address,
    }


SERVICES = list(Config.__struct_fields__)


@pytest.mark.parametrize("section", [*SERVICES, "server-metrics", "currencies-usd", "database-primary"])
@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7"])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_services_of_kubernetes_are_no_settings(section, address, protocol):
    environ = service(f"getaway-{section}", address, protocol=protocol)
    assert load_config(None, environ) == load_config(None, {})
    assert service_variables(environ) == sorted(environ)
    assert foreign_variables(environ) == []
    one = {name: value for name, value in environ.items() if not name.endswith("_PORT")}
    assert service_variables(one | {"GETAWAY_SERVER_PORT": "9000"}) == sorted(one)
    assert load_config(None, one | {"GETAWAY_SERVER_PORT": "9000"}).server.port == 9000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GETAWAY_DATABASE_HOST", "10.0.0.7"),
        ("GETAWAY_DATABASE_PORT", "5432"),
        ("GETAWAY_DATABASE_URL", "tcp://10.0.0.7:5432"),
        ("GETAWAY_SERVER_PORT", "tcp"),
        ("GETAWAY_SERVER_PORTS", "tcp://10.0.0.7:5432"),
        ("GETAWAY_SERVER_SERVICE_HOST", "example"),
        ("GETAWAY_SERVER_SERVICE_PORT", "http"),
        ("GETAWAY_SERVER_PORT_80_TCP_PROTO", "http"),
        ("GETAWAY_SERVER_METRICS_PRT", "9000"),
        ("GETAWAY_LOG_SERVICE", "10.0.0.7"),
    ],
)
def test_a_misspelt_setting_is_no_service(name, value):
    assert service_variables({name: value}) == []
    with pytest.raises(ConfigError, match=name):
        load_config(None, {name: value})


def test_the_default_currencies_have_their_real_exponents_and_usable_limits():
    assert len(DEFAULT_BET_LIMITS) >= 20
    known = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3}
    assert {code: CURRENCY_EXPONENTS[code] for code in known} == known
    assert set(known) <= set(DEFAULT_BET_LIMITS)
    for code, limits in DEFAULT_BET_LIMITS.items():
        assert re.fullmatch("[A-Z]{3}", code)
        assert bet_limits_error({item.name: getattr(limits, item.name) for item in fields(limits)}) is None


@pytest.mark.parametrize(
    ("amount_minor", "code", "text"),
    [
        (1_250, "USD", "12.50 USD"),
        (5, "USD", "0.05 USD"),
        (-5, "USD", "-0.05 USD"),
        (1_250, "JPY", "1250 JPY"),
        (1_250, "KWD", "1.250 KWD"),
        (7, "XXX", "7 minor XXX"),
    ],
)
def test_amounts_are_written_with_their_decimals(amount_minor, code, text):
    assert format_minor(amount_minor, code) == text
