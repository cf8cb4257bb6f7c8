"""A real server of several workers, and who of them has a connection: the kernel decides, the tests ask it."""

import http.client
import json
import os
import signal
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio
from trio_websocket import wrap_client_stream

from tests.helpers.server_process import ServerProcess
from tests.whole.house import House
from tests.whole.player import CLOSE_S_MAX, Player
from tests.whole.wallet import Wallet

WAIT_S_MAX = 30
TAKEN_S_MAX = 2
LOOK_S = 0.005
LANDINGS_MAX = 200
"""Connections until one lands where it is wanted: of two workers, each gets every second one."""
ENDED_BY_ITSELF = "a worker has ended by itself and is started again"
SILENT = "a worker has not been heard of and is killed"
LOST_PARENT = "the parent of this worker has ended; the worker stops"


def is_alive(pid):
    """Whether the process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(is_so, what, seconds=WAIT_S_MAX):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Team(ServerProcess):
    """``getaway serve`` with several workers."""

    def __init__(self, database_url, folder, *, workers=2, **variables):
        super().__init__(database_url, folder, GETAWAY_SERVER_WORKERS=str(workers), **variables)
        self._workers_ever = set()
        self.pardoned = ()
        """What the log may hold among its errors, because the test did it."""

    def start(self):
        super().start()
        self.wait_until_complete()
        return self

    def wait_until_complete(self):
        """Until each worker serves."""
        wait_until(lambda: all(self.answers(number) for number in self.numbers), f"all serve\n{self.log()}")

    @property
    def numbers(self):
        return range(1, self.workers + 1)

    def answers(self, number):
        try:
            return "getaway_sessions_open" in self.metrics(number)
        except OSError:
            return False

    def metrics(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port + number - 1, timeout=5)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def count(self, number, name, **labels):
        """A worker's counter; 0 if it has not counted yet."""
        chosen = ",".join(f'{label}="{value}"' for label, value in labels.items())
        series = f"{name}_total{{{chosen}}} "
        lines = [line for line in self.metrics(number).splitlines() if line.startswith(series)]
        return float(lines[0].split()[-1]) if lines else 0

    def children(self):
        found = super().children()
        self._workers_ever.update(found.values())
        return found

    def kill(self):
        super().kill()
        for pid in self._workers_ever:  # a failed test must leave nobody, also where the parent was killed before
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"server.workers" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def end_worker(self, number, how=signal.SIGKILL):
        """Its process id, now gone."""
        pid = self.children()[number]
        os.kill(pid, how)
        wait_until(lambda: not is_alive(pid), f"worker {number} ends")
        return pid

    def lines(self, *, worker=None):
        """The log as documents, of one worker (0: the parent) or of all."""
        documents = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [each for each in documents if worker in (None, each["worker"])]

    def errors(self):
        return [line for line in super().errors() if not any(words in line for words in self.pardoned)]

    # who has a connection

    def holder(self, client_port):
        """The number of the worker that has the connection from this port; None if nobody has taken it."""
        inode = self._inode_of(client_port)
        if inode in (None, "0"):
            return None
        for number, pid in self.children().items():
            with suppress(FileNotFoundError, ProcessLookupError):
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(FileNotFoundError):
                        if str(descriptor.readlink()) == f"socket:[{inode}]":
                            return number
        return None

    def _inode_of(self, client_port):
        pair = f":{self.port:04X}", f":{client_port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[1].endswith(pair[0]) and columns[2].endswith(pair[1]):
                return columns[9]
        return None

    async def stream_to(self, number):
        """A connection to this worker: tried until the kernel gives one, as players' reconnects do."""
        for _ in range(LANDINGS_MAX):
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
            client_port = stream.socket.getsockname()[1]
            with trio.move_on_after(TAKEN_S_MAX):
                while (holder := self.holder(client_port)) is None:
                    await trio.sleep(LOOK_S)
                if holder == number:
                    return stream
            await stream.aclose()
        raise AssertionError(f"no connection of {LANDINGS_MAX} landed on worker {number}")


class TeamHouse(House):
    """A house with doors to each worker."""

    @asynccontextmanager
    async def playing_at(self, number, session):
        """A player who has been welcomed by this worker."""
        async with await self.server.stream_to(number) as stream, trio.open_nursery() as nursery:
            websocket = await wrap_client_stream(nursery, stream, f"127.0.0.1:{self.server.port}", "/stream")
            player = Player(websocket, session, self.rate_per_ms, self.tick_texts)
            self.players.append(player)
            await player.send("hello", session=session.token)
            frame = await player.receive()
            assert frame["type"] == "welcome", frame
            yield player
            with trio.move_on_after(CLOSE_S_MAX):
                await websocket.aclose()
            nursery.cancel_scope.cancel()


async def request_to(team, number, method, target, headers=(), body=b""):
    """The status and body of one request to this worker."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{team.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    async with await team.stream_to(number) as stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode() + body)
        with trio.fail_after(10):
            answer = b"".join([data async for data in stream])
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), _unchunked(rest) if b"chunked" in head.lower() else rest


def _unchunked(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole


@contextmanager
def open_team_house(database_url, folder, *, rate_per_ms, **variables):
    """A running server of two workers with one operator."""
    team = Team(database_url, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS=rate_per_ms, **variables)
    wallet = Wallet()
    try:
        house = TeamHouse(team, wallet, rate_per_ms)
        if database_url == "embedded":
            team.start()
            house.add_operator()
        else:
            # Before the server, whose workers would come to know it only later.
            house.add_operator()
            team.start()
        yield house
    finally:
        team.kill()
        wallet.close()
