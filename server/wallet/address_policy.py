"""Which addresses a wallet may be at: those of the internet, and networks that the configuration names. Pure.

Whoever may name a wallet's host must not make this server talk to what only it can reach: its own machine, its
neighbours, its cloud's metadata. An IPv4 address that travels in an IPv6 one counts as itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL: Final = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
"""What is not of the internet by IANA's registries of special-purpose addresses, RFC 6890, as of 2026: all of IPv4, and
what lies inside ``_UNICAST``. The library's own tables differ between versions of Python."""
_UNICAST: Final = IPv6Network("2000::/3")
"""All of IPv6 that is given out for use in the internet."""
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator, RFC 6052: the last 32 bits are the address."""
_CLOUD: Final = frozenset({ip_address("168.63.129.16")})
"""A cloud's own services at an address that is, by its number, of the internet (Azure's)."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """``private_networks`` are allowed besides the internet, and loopback if ``allow_loopback``."""

    private_networks: tuple[Network, ...] = ()
    allow_loopback: bool = False

    def permitted(self, addresses: Sequence[str]) -> list[str]:
        """Those of the addresses that a connection may go to, in their order."""
        return [address for address in addresses if self.problem(address) is None]

    def problem(self, text: str) -> str | None:
        """What is wrong with an address, in a word for after "is"; ``None``: nothing."""
        try:
            address = _plain(ip_address(text))
        except ValueError:
            return "no address"
        if address.is_unspecified or address.is_multicast:
            return "no address of a host"
        if any(address.version == network.version and address in network for network in self.private_networks):
            return None
        if address.is_loopback:
            return None if self.allow_loopback else "this machine's own (loopback)"
        if address.is_link_local:
            return "link-local, where clouds keep their metadata"
        return None if _is_global(address) else "private or reserved"


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries, or the address itself."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_global(address: Address) -> bool:
    if address in _CLOUD or any(address.version == network.version and address in network for network in _SPECIAL):
        return False
    return isinstance(address, IPv4Address) or address in _UNICAST
