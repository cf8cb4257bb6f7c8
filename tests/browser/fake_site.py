"""The site around a fake game: the page with what its launch said, the page's files, and the stream.

Headers are those of the real server, but that any page may frame the game unless the launch names frame origins.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response
from quart_trio import QuartTrio

from server.web.page_template import json_block
from server.web.static_files import CONTENT_TYPES
from tests.browser.fake_server import FakeGame

STATIC = Path(__file__).resolve().parents[2] / "static"
LAUNCH = '<script type="application/json" id="launch">{}</script>'
HOST_PAGE = """<!doctype html>
<title>Casino</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0 }} iframe {{ border: 0 }}</style>
<iframe title="Game" src="{url}"></iframe>
"""


def policy(game: FakeGame) -> str:
    """The policy of the real page, see ``server/web/player_page.py``."""
    ancestors = " ".join(game.launch.get("frame_origins", ["*"]))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"media-src 'self'; connect-src 'self' ws://127.0.0.1:{game.port}; frame-ancestors {ancestors}; "
        "base-uri 'none'; form-action 'none'"
    )


def create_app(game: FakeGame) -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)

    @app.get("/play")
    async def play() -> Response:
        page = (STATIC / "index.html").read_text("utf-8")
        assert page.count(LAUNCH) == 1
        block = LAUNCH.replace("{}", json_block(game.launch).decode("ascii"))
        headers = {"Content-Security-Policy": policy(game), "Referrer-Policy": "no-referrer"}
        return Response(page.replace(LAUNCH, block), content_type="text/html; charset=utf-8", headers=headers)

    @app.get("/static/<path:name>")
    async def static_file(name: str) -> Response:
        # Read at once: a file on its way would stay open when the server is stopped.
        file = STATIC / name
        if not file.is_file():
            return Response("", 404)
        return Response(file.read_bytes(), content_type=CONTENT_TYPES[file.suffix])

    @app.get("/lobby")
    async def lobby() -> Response:
        """A page of the casino, with the game in a frame."""
        return Response(HOST_PAGE.format(url=game.url), content_type="text/html; charset=utf-8")

    @app.after_request
    async def never_kept(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.websocket("/stream")
    async def stream() -> None:
        await game.talk()

    return app


@contextmanager
def running(game: FakeGame) -> Iterator[FakeGame]:
    """Serve the game on a free port of the loopback until the block ends."""
    ready = threading.Event()
    stop = trio.Event()

    async def main() -> None:
        game._token = trio.lowlevel.current_trio_token()
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = config.accesslog = None
        config.graceful_timeout = 0.1
        async with trio.open_nursery() as nursery:
            game._nursery = nursery
            [address] = await nursery.start(
                lambda task_status: serve(create_app(game), config, shutdown_trigger=stop.wait, task_status=task_status)
            )
            game.port = int(address.rsplit(":", 1)[1])
            ready.set()
            await stop.wait()
            nursery.cancel_scope.cancel()

    thread = threading.Thread(target=trio.run, args=(main,), name="fake-game")
    thread.start()
    assert ready.wait(10), "the fake server did not start"
    try:
        yield game
    finally:
        trio.from_thread.run_sync(stop.set, trio_token=game._token)
        thread.join(10)
