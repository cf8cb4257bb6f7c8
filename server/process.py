"""What a server process asks of the interpreter and the system before it serves."""

import gc
import logging
import resource
from typing import Final

log = logging.getLogger("getaway.server")

GC_THRESHOLDS: Final = (20_000, 20, 20)
"""Objects, then collections, between collections of the three generations. trio makes cycles, so there must be some;
by the interpreter's defaults a busy server spends a tenth of its time on looking for them."""

_DESCRIPTORS_OF_OURS: Final = 200
"""Files, database and wallet connections, beside the sockets of the public port."""


def calm_garbage_collector() -> None:
    """To be called once all is in place: what is there then stays, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


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
