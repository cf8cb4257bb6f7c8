"""Which addresses a wallet may be at, in every disguise of an address."""

from ipaddress import ip_network

import pytest

from actors.ports.wallet import Acknowledged
from server.wallet import connection as wallet_connection
from server.wallet.address_policy import AddressPolicy
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.raw_http import always, raw_server, response
from tests.helpers.wallet_calls import GOOD, FrozenClock, call, operator

GLOBAL = ["8.8.8.8", "192.0.1.1", "2600::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
FORBIDDEN = [
    *(
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "0.0.0.0",
        "::",
        "0.1.2.3",
    ),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200", "198.18.0.1"),
    *("::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::", "::10.0.0.1"),
    *("169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fec0::1"),
    *("192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255", "2001:db8::1"),
    *("224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "100::1", "2001::1", "4000::1", "168.63.129.16", "", "localhost"),
]


@pytest.mark.parametrize("address", GLOBAL)
def test_the_internet_is_allowed(address):
    assert AddressPolicy().problem(address) is None


@pytest.mark.parametrize("address", FORBIDDEN)
def test_everything_else_is_not(address):
    assert AddressPolicy().problem(address) is not None
    assert AddressPolicy((ip_network("10.20.0.0/16"), ip_network("fd12::/16"))).problem(address) is not None


@pytest.mark.parametrize("address", ["10.20.1.1", "::ffff:10.20.1.1", "64:ff9b::a14:101", "fd12::1", "169.254.7.7"])
def test_networks_that_are_named_are_allowed(address):
    named = tuple(map(ip_network, ("10.20.0.0/16", "fd12::/16", "169.254.7.7/32")))
    assert AddressPolicy(named).problem(address) is None
    assert AddressPolicy().problem(address) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_where_insecure_callbacks_are(address):
    assert AddressPolicy(allow_loopback=True).problem(address) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "10.0.0.1", "169.254.169.254"])
def test_and_nothing_else_with_it(address):
    assert AddressPolicy(allow_loopback=True).problem(address) is not None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "239.1.2.3", "ff02::1", "::ffff:0.0.0.0"])
def test_what_is_no_address_of_a_host_is_none_in_any_named_network(address):
    everything = ip_network("0.0.0.0/0"), ip_network("::/0")
    assert AddressPolicy(everything, allow_loopback=True).problem(address) == "no address of a host"


class Names:
    """A name server whose answers change, and how often it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host, port, **_):
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(10 if ":" in address else 2, 1, 6, "", (address, port)) for address in addresses]


LOCAL = WalletGatewaySettings(allow_insecure_callbacks=True)
NAMED = WalletGatewaySettings(allow_insecure_callbacks=True, private_networks=(ip_network("127.0.0.0/8"),))


async def sent(settings, names, url, timeout_ms=1000):
    async with HttpWalletGateway(settings, FrozenClock(), lookup=names) as wallet:
        return await wallet.send(operator(url), call(), timeout_ms)


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["0.0.0.0"]]
)
async def test_a_name_that_leads_inside_is_never_connected_to(addresses):
    async with raw_server(always(response(GOOD))) as server:
        answer = await sent(WalletGatewaySettings(), Names(addresses), f"https://wallet.example:{server.port}")
        assert "allow_private_networks" in repr(answer)
        assert server.connections == 0


@pytest.mark.parametrize("host", ["10.0.0.1", "[fd00::1]", "[::ffff:169.254.169.254]", "127.0.0.1"])
async def test_an_address_is_judged_as_a_name_is(host):
    answer = await sent(WalletGatewaySettings(), Names([]), f"https://{host}")
    assert "allow_private_networks" in repr(answer)


async def test_what_was_judged_is_what_is_connected_to():
    """The second answer of the name server would lead elsewhere: nobody asks for it."""
    async with raw_server(always(response(GOOD))) as server:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        assert await sent(LOCAL, names, f"http://localhost:{server.port}") == Acknowledged(490_000)
        assert names.asked == 1


async def test_of_several_addresses_only_those_that_are_allowed_are_tried(monkeypatch):
    tried, connect = [], wallet_connection._connect_first

    async def connect_first(port, addresses):
        tried.extend(addresses)
        return await connect(port, addresses)

    monkeypatch.setattr(wallet_connection, "_connect_first", connect_first)
    async with raw_server(always(response(GOOD))) as server:
        names = Names(["10.0.0.1", "169.254.169.254", "127.0.0.1"])
        assert await sent(LOCAL, names, f"http://localhost:{server.port}") == Acknowledged(490_000)
    assert tried == ["127.0.0.1"]


async def test_a_named_network_is_connected_to():
    async with raw_server(always(response(GOOD))) as server:
        assert await sent(NAMED, Names(["127.0.0.1"]), f"http://localhost:{server.port}") == Acknowledged(490_000)
