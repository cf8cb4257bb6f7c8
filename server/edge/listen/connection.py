"""One accepted connection: TLS, the first request's head, and then a player's socket or HTTP."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from actors.kit.fair_queue import QueueFullError, Turnstile
from server.edge.http.http_connection import HttpServer, HttpStream, TlsHttpStream
from server.edge.http.refusals import refusal_bytes
from server.edge.http.upgrade import head_length, head_lines, is_upgrade, may_be_stream
from server.edge.listen.admission import Admission
from server.edge.listen.tolerance import Tolerance
from server.edge.player.frame_meter import FrameMeter
from server.edge.player.player_socket import PlayerPort, PlayerSocket
from server.edge.player.player_stream import PlayerStream
from server.edge.settings import EdgeSettings
from server.edge.wire.budgets import Budget
from server.edge.wire.transport import PIECES_MAX, Records, Transport
from server.http.errors import ApiError
from server.http.forwarded import address_group, client_address, forwarded_for, is_trusted

_SPACE = 0x20

REQUEST_UNITS: Final = 1
UPGRADE_UNITS: Final = 4
PIECES_UNITS: Final = 1
"""What they cost an address: see ``EdgeSettings.units_per_second``. The last is for ``PIECES_MAX`` pieces."""
LINES_PER_UNIT: Final = 64
"""So many lines of a head are another unit: browsers and proxies send some twenty, and there is room for thousands."""
PIECES_PER_SECOND: Final = 96
PIECES_BURST: Final = 384
"""Of a player who has a session. Overflow: the client is read more slowly."""


class EdgeObserver(Protocol):
    """Who counts what the edge does. Labels are of closed sets."""

    def connection_refused(self) -> None: ...

    def player_ended(self, end: str) -> None:
        """A player's socket ended: ``closed`` (by the game), ``left``, ``shutdown``, ``handshake``, ``no_hello``,
        ``enter_timeout``, ``too_large``, ``flood``, ``control``, ``fragments``, ``overflow`` or ``no_pong``."""


class NoObserver:
    def connection_refused(self) -> None: ...

    def player_ended(self, end: str) -> None: ...


class HelloObserver(Protocol):
    """Who keeps a record of who came in. ``address`` is a group of addresses, see ``address_group``."""

    def accepted(self, address: str) -> None:
        """A player's hello was accepted."""

    def refused(self, address: str, code: str) -> None:
        """A player's upgrade was refused (``code``: the error's), or its socket ended without a session (how it ended,
        as in ``EdgeObserver.player_ended``)."""

    def ended(self, address: str, end: str) -> None:
        """A player's socket that had its session ended, as in ``EdgeObserver.player_ended``."""


class NoHellos:
    def accepted(self, address: str) -> None: ...

    def refused(self, address: str, code: str) -> None: ...

    def ended(self, address: str, end: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What all connections of a port share."""

    settings: EdgeSettings
    http: HttpServer
    players: PlayerPort | None
    observer: EdgeObserver
    security: HelloObserver
    tls: ssl.SSLContext | None
    admission: Admission
    turnstile: Turnstile
    """For what anybody may ask for: a TLS handshake, a request, an upgrade."""
    calls: Turnstile
    """For operators' requests: a crowd of others does not keep them waiting."""
    hellos: Turnstile
    """For those who were let through there and have said hello."""
    tolerance: Tolerance
    is_caller: Callable[[bytes], bool]
    """Whether a request's head has the key of an operator, who then needs no patience: calls are counted elsewhere."""
    player_sockets: set["Connection"]
    """Those that have become players' sockets."""


def tls_context(settings: EdgeSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer, HTTP/1.1 only; ``None`` for plain TCP. Raises ``OSError`` if the files can't be used."""
    if settings.tls_certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    for path in (settings.tls_certificate_file, settings.tls_key_file):
        if path is not None:
            path.open("rb").close()  # the error of what follows would not name the file
    context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    return context


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection whose first head came. ``upgrade_bytes``: the head's length, if it opens a player's socket."""

    below: trio.abc.Stream
    data: bytes
    upgrade_bytes: int | None


def _begins_no_head(data: bytes) -> bool:
    return bool(data) and data[0] <= _SPACE


def port_trusts(port: Port, peer: str) -> bool:
    """Whether this address is a proxy's whose word is taken for whom it speaks."""
    return is_trusted(peer, port.settings.trusted_proxies)


class Connection:
    """``run`` serves it to its end; the other methods end it from outside."""

    __slots__ = ("_group", "_has_entered", "_opening", "_paid", "_peer", "_pieces", "_player", "_port", "_transport")

    def __init__(self, transport: Transport, port: Port, peer: str) -> None:
        self._transport = transport
        self._port = port
        self._peer = peer
        self._group = address_group(peer)
        self._paid = 0.0
        """Units that come back if it proves to be somebody."""
        self._opening = trio.CancelScope()
        self._has_entered = False
        self._pieces: Budget | None = None
        transport.in_pieces = self._in_pieces
        self._player: PlayerSocket | None = None

    @property
    def is_player(self) -> bool:
        """Whether it has become a player's socket."""
        return self._player is not None

    @property
    def group(self) -> str | None:
        """By whom it is counted: its address, or ``None`` where that is a proxy's, behind which many are."""
        return None if port_trusts(self._port, self._peer) else self._group

    async def turn(self, *, is_caller: bool, lines: int) -> None:
        """See ``server.edge.http.http_connection.Place``. Raises ``trio.TooSlowError`` if its turn does not come."""
        units = lines // LINES_PER_UNIT
        if is_caller:
            await self._turn(self._port.calls, units)
        else:
            await self._turn(self._port.turnstile, REQUEST_UNITS + units)

    async def hello_turn(self) -> None:
        await self._turn(self._port.hellos)

    async def _turn(self, turnstile: Turnstile, units: float = 0) -> None:
        await self._pass(turnstile, units)
        self._paid = units or self._paid

    async def _pass(self, turnstile: Turnstile, units: float) -> None:
        with trio.fail_after(self._port.settings.turn_timeout_ms / 1000):
            if units:
                await self._port.tolerance.spend(self._group, units)
            try:
                await turnstile.pass_through(self._group)
            except QueueFullError:
                raise trio.TooSlowError from None

    async def _in_pieces(self) -> None:
        """Raises ``trio.TooSlowError`` if its address has too much to pay for."""
        if self._has_entered:
            self._pieces = self._pieces or Budget(PIECES_PER_SECOND / PIECES_MAX, PIECES_BURST / PIECES_MAX)
            await trio.sleep(self._pieces.charge(1))
        else:
            await self._pass(self._port.turnstile, PIECES_UNITS)

    def signed(self, *, is_signed: bool) -> None:
        self._port.admission.signed(self, is_signed=is_signed)
        if is_signed:
            self._take_back()

    def entered(self) -> None:
        self._port.admission.entered(self)
        self._has_entered = True
        self._port.security.accepted(self._group)
        self._take_back()

    def _take_back(self) -> None:
        if self._paid:
            self._port.tolerance.give_back(self._group, self._paid)
            self._paid = 0.0

    @property
    def is_crowded(self) -> bool:
        return self._port.admission.is_crowded

    def finish(self) -> None:
        """End it unless a request is in flight, which HTTP sees to itself; a player's socket is closed politely."""
        self._opening.cancel()
        if self._player is not None:
            self._player.go_away()

    def cut(self) -> None:
        self._transport.cut()

    async def run(self) -> None:
        """Serve it. Raises whatever it makes the libraries raise, alone or in groups."""
        opened: _Opened | None = None
        with self._opening:
            opened = await self._open()
        if opened is not None and opened.upgrade_bytes is None:
            opened = await self._serve_http(opened)
            if opened is not None:
                head = opened.data[: opened.upgrade_bytes]
                await self._turn(self._port.turnstile, UPGRADE_UNITS + head_lines(head) // LINES_PER_UNIT)
        if opened is not None and opened.upgrade_bytes is not None and self._port.players is not None:
            self._player = self._player_socket(opened, opened.upgrade_bytes, self._port.players)
            del opened  # a player stays for hours, and does not need the request's head any more
            await self._serve_player(self._player)

    async def _serve_http(self, opened: _Opened) -> _Opened | None:
        """Serve requests until there are no more, or until one opens a player's socket, which is returned."""
        serving = trio.CancelScope()
        kind = HttpStream if self._port.tls is None else TlsHttpStream
        stream = kind(
            self._transport,
            opened.below,
            opened.data,
            receive_bytes_max=self._port.settings.head_bytes_max,
            is_player=self._is_player,
            when_taken=serving.cancel,
            place=self,
        )
        with serving:
            # hypercorn would keep a connection that was cut while it wrote until it is too long idle.
            self._transport.when_closed(serving.cancel)
            await self._port.http.serve(stream)
        return None if stream.taken is None else _Opened(opened.below, stream.taken, head_length(stream.taken))

    def _is_player(self, head: bytes) -> bool:
        """Raises ``ApiError`` for an upgrade that is refused: the first request of a connection, or a later one."""
        if self._port.players is None:
            return False
        self.note_client(forwarded_for(head))
        try:
            if not is_upgrade(head, self._port.settings.origins):
                return False
        except ApiError as error:
            self._port.security.refused(self._group, error.code)
            raise
        self._port.admission.move(self, self._group)
        return True

    def note_client(self, forwarded: list[str]) -> None:
        if self.group is None:
            group = address_group(client_address(self._peer, forwarded, self._port.settings.trusted_proxies))
            if group != self._group:  # what another has paid is not given back to this one
                self._group, self._paid = group, 0.0

    async def _open(self) -> "_Opened | None":
        """Up to the knowledge what this connection is for; ``None`` if it is for nothing."""
        below = await self._secured()
        data = await self._first_head(below)
        if data is None:
            return None
        length = head_length(data)
        head = data if length is None else data[:length]
        self.note_client(forwarded_for(head))
        self._port.admission.heard(self)
        units = head_lines(head) // LINES_PER_UNIT
        if self._port.is_caller(head):
            await self._turn(self._port.calls, units)
        else:  # before it is judged: an upgrade that is refused has cost as much
            units += UPGRADE_UNITS if may_be_stream(head) else REQUEST_UNITS
            await self._turn(self._port.turnstile, units)
        try:
            if length is None or not self._is_player(data[:length]):
                return _Opened(below, data, None)
        except ApiError as error:
            await below.send_all(refusal_bytes(error))
            await self._transport.linger(self._port.settings.refusal_timeout_ms / 1000)
            return None
        return _Opened(below, data, length)

    async def _secured(self) -> trio.abc.Stream:
        if self._port.tls is None:
            return self._transport
        await self._turn(self._port.turnstile)
        stream = trio.SSLStream(self._transport, self._port.tls, server_side=True, https_compatible=True)
        with trio.fail_after(self._port.settings.tls_handshake_timeout_ms / 1000):
            await stream.do_handshake()
        return Records(self._transport, stream)

    async def _first_head(self, below: trio.abc.Stream) -> bytes | None:
        """All bytes up to a head's end at least, or as many as make it too large, or what begins no head; ``None`` if
        they do not come."""
        data = b""
        bytes_max = self._port.settings.head_bytes_max
        with trio.move_on_after(self._port.settings.head_timeout_ms / 1000):
            while head_length(data) is None and len(data) <= bytes_max and not _begins_no_head(data):
                received = await below.receive_some(bytes_max + 1 - len(data))
                if not received:
                    break
                data += bytes(received)
            return data or None
        return None

    def _player_socket(self, opened: _Opened, head_bytes: int, players: PlayerPort) -> PlayerSocket:
        settings = self._port.settings
        frames = settings.frames_per_message
        meter = FrameMeter(
            settings.messages_per_second * frames,
            settings.messages_burst * frames,
            control=Budget(settings.controls_per_second, settings.controls_burst),
            received=Budget(settings.received_bytes_per_second, settings.received_bytes_burst),
        )
        self._transport.keep_little_unsent(settings.unsent_bytes_max)
        head, early = opened.data[:head_bytes], opened.data[head_bytes:]
        stream = PlayerStream(self._transport, opened.below, head=head, early=early, clock=players.clock, meter=meter)
        return PlayerSocket(stream, players, self)

    async def _serve_player(self, player: PlayerSocket) -> None:
        self._port.player_sockets.add(self)
        try:
            await player.run()
        finally:
            self._port.player_sockets.discard(self)
            self._port.observer.player_ended(player.end)
            tell = self._port.security.ended if self._has_entered else self._port.security.refused
            tell(self._group, player.end)
            self._player = None  # It refers to this: a cycle would be garbage to be looked for.
