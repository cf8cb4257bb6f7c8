"""The stand-in wallet over real sockets: signed calls only, kept connections, TLS."""

import json
import ssl
import time
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import trio

from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.plan import Credentials, StandIn
from server.loadtest.plan.quantities import Address
from server.loadtest.wallet.stand_in import StandInError, StandInWallet
from server.loadtest.wallet.wallet_books import WalletBooks
from tests.helpers.certificates import make_certificate
from tests.helpers.independent_signer import signed_headers
from tests.helpers.server_process import free_ports

CREDENTIALS = Credentials(operator_id=str(uuid4()), api_key="gk_key", hmac_secret="gs_secret")
BET = {
    "operator_player_id": "ann",
    "round_id": "r1",
    "currency": "USD",
    "amount_minor": 100,
    "operator_tx_id": "bet-r1",
}


class Caller:
    def __init__(self, stream, books, measured):
        self.stream = stream
        self.books = books
        self.measured = measured
        self.unread = b""

    async def call(self, target="/any/path/bet", secret="gs_secret", age_s=0, **changes):
        body = json.dumps(BET | changes).encode()
        timestamp = int(time.time()) - age_s
        headers = signed_headers(
            CREDENTIALS.operator_id, CREDENTIALS.api_key, secret, timestamp, "POST", target, body
        ) | {"Host": "localhost", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await self.stream.send_all(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return await self.answer()

    async def answer(self):
        with trio.fail_after(5):
            while b"\r\n\r\n" not in self.unread:
                self.unread += await self.stream.receive_some()
            head, _, rest = self.unread.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(rest) < length:
                rest += await self.stream.receive_some()
        self.unread = rest[length:]
        return int(head.split()[1]), json.loads(rest[:length])


@asynccontextmanager
async def wallet(latency_s=0.0, certificate=None, key=None):
    (port,) = free_ports(1)
    books, measured = WalletBooks(["ann"], "USD", 1000), Measurements()
    listen = Address("127.0.0.1", port)
    settings = StandIn(listen=listen, latency_s=latency_s, certificate_file=certificate, key_file=key)
    async with trio.open_nursery() as nursery:
        await StandInWallet(settings, CREDENTIALS, books, measured).listen(nursery)
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        if certificate is not None:
            context = ssl.create_default_context(cafile=certificate)
            stream = trio.SSLStream(stream, context, server_hostname="localhost")
        async with stream:
            yield Caller(stream, books, measured)
        nursery.cancel_scope.cancel()


async def test_signed_calls_are_booked_over_one_connection():
    async with wallet() as caller:
        assert await caller.call() == (200, {"ok": True, "balance_minor": 900})
        assert await caller.call() == (200, {"ok": True, "balance_minor": 900})
        win = {"operator_tx_id": "win-r1", "bet_tx_id": "bet-r1", "amount_minor": 250}
        assert await caller.call("/any/path/win", **win) == (200, {"ok": True, "balance_minor": 1150})
        assert caller.measured.histogram("wallet").count == 3
        assert caller.measured.errors == {}


async def test_what_is_not_the_servers_moves_nothing():
    async with wallet() as caller:
        assert (await caller.call(secret="gs_other"))[0] == 401
        assert (await caller.call(age_s=400))[0] == 401
        assert (await caller.call("/any/path/steal"))[0] == 404
        assert caller.books.balances == {"ann": 1000}
        assert caller.measured.errors == {"wallet bad_signature": 2, "wallet unknown_path": 1}


async def test_it_thinks_for_as_long_as_it_is_told():
    async with wallet(latency_s=0.2) as caller:
        begun_at = trio.current_time()
        await caller.call()
        assert trio.current_time() - begun_at >= 0.2
        assert caller.measured.histogram("wallet").largest < 200_000


async def test_it_speaks_tls(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    async with wallet(certificate=str(certificate), key=str(key)) as caller:
        assert (await caller.call())[0] == 200


async def test_a_taken_address_and_a_bad_certificate_are_told(tmp_path):
    (port,) = free_ports(1)
    settings = StandIn(listen=Address("127.0.0.1", port), latency_s=0.0, certificate_file=None, key_file=None)
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    tls = StandIn(listen=Address("127.0.0.1", port), latency_s=0.0, certificate_file=str(bad), key_file=str(bad))

    async def listen(chosen, nursery):
        await StandInWallet(chosen, CREDENTIALS, WalletBooks([], "USD", 1), Measurements()).listen(nursery)

    async with trio.open_nursery() as nursery:
        with pytest.raises(StandInError, match=r"--wallet-certificate .*bad.pem .* must be a PEM certificate chain"):
            await listen(tls, nursery)
        await listen(settings, nursery)
        with pytest.raises(StandInError, match=f"can't listen at 127.0.0.1:{port}: .*in use"):
            await listen(settings, nursery)
        nursery.cancel_scope.cancel()
