import datetime
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio.testing import wait_all_tasks_blocked
from wsproto.frame_protocol import Opcode

from server.edge.listen.connection import tls_context
from server.edge.player.player_stream import text_frame
from tests.helpers.edge_fakes import client_frame, open_edge, read_all, settings, split_answer, tick, until


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "game.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def client_context(files):
    return ssl.create_default_context(cafile=files[0])


@asynccontextmanager
async def open_tls(files, **changes):
    async with open_edge(tls_certificate_file=files[0], tls_key_file=files[1], **changes) as world:
        yield world


async def connect(world, context, **socket_options):
    plain = await world.connect(**socket_options)
    stream = trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True)
    await stream.do_handshake()
    return stream


async def test_http(files, client_context):
    async with open_tls(files) as world:
        stream = await connect(world, client_context)
        await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: game.test\r\nConnection: close\r\n\r\n")
        assert split_answer(await read_all(stream)) == (200, b'{"scheme": "https"}')


async def test_only_http_1_is_offered(files, client_context):
    client_context.set_alpn_protocols(["h2", "http/1.1"])
    async with open_tls(files) as world:
        stream = await connect(world, client_context)
        assert stream.selected_alpn_protocol() == "http/1.1"


async def test_tls_1_1_is_refused(files, client_context):
    client_context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        client_context.minimum_version = client_context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with open_tls(files) as world:
        with pytest.raises(trio.BrokenResourceError):
            await connect(world, client_context)
        await until(lambda: world.edge.connections_open == 0)


def test_tls_1_2_is_the_least_whatever_the_systems_library_would_take(files):
    context = tls_context(settings(tls_certificate_file=files[0], tls_key_file=files[1]))
    assert context is not None and context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_COMPRESSION


async def test_a_player_gets_frames_and_the_newest_tick(files, client_context):
    async with open_tls(files) as world:
        client = await world.player(stream=await connect(world, client_context))
        door = world.lobby.doors[0]
        door.echoes = True
        await wait_all_tasks_blocked()
        for number in range(3):
            tick(door.sink, number, text_frame(b"tick %d" % number))
        assert await client.frame() == (Opcode.TEXT, "tick 2")
        await client.say("there")
        assert await client.frame() == (Opcode.TEXT, "there")
        tick(door.sink, 3, text_frame(b"tick 3"))
        door.sink.send(b"ended")
        door.sink.close()
        assert await client.until_close() == (["ended"], 1000)


async def test_a_slow_reader_gets_whole_frames_in_order(files, client_context):
    async with open_tls(files, outgoing_frames_max=1_000, unsent_bytes_max=2_048) as world:
        client = await world.player(stream=await connect(world, client_context, receive_buffer=4_096))
        sink = world.lobby.doors[0].sink
        for number in range(300):
            tick(sink, number, text_frame(b"tick %d" % number))
            await trio.lowlevel.checkpoint()
            sink.send(b"frame %d %s" % (number, b"f" * 500))
            await trio.lowlevel.checkpoint()
        sink.send(b"end")
        numbers = []
        while (text := (await client.frame())[1]) != "end":
            if text.startswith("frame"):
                numbers.append(int(text.split(" ")[1]))
        assert numbers == list(range(300))


async def test_a_stalled_player_is_dropped(files, client_context):
    async with open_tls(files, send_timeout_ms=150, outgoing_frames_max=100_000) as world:
        await world.player(stream=await connect(world, client_context, receive_buffer=4_096))
        for _ in range(2_000):
            world.lobby.doors[0].sink.send(b"x" * 30_000)
        with trio.fail_after(20):
            await world.lobby.doors[0].left.wait()


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01", b"GET /livez HTTP/1.1\r\n\r\n", b"\0" * 500])
async def test_no_handshake(files, client_context, hello):
    # The last one is honest, and has as long as the others.
    async with open_tls(files, tls_handshake_timeout_ms=1_000) as world:
        async with await world.connect() as stream:
            await stream.send_all(hello)
            assert b"HTTP" not in await read_all(stream)
        await until(lambda: world.edge.connections_open == 0)
        stream = await connect(world, client_context)
        await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: game.test\r\n\r\n")
        assert split_answer(await stream.receive_some())[0] == 200


async def test_a_client_that_vanishes_without_a_farewell(files, client_context):
    async with open_tls(files) as world:
        client = await world.player(stream=await connect(world, client_context))
        await trio.aclose_forcefully(client.stream)
        with trio.fail_after(20):
            await world.lobby.doors[0].left.wait()
        await until(lambda: world.edge.connections_open == 0)


async def test_too_many_connections_are_closed(files, client_context):
    async with open_tls(files, connections_max=1) as world:
        await connect(world, client_context)
        async with await world.connect() as stream:
            assert await read_all(stream) == b""
        assert world.observer.refused == 1


async def test_stop(files, client_context):
    async with open_tls(files, shutdown_timeout_ms=100, send_timeout_ms=600_000) as world:
        await world.player(stream=await connect(world, client_context))
        stream = await connect(world, client_context, receive_buffer=4_096)
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: game.test\r\n\r\n")
        await stream.receive_some(1)
        with trio.fail_after(20):
            await world.edge.stop()
        assert world.edge.connections_open == 0


async def send_records(stream, data, bytes_each):
    """Many records in one write: what the socket below is given is what the server reads."""
    below, held = stream.transport_stream, []

    async def hold(record):
        held.append(bytes(record))

    send, below.send_all = below.send_all, hold
    for at in range(0, len(data), bytes_each):
        await stream.send_all(data[at : at + bytes_each])
    below.send_all = send
    await send(b"".join(held))


async def test_small_records_that_come_together_are_pieces(files, client_context):
    async with open_tls(files, units_per_second=0.001, units_burst=1_000) as world:
        tolerance = world.edge._shared.tolerance
        stream = await connect(world, client_context)
        head = b"GET /livez HTTP/1.1\r\nHost: game.test\r\nX: "
        await send_records(stream, head + b"x" * (640 - len(head) - 4) + b"\r\n\r\n", 1)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert 40 <= 1_000 - tolerance._purse("127.0.0.1").units <= 42


async def test_a_player_who_sends_small_records_is_read_slowly(files, client_context, monkeypatch):
    monkeypatch.setattr("server.edge.listen.connection.PIECES_PER_SECOND", 0.016)
    monkeypatch.setattr("server.edge.listen.connection.PIECES_BURST", 64)
    async with open_tls(files) as world:
        player = await world.player(stream=await connect(world, client_context))
        (door,) = world.lobby.doors
        message = client_frame(Opcode.TEXT, b" " * 8)
        await send_records(player.stream, message * 20, 1)
        await wait_all_tasks_blocked(0.01)
        assert 64 // len(message) - 2 <= len(door.delivered) <= (64 + 2 * 16) // len(message)
