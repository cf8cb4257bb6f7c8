"""What a server process asks of the interpreter and the system before it serves."""

import logging
import resource
from typing import Final

log = logging.getLogger("getaway.server")

_DESCRIPTORS_OF_OURS: Final = 200
"""Files, database and wallet connections, beside the sockets of the public port."""


def allow_open_files(connections_max: int) -> None:
    """Raise the limit on open files as far as ``connections_max`` needs; says so in the log if it can't be done."""
    wanted = connections_max + _DESCRIPTORS_OF_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning(
                "the system allows fewer open files than connections_max needs",
                extra={"open_files_max": soft, "connections_max": connections_max},
            )
