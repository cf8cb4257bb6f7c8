from functools import partial

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from server.web.routes import create_app
from tests.helpers.contained_server import serve_contained
from tests.helpers.operator_client import Casino
from tests.helpers.web_fakes import PAGE, WebWorld, make_operator


@pytest.fixture
def static_dir(tmp_path):
    folder = tmp_path / "static"
    (folder / "sounds").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "main.js").write_text("export {};")
    (folder / "sounds" / "engine.ogg").write_bytes(b"OggS")
    (folder / ".hidden.js").write_text("secret")
    (folder / "notes.md").write_text("of no known type")
    (tmp_path / "outside.js").write_text("outside")
    (folder / "link.js").symlink_to(tmp_path / "outside.js")
    return folder


@pytest.fixture
def world(static_dir):
    world = WebWorld(static_dir)
    world.operators.add(make_operator(1))
    world.operators.add(make_operator(2))
    yield world
    errors = [entry for entry in world.logged.entries if entry["log_level"] == "error"]
    assert errors == [], "an error was logged that the test did not take away"


def hypercorn_config():
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    config.graceful_timeout = 0.1
    return config


@pytest.fixture
async def start(nursery):
    """Start an application; returns its port."""

    async def start(app, contained=False):
        if contained:
            return await nursery.start(serve_contained, app, hypercorn_config())
        never = trio.Event()
        binds = await nursery.start(partial(serve, app, hypercorn_config(), shutdown_trigger=never.wait))
        return int(binds[0].rsplit(":", 1)[1])

    return start


@pytest.fixture
async def port(world, start):
    return await start(create_app(world.services()))


@pytest.fixture
def casino(port, world):
    return Casino(port, world.operators.find(make_operator(1).operator_id))


@pytest.fixture
def other_casino(port, world):
    return Casino(port, world.operators.find(make_operator(2).operator_id))
