"""Taking the addresses that the configuration names, with errors for the person who wrote it."""

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.edge.listen.listener import ListeningAddress, listen
from server.edge.listen.sharing import SharedAddress, share
from server.edge.settings import EdgeSettings

Taken = TypeVar("Taken")


class TlsFilesError(Exception):
    """The configured TLS files are no good; the text is one line for a person."""


class ListeningAddressError(Exception):
    """A port can't be served as configured; the text is one line for a person."""


async def take_address(key: str, settings: EdgeSettings) -> ListeningAddress:
    """Listen on the port that ``[server] key`` names. Raises ``TlsFilesError`` or ``ListeningAddressError``."""
    return await _take(listen, key, settings)


async def take_shared_address(key: str, settings: EdgeSettings) -> SharedAddress:
    """Take it for several processes. Raises ``TlsFilesError`` or ``ListeningAddressError``."""
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
        raise ListeningAddressError(f"[server] {key} {settings.port} can't be served: {error.strerror}") from error
