import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from wsproto.frame_protocol import Opcode

from tests.helpers.edge_fakes import client_frame, open_edge, read_all, split_answer, until, upgrade_request


async def test_frames_go_both_ways_in_order():
    async with open_edge() as world:
        client = await world.player()
        door = world.lobby.doors[0]
        door.echoes = True
        before_ms = world.clock.now_ms()
        for number in range(20):
            await client.say(f'{{"n":{number}}}')
        assert [(await client.frame())[1] for _ in range(20)] == [f'{{"n":{number}}}' for number in range(20)]
        times = [received_at_ms for _, received_at_ms in door.delivered]
        assert times == sorted(times) and before_ms <= times[0] and times[-1] <= world.clock.now_ms()


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
async def test_frames_of_every_length_arrive_whole(length):
    async with open_edge() as world:
        client = await world.player()
        world.lobby.doors[0].sink.send(b"x" * length)
        assert await client.frame() == (Opcode.TEXT, "x" * length)


async def test_a_query_is_allowed_and_a_message_may_come_with_the_handshake():
    async with open_edge() as world:
        async with await world.connect() as stream:
            hello = client_frame(Opcode.TEXT, b'{"type":"hello"}')
            await stream.send_all(upgrade_request("/stream?v=1"))
            await stream.send_all(hello)
            await until(lambda: world.lobby.doors)
        await world.lobby.doors[0].left.wait()


async def test_the_door_is_left_when_the_client_closes():
    async with open_edge() as world:
        client = await world.player()
        await client.send(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        assert await client.until_close() == ([], 1000)
        with trio.fail_after(10):
            await world.lobby.doors[0].left.wait()
        await until(lambda: world.observer.ends == ["left"])


async def test_the_door_is_left_when_the_client_vanishes():
    async with open_edge() as world:
        client = await world.player()
        await client.stream.aclose()
        with trio.fail_after(10):
            await world.lobby.doors[0].left.wait()


async def test_a_close_comes_after_what_was_queued():
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        for number in range(50):
            sink.send(b"%d" % number)
        sink.close()
        sink.send(b"too late")
        texts, code = await client.until_close()
        assert (texts, code) == ([str(number) for number in range(50)], 1000)
        await client.send(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        assert await client.frame() is None
        await until(lambda: world.observer.ends == ["closed"])


async def test_a_client_that_does_not_answer_the_close_is_cut():
    async with open_edge(close_timeout_ms=50) as world:
        client = await world.player()
        world.lobby.doors[0].sink.close()
        assert (await client.until_close())[1] == 1000
        await until(lambda: world.edge.connections_open == 0)


async def fill(sink):
    """Send until the kernel takes no more: how many messages that were."""
    sent = 0
    while not sink.is_behind:
        sink.send(b"x" * 60_000)
        sent += 1
        await wait_all_tasks_blocked()
    return sent


async def test_a_client_that_does_not_read_is_not_waited_for_with_the_goodbye():
    """Though a write to it is under way that might take its time otherwise."""
    async with open_edge(close_timeout_ms=50) as world:
        await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        await fill(sink)
        sink.close()
        with trio.fail_after(5):
            await until(lambda: world.edge.connections_open == 0)


async def test_no_hello_in_time():
    async with open_edge(hello_timeout_ms=100) as world:
        client = await world.player(hello=False)
        texts, code = await client.until_close()
        assert code == 1008 and [json.loads(text)["code"] for text in texts] == ["unauthorized"]
        assert world.lobby.hellos == []


async def test_no_handshake_in_time_after_a_head_that_never_ends():
    async with open_edge(head_timeout_ms=100) as world, await world.connect() as stream:
        await stream.send_all(upgrade_request()[:-2])
        assert await read_all(stream) == b""


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_control_frame_before_the_hello_ends_the_socket(opcode):
    async with open_edge() as world:
        client = await world.player(hello=False)
        await client.stream.send_all(client_frame(opcode, b"there?") * 100)
        assert await client.until_close() == ([], 1008)
        await client.stream.aclose()
        await until(lambda: world.observer.ends == ["control"])
        assert world.lobby.hellos == []


async def test_a_control_frame_that_comes_with_the_handshake_ends_the_socket():
    async with open_edge() as world, await world.connect() as stream:
        await stream.send_all(upgrade_request() + client_frame(Opcode.PING))
        data = await read_all(stream)
        assert data.startswith(b"HTTP/1.1 101 ") and data.endswith(b"\x88\x02" + (1008).to_bytes(2, "big"))


async def test_a_player_may_ping_now_and_then():
    async with open_edge() as world:
        client = await world.player()
        for number in range(10):
            await client.send(Opcode.PING, b"%d" % number)
            assert await client.frame() == (Opcode.PONG, b"%d" % number)


@pytest.mark.parametrize("count", [30, 3_600])
async def test_a_flood_of_pings_is_answered_slowly(count):
    """Thirty are fewer than the frames that messages may have."""
    async with open_edge(controls_per_second=1, controls_burst=5) as world:
        client = await world.player()
        pongs = 0
        for _ in range(5):
            await client.send(Opcode.PING)
            pongs += (await client.frame())[0] is Opcode.PONG
        assert pongs == 5
        await client.stream.send_all(client_frame(Opcode.PING) * count)
        await client.say("behind them")
        with trio.move_on_after(0.5):
            assert await client.frame() is None, "pings beyond the budget were answered at once"
        assert world.lobby.doors[0].delivered == []


async def test_a_message_may_come_in_64_frames():
    async with open_edge() as world:
        client = await world.player()
        frames = [
            client_frame(Opcode.TEXT, b"x", fin=False),
            *[client_frame(Opcode.CONTINUATION, b"x", fin=False)] * 62,
        ]
        await client.stream.send_all(b"".join([*frames, client_frame(Opcode.CONTINUATION, b"x")]))
        await until(lambda: [text for text, _ in world.lobby.doors[0].delivered] == [b"x" * 64])
        await client.say("another")
        await until(lambda: len(world.lobby.doors[0].delivered) == 2)


@pytest.mark.parametrize("has_hello", [False, True])
async def test_a_message_of_more_than_64_frames_ends_the_socket(has_hello):
    async with open_edge() as world:
        client = await world.player(hello=has_hello)
        await client.send(Opcode.TEXT, b"", fin=False)
        await client.stream.send_all(client_frame(Opcode.CONTINUATION, fin=False) * 63)
        with trio.move_on_after(0.1):
            assert await client.frame() is None, "64 frames are allowed"
        await client.send(Opcode.CONTINUATION, fin=False)
        assert await client.until_close() == ([], 1008)
        await client.stream.aclose()
        await until(lambda: world.observer.ends == ["fragments"])


async def test_what_waits_for_a_player_is_bounded_in_bytes():
    async with open_edge(outgoing_bytes_max=100_000, unsent_bytes_max=2_048) as world:
        await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        sent = 0
        while not world.observer.ends and sent < 1_000:
            sink.send(b"x" * 30_000)
            sent += 1
            await trio.lowlevel.checkpoint()
        await until(lambda: world.observer.ends == ["overflow"])
        assert sent < 200, "the kernel's buffers and 100,000 bytes hold no more"


async def test_whoever_reads_least_pays_for_what_waits_for_all():
    async with open_edge(unsent_bytes_total_max=150_000, unsent_bytes_max=2_048) as world:
        await world.player(receive_buffer=4_096)
        reader = await world.player()
        slow, quick = (door.sink for door in world.lobby.doors)
        await fill(slow)
        assert not quick.is_behind
        for _ in range(3):
            slow.send(b"x" * 60_000)
        await until(lambda: world.observer.ends == ["overflow"])
        quick.send(b"still here")
        assert await reader.frame() == (Opcode.TEXT, "still here")


async def test_who_has_read_what_it_was_sent_is_behind_no_more():
    async with open_edge(unsent_bytes_max=2_048) as world:
        client = await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        sent = await fill(sink)
        sink.send(b"behind a frame that was taken in part")
        for _ in range(sent + 1):
            await client.frame()
        await until(lambda: not sink.is_behind)


async def test_what_waits_for_its_turn_alone_is_not_behind():
    """A quick client asks again before the writer of its last answer had another turn."""
    async with open_edge(unsent_bytes_max=2_048) as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        sink.send(b"an answer")
        assert not sink.is_behind
        assert await client.frame() == (Opcode.TEXT, "an answer")


async def test_a_refused_hello_is_told_and_closed():
    async with open_edge() as world:
        client = await world.player(hello=False)
        await client.say('{"type":"bet"}')
        texts, code = await client.until_close()
        assert code == 1000 and json.loads(texts[0])["code"] == "unauthorized"
        await client.stream.aclose()
        await until(lambda: world.security.told == [("refused", "127.0.0.1", "closed")])
        assert world.edge._shared.admission.players == 0, "nobody stays for a hello that was refused"


async def test_who_comes_in_and_how_it_ends_is_told():
    async with open_edge() as world:
        client = await world.player()
        accepted = ("accepted", "127.0.0.1")
        assert world.security.told == [accepted]
        await client.stream.aclose()
        await until(lambda: world.security.told == [accepted, ("ended", "127.0.0.1", "left")])


async def test_a_lobby_that_does_not_answer():
    async with open_edge(enter_timeout_ms=50) as world:
        world.lobby.gate = trio.Event()
        client = await world.player(hello=False)
        await client.say("hello")
        assert (await client.until_close()) == ([], 1013)


async def test_a_lobby_that_fails_ends_one_socket_only(caplog):
    async with open_edge() as world:
        other = await world.player()
        world.lobby.failure = ZeroDivisionError("secret text")
        client = await world.player(hello=False)
        await client.say("hello")
        assert await client.until_close() == ([], 1011)
        world.lobby.doors[0].sink.send(b"still here")
        assert await other.frame() == (Opcode.TEXT, "still here")
        await client.stream.aclose()
        await until(lambda: "a connection failed" in caplog.text)
        assert "secret text" not in caplog.text
        failed = [record for record in caplog.records if record.getMessage() == "a connection failed"]
        assert failed[0].error.startswith("ZeroDivisionError at edge_fakes.py:")


async def test_a_binary_first_frame_is_unauthorized():
    async with open_edge() as world:
        client = await world.player(hello=False)
        await client.send(Opcode.BINARY, b"{}")
        texts, code = await client.until_close()
        assert code == 1008 and json.loads(texts[0])["code"] == "unauthorized"
        assert not world.lobby.doors


async def test_a_binary_frame_is_refused_and_leaves_the_session_open():
    async with open_edge() as world:
        client = await world.player()
        await client.send(Opcode.BINARY, b"{}")
        assert json.loads((await client.frame())[1])["code"] == "bad_message"
        await client.say("text")
        await until(lambda: [text for text, _ in world.lobby.doors[0].delivered] == [b"text"])


@pytest.mark.parametrize(
    "text", ["x" * 4_097, "\u20ac" * 1_366, "\U0001f697" * 1_025], ids=["ascii", "three bytes each", "four bytes each"]
)
async def test_more_than_4_kib_is_refused_in_bytes(text):
    async with open_edge() as world:
        client = await world.player()
        await client.say(text)
        assert await client.until_close() == ([], 1009)
        assert world.lobby.doors[0].delivered == []


async def test_4_kib_are_taken_whole_or_in_pieces():
    async with open_edge() as world:
        client = await world.player()
        door = world.lobby.doors[0]
        await client.say("x" * 4_096)
        await client.send(Opcode.TEXT, b"y" * 4_000, fin=False)
        await client.send(Opcode.CONTINUATION, b"y" * 96)
        await until(lambda: len(door.delivered) == 2)
        assert [text for text, _ in door.delivered] == [b"x" * 4_096, b"y" * 4_096]


async def test_pieces_that_grow_too_large():
    async with open_edge() as world:
        client = await world.player()
        await client.send(Opcode.TEXT, b"y" * 4_000, fin=False)
        await client.send(Opcode.CONTINUATION, b"y" * 97, fin=False)
        assert await client.until_close() == ([], 1009)


async def test_messages_beyond_the_rate_are_dropped_and_told():
    async with open_edge(messages_per_second=1, messages_burst=3) as world:
        client = await world.player()
        for number in range(6):
            await client.say(str(number))
        refused = [json.loads((await client.frame())[1])["code"] for _ in range(3)]
        assert refused == ["rate_limited"] * 3
        assert [text for text, _ in world.lobby.doors[0].delivered] == [b"0", b"1", b"2"]


async def test_the_rate_recovers():
    async with open_edge(messages_per_second=50, messages_burst=1) as world:
        client = await world.player()
        door = world.lobby.doors[0]
        with trio.fail_after(20):
            while len(door.delivered) < 3:
                await client.say("again")
                await trio.sleep(0.03)


async def test_a_flood_of_messages_is_closed():
    async with open_edge(messages_per_second=1, messages_burst=2) as world:
        client = await world.player()
        await client.stream.send_all(client_frame(Opcode.TEXT, b"flood") * 30)
        texts, code = await client.until_close()
        assert code == 1008
        assert [json.loads(text)["code"] for text in texts] == ["rate_limited"] * 21
        assert len(world.lobby.doors[0].delivered) == 2
        await client.stream.aclose()
        await until(lambda: world.observer.ends == ["flood"])


async def test_a_flood_of_other_frames_is_read_slowly():
    async with open_edge(messages_per_second=1, messages_burst=2, frames_per_message=20) as world:
        client = await world.player()
        flood = client_frame(Opcode.PING) * 500_000
        with trio.move_on_after(0.5) as patience:
            await client.stream.send_all(flood)
        assert patience.cancelled_caught, "three megabytes of frames were read at once"
        assert await world.is_well()


async def test_a_client_that_sends_much_in_few_messages_is_read_slowly():
    async with open_edge(received_bytes_per_second=1, received_bytes_burst=5_000) as world:
        client = await world.player()
        for _ in range(10):
            await client.say("x" * 2_000)
            await trio.sleep(0.01)
        delivered = world.lobby.doors[0].delivered
        await until(lambda: len(delivered) >= 2)
        await trio.sleep(0.05)
        assert len(delivered) == 2, "the third one makes a debt, and waits until it is paid"


async def test_a_client_that_pongs_stays():
    async with open_edge(ping_interval_ms=20, ping_timeout_ms=5_000) as world:
        client = await world.player()
        for _ in range(5):
            opcode, payload = await client.frame()
            assert opcode is Opcode.PING
            await client.send(Opcode.PONG, payload)
        world.lobby.doors[0].sink.send(b"still here")
        while (frame := await client.frame())[0] is Opcode.PING:
            await client.send(Opcode.PONG, frame[1])
        assert frame[1] == "still here"


async def test_a_client_that_says_anything_is_alive():
    async with open_edge(ping_interval_ms=20, ping_timeout_ms=5_000) as world:
        client = await world.player()
        for _ in range(3):
            opcode, payload = await client.frame()
            assert (opcode, payload) == (Opcode.PING, b"")
            await client.send(Opcode.PONG, b"something else")
        assert world.observer.ends == []


async def test_a_client_that_does_not_pong_is_dropped():
    async with open_edge(ping_interval_ms=20, ping_timeout_ms=100) as world:
        client = await world.player()
        assert (await client.frame())[0] is Opcode.PING
        assert await client.frame() is None
        await until(lambda: world.observer.ends == ["no_pong"])


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("https://game.test", 101),
        ("https://evil.test", 403),
        ("http://game.test", 403),
        ("https://game.test.evil.test", 403),
        ("https://game.test:444", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_only_pages_of_our_own_origin_may_open_a_socket(origin, status):
    async with open_edge() as world:
        async with await world.connect() as stream:
            await stream.send_all(upgrade_request(Origin=origin))
            if status == 101:
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
                return
            answer, body = split_answer(await read_all(stream))
        document = json.loads(body)
        assert (answer, document["ok"], document["error"]["code"]) == (403, False, "origin_not_allowed")
        assert document["request_id"]
        assert world.security.told == [("refused", "127.0.0.1", "origin_not_allowed")]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "!" * 24}, 400),
        ({"Sec_WebSocket_Key": "MTUgYnl0ZXMgb2YgaXQ="}, 400),
        ({"Sec_WebSocket_Extensions": "permessage-deflate; \xff"}, 400),
        ({"Cookie": "\xe4"}, 400),
        ({"Content_Length": "5"}, 400),
        ({"Transfer_Encoding": "chunked"}, 400),
        ({"Upgrade": "h3"}, 404),
        ({"Connection": "close"}, 404),
    ],
)
async def test_an_upgrade_that_is_not_right_is_refused_in_words(changes, status):
    async with open_edge() as world:
        async with await world.connect() as stream:
            await stream.send_all(upgrade_request(**{"Connection": "upgrade"} | changes))
            with trio.fail_after(20):
                data = await stream.receive_some()
        assert split_answer(data)[0] == status
        assert world.lobby.hellos == []


async def test_who_waits_long_for_the_welcome_is_told_to_wait():
    async with open_edge(wait_told_ms=20) as world:
        world.lobby.gate = trio.Event()
        client = await world.player(hello=False)
        await client.say("hello")
        for _ in range(2):
            assert json.loads((await client.frame())[1]) == {"type": "wait", "ms": 15_000}
        world.lobby.gate.set()
        texts = []
        while not texts or '"wait"' in texts[-1]:
            texts.append((await client.frame())[1])
        assert texts[-1] == '{"type":"welcome"}'
        await trio.sleep(0.1)
        await client.send(Opcode.PING, b"?")
        assert await client.frame() == (Opcode.PONG, b"?"), "nothing is said of waiting any more"
