"""One run of the demo: provision, start, wait, stop in order."""

import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from server.process.stopping import stop_signals
from server.sandbox.children import Child, last_lines
from server.sandbox.provisioning import Provisioning, ProvisioningError, provision

Say = Callable[[str], None]

READY_S_MAX: Final = 90
OPERATOR_STOP_S_MAX: Final = 5
_PROGRESS_S: Final = 3
_LOG_LINES: Final = 15


class DemoError(Exception):
    """The demo can't go on; the message is what to tell, in one line or with the end of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Who is started where. ``server_command`` and ``operator_command`` are complete command lines."""

    host: str
    server_port: int
    metrics_host: str
    metrics_ports: Sequence[int]
    lobby_port: int
    demo_dir: Path
    server_stop_s: float
    provisioning: Provisioning
    server_command: Sequence[str]
    operator_command: Sequence[str]

    @property
    def lobby_url(self) -> str:
        """What to open in a browser."""
        return f"http://{self.host}:{self.lobby_port}/"


def check_ports(plan: DemoPlan) -> None:
    """Raises ``DemoError`` if a port that the demo listens on is taken."""
    if 0 in {plan.server_port, plan.lobby_port}:
        raise DemoError("the game and the lobby need ports that are known, not 0: set [server] port and --lobby-port")
    wanted = [
        (plan.host, plan.server_port, "set GETAWAY_SERVER_PORT"),
        (plan.host, plan.lobby_port, "use --lobby-port"),
        *((plan.metrics_host, port, "set GETAWAY_SERVER_METRICS_PORT") for port in plan.metrics_ports),
    ]
    ports = [port for _, port, _ in wanted]
    if len(set(ports)) < len(ports):
        named = ", ".join(map(str, ports))
        raise DemoError(
            f"the game, the lobby and the metrics need different ports, not {named}: "
            "set [server] port, --lobby-port or [server] metrics_port"
        )
    for host, port, remedy in wanted:
        try:
            _try_port(host, port)
        except OSError as error:
            raise DemoError(f"port {port} of {host} can't be used ({error.strerror}): {remedy}") from None


def _try_port(host: str, port: int) -> None:
    (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    with socket.socket(family, kind, protocol) as probe:
        # What a listener does, too: connections of an earlier run that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


async def play(plan: DemoPlan, say: Say) -> int:
    """Provision, start, wait for a signal, stop in order; the exit status."""
    show = _Show(plan, say)
    with trio.open_signal_receiver(*stop_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show.obey, signals)
            await show.run(nursery)
            nursery.cancel_scope.cancel()
    return 0 if show.problem is None else 1


async def is_ready(host: str, port: int) -> bool:
    """Whether the server's ``/readyz`` answers 200 now."""
    request = f"GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
    with trio.move_on_after(2):
        try:
            async with await trio.open_tcp_stream(host, port) as stream:
                await stream.send_all(request)
                answer = b""
                while len(answer) < 12 and (data := await stream.receive_some(1024)):
                    answer += data
                return answer.startswith(b"HTTP/1.") and answer[8:12] == b" 200"
        except (OSError, trio.BrokenResourceError):
            return False
    return False


class _Show:
    """One run of the demo. ``problem`` is what ended it, unless a person did."""

    def __init__(self, plan: DemoPlan, say: Say) -> None:
        self.problem: str | None = None
        self._plan = plan
        self._say = say
        self._running = trio.CancelScope()
        self._stopping = trio.CancelScope()
        # In the order of their stop.
        self._children: list[tuple[Child, float]] = []

    async def obey(self, signals: AsyncIterator[int]) -> None:
        """The first signal ends the demo in order, a second one at once (but for a hang-up, see ``stop_signals``)."""
        words = 0
        async for number in signals:
            words += number != signal.SIGHUP
            if words > 1:
                self._stopping.cancel()
            elif not self._running.cancel_called:
                self._say("demo: stopping the game server, then the operator (once more: at once)")
                self._running.cancel()

    async def run(self, forwarding: trio.Nursery) -> None:
        """Everything from the provisioning to the last child's end. What children print goes on in ``forwarding``."""
        try:
            with self._running:
                async with trio.open_nursery() as watching:
                    await self._start(watching, forwarding)
        finally:
            await self._stop()
        if self.problem is not None:
            self._say(f"demo: {self.problem}")

    async def _start(self, watching: trio.Nursery, forwarding: trio.Nursery) -> None:
        plan = self._plan
        try:
            plan.demo_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._say("demo: provisioning the demo operator")
            await provision(plan.provisioning)
            environ, log_path = plan.provisioning.environ, plan.demo_dir / "server.log"
            # The wallet is there first: the server delivers at once what an earlier run left undelivered.
            operator = await Child.start("the demo operator", plan.operator_command, environ)
            self._children.append((operator, OPERATOR_STOP_S_MAX))
            forwarding.start_soon(operator.forward, self._say)
            watching.start_soon(self._watch, operator, None)
            self._say(f"demo: starting the game server, its log is {log_path}")
            server = await Child.start("the game server", plan.server_command, environ, log_path)
            self._children.insert(0, (server, plan.server_stop_s))
            watching.start_soon(self._watch, server, log_path)
        except (ProvisioningError, OSError) as error:
            self._fail(str(error))
            return
        await self._wait_until_ready()

    async def _wait_until_ready(self) -> None:
        began_at, told_s = trio.current_time(), 0
        while not await is_ready(self._plan.host, self._plan.server_port):
            waited_s = int(trio.current_time() - began_at)
            if waited_s >= READY_S_MAX:
                self._fail(f"the game server was not ready within {READY_S_MAX} s")
                return
            if waited_s >= told_s + _PROGRESS_S:
                told_s = waited_s
                self._say(f"demo: waiting for the game server ({waited_s} s)")
            await trio.sleep(0.2)
        self._say("")
        self._say(f"  The lobby:  {self._plan.lobby_url}")
        self._say(f"  Two players: {self._plan.lobby_url}?player=ada  and  {self._plan.lobby_url}?player=bob")
        self._say("  Ctrl-C ends the demo.")
        self._say("")

    async def _watch(self, child: Child, log_path: Path | None) -> None:
        status = await child.wait()
        lines = last_lines(log_path, _LOG_LINES) if log_path is not None else []
        self._fail("\n    ".join([f"{child.name} has ended by itself (exit status {status})", *lines]))

    def _fail(self, problem: str) -> None:
        if not self._running.cancel_called:
            self.problem = problem
            self._running.cancel()

    async def _stop(self) -> None:
        with self._stopping:
            for child, grace_s in self._children:
                if not await child.stop(grace_s):
                    self._say(f"demo: {child.name} did not end within {grace_s:g} s and was killed")
        with trio.CancelScope(shield=True):
            for child, _ in self._children:
                await child.stop(0)
