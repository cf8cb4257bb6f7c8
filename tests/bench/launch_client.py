"""An operator that launches sessions: ``python -m tests.bench.launch_client PORT CONNECTIONS SECONDS WARM_SECONDS``.

Reads the operator's credentials as one JSON line from standard input, where nobody else sees them. Signs REQUESTS_MAX
different launches, then sends them over connections that it keeps, the next one on a connection as soon as the one
before is answered. Prints a JSON line: answers 200 in the whole (``launched``), within SECONDS (``counted``), other
answers, and what a launch took in milliseconds.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator

from tests.bench.arithmetic import quantile

REQUESTS_MAX = 60_000
TARGET = "/api/public/rgs/launch"


def signed(credentials: dict[str, str]) -> Iterator[bytes]:
    """Whole requests, of a player each."""
    timestamp = str(int(time.time()))
    for number in range(REQUESTS_MAX):
        body = json.dumps(
            {
                "operator_player_id": f"player-{timestamp}-{number}",
                "currency": "USD",
                "balance_minor": 500_000,
                "ttl_seconds": 3_600,
            }
        ).encode()
        text = f"{timestamp}.POST.{TARGET}.{hashlib.sha256(body).hexdigest()}"
        signature = hmac.digest(credentials["hmac_secret"].encode(), text.encode(), "sha256").hex()
        head = (
            f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"X-Operator-Id: {credentials['operator_id']}\r\nX-Operator-Key: {credentials['api_key']}\r\n"
            f"X-Timestamp: {timestamp}\r\nX-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


class Counts:
    """What came of the launches. Times are seconds of the monotonic clock."""

    def __init__(self, begins_at: float, seconds: float) -> None:
        self.begins_at = begins_at
        self.ends_at = begins_at + seconds
        self.launched = 0
        self.counted = 0
        self.others = 0
        self.took_ms: list[float] = []

    def note(self, status: int, sent_at: float) -> None:
        now = time.monotonic()
        if status != 200:
            self.others += 1
            return
        self.launched += 1
        if self.begins_at <= now < self.ends_at:
            self.counted += 1
            self.took_ms.append((now - sent_at) * 1000)


class Caller(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, requests: Iterator[bytes], counts: Counts) -> None:
        self._requests = requests
        self._counts = counts
        self._buffer = b""
        self._sent_at = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        self._sent_at = time.monotonic()
        if request is None or self._sent_at >= self._counts.ends_at:
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
        if end and len(body) >= int(length):
            self._buffer = b""
            self._counts.note(int(head[9:12]), self._sent_at)
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._counts.others += 1
        if not self.done.done():
            self.done.set_result(None)


async def main(port: int, connections: int, seconds: float, warm_s: float) -> None:
    requests = iter(list(signed(json.loads(sys.stdin.readline()))))
    counts = Counts(time.monotonic() + warm_s, seconds)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Caller(requests, counts), "127.0.0.1", port) for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(caller.done for _, caller in made)), warm_s + seconds + 60)
    assert next(requests, None) is not None, f"{REQUESTS_MAX} launches were not enough: raise REQUESTS_MAX"
    took_ms = (
        {f"p{part}_ms": round(quantile(counts.took_ms, part / 100), 1) for part in (50, 99)} if counts.took_ms else {}
    )
    print(json.dumps({"launched": counts.launched, "counted": counts.counted, "others": counts.others, **took_ms}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
