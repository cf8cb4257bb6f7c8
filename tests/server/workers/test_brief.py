"""What a worker is told: all of it and nothing else, and never in a text."""

import socket

import pytest

from server.config.loading import load_config
from server.workers.brief import Brief, LostParentError, config_of, packed, receive

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "getaway.toml"
    path.write_text('[server]\nworkers = 3\nmetrics_port = 9100\nnode = "table"\n')
    return load_config(path, {"GETAWAY_DATABASE_URL": "postgresql://u:password@db/name"})


@pytest.fixture
def line():
    parent, worker = socket.socketpair()
    with parent, worker:
        yield parent, worker


def brief_of(config, number):
    return Brief(
        number=number, config=config_of(config, number), master_key=KEY, public_descriptor=3, private_descriptor=4
    )


def test_names_and_ports_are_each_workers_own(config):
    servers = [config_of(config, number).server for number in (1, 2, 3)]
    assert [server.node for server in servers] == ["table-1", "table-2", "table-3"]
    assert [server.metrics_port for server in servers] == [9100, 9101, 9102]
    assert {server.port for server in servers} == {config.server.port}


def test_it_arrives_as_it_was_sent(config, line):
    parent, worker = line
    sent = brief_of(config, 2)
    parent.sendall(packed(sent))
    received = receive(worker)
    assert received == sent
    assert received.config.database.url == "postgresql://u:password@db/name"
    assert dict(received.config.currencies) == dict(config.currencies)


@pytest.mark.parametrize("count", [0, 3, 4, 200])
def test_a_line_that_ends_early_is_a_lost_parent(config, line, count):
    parent, worker = line
    parent.sendall(packed(brief_of(config, 1))[:count])
    parent.close()
    with pytest.raises(LostParentError):
        receive(worker)


def test_its_text_shows_no_key(config):
    shown = repr(brief_of(config, 1))
    assert KEY.decode() not in shown
    assert "password" not in shown
