"""Variables that Kubernetes, as Docker's links before it, puts into every container for each service. Pure.

A service named ``getaway-database`` brings ``GETAWAY_DATABASE_PORT=tcp://10.0.0.7:5432``,
``GETAWAY_DATABASE_SERVICE_HOST=10.0.0.7``, ``GETAWAY_DATABASE_PORT_5432_TCP_ADDR=10.0.0.7`` and so on, which look like
settings of ours and are none. The form is that of https://kubernetes.io/docs/concepts/services-networking/service/.
"""

import re
from ipaddress import ip_address
from typing import Final

_PROTOCOLS: Final = "tcp|udp|sctp"
_ADDRESS: Final = re.compile(rf"(?:{_PROTOCOLS})://\S+:[0-9]{{1,5}}")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_WHOLE: Final = re.compile(rf".+_PORT(?:_[0-9]{{1,5}}_(?:{_PROTOCOLS.upper()}))?")
_PART: Final = re.compile(
    rf".+_PORT_[0-9]{{1,5}}_(?:{_PROTOCOLS.upper()})_(PROTO|PORT|ADDR)|.+_SERVICE_(HOST|PORT)(_.+)?"
)


def is_service_link(name: str, value: str) -> bool:
    """Whether the variable is one of a service's, by its name and by its value: a misspelt setting is not."""
    if _WHOLE.fullmatch(name) and _ADDRESS.fullmatch(value):
        return True
    part = _PART.fullmatch(name)
    if part is None:
        return False
    kind = part[1] or part[2]
    if kind == "PROTO":
        return value in _PROTOCOLS.split("|")
    if kind == "PORT":
        return _NUMBER.fullmatch(value) is not None
    return part[3] is None and _is_address(value)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
