"""A port that several processes serve together: each listens on a socket of its own, all with SO_REUSEPORT.

The kernel chooses one of the listening sockets for each new connection, by a hash of its addresses. Measured with 200
connections and 2 workers of this kind, in bursts and one by one: from 87 to 113 on each, most often within 4 of 100.
With one listening socket that all workers inherit it was from 36 to 164, because whoever wakes up first takes all that
wait. A connection stays where it landed for hours, so that an uneven beginning lasts. And a worker that is gone takes
its socket with it: the others get what comes next.
"""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from server.edge.listen.connection import tls_context
from server.edge.listen.listener import ListeningAddress, address_of
from server.edge.settings import EdgeSettings


@dataclass(frozen=True, slots=True)
class SharedAddress:
    """A port that is ours to give. A context manager: leaving it gives the port up.

    The port is held by a socket that is bound and never listens, so that it gets no connections.
    """

    settings: EdgeSettings
    holder: socket.socket
    takes_both: bool

    @property
    def port(self) -> int:
        """The port's number, also where the settings say any."""
        number: int = self.holder.getsockname()[1]
        return number

    def member(self) -> socket.socket:
        """A new socket of this port for one process; it gets connections once it listens. Raises ``OSError``."""
        return _bound(self.holder.family, self.holder.getsockname(), takes_both=self.takes_both)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.holder.close()


async def share(settings: EdgeSettings) -> SharedAddress:
    """Take a port to share. Raises ``OSError`` if another program has it or the TLS files can't be used."""
    tls_context(settings)
    family, address, takes_both = await address_of(settings)
    # Whoever shares a port is let in by the kernel beside others of the same user that share it. Our processes must not
    # mingle with another server's, and a socket that does not share finds out whether there is one.
    with socket.create_server(address, family=family, dualstack_ipv6=takes_both) as alone:
        address = alone.getsockname()
    holder = _bound(family, address, takes_both=takes_both)
    # It was needed to bind beside what is left of earlier connections. Without it nobody who does not share can listen
    # here, also while no worker does.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return SharedAddress(settings, holder, takes_both)


def adopt(settings: EdgeSettings, descriptor: int) -> ListeningAddress:
    """The port of a member that another process has made for this one. Raises ``OSError`` for unusable TLS files."""
    member = socket.socket(fileno=descriptor)
    member.setblocking(False)
    member.set_inheritable(False)
    return ListeningAddress(settings, member, tls_context(settings))


def _bound(family: int, address: tuple[str, int], *, takes_both: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_both)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
