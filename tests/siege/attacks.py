"""The attacks, each as a process: ``python -m tests.siege.attacks`` with a JSON object on stdin.

Every one is bounded: so many connections, so many requests a second, for ``seconds``. It says ``ready`` when it has
begun.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.siege.wire import CONTINUATION, PING, TEXT, HttpClient, Socket, Target, frame, launched

Attack = Callable[[Target], Awaitable[None]]
LIVE = b"GET /livez HTTP/1.1\r\nHost: game\r\n\r\n"
GONE = (OSError, EOFError, RuntimeError)


async def every(seconds: float, act: Callable[[], Awaitable[object]]) -> None:
    """Act at a steady rate, or as fast as it goes if that is slower."""
    due = time.perf_counter()
    while True:
        await act()
        due = max(due + seconds, time.perf_counter() - 1)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def again(act: Callable[[], Awaitable[object]], pause_s: float = 0.2) -> None:
    """Act, and begin anew whenever the server has ended it."""
    while True:
        with suppress(*GONE):
            await act()
        await asyncio.sleep(pause_s)


async def crowd(count: int, act: Callable[[], Awaitable[object]], pause_s: float = 0.2) -> None:
    """So many of them at once."""
    await asyncio.gather(*(again(act, pause_s) for _ in range(count)))


async def repeat(target: Target, player: str, seconds: float, say: Callable[[Socket], None]) -> None:
    """A player's socket that says the same so often, and reads whatever comes, until the server ends it."""
    socket = await Socket.enter(target, await launched(target, player))
    try:

        async def speak() -> None:
            say(socket)

        await asyncio.gather(every(seconds, speak), every(0, socket.next))
    finally:
        socket.close()


async def _with_history(target: Target, player: str) -> None:
    """Let a player have 50 rounds: the wallet refuses their bets, and they are history all the same."""

    async def play() -> None:
        socket = await Socket.enter(target, await launched(target, player))
        for _ in range(10):
            socket.say("bet", amount_minor=100)
            while (await socket.next())["type"] != "error":
                pass
            await asyncio.sleep(0.06)
        socket.close()

    await asyncio.gather(*(play() for _ in range(5)))


async def unread_history(target: Target) -> None:
    """30 sockets of one player ask for 50 rounds of history 20 times a second and read 2 KiB a second."""

    async def act() -> None:
        socket = await Socket.enter(target, await launched(target, "historian"))
        # So little is read that what the server writes stays with it.
        socket.reader._limit = 1_024  # type: ignore[attr-defined]  # a private one
        try:

            async def ask() -> None:
                socket.say("history", limit=50)

            async def read() -> None:
                if not await socket.reader.read(2_048):
                    raise ConnectionError

            await asyncio.gather(every(0.05, ask), every(1, read))
        finally:
            socket.close()

    await _with_history(target, "historian")
    await crowd(30, act, 1)


async def read_history(target: Target) -> None:
    """30 sockets ask for 50 rounds of history 20 times a second, and read the answers."""

    async def act() -> None:
        await repeat(target, "historian", 0.05, lambda socket: socket.say("history", limit=50))

    await _with_history(target, "historian")
    await crowd(30, act, 1)


async def idle_connections(target: Target) -> None:
    """As many connections as the server has places, and more, without a byte."""

    async def act() -> None:
        reader, writer = await target.connect()
        try:
            await reader.read(1)
        finally:
            writer.transport.abort()

    await crowd(2_500, act, 1)


async def slow_heads(target: Target) -> None:
    """1,000 connections whose request comes byte by byte."""

    async def act() -> None:
        _, writer = await target.connect()
        try:
            writer.write(b"GET /livez HTTP/1.1\r\n")
            for _ in range(100):
                await asyncio.sleep(1)
                writer.write(b"X-A: b\r\n")
                await writer.drain()
        finally:
            writer.transport.abort()

    await crowd(1_000, act)


async def drips(target: Target) -> None:
    """200 connections whose request's body comes byte by byte, 100 bytes a second on each."""

    async def act() -> None:
        _, writer = await target.connect()
        try:
            writer.write(b"POST /api/public/rgs/launch HTTP/1.1\r\nHost: game\r\nContent-Length: 60000\r\n\r\n")

            async def drip() -> None:
                writer.write(b" ")
                await writer.drain()

            await every(0.01, drip)
        finally:
            writer.transport.abort()

    await crowd(200, act)


async def early_pings(target: Target) -> None:
    """16 sockets ping 400 times a second before hello."""

    async def act() -> None:
        socket = await Socket.open(target)
        try:

            async def ping() -> None:
                socket.writer.write(frame(PING) * 8)
                await socket.writer.drain()
                if socket.reader.at_eof():
                    raise ConnectionError

            await asyncio.gather(every(0.02, ping), socket.reader.read())
        finally:
            socket.close()

    await crowd(16, act, 0)


async def pings(target: Target) -> None:
    """16 players' sockets ping 400 times a second."""

    async def act() -> None:
        socket = await Socket.enter(target, await launched(target, f"pinger-{os.urandom(4).hex()}"))
        try:

            async def ping() -> None:
                socket.writer.write(frame(PING) * 8)
                await socket.writer.drain()

            await asyncio.gather(every(0.02, ping), socket.reader.read())
        finally:
            socket.close()

    await crowd(16, act)


async def fragments(target: Target) -> None:
    """16 players' sockets send empty fragments of a message that does not end."""

    async def act() -> None:
        socket = await Socket.enter(target, await launched(target, f"fragments-{os.urandom(4).hex()}"))
        try:
            socket.writer.write(frame(TEXT, b"", fin=False))

            async def more() -> None:
                socket.writer.write(frame(CONTINUATION, b"", fin=False) * 50)
                await socket.writer.drain()
                if socket.reader.at_eof():
                    raise ConnectionError

            await asyncio.gather(every(0.02, more), socket.reader.read())
        finally:
            socket.close()

    await crowd(16, act)


async def pipelines(target: Target) -> None:
    """16 connections send 50 requests for ``/livez`` at once, and again when they are answered."""

    async def act() -> None:
        client = HttpClient(*await target.connect())
        try:
            while True:
                client._writer.write(LIVE * 49)
                await client.ask(LIVE)
                for _ in range(49):
                    await client.ask(b"")
        finally:
            client.close()

    await crowd(16, act, 0)


async def unread_files(target: Target) -> None:
    """300 connections ask for a file of the page ten times over and read nothing."""

    async def act() -> None:
        _, writer = await target.connect()
        try:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # untyped
            writer.write(b"GET /static/style.css HTTP/1.1\r\nHost: game\r\n\r\n" * 10)
            await asyncio.sleep(10)
        finally:
            writer.transport.abort()

    await crowd(300, act)


async def no_hello(target: Target) -> None:
    """1,500 sockets that never say hello."""

    async def act() -> None:
        socket = await Socket.open(target)
        try:
            await socket.reader.read()
        finally:
            socket.close()

    await crowd(1_500, act)


async def wrong_hellos(target: Target) -> None:
    """32 sockets at a time say hello with a token that nobody was given."""

    async def act() -> None:
        socket = await Socket.open(target)
        try:
            socket.say("hello", session="x" * 43)
            await socket.reader.read()
        finally:
            socket.close()

    await crowd(32, act, 0)


async def wrong_pages(target: Target) -> None:
    """1,000 requests a second for ``/play`` with wrong tokens, on 50 connections."""

    async def act() -> None:
        client = HttpClient(*await target.connect())
        try:

            async def ask() -> None:
                await client.ask(b"GET /play?session=%s HTTP/1.1\r\nHost: game\r\n\r\n" % (b"x" * 43))

            await every(0.05, ask)
        finally:
            client.close()

    await crowd(50, act, 0)


async def forged_launches(target: Target) -> None:
    """20 connections send launches with a wrong signature and 60 KiB of body, 200 a second."""

    async def act() -> None:
        client = HttpClient(*await target.connect())
        forged = target.signed("POST", "/api/public/rgs/launch", b" " * 60_000).replace(
            b"X-Signature: ", b"X-Signature: 0"
        )
        try:

            async def ask() -> None:
                await client.ask(forged)

            await every(0.1, ask)
        finally:
            client.close()

    await crowd(20, act, 0.05)


async def revenue(target: Target) -> None:
    """An operator asks for a year's revenue as often as it may."""

    async def act() -> None:
        client = HttpClient(*await target.connect())
        try:
            while True:
                status, body = await client.ask(
                    target.signed("GET", "/api/public/rgs/revenue?from=2026-01-01&to=2026-12-31")
                )
                assert status in (200, 429), body
        finally:
            client.close()

    await crowd(16, act, 0.05)


async def void_rounds(target: Target) -> None:
    """40 sessions of an operator whose wallet refuses every bet, betting as fast as they may."""

    async def act() -> None:
        player = f"refused-{os.urandom(4).hex()}"
        await repeat(target, player, 0.06, lambda socket: socket.say("bet", amount_minor=100))

    await crowd(40, act)


async def client_seeds(target: Target) -> None:
    """40 sessions change their client seed as fast as they may."""

    async def act() -> None:
        player = f"chooser-{os.urandom(4).hex()}"
        await repeat(target, player, 0.06, lambda socket: socket.say("client_seed", value=os.urandom(8).hex()))

    await crowd(40, act)


async def reconnects(target: Target) -> None:
    """500 players come back at once, again and again."""
    client = HttpClient(*await target.connect())
    tokens = [await launched(target, f"back-{number}", client) for number in range(500)]
    client.close()

    async def come(token: str) -> None:
        with suppress(*GONE):
            socket = await Socket.enter(target, token, history=False)
            await asyncio.sleep(1)
            socket.close()

    while True:
        await asyncio.gather(*map(come, tokens))


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        unread_history,
        read_history,
        idle_connections,
        slow_heads,
        drips,
        early_pings,
        pings,
        fragments,
        pipelines,
        unread_files,
        no_hello,
        wrong_hellos,
        wrong_pages,
        forged_launches,
        revenue,
        void_rounds,
        client_seeds,
        reconnects,
    )
}


async def main(wish: dict[str, object]) -> None:
    """See the module. Several names make several attacks at once."""
    target = Target(**wish["target"])  # type: ignore[arg-type]  # JSON
    tasks = [asyncio.create_task(ATTACKS[name](target)) for name in wish["attacks"]]  # type: ignore[attr-defined]  # untyped
    await asyncio.sleep(float(str(wish["begins_s"])))
    print("ready", flush=True)
    tasks = tasks or [asyncio.create_task(asyncio.sleep(60))]
    await asyncio.wait(tasks, timeout=float(str(wish["seconds"])), return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            print(f"an attack ended: {task.exception()!r}", file=sys.stderr, flush=True)
    os._exit(0)  # thousands of sockets need no goodbye


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
