"""Whose request this is, behind proxies that we trust. Pure."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

ENTRIES_MAX: Final = 32
"""Proxies that are walked back through; whatever is written further left, nobody we trust can have written."""

_FORWARDED_FOR: Final = re.compile(rb"(?im)^x-forwarded-for:[ \t]*([^\r\n]*)")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of the client, in canonical form.

    ``peer`` is the other end of the TCP connection; ``forwarded_for`` the values of the X-Forwarded-For headers in
    their order. Each proxy writes at the right end whom it saw, so the walk goes from there to the left for as long as
    the one who wrote is trusted. What can't be read ends the walk at the last address that could. A ``peer`` that is
    no address (a local socket) is returned as it is.
    """
    address = _parse(peer)
    if address is None:
        return peer
    for entry in _from_the_right(forwarded_for):
        if not _is_trusted(address, trusted):
            break
        before = _parse_entry(entry)
        if before is None:
            break
        address = before
    return str(address)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the other end of a connection is one of these proxies."""
    address = _parse(peer) if trusted else None
    return address is not None and _is_trusted(address, trusted)


def forwarded_for(head: bytes) -> list[str]:
    """The values of the X-Forwarded-For headers of a request's head, in their order, before anybody has parsed it."""
    return [value.decode("latin-1") for value in _FORWARDED_FOR.findall(head)]


def address_group(address: str) -> str:
    """What an address is counted by: itself (IPv4), or the /64 that one IPv6 subscriber has."""
    if ":" not in address:
        return address
    parsed = _parse(address)
    if parsed is None or isinstance(parsed, IPv4Address):
        return address if parsed is None else str(parsed)
    return str(IPv6Address(int(parsed) >> 64 << 64))


def _from_the_right(forwarded_for: Sequence[str]) -> list[str]:
    entries: list[str] = []
    for value in reversed(forwarded_for):
        entries += [entry.strip() for entry in reversed(value.rsplit(",", ENTRIES_MAX)[-ENTRIES_MAX:])]
        if len(entries) >= ENTRIES_MAX:
            break
    return entries[:ENTRIES_MAX]


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _parse_entry(entry: str) -> Address | None:
    """An address as proxies write it: bare, with a port, in brackets, or in brackets with a port."""
    text = entry.strip('"')
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        is_good = bracket and (not port or (port.startswith(":") and _is_port(port[1:])))
        return _parse(inside) if is_good and ":" in inside else None
    if text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    return _parse(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _parse(text: str) -> Address | None:
    """With IPv4 taken out of IPv6, and without a zone."""
    if "%" in text:
        text, _, _ = text.partition("%")
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
