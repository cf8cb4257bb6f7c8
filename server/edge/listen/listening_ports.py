"""Taking the ports that the configuration names, with errors for the person who wrote it."""

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.edge.listen.listener import Listening, listen
from server.edge.listen.sharing import SharedPort, share
from server.edge.settings import EdgeSettings

Taken = TypeVar("Taken")


class TlsFilesError(Exception):
    """The configured TLS files are no good; the text is one line for a person."""


class PortError(Exception):
    """A port can't be served as configured; the text is one line for a person."""


async def take_port(key: str, settings: EdgeSettings) -> Listening:
    """Listen on the port that ``[server] key`` names. Raises ``TlsFilesError`` or ``PortError``."""
    return await _take(listen, key, settings)


async def take_shared_port(key: str, settings: EdgeSettings) -> SharedPort:
    """Take the port that ``[server] key`` names for several processes. Raises ``TlsFilesError`` or ``PortError``."""
    return await _take(share, key, settings)


async def _take(take: Callable[[EdgeSettings], Awaitable[Taken]], key: str, settings: EdgeSettings) -> Taken:
    try:
        return await take(settings)
    except ssl.SSLError as error:
        message = "[server] tls_certificate_file and tls_key_file can't be used: are both PEM, and a pair?"
        raise TlsFilesError(message) from error
    except OSError as error:
        if error.filename is not None:
            message = f"[server] the TLS file {error.filename} can't be read: {error.strerror}"
            raise TlsFilesError(message) from error
        raise PortError(f"[server] {key} {settings.port} can't be served: {error.strerror}") from error
