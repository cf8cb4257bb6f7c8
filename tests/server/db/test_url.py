"""The database's URL: what both drivers make of it, what is refused by name, and that no password is ever repeated."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from server.config.configuration import ConfigError
from server.config.loading import load_config
from server.db.driver.database import open_database
from server.db.driver.url import CONNECT_TIMEOUT_S_MIN, PASSED_ON, SILENT_S_MAX, clean_url, read_url
from server.db.errors import DatabaseUnavailableError, DatabaseUrlError
from tests.helpers.server_process import ROOT

PASSWORD = "hush-hush"
NEAR = f"postgresql://user:{PASSWORD}@127.0.0.1/name"
FAR = f"postgresql://user:{PASSWORD}@db.internal/name"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGPASSFILE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


def refused(url) -> str:
    with pytest.raises(DatabaseUrlError) as caught:
        read_url(url)
    error = caught.value
    text = str(error)
    assert len(text.splitlines()) == 1
    while error is not None:
        assert PASSWORD not in repr(error)
        error = error.__cause__ or error.__context__
    return text


# Spelling.


@pytest.mark.parametrize("around", ["\n", "\r\n", " \t\n"])
async def test_white_space_around_a_url_is_no_part_of_it(emptied_database_url, around, tmp_path):
    """As that of a secret which was read from a file."""
    config = load_config(None, {"GETAWAY_DATABASE_URL": f"{emptied_database_url}{around}"})
    assert config.database.url == emptied_database_url
    path = tmp_path / "getaway.toml"
    path.write_text(f'[database]\nurl = """\n{emptied_database_url}{around}"""\n', newline="")
    assert load_config(path, {}).database.url == emptied_database_url
    async with open_database(f"{emptied_database_url}{around}", Path()) as database:
        assert await database.commit_group("[]") == []


def test_a_line_end_behind_any_variable_is_no_part_of_it():
    config = load_config(None, {"GETAWAY_SERVER_NODE": "node-1\n", "GETAWAY_DATABASE_URL": "embedded\r\n"})
    assert (config.server.node, config.database.url) == ("node-1", "embedded")


def test_percent_signs_stand_for_what_they_encode():
    read = read_url("postgresql://us%40er:p%2Fa%3As%25s@[::1]:6000/na%20me?application_name=a%27b&connect_timeout=10")
    assert (read.user, read.password, read.database) == ("us@er", "p/a:s%s", "na me")
    assert [(place.host, place.port, place.is_near) for place in read.places] == [("::1", "6000", True)]
    assert (read.application_name, read.connect_timeout_s) == ("a'b", 10)


@pytest.mark.parametrize(
    ("rest", "places"),
    [
        ("@/name?host=/run/pg&port=7", [("/run/pg", "7")]),
        ("@%2Frun%2Fpg/name", [("/run/pg", "5432")]),
        ("@localhost,127.0.0.1:7/name", [("localhost", "5432"), ("127.0.0.1", "7")]),
        ("@localhost,127.0.0.1,[::1]/name?port=7", [("localhost", "7"), ("127.0.0.1", "7"), ("::1", "7")]),
    ],
)
def test_hosts_and_ports(rest, places):
    assert [(place.host, place.port) for place in read_url(f"postgresql://user{rest}").places] == places


@pytest.mark.parametrize("port", ["x", "0", "70000", "1,2,3"])
def test_a_port_that_is_none(port):
    assert "port" in refused(f"postgresql://user:{PASSWORD}@localhost,127.0.0.1/name?port={port}")


# Parameters.


def test_everything_that_is_passed_on_reaches_libpq_and_nothing_is_lost(tmp_path):
    values = {
        "keepalives": "1",
        "keepalives_idle": "30",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "9000",
        "options": "-c search_path=public",
        "sslmode": "verify-full",
        "sslnegotiation": "direct",
        "sslpassword": "p",
        "ssl_min_protocol_version": "TLSv1.2",
        "ssl_max_protocol_version": "TLSv1.3",
        "channel_binding": "require",
        "target_session_attrs": "primary",
        **dict.fromkeys(("sslrootcert", "sslcert", "sslkey", "sslcrl"), str(tmp_path / "file")),
    }
    assert values.keys() == set(PASSED_ON)
    read = read_url(f"{FAR}?" + "&".join(f"{name}={quote(value)}" for name, value in values.items()))
    assert dict(read.parameters) == values
    written = read.conninfo(read.places[0], "192.0.2.1").decode()
    for name, value in values.items():
        assert f"{name}={value}" in written.replace("'", "")


def test_a_server_must_let_us_write_unless_another_one_is_asked_for():
    assert read_url(NEAR).parameters["target_session_attrs"] == "read-write"
    assert read_url(f"{NEAR}?target_session_attrs=any").parameters["target_session_attrs"] == "any"
    assert "target_session_attrs" in refused(f"{NEAR}?target_session_attrs=standby")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("hostaddr", "127.0.0.1"),
        ("service", "mine"),
        ("require_auth", "scram-sha-256"),
        ("requirepeer", "postgres"),
        ("replication", "database"),
        ("load_balance_hosts", "random"),
        ("sslsni", "0"),
        ("gssencmode", "require"),
        ("krbsrvname", "other"),
        ("client_encoding", "LATIN1"),
        ("sslmode", "perhaps"),
        ("keepalives_idle", "soon"),
        ("connect_timeout", "-1"),
        ("channel_binding", "require"),
    ],
)
def test_what_counts_for_one_driver_only_is_refused_by_its_name(parameter, value):
    assert parameter in refused(f"{NEAR}?sslmode=require&{parameter}={value}")


def test_every_parameter_of_libpq_works_or_is_on_the_documented_list():
    from psycopg import pq  # noqa: PLC0415 - only here

    listed = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    missing = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    missing -= {name for name in missing if f"`{name}`" in listed}
    assert missing == set()


def test_what_libpq_does_not_know_is_named_unless_it_may_be_a_password():
    assert "libpq knows no search_path" in refused(f"{NEAR}?search_path=public")
    for password in (f"{PASSWORD}?x@host=y", "be/gin?word_of_it=end"):
        assert "knows no" not in refused(f"postgresql://user:{password}@127.0.0.1:z/name")


@pytest.mark.parametrize("name", ["connect_timeout=10", "channel_binding=prefer", "keepalives=0"])
async def test_a_parameter_of_libpq_works_for_both_drivers(emptied_database_url, name):
    async with open_database(f"{emptied_database_url}&{name}", Path()) as database:
        assert await database.run(lambda connection: connection.fetchval("SELECT 1")) == 1
        assert await database.commit_group("[]") == []


async def test_options_and_the_name_of_the_application_count_for_both_drivers(emptied_database_url, monkeypatch):
    monkeypatch.setattr("server.db.driver.database.COMMIT_GROUP", "SELECT current_setting($1::text)")
    url = f"{emptied_database_url}&options=-c%20work_mem%3D5MB&application_name=o%27clock"
    for name, value in (("work_mem", "5MB"), ("application_name", "o'clock")):
        async with open_database(url, Path()) as database:
            assert await database.run(lambda connection, name=name: connection.fetchval(f"SHOW {name}")) == value
            assert await database.commit_group(name) == [(value,)]


def test_a_wrong_url_is_told_when_the_configuration_is_read():
    for url, clause in ((f"{NEAR}?hostaddr=::1", "has hostaddr"), (f"{NEAR}?x_y=1", "libpq knows no x_y")):
        with pytest.raises(ConfigError) as caught:
            load_config(None, {"GETAWAY_DATABASE_URL": url})
        assert str(caught.value).startswith("GETAWAY_DATABASE_URL: [database] url ")
        assert clause in str(caught.value)
        assert PASSWORD not in str(caught.value)


# The environment.


def test_the_environment_fills_in_what_the_url_leaves_out(monkeypatch):
    for name, value in {"PGUSER": "u", "PGPASSWORD": "p", "PGPORT": "7", "PGSSLMODE": "disable", "PGHOST": "h"}.items():
        monkeypatch.setenv(name, value)
    read = read_url("postgresql:///name")
    assert (read.user, read.password, read.places[0].host, read.places[0].port) == ("u", "p", "h", "7")
    assert read.parameters["sslmode"] == "disable"
    read = read_url("postgresql://user@other:8/name?sslmode=require")
    assert (read.user, read.places[0].host, read.places[0].port) == ("user", "other", "8")
    assert read.parameters["sslmode"] == "require"
    monkeypatch.setenv("PGSERVICE", "mine")
    assert "service" in refused(NEAR)


def test_no_user_and_a_user_id_without_a_name_is_one_line():
    """In a container that runs as any number."""
    program = (
        "import os; from server.db.driver.url import read_url; os.setuid(54321); read_url('postgresql:///x?host=/tmp')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "DatabaseUrlError: its URL names no user, and the system has no name for this process's user id 54321" in (
        done.stderr
    )


# Time.


def test_of_several_places_each_has_a_share_and_none_more_than_the_url_says():
    one, two = read_url(NEAR), read_url("postgresql://user@localhost,127.0.0.1/name")
    assert (one.share_s(60), two.share_s(60), two.share_s(2)) == (60, SILENT_S_MAX, 1)
    told = [read_url(f"{NEAR}?connect_timeout={seconds}") for seconds in (10, 1, 0)]
    assert [read.share_s(60) for read in told] == [10, CONNECT_TIMEOUT_S_MIN, 60], "0: no limit of its own"


def test_who_answered_last_is_asked_first():
    read = read_url("postgresql://user@localhost,127.0.0.1,%2Frun%2Fpg/name")
    first, second, third = read.in_order()
    read.note_answer(second)
    assert list(read.in_order()) == [second, third, first]
    read.note_answer(first)
    assert list(read.in_order()) == [first, second, third]


# Secrecy.


@pytest.mark.parametrize("host", ["db.internal", "192.0.2.1", "[2001:db8::1]", "127.0.0.1,db", "localhost.example"])
def test_another_host_is_spoken_to_in_the_clear_only_if_told(host):
    url = f"postgresql://user:{PASSWORD}@{host}/name"
    assert "sslmode=verify-full" in refused(url)
    assert read_url(f"{url}?sslmode=disable").parameters["sslmode"] == "disable"
    assert clean_url(url) == url, "the environment may still say it"


def test_a_host_that_may_be_the_end_of_a_password_is_not_shown():
    assert "another host" in refused(f"postgresql://user:x@{PASSWORD}@db/name")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.7", "[::1]", "%2Frun%2Fpg"])
def test_this_machine_needs_no_tls(host):
    assert "sslmode" not in read_url(f"postgresql://user@{host}/name").parameters


async def test_no_tls_to_another_host_is_one_line_of_the_start():
    with pytest.raises(DatabaseUnavailableError, match="the database on db"):
        async with open_database(FAR, Path()):
            pass


def test_a_bound_channel_needs_a_verified_certificate():
    assert "verify-full" in refused(f"{FAR}?sslmode=require&channel_binding=require")
    assert read_url(f"{FAR}?sslmode=verify-full&sslrootcert=/x&channel_binding=require").parameters["sslmode"]


async def test_a_tls_file_that_is_missing_is_one_line():
    with pytest.raises(DatabaseUnavailableError, match="a TLS file of its URL can't be used: No such file"):
        async with open_database(f"{FAR}?sslmode=verify-full&sslrootcert=/no/such/file", Path()):
            pass


async def test_a_root_certificate_that_is_not_named_is_said_to_be_missing(monkeypatch):
    monkeypatch.setenv("HOME", "/no/such/home")
    with pytest.raises(DatabaseUnavailableError, match="sslmode=verify-full, which needs sslrootcert"):
        async with open_database(f"{FAR}?sslmode=verify-full", Path()):
            pass
