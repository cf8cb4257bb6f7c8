import json
import os
import resource
import socket

import pytest
import trio
from wsproto.frame_protocol import Opcode

from server.edge.listen.listener import listen
from server.edge.wire.transport import Transport
from tests.helpers.edge_fakes import (
    PATIENCE_S,
    Client,
    open_edge,
    read_all,
    settings,
    split_answer,
    until,
    upgrade_request,
)

LIVE = b"GET /livez HTTP/1.1\r\nHost: game.test\r\n\r\n"


async def one_answer(stream):
    data = b""
    with trio.fail_after(PATIENCE_S):
        while not data.endswith(b"}"):
            received = await stream.receive_some()
            assert received, data
            data += received
    return split_answer(data)


async def test_a_connection_is_kept_for_more_requests():
    async with open_edge() as world, await world.connect() as stream:
        for _ in range(3):
            await stream.send_all(LIVE)
            assert await one_answer(stream) == (200, b'{"scheme": "http"}')
        await stream.send_all(LIVE + LIVE)
        assert (await one_answer(stream))[0] == 200


@pytest.mark.parametrize("while_answering", [False, True])
async def test_a_connection_that_its_client_has_closed_keeps_no_place(while_answering):
    """It was kept for as long as a connection may be idle."""
    async with open_edge() as world:
        stream = await world.connect()
        await stream.send_all(LIVE)
        assert (await one_answer(stream))[0] == 200
        if while_answering:
            await stream.send_all(LIVE.replace(b"livez", b"slow"))
            await trio.sleep(0.05)
        await stream.aclose()
        await until(lambda: world.edge.connections_open == 0)


async def test_an_answer_is_written_at_once(monkeypatch):
    """Head, body and end in one packet: each of them is a system call, and wakes the client."""
    written, send_all = [], Transport.send_all

    async def send_and_note(transport, data):
        written.append(bytes(data))
        await send_all(transport, data)

    monkeypatch.setattr(Transport, "send_all", send_and_note)
    async with open_edge() as world, await world.connect() as stream:
        for count in (1, 2):
            await stream.send_all(LIVE)
            assert (await one_answer(stream))[0] == 200
            assert len(written) == count
        assert split_answer(written[0]) == (200, b'{"scheme": "http"}')


async def test_who_may_go_on_with_a_body_is_told_before_the_answer():
    request = b"POST /livez HTTP/1.1\r\nHost: game.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with open_edge() as world, await world.connect() as stream:
        await stream.send_all(request)
        with trio.fail_after(PATIENCE_S):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
            await stream.send_all(b"{}")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("piece_bytes", [1_000, 60, 3])
async def test_a_player_may_come_on_a_connection_that_a_proxy_kept(piece_bytes):
    async with open_edge() as world, await world.connect() as stream:
        for _ in range(2):
            await stream.send_all(LIVE)
            assert (await one_answer(stream))[0] == 200
        request = upgrade_request()
        for start in range(0, len(request), piece_bytes):
            await stream.send_all(request[start : start + piece_bytes])
            await trio.sleep(0.001)
        client = Client(stream)
        await client.shake_hands()
        await client.say('{"type":"hello"}')
        assert (await client.frame())[1] == '{"type":"welcome"}'
        assert world.edge.players_open == 1
        assert await world.is_well()


async def test_a_refused_upgrade_on_a_kept_connection_says_why():
    async with open_edge(origins=frozenset({"https://game.test"})) as world, await world.connect() as stream:
        await stream.send_all(LIVE)
        assert (await one_answer(stream))[0] == 200
        await stream.send_all(upgrade_request(origin="https://evil.test"))
        status, body = split_answer(await read_all(stream))
        assert (status, json.loads(body)["error"]["code"]) == (403, "origin_not_allowed")
        assert world.security.told == [("refused", "127.0.0.1", "origin_not_allowed")]


async def test_an_upgrade_without_end_on_a_kept_connection_is_read_no_further():
    async with open_edge(head_bytes_max=4_096) as world, await world.connect() as stream:
        await stream.send_all(LIVE)
        assert (await one_answer(stream))[0] == 200
        await stream.send_all(upgrade_request()[:-2] + b"x-filler: " + b"x" * 8_000)
        with trio.fail_after(5):
            assert split_answer(await read_all(stream))[0] >= 400


async def test_whoever_has_no_turn_in_time_is_cut():
    async with open_edge(units_per_second=0.01, units_burst=1, turn_timeout_ms=50) as world:
        for _ in range(2):  # the second one on credit
            assert await world.is_well()
        async with await world.connect() as stream:
            await stream.send_all(LIVE)
            assert await read_all(stream) == b""
        await until(lambda: world.edge.connections_open == 0)


async def test_nothing_is_told_about_the_server():
    async with open_edge() as world, await world.connect() as stream:
        await stream.send_all(LIVE)
        assert b"server:" not in (await stream.receive_some()).lower()


async def test_an_application_that_fails_ends_one_exchange_only(caplog):
    async with open_edge() as world:
        assert (await world.get("/fail"))[0] in {None, 500}
        assert await world.is_well()
        (record,) = caplog.records
        assert record.getMessage() == "an exchange failed behind the application"
        assert record.error.startswith("ZeroDivisionError at edge_fakes.py:")


async def test_the_newest_connection_too_many_is_answered_and_closed():
    async with open_edge(connections_max=2) as world:
        kept = [await world.connect() for _ in range(2)]
        await until(lambda: world.edge.connections_open == 2)
        async with await world.connect() as stream:
            await stream.send_all(LIVE)
            status, body = split_answer(await read_all(stream))
        document = json.loads(body)
        assert (status, document["ok"], document["error"]["code"]) == (503, False, "unavailable")
        assert world.observer.refused == 1
        await kept[0].send_all(LIVE)
        assert (await one_answer(kept[0]))[0] == 200
        await kept[1].aclose()
        await until(lambda: world.edge.connections_open == 1)
        assert await world.is_well()


async def test_refusals_are_bounded_in_number_and_time():
    async with open_edge(connections_max=1, refusals_max=1, refusal_timeout_ms=600) as world:
        kept = await world.connect()
        await until(lambda: world.edge.connections_open == 1)
        lazy, refused = await world.connect(), await world.connect()
        assert await read_all(refused) == b"", "one refusal at a time"
        assert split_answer(await read_all(lazy))[0] == 503
        await until(lambda: world.observer.refused == 2)
        await trio.sleep(0.7)  # the lazy one did not close, but its time is over
        async with await world.connect() as stream:
            assert split_answer(await read_all(stream))[0] == 503
        await kept.aclose()


async def test_accepting_goes_on_after_the_file_descriptors_ran_out(caplog):
    async with open_edge(accept_pause_ms=20) as world:
        raw = trio.socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(raw.fileno())
        os.close(lowest_free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            await raw.connect(("127.0.0.1", world.edge.port))
            await until(lambda: "no connection can be accepted" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with trio.SocketStream(raw) as stream:
            await stream.send_all(LIVE)
            assert (await one_answer(stream))[0] == 200
    assert {record.error for record in caplog.records} == {"EMFILE"}


async def test_a_port_without_players_is_http_only():
    async with open_edge(with_lobby=False) as world, await world.connect() as stream:
        await stream.send_all(upgrade_request())
        status, _ = split_answer(await read_all(stream))
        assert status in {403, 404}


async def test_the_port_is_told_and_can_be_taken_only_once():
    async with open_edge() as world:
        assert world.edge.host == "127.0.0.1" and world.edge.port > 0
        with pytest.raises(OSError, match="in use"):
            await listen(settings(port=world.edge.port))


async def test_all_addresses_of_both_families():
    if not socket.has_dualstack_ipv6():
        pytest.fail("this machine has no IPv6, which production has")
    async with open_edge(host="::") as world:
        assert await world.is_well()


async def test_stop_closes_what_is_idle_at_once():
    async with open_edge(shutdown_timeout_ms=60_000) as world:
        idle, new, begun = [await world.connect() for _ in range(3)]
        await idle.send_all(LIVE)
        await one_answer(idle)
        await begun.send_all(b"GET /stream HTT")
        player = await world.player()
        waiting = await world.player(hello=False)
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.edge.stop)
                for client in (player, waiting):
                    assert (await client.until_close())[1] == 1001
                    await client.send(Opcode.CLOSE, (1001).to_bytes(2, "big"))
                for stream in (idle, new, begun):
                    assert await read_all(stream) == b""
        assert world.edge.connections_open == 0
        assert world.observer.ends == ["shutdown", "shutdown"]
        with pytest.raises(OSError, match="efused"):
            await world.connect()


async def test_stop_lets_a_request_in_flight_be_answered():
    async with open_edge(shutdown_timeout_ms=60_000) as world, await world.connect() as stream:
        await stream.send_all(LIVE.replace(b"/livez", b"/slow"))
        await until(lambda: world.edge.connections_open == 1)
        await trio.sleep(0.05)
        with trio.fail_after(PATIENCE_S):
            await world.edge.stop()
        assert split_answer(await read_all(stream))[0] == 200


async def test_stop_is_not_held_up_by_a_client_that_does_not_read():
    async with open_edge(shutdown_timeout_ms=100, send_timeout_ms=600_000) as world:
        stream = await world.connect(receive_buffer=4_096)
        await stream.send_all(LIVE.replace(b"/livez", b"/big"))
        await stream.receive_some(1)
        with trio.fail_after(PATIENCE_S):
            await world.edge.stop()
        assert world.edge.connections_open == 0


async def test_stop_is_not_held_up_by_players():
    async with open_edge(shutdown_timeout_ms=100, close_timeout_ms=600_000) as world:
        await world.player()
        with trio.fail_after(PATIENCE_S):
            await world.edge.stop()
            await world.edge.stop()
        assert world.lobby.doors[0].left.is_set()


async def test_a_cancelled_edge_is_not_held_up_either():
    with trio.fail_after(PATIENCE_S):
        async with open_edge(send_timeout_ms=600_000, close_timeout_ms=600_000) as world:
            stream = await world.connect(receive_buffer=4_096)
            await stream.send_all(LIVE.replace(b"/livez", b"/big"))
            await stream.receive_some(1)
            await world.player()


async def test_a_reader_that_stalls_in_an_answer_is_cut():
    async with open_edge(send_timeout_ms=100) as world:
        stream = await world.connect(receive_buffer=4_096)
        await stream.send_all(LIVE.replace(b"/livez", b"/big"))
        await until(lambda: world.edge.connections_open == 1)
        await until(lambda: world.edge.connections_open == 0)


async def test_a_reader_that_takes_a_byte_now_and_then_is_cut():
    async with open_edge(send_timeout_ms=100, send_bytes_per_second_min=1_000_000_000) as world:
        stream = await world.connect(receive_buffer=4_096)
        await stream.send_all(LIVE.replace(b"/livez", b"/big"))
        await until(lambda: world.edge.connections_open == 1)
        with trio.fail_after(PATIENCE_S):
            while world.edge.connections_open:
                with trio.move_on_after(0.02):
                    await stream.receive_some(100)
                await trio.sleep(0.02)


async def test_a_big_answer_arrives_whole():
    async with open_edge() as world:
        status, body = await world.get("/big")
        assert status == 200 and len(body) == 67_108_864


async def test_many_connections_at_once():
    async with open_edge() as world:
        answers = []

        async def ask():
            answers.append((await world.get())[0])

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
        assert answers == [200] * 100
        await until(lambda: world.edge.connections_open == 0)


async def test_what_is_open_is_counted():
    async with open_edge() as world:
        assert (world.edge.connections_open, world.edge.players_open) == (0, 0)
        await world.player()
        await world.connect()
        await until(lambda: (world.edge.connections_open, world.edge.players_open) == (2, 1))


async def test_no_address_to_listen_on():
    with pytest.raises(OSError, match=r"."):
        await listen(settings(host="203.0.113.77"))


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_tls_files_that_can_not_be_used(tmp_path, content):
    path = tmp_path / "certificate.pem"
    if content is not None:
        path.write_bytes(content)
    chosen = settings(tls_certificate_file=path, tls_key_file=path)
    with pytest.raises(OSError, match=r"."):
        await listen(chosen)
