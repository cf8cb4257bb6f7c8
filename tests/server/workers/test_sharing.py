"""A port of several processes: whose it is while nobody listens, and who gets what comes."""

import socket
from contextlib import closing

import pytest

from server.edge.listen.sharing import share
from server.edge.settings import EdgeSettings

LOCAL = EdgeSettings(host="127.0.0.1", port=0)


def settings_of(port, host="127.0.0.1"):
    return EdgeSettings(host=host, port=port)


async def test_it_is_held_while_no_member_listens():
    with await share(LOCAL) as held:
        port = held.port
        with pytest.raises(OSError, match="Address already in use"):
            socket.create_server(("127.0.0.1", port)).close()
        with pytest.raises(OSError, match="Address already in use"):
            (await share(settings_of(port))).holder.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
    with await share(settings_of(port)) as again:
        assert again.port == port


async def test_members_get_connections_once_they_listen_and_others_when_they_are_gone():
    with await share(LOCAL) as held:
        first, second = held.member(), held.member()
        with closing(first), closing(second):
            first.listen()
            check_served_by(first, held.port)
            second.listen()
            first.close()
            for _ in range(10):
                check_served_by(second, held.port)
        with closing(held.member()) as third:
            third.listen()
            check_served_by(third, held.port)


def check_served_by(member, port):
    member.settimeout(2)
    with socket.create_connection(("127.0.0.1", port)) as caller:
        accepted, address = member.accept()
        accepted.close()
        assert address == caller.getsockname()


async def test_connections_of_an_earlier_server_that_linger_are_no_obstacle():
    with socket.create_server(("127.0.0.1", 0)) as alone:
        port = alone.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            accepted, _ = alone.accept()
            accepted.close()  # first, so that the wait is on the server's side
            assert caller.recv(1) == b""
    with await share(settings_of(port)) as held, closing(held.member()) as member:
        member.listen()
        check_served_by(member, port)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_all_addresses_of_both_kinds():
    with await share(settings_of(0, "::")) as held, closing(held.member()) as member:
        member.listen()
        for host in ("127.0.0.1", "::1"):
            member.settimeout(2)
            with socket.create_connection((host, held.port)):
                member.accept()[0].close()
