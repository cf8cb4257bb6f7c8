"""A wallet that answers for the time of a run: HTTP/1.1 on one address, signed calls only, books in memory."""

import hmac
import ssl
import time
from typing import Final

import h11
import trio

from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.plan import Credentials, StandIn
from server.loadtest.wallet.wallet_books import KINDS, WalletBooks
from server.secrets.signing import sign, string_to_sign

CONNECTIONS_MAX: Final = 512
_IDLE_S: Final = 60.0
_BODY_BYTES_MAX: Final = 65_536
_TOLERANCE_S: Final = 300
_RECEIVE_BYTES: Final = 16_384


class StandInError(Exception):
    """It can't listen; the message says why."""


class StandInWallet:
    """Answers ``POST …/bet``, ``…/win`` and ``…/refund`` below whatever path the operator's callback URL has."""

    def __init__(self, settings: StandIn, credentials: Credentials, books: WalletBooks, measured: Measurements) -> None:
        self.calls = 0
        self._settings = settings
        self._credentials = credentials
        self._books = books
        self._measured = measured
        self._connections = 0
        self._context: ssl.SSLContext | None = None

    async def listen(self, nursery: trio.Nursery) -> None:
        """Answer from now on, until the nursery is cancelled. Raises ``StandInError``."""
        listen = self._settings.listen
        self._context = self._tls_context()
        try:
            listeners = await trio.open_tcp_listeners(listen.port, host=listen.host, backlog=CONNECTIONS_MAX)
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise StandInError(f"the stand-in wallet can't listen at {listen}: {words} (see --wallet-listen)") from None
        nursery.start_soon(trio.serve_listeners, self._serve, listeners)

    def _tls_context(self) -> ssl.SSLContext | None:
        certificate, key = self._settings.certificate_file, self._settings.key_file
        if certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError):
            what = f"--wallet-certificate {certificate} and --wallet-key {key}"
            raise StandInError(f"{what} must be a PEM certificate chain and its key, readable for this user") from None
        return context

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self._connections >= CONNECTIONS_MAX:
            self._measured.failed("wallet", "too_many_connections")
            await stream.aclose()
            return
        self._connections += 1
        speaker = stream if self._context is None else trio.SSLStream(stream, self._context, server_side=True)
        try:
            async with speaker:
                await self._answer_all(speaker)
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, ssl.SSLError):
            return
        finally:
            self._connections -= 1

    async def _answer_all(self, stream: trio.abc.Stream) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            with trio.move_on_after(_IDLE_S) as idle:
                asked = await self._read(stream, connection)
            if idle.cancelled_caught or asked is None:
                return
            request, body = asked
            begun_at = trio.current_time()
            status, answer = self._judge(request, body)
            self._measured.took("wallet", trio.current_time() - begun_at)
            if self._settings.latency_s:
                await trio.sleep(self._settings.latency_s)
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
            data = connection.send(h11.Response(status_code=status, headers=headers)) or b""
            data += connection.send(h11.Data(data=answer)) or b""
            data += connection.send(h11.EndOfMessage()) or b""
            with trio.move_on_after(_IDLE_S):
                await stream.send_all(data)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _read(self, stream: trio.abc.Stream, connection: h11.Connection) -> tuple[h11.Request, bytes] | None:
        request, body = None, bytearray()
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    connection.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))
                case h11.Request():
                    request = event
                case h11.Data():
                    body += event.data
                    if len(body) > _BODY_BYTES_MAX:
                        return None
                case h11.EndOfMessage():
                    assert request is not None
                    return request, bytes(body)
                case _:
                    return None

    def _judge(self, request: h11.Request, body: bytes) -> tuple[int, bytes]:
        target = request.target.decode("ascii", "replace")
        kind = target.rpartition("/")[2]
        if request.method != b"POST" or kind not in KINDS:
            self._measured.failed("wallet", "unknown_path")
            return 404, b'{"ok": false, "error": "unknown_path"}'
        if not self._is_authentic(target, dict(request.headers), body):
            self._measured.failed("wallet", "bad_signature")
            return 401, b'{"ok": false, "error": "bad_signature"}'
        self.calls += 1
        refused = len(self._books.refused)
        status, answer = self._books.answer(kind, body)
        for code in self._books.refused[refused:]:
            self._measured.failed("wallet", code)
        return status, answer

    def _is_authentic(self, target: str, headers: dict[bytes, bytes], body: bytes) -> bool:
        timestamp = headers.get(b"x-timestamp", b"").decode("ascii", "replace")
        if len(timestamp) != 10 or not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > _TOLERANCE_S:
            return False
        expected = {
            b"x-operator-id": self._credentials.operator_id,
            b"x-operator-key": self._credentials.api_key,
            b"x-signature": sign(self._credentials.hmac_secret, string_to_sign(timestamp, "POST", target, body)),
        }
        return all(hmac.compare_digest(headers.get(name, b""), value.encode()) for name, value in expected.items())
