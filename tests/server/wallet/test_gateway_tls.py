"""Policy, TLS, and what is told."""

import logging
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.testing

from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.certificates import make_certificate
from tests.helpers.raw_http import always, raw_server, response
from tests.helpers.wallet_calls import (
    GOOD,
    KEY,
    SECRET,
    FrozenClock,
    assert_not_sent,
    call,
    gateway,
    operator,
)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "https://a:b@wallet.example", "https://wallet.example/?x", "nonsense"]
)
async def test_a_url_against_policy_is_not_called(url):
    async with gateway() as wallet:
        answer = await wallet.send(operator(url), call(), 1000)
    assert isinstance(answer, NotSent)
    assert answer.detail.startswith("the wallet callback URL")


async def test_plain_http_needs_the_setting():
    async with (
        raw_server(always(response(GOOD))) as server,
        HttpWalletGateway(WalletGatewaySettings(), FrozenClock()) as wallet,
    ):
        assert isinstance(await wallet.send(operator(server.url), call(), 1000), NotSent)
    assert server.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of localhost, key and certificate in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    make_certificate(path, path)
    return path


@asynccontextmanager
async def tls_server(certificate, behaviour=None):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with raw_server(behaviour or always(response(GOOD))) as server:
        plain = server.serve
        listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")

        async def serve(stream):
            try:
                await plain(stream)
            except trio.BrokenResourceError:
                return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, listeners)
            server.port = listeners[0].transport_listener.socket.getsockname()[1]
            yield server
            nursery.cancel_scope.cancel()


async def test_tls_is_verified_and_used(certificate):
    trusting = ssl.create_default_context(cafile=certificate)
    async with tls_server(certificate) as server:
        url = f"https://localhost:{server.port}/wallet"
        async with HttpWalletGateway(
            WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock(), trusting
        ) as wallet:
            assert await wallet.send(operator(url), call(), 2000) == Acknowledged(490_000)
            other_name = url.replace("localhost", "127.0.0.1")
            assert_not_sent(await wallet.send(operator(other_name), call(), 2000), "TLS")
        async with HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock()) as wallet:
            assert_not_sent(await wallet.send(operator(url), call(), 2000), "TLS")
    assert len(server.requests) == 1


async def test_a_tls_connection_is_kept_and_used_again(certificate):
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        tls_server(certificate) as server,
        HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock(), trusting) as wallet,
    ):
        for _ in range(3):
            answer = await wallet.send(operator(f"https://localhost:{server.port}"), call(), 2000)
            assert answer == Acknowledged(490_000)
    assert server.connections == 1


async def test_a_kept_tls_connection_that_says_nothing_ends_at_the_deadline(certificate):
    async def silent_at_last(stream, request):
        if len(server.requests) > 1:
            await trio.sleep_forever()
        await stream.send_all(response(GOOD))
        return True

    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        tls_server(certificate, silent_at_last) as server,
        HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock(), trusting) as wallet,
    ):
        url = f"https://localhost:{server.port}"
        assert await wallet.send(operator(url), call(), 2000) == Acknowledged(490_000)
        with trio.fail_after(2):
            assert await wallet.send(operator(url), call(), 50) == Unclear("no answer in time")


async def test_a_stray_answer_behind_tls_is_never_taken_for_the_next_call(certificate):
    async def two_records_at_once(stream, request):
        plain = stream.transport_stream.socket
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        await stream.send_all(response(b'{"ok":false}'))
        await stream.send_all(response(GOOD))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return True

    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        tls_server(certificate, two_records_at_once) as server,
        HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), FrozenClock(), trusting) as wallet,
    ):
        for _ in range(4):
            answer = await wallet.send(operator(f"https://localhost:{server.port}"), call(), 2000)
            assert isinstance(answer, Declined)


@pytest.mark.logs_errors("a wallet call could not be written")
async def test_what_goes_wrong_inside_is_an_answer_and_logs_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        broken = replace(operator(server.url), api_key=KEY + "\r\nInjected: yes")
        assert await wallet.send(broken, call(), 1000) == NotSent("the call could not be written")
    told = "".join(str(vars(record)) for record in caplog.records)
    assert KEY not in told
    assert SECRET not in told


async def test_after_closing_calls_still_get_an_answer():
    async with raw_server(always(response(GOOD))) as server:
        async with gateway() as wallet:
            await wallet.send(operator(server.url), call(), 2000)
        assert await wallet.send(operator(server.url), call(), 2000) == NotSent("the server is stopping")
        await wallet.aclose()
    assert len(server.requests) == 1
