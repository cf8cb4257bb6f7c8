"""What prevents a start, in one line each, and what happens when two processes have the same name."""

import json
import socket

import pytest

from tests.helpers.certificates import make_certificate
from tests.helpers.server_process import ServerProcess


@pytest.fixture
def made(database_url, tmp_path):
    """Makes servers on one database, each in a folder of its own, and ends them."""
    servers = []

    def make(**variables) -> ServerProcess:
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(ServerProcess(database_url, folder, **variables))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


def last_words(server: ServerProcess) -> str:
    errors = [json.loads(line) for line in server.log().splitlines() if '"level": "error"' in line]
    assert len(errors) == 1 and "exception" not in errors[0], server.log()
    return errors[0]["event"]


def test_a_port_that_is_taken(made):
    server = made()
    with socket.create_server(("127.0.0.1", server.port)):
        server.spawn()
        assert server.wait() == 1
    assert last_words(server).startswith(f"the server can't run: [server] port {server.port} can't be served: Address")


def test_a_metrics_port_that_is_taken(made):
    server = made()
    with socket.create_server(("127.0.0.1", server.metrics_port)):
        server.spawn()
        assert server.wait() == 1
    assert f"[server] metrics_port {server.metrics_port}" in last_words(server)


def test_tls_files_that_are_missing_or_no_pair(made, tmp_path):
    certificate, key, other_key = (tmp_path / name for name in ("a.pem", "a.key", "b.key"))
    make_certificate(certificate, key)
    make_certificate(tmp_path / "b.pem", other_key)
    for name, words in {"nowhere.key": "No such file", "b.key": "are both PEM, and a pair?"}.items():
        server = made(
            GETAWAY_SERVER_TLS_CERTIFICATE_FILE=str(certificate), GETAWAY_SERVER_TLS_KEY_FILE=str(tmp_path / name)
        )
        server.spawn()
        assert server.wait() == 2
        assert words in last_words(server)


def test_a_database_that_is_not_there(made):
    server = made(GETAWAY_DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    server.spawn()
    assert server.wait() == 3
    assert "the database" in last_words(server) and "hunter2" not in server.log()


def test_another_master_key_than_the_databases(made):
    first = made()
    first.create_operator("http://127.0.0.1:9")
    server = made(GETAWAY_MASTER_KEY="QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")
    server.spawn()
    assert server.wait() == 2
    assert "master key" in last_words(server)


def test_a_process_that_has_no_port_takes_no_name_from_the_one_that_has(made):
    older = made().start()
    newer = made(GETAWAY_SERVER_PORT=str(older.port))
    newer.spawn()
    assert newer.wait() == 1
    assert not older.has_ended(within_s=3)
    assert older.is_ready()


def test_a_newer_process_of_the_same_name_takes_over(made):
    older, newer = made().start(), made()
    newer.start()
    assert older.wait() == 1
    assert "a newer process has taken this node's name" in older.log()
    assert newer.is_ready()


def test_a_database_that_may_forget_is_refused_before_anything_is_changed(made):
    server = made(GETAWAY_DATABASE_ALLOW_UNSAFE_DURABILITY="false")
    server.spawn()
    assert server.wait() == 3
    words = last_words(server)
    assert "off is fsync, full_page_writes, synchronous_commit" in words
    assert "[database] allow_unsafe_durability = true" in words
    assert "a migration was applied" not in server.log()
