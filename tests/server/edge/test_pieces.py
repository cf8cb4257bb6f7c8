"""What comes in pieces costs a turn of the loop for each: an address pays for it, a player is read more slowly."""

from contextlib import asynccontextmanager

import h11
import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from wsproto.frame_protocol import Opcode

from tests.helpers.edge_fakes import Client, client_frame, open_edge, read_all, small_app, until, upgrade_request

BURST = 1_000


async def reading_app(scope, receive, send):
    """Answers when it has the whole body."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def open_purse(is_caller=lambda head: False):
    """An edge, and what its only address has spent so far."""
    async with open_edge(reading_app, units_per_second=0.001, units_burst=BURST, is_caller=is_caller) as world:
        tolerance = world.edge._shared.tolerance
        yield world, lambda: round(BURST - tolerance._purse("127.0.0.1").units)


async def drip(stream, data, size):
    for at in range(0, len(data), size):
        await stream.send_all(data[at : at + size])
        await wait_all_tasks_blocked(0.001)  # so that it is read alone


def post(body_bytes):
    return b"POST / HTTP/1.1\r\nHost: game.test\r\nContent-Length: %d\r\n\r\n" % body_bytes


async def test_a_request_in_a_few_pieces_costs_no_more_than_one():
    async with open_purse() as (world, spent), await world.connect() as stream:
        for number in range(1, 6):
            await drip(stream, post(30), 10)
            await drip(stream, b"x" * 30, 6)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
            assert spent() == number


@pytest.mark.parametrize("is_caller", [False, True])
async def test_a_body_in_many_pieces_is_paid_for_whoever_sends_it(is_caller):
    async with open_purse(lambda head: is_caller) as (world, spent), await world.connect() as stream:
        await stream.send_all(post(160))
        await wait_all_tasks_blocked(0.001)
        before = spent()
        assert before == (not is_caller)
        await drip(stream, b"x" * 160, 1)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert spent() - before in (9, 10)


async def test_a_body_in_large_pieces_costs_nothing_more():
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(post(40_000))
        await drip(stream, b"x" * 40_000, 800)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert spent() == 1


async def test_chunks_that_come_together_are_pieces_too():
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: game.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        await stream.send_all(b"1\r\nx\r\n" * 320 + b"0\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert 19 <= spent() <= 21


async def test_a_head_of_many_lines_costs_more_also_on_a_kept_connection():
    head = post(0)[:-2] + b"a: b\r\n" * 640 + b"\r\n"
    async with open_purse() as (world, spent), await world.connect() as stream:
        for number in (1, 2):
            await stream.send_all(head)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
            assert spent() == 11 * number


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: game.test\r\n" + b"a: b\r\n" * 640 + b"no field\r\n\r\n", b"400"),
        (upgrade_request(Sec_WebSocket_Version="12")[:-2] + b"a: b\r\n" * 640 + b"\r\n", b"426"),
        (b"GET /stream HTTP/1.1\r\nHost: game.test\r\n" + b"a: b\r\n" * 640 + b"no field\r\n\r\n", b"400"),
    ],
)
async def test_a_head_that_is_refused_on_a_kept_connection_is_paid_for(head, status):
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(post(0))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        await stream.send_all(head)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 " + status)
        assert spent() >= 12


async def test_a_head_that_is_refused_behind_another_is_paid_for():
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(post(0) + post(0)[:-2] + b"a: b\r\n" * 640 + b"no field\r\n\r\n")
        assert b"HTTP/1.1 400 " in await read_all(stream)
        assert spent() >= 6, "what came together with the one before is not counted"


async def test_a_kept_connection_that_the_client_closes_costs_nothing_more():
    async with open_purse() as (world, spent):
        async with await world.connect() as stream:
            await stream.send_all(post(0))
            await stream.receive_some()
        await until(lambda: not world.edge.connections_open)
        assert spent() == 1


@pytest.mark.parametrize("body", [b"1\r\nx\r\n" * 300, b"0\r\n" + b"a:\r\n" * 600], ids=["chunks", "trailers"])
async def test_chunks_and_trailers_are_paid_for_though_they_come_with_the_head(body):
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(
            b"POST / HTTP/1.1\r\nHost: game.test\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
        )
        await stream.receive_some()
        assert 18 <= spent() <= 20


async def test_a_long_target_and_folded_lines_are_paid_for_also_on_a_kept_connection():
    long = post(0).replace(b"/ ", b"/" + b"%61" * 4_000 + b" ")
    folded = post(0)[:-2] + b"a: b\r\n" + b" \r\n" * 640 + b"\r\n"
    for head, units in ((long, 3), (folded, 11)):
        async with open_purse() as (world, spent), await world.connect() as stream:
            for number in (1, 2):
                await stream.send_all(head)
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
                assert spent() == units * number


async def test_an_upgrade_behind_a_request_pays_for_its_lines():
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(post(0))
        await stream.receive_some()
        await stream.send_all(upgrade_request(**{f"x_{number}": "y" for number in range(640)}))
        await Client(stream).shake_hands()
        assert spent() == 1 + 4 + 10


async def test_chunks_that_nobody_wants_are_not_all_taken_apart(monkeypatch):
    """What is left of a body is not looked at once the answer is out."""
    taken = []
    real = h11.Connection.next_event
    monkeypatch.setattr(h11.Connection, "next_event", lambda self: taken.append(event := real(self)) or event)
    async with open_edge(small_app) as world, await world.connect() as stream:
        head = b"POST /livez HTTP/1.1\r\nHost: game.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.send_all(head + b"1\r\nx\r\n" * 2_500)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        await wait_all_tasks_blocked(0.001)
    assert 1 < len(taken) < 1_200


async def test_a_head_in_many_pieces_is_paid_for():
    async with open_purse() as (world, spent), await world.connect() as stream:
        await drip(stream, post(0)[:-1] + b"X: 12345678901234567890\r\n\r\n", 1)
        await stream.receive_some()
        assert spent() >= 5


async def test_an_address_that_has_nothing_left_is_read_no_more():
    async with open_edge(reading_app, units_per_second=0.001, units_burst=2) as world, await world.connect() as stream:
        await stream.send_all(post(160))
        with trio.move_on_after(1) as patience:
            await drip(stream, b"x" * 160, 1)
            await stream.receive_some()
        assert patience.cancelled_caught


async def test_a_hello_in_many_pieces_is_paid_for_and_a_players_message_is_read_slowly(monkeypatch):
    monkeypatch.setattr("server.edge.listen.connection.PIECES_PER_SECOND", 0.016)
    monkeypatch.setattr("server.edge.listen.connection.PIECES_BURST", 64)
    async with open_purse() as (world, spent), await world.connect() as stream:
        await stream.send_all(upgrade_request())
        await wait_all_tasks_blocked(0.001)
        assert spent() == 4
        await drip(stream, client_frame(Opcode.TEXT, b'{"type":"hello"' + b" " * 40 + b"}"), 1)
        assert spent() in (3, 4), "the upgrade is given back, and the pieces are not"
        before, (door,) = spent(), world.lobby.doors
        message = client_frame(Opcode.TEXT, b" " * 8)
        with trio.move_on_after(1):
            for _ in range(20):
                await drip(stream, message, 1)
        # 64 pieces at once, and what was read before it had to wait.
        assert 64 // len(message) - 1 <= len(door.delivered) <= (64 + 2 * 16) // len(message)
        assert spent() == before
