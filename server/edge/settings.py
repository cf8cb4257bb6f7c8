"""Every bound of the edge, each with what happens beyond it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.http.forwarded import Network

_OF_ONE_MIN: Final = 16


@dataclass(frozen=True, kw_only=True)
class EdgeSettings:
    """One listening port. Times are milliseconds."""

    host: str
    """An address or a name; of a name's addresses the first one is bound. ``::`` takes IPv4 as well."""
    port: int
    """0 for any free one."""
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    """PEM files; both for TLS 1.2 or newer, or neither for plain TCP."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may open a player's socket, as browsers write them. Another Origin header gets 403; a client
    that sends none is not a browser and may."""

    backlog: int = 1024
    """Connections that wait for ``accept``; the kernel refuses or delays more."""
    connections_max: int = 10_000
    """Connections at once. Overflow: the oldest without a session, of the address that has most of them, is cut; where
    there is none the newest one gets 503 and is closed (with TLS: is closed). A tenth is kept for those without a
    session and for players whose session is in memory: other players are told ``rate_limited``, close 1013."""
    trusted_proxies: Sequence[Network] = ()
    """Of a connection from these, X-Forwarded-For says whose it is."""
    refusals_max: int = 64
    """Overflowing connections that are being answered. Overflow: the newest one is closed without an answer."""
    refusal_timeout_ms: int = 1_000
    """To take a refusal; then the connection is cut."""
    accept_pause_ms: int = 100
    """After a failed ``accept`` (no more file descriptors, say) before the next one."""

    tls_handshake_timeout_ms: int = 5_000
    """Overflow: the connection is cut."""
    head_bytes_max: int = 16_384
    """A request's head. Overflow: 431 and closed."""
    head_timeout_ms: int = 5_000
    """For a connection's first head. Overflow: closed."""
    keep_alive_ms: int = 75_000
    """From an answer to the next complete head; longer than proxies in front keep theirs. Overflow: closed."""

    send_timeout_ms: int = 5_000
    """Without a byte taken by the other side. Overflow: the connection is cut, a player is dropped."""
    send_bytes_per_second_min: int = 2_000
    """What the other side must take on average beyond ``send_timeout_ms``. Overflow: the same."""
    unsent_bytes_max: int = 4_096
    """Bytes to a player that wait in the kernel before the network takes them (Linux). Overflow: ticks are skipped,
    frames wait in the outgoing queue."""

    units_per_second: float = 200
    units_burst: float = 4_000
    """What one address (IPv4, or IPv6 /64) may cost before it has proved to be somebody: a request that no operator
    signed is one unit, a player's upgrade four until its hello was accepted. Whoever it is, 16 pieces of less than 512
    bytes that one request, or what comes before a hello, is sent in, are another one. Overflow: what comes waits, for
    ``turn_timeout_ms``, then it is cut. A connection whose head has an operator's key does not wait for the first."""
    hello_timeout_ms: int = 5_000
    """For a player's upgrade, and again for its first frame. Overflow: the error ``unauthorized`` and close 1008."""
    enter_timeout_ms: int = 15_000
    """For the lobby to find the session. Overflow: close 1013, try again later."""
    turn_timeout_ms: int = 60_000
    """For a connection's turn, where more come at once than can be served. Overflow: cut."""
    wait_told_ms: int = 3_000
    """So often a player whose hello was not answered yet is told to ``wait``."""
    message_bytes_max: int = 4_096
    """A player's message. Overflow: close 1009."""
    messages_per_second: int = 20
    messages_burst: int = 40
    """A player's messages. Overflow: the message is dropped and answered by the error ``rate_limited``; ten bursts of
    such errors faster than the rate: close 1008."""
    frames_per_message: int = 4
    """A message's frames, control frames included, at the rate and burst of messages. Overflow: the client is read
    more slowly. A message of more than 64 frames: close 1008."""
    controls_per_second: int = 2
    controls_burst: int = 20
    """A player's pings and pongs, of which each costs as much as a message. Overflow: the client is read more slowly.
    Before the first message there may be none: close 1008."""
    received_bytes_per_second: int = 16_384
    received_bytes_burst: int = 65_536
    """All bytes of a player's frames. Overflow: the client is read more slowly."""
    outgoing_frames_max: int = 256
    outgoing_bytes_max: int = 262_144
    """Frames, and their bytes, that wait to be written to a player. Overflow: the player is dropped; ``welcome`` tells
    it again."""
    unsent_bytes_total_max: int = 67_108_864
    """Bytes that wait to be written to all players, or to all other clients. Overflow: whoever has most waiting is
    cut."""
    ping_interval_ms: int = 20_000
    ping_timeout_ms: int = 10_000
    """For the pong, or anything else. Overflow: the player is dropped."""
    close_timeout_ms: int = 3_000
    """To write out what is queued, and again for the closing handshake, and again for the other side to leave.
    Overflow: cut."""
    shutdown_timeout_ms: int = 5_000
    """For requests in flight and closing sockets when the port is stopped. Overflow: cut."""

    @property
    def connections_of_one_max(self) -> int:
        """Connections without a session that one address (IPv4, or IPv6 /64) may have: half of all. Overflow: the one
        of them that was idle for longest is cut."""
        return max(_OF_ONE_MIN, self.connections_max // 2)
