"""Serves an application with each connection contained, as the edge does: hypercorn's own ``serve`` ends with the first
connection that trips it, and some of the byte sequences of these tests do."""

from functools import partial

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext


async def serve_contained(app, config, task_status=trio.TASK_STATUS_IGNORED):
    """Reports the port when it listens; runs until it is cancelled."""

    async def handle(stream):
        try:
            await TCPServer(ASGIWrapper(app), config, WorkerContext(None), {}, stream)
        except* Exception:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, host="127.0.0.1")
        (listener,) = await nursery.start(serve, handle, 0)
        task_status.started(listener.socket.getsockname()[1])
