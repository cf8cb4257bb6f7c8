"""How the demo starts, watches and ends its parts, with small programs in their places."""

import json
import os
import signal
import socket
import stat
import sys
import textwrap
from dataclasses import replace

import pytest
import trio
import trio.testing

from server.sandbox.children import Child, last_lines
from server.sandbox.provisioning import Provisioning, ProvisioningError, provision
from server.sandbox.show import DemoError, DemoPlan, check_ports, is_ready, play
from tests.helpers.raw_http import always, raw_server, response
from tests.helpers.server_process import free_ports

SECRETS = {"operator_id": "7f5c", "api_key": "the-api-key", "hmac_secret": "the-hmac-secret"}

# A command line that keeps its operators in a file, and notes what it was asked.
CLI = """
    import json, pathlib, sys
    store, notes = pathlib.Path("operators.json"), pathlib.Path("asked.jsonl")
    with notes.open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\\n")
    if pathlib.Path("broken").exists():
        sys.exit("getaway: " + pathlib.Path("broken").read_text())
    if sys.argv[1] == "migrate":
        sys.exit(0)
    if sys.argv[2] == "create":
        store.write_text("{}")
        print(json.dumps(%r | {"name": "Demo operator"}))
    elif not store.exists():
        sys.exit("getaway: there is no such operator")
"""

# A server that answers /readyz, and notes the signal that ends it.
SERVER = """
    import http.server, signal, sys, time
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()
        def log_message(self, *_): pass
    server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    def end(*_):
        open("order", "a").write("server\\n")
        raise SystemExit
    signal.signal(signal.SIGTERM, end)
    print("the server's own log line", flush=True)
    server.serve_forever()
"""

OPERATOR = """
    import signal, sys, time
    def end(*_):
        print("a last wallet line", flush=True)
        open("order", "a").write("operator\\n")
        raise SystemExit
    signal.signal(signal.SIGTERM, end)
    print("wallet  bet  accepted", flush=True)
    while True: time.sleep(0.01)
"""


def program(directory, name, text):
    path = directory / name
    path.write_text(f"import os; os.chdir({str(directory)!r})\n" + textwrap.dedent(text))
    return [sys.executable, "-S", "-E", str(path)]


@pytest.fixture
def plan(tmp_path):
    port, metrics_port, lobby_port = free_ports(3)
    return DemoPlan(
        host="127.0.0.1",
        server_port=port,
        metrics_host="127.0.0.1",
        metrics_ports=(metrics_port,),
        lobby_port=lobby_port,
        demo_dir=tmp_path / "demo",
        server_stop_s=5,
        provisioning=Provisioning(
            command=program(tmp_path, "cli_part.py", CLI % SECRETS),
            environ=dict(os.environ),
            credentials_path=tmp_path / "demo" / "operator.json",
            wallet_callback_url="http://127.0.0.1:8090/wallet",
            frame_origins=["http://127.0.0.1:8090"],
            currencies=["USD", "EUR", "JPY"],
        ),
        server_command=[*program(tmp_path, "server_part.py", SERVER), str(port)],
        operator_command=program(tmp_path, "operator_part.py", OPERATOR),
    )


def asked(directory):
    return [json.loads(line) for line in (directory / "asked.jsonl").read_text().splitlines()]


# Provisioning


async def test_an_operator_is_created_once_and_kept_privately(plan, tmp_path):
    assert await provision(plan.provisioning) is True
    path = plan.provisioning.credentials_path
    assert json.loads(path.read_text()) == SECRETS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (create,) = asked(tmp_path)
    assert create[:2] == ["operator", "create"]
    assert "--json" in create
    for pair in (
        ["--frame-origin", "http://127.0.0.1:8090"],
        ["--wallet-url", "http://127.0.0.1:8090/wallet"],
        ["--currency", "USD"],
        ["--currency", "EUR"],
        ["--currency", "JPY"],
    ):
        assert any(create[at : at + 2] == pair for at in range(len(create))), pair


async def test_a_second_run_only_brings_the_addresses_up_to_date(plan, tmp_path):
    await provision(plan.provisioning)
    moved = replace(plan.provisioning, wallet_callback_url="http://127.0.0.1:9/wallet")
    assert await provision(moved) is False
    _, migrate, update = asked(tmp_path)
    assert migrate == ["migrate"], "or an operator on an older schema would be created a second time"
    assert update[:3] == ["operator", "update", SECRETS["operator_id"]]
    assert "http://127.0.0.1:9/wallet" in update


async def test_an_operator_that_the_database_lost_is_created_again(plan, tmp_path):
    await provision(plan.provisioning)
    (tmp_path / "operators.json").unlink()
    assert await provision(plan.provisioning) is True


@pytest.mark.parametrize("content", ["", "[]", "{", '{"operator_id": "7f5c"}'])
async def test_damaged_credentials_are_replaced(plan, content):
    plan.demo_dir.mkdir()
    plan.provisioning.credentials_path.write_text(content)
    assert await provision(plan.provisioning) is True
    assert json.loads(plan.provisioning.credentials_path.read_text()) == SECRETS


@pytest.mark.parametrize("lost", SECRETS)
async def test_credentials_that_are_not_whole_are_replaced_though_their_operator_is_known(plan, lost):
    await provision(plan.provisioning)
    rest = {name: value for name, value in SECRETS.items() if name != lost}
    plan.provisioning.credentials_path.write_text(json.dumps(rest))
    assert await provision(plan.provisioning) is True
    assert json.loads(plan.provisioning.credentials_path.read_text()) == SECRETS


async def test_a_command_line_that_fails_says_why_and_keeps_nothing(plan, tmp_path):
    (tmp_path / "broken").write_text("the database is not there")
    with pytest.raises(ProvisioningError, match="could not be created: getaway: the database is not there"):
        await provision(plan.provisioning)
    assert not plan.provisioning.credentials_path.exists()


async def test_a_database_that_can_not_be_migrated_gets_no_second_operator(plan, tmp_path):
    await provision(plan.provisioning)
    (tmp_path / "broken").write_text("the database is in trouble")
    with pytest.raises(ProvisioningError, match="can't be used: getaway: the database is in trouble"):
        await provision(plan.provisioning)
    assert [words[:2] for words in asked(tmp_path)] == [["operator", "create"], ["migrate"]]


async def test_an_answer_without_credentials_is_an_error_that_quotes_nothing(plan, tmp_path):
    command = program(tmp_path, "odd.py", 'print(\'{"api_key": "the-api-key"}\')')
    with pytest.raises(ProvisioningError) as caught:
        await provision(replace(plan.provisioning, command=command))
    assert "the-api-key" not in str(caught.value)


# Ports and readiness


def test_free_ports_pass(plan):
    check_ports(plan)


@pytest.mark.parametrize(("which", "remedy"), [("server_port", "GETAWAY_SERVER_PORT"), ("lobby_port", "--lobby-port")])
def test_a_taken_port_is_named_with_its_remedy(plan, which, remedy):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} .*{remedy}"):
            check_ports(replace(plan, **{which: port}))


@pytest.mark.parametrize("which", ["server_port", "lobby_port"])
def test_a_port_must_be_known(plan, which):
    with pytest.raises(DemoError, match="not 0"):
        check_ports(replace(plan, **{which: 0}))


def test_a_taken_metrics_port_is_named(plan):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} .*GETAWAY_SERVER_METRICS_PORT"):
            check_ports(replace(plan, metrics_ports=(*plan.metrics_ports, port)))
    check_ports(replace(plan, metrics_ports=()))


def test_one_port_for_two_is_an_error(plan):
    with pytest.raises(DemoError, match="different ports"):
        check_ports(replace(plan, lobby_port=plan.server_port))
    with pytest.raises(DemoError, match="different ports"):
        check_ports(replace(plan, metrics_ports=(*plan.metrics_ports, plan.lobby_port)))


@pytest.mark.parametrize(
    ("raw", "ready"),
    [
        (response(b"ok"), True),
        (response(b"no", "503 No"), False),
        (b"HTTP/1.1 2", False),
        (b"", False),
        (b"garbage" * 10, False),
    ],
)
async def test_ready_is_a_200(raw, ready):
    async with raw_server(always(raw, keep=False)) as server:
        assert await is_ready("127.0.0.1", server.port) is ready
    assert await is_ready("127.0.0.1", server.port) is False


# The whole show


class Audience:
    def __init__(self):
        self.lines = []
        self._news = trio.Event()

    def say(self, line):
        self.lines.append(line)
        self._news.set()

    async def hears(self, part):
        with trio.fail_after(10):
            while not any(part in line for line in self.lines):
                self._news = trio.Event()
                await self._news.wait()

    @property
    def text(self):
        return "\n".join(self.lines)


@pytest.fixture
def audience():
    return Audience()


@pytest.fixture
def unharmed():
    """A signal that comes when the demo has ended already does not end the tests."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "numbers", [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGHUP)]
)
async def test_a_signal_ends_the_server_first_and_then_the_operator(plan, audience, tmp_path, numbers):
    """A terminal that closes, and some service managers, say it twice with a hang-up: that is one word."""
    async with trio.open_nursery() as nursery:

        async def interrupt():
            await audience.hears("The lobby:")
            for number in numbers:
                os.kill(os.getpid(), number)
                await trio.sleep(0.01)

        nursery.start_soon(interrupt)
        assert await play(plan, audience.say) == 0
    assert (tmp_path / "order").read_text().split() == ["server", "operator"]
    assert "wallet  bet  accepted" in audience.lines
    assert "a last wallet line" in audience.lines
    assert f"http://127.0.0.1:{plan.lobby_port}/" in audience.text
    assert "the server's own log line" in (plan.demo_dir / "server.log").read_text()
    assert "the server's own log line" not in audience.lines
    assert all(secret not in audience.text for secret in ("the-api-key", "the-hmac-secret"))


async def test_a_signal_during_the_start_ends_it(plan, audience, tmp_path):
    slow = program(tmp_path, "slow.py", "import time; time.sleep(60)")
    async with trio.open_nursery() as nursery:

        async def interrupt():
            await audience.hears("starting the game server")
            await trio.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

        nursery.start_soon(interrupt)
        with trio.fail_after(5):
            assert await play(replace(plan, server_command=slow), audience.say) == 0


async def test_a_second_signal_ends_it_at_once(plan, audience, tmp_path):
    deaf = program(tmp_path, "deaf.py", SERVER.replace("SIGTERM, end", "SIGTERM, signal.SIG_IGN"))
    async with trio.open_nursery() as nursery:

        async def interrupt():
            await audience.hears("The lobby:")
            os.kill(os.getpid(), signal.SIGTERM)
            await audience.hears("stopping")
            os.kill(os.getpid(), signal.SIGTERM)

        nursery.start_soon(interrupt)
        with trio.fail_after(5):
            command = [*deaf, str(plan.server_port)]
            assert await play(replace(plan, server_command=command, server_stop_s=60), audience.say) == 0
    assert not await is_ready(plan.host, plan.server_port)


@pytest.mark.parametrize("which", ["server_command", "operator_command"])
async def test_a_part_that_dies_ends_the_demo_and_is_named(plan, audience, tmp_path, which):
    dying = program(tmp_path, "dying.py", "print('the reason'); raise SystemExit(3)")
    with trio.fail_after(10):
        assert await play(replace(plan, **{which: dying}), audience.say) == 1
    name = "the game server" if which == "server_command" else "the demo operator"
    assert f"demo: {name} has ended by itself (exit status 3)" in audience.text
    assert "the reason" in audience.text


async def test_a_failed_provisioning_starts_nothing(plan, audience, tmp_path):
    (tmp_path / "broken").write_text("no")
    assert await play(plan, audience.say) == 1
    assert audience.lines[-1] == "demo: the demo operator could not be created: getaway: no"
    assert not (plan.demo_dir / "server.log").exists()


async def test_a_child_that_does_not_end_in_time_is_killed(tmp_path):
    text = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = await Child.start("deaf", program(tmp_path, "deaf.py", text), os.environ)
    heard = Audience()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.forward, heard.say)
        await heard.hears("up")
        assert await child.stop(0.05) is False
    assert await child.wait() == -signal.SIGKILL
    assert await child.stop(0.05) is True


async def test_long_lines_are_passed_on_in_pieces(tmp_path):
    text = "import sys; sys.stdout.write('x' * 100_000 + '\\nend')"
    child = await Child.start("loud", program(tmp_path, "loud.py", text), os.environ)
    heard = Audience()
    await child.forward(heard.say)
    assert "".join(heard.lines) == "x" * 100_000 + "end"
    assert await child.wait() == 0


def test_the_end_of_a_log(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log, 3) == []
    log.write_text("".join(f"line {n}\n" for n in range(50_000)))
    assert last_lines(log, 2) == ["line 49998", "line 49999"]
