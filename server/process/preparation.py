"""What a server process asks of the interpreter and the system before it serves."""

import ctypes
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Final

log = logging.getLogger("getaway.server")

_PR_SET_DUMPABLE: Final = 4
"""From Linux's <sys/prctl.h>."""
_OTHERS: Final = 0o077
"""The bits of a mode that are for anybody but the owner."""
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


def keep_to_itself() -> None:
    """Leave what this process knows, the master key among it, to nobody else on the machine.

    It writes no core dump, on Linux no other process of the same user may look into its memory, and the files that it
    makes are its user's alone. Its children inherit the first and the last.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(_OTHERS)
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            log.warning("others may look into this process's memory", extra={"errno": ctypes.get_errno()})


def warn_of_open_folder(folder: Path) -> None:
    """Say so in the log if others may enter the folder of the master key: perhaps somebody made it so on purpose."""
    try:
        mode = folder.stat().st_mode & 0o777
    except OSError:
        return  # it is not there yet, and will be made for its owner
    if mode & _OTHERS:
        log.warning(
            "others may enter data_dir: chmod 700 is enough for the server",
            extra={"folder": str(folder), "mode": f"{mode:04o}"},
        )
