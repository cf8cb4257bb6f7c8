"""Which content coding a request accepts. Pure."""

import re

_NEVER = re.compile(rb"q=0(\.0{0,3})?")


def accepts_gzip(accept_encoding: list[bytes]) -> bool:
    """Whether the values of Accept-Encoding allow gzip. Without the header nothing is compressed."""
    weights: dict[bytes, bytes] = {}
    for item in b",".join(accept_encoding).lower().split(b","):
        coding, _, weight = item.partition(b";")
        weights[coding.strip()] = weight.strip()
    return not _NEVER.fullmatch(weights.get(b"gzip", weights.get(b"*", b"q=0")))
