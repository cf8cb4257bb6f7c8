"""``python -m tests.chaos.victim serve``: the same program as ``getaway serve``, which a named step of its own kills.

``CHAOS_POINT=name:n`` arms the n-th hit of a point of ``tests.chaos.points``. ``CHAOS_SIGNAL=STOP`` stops the process
in its tracks in place of killing it. ``CHAOS_ONE_BY_ONE=1`` commits each transition by itself, so that a kill can come
between two rounds that are recovered together; ``CHAOS_SHORT_LEASE=1`` is for those who can't wait for the real one.
The product is wrapped from the outside and knows nothing of this.
"""

import dataclasses
import functools
import os
import signal
import sys

from trio_websocket import WebSocketConnection

import actors.cluster.recovery
import actors.play.lobby
import server.app
import server.db.migrations.migrate
import server.db.stores.ledger
import server.node
from actors.node import Node
from actors.wallet.pool import WalletPool
from server.cli.program import main
from server.db.stores.ledger import PostgresLedger
from server.db.stores.nodes import PostgresNodes
from server.db.stores.outbox import PostgresOutbox
from server.db.stores.rounds import PostgresRounds
from server.db.stores.sessions import PostgresSessions
from server.edge.listen.listener import Edge
from server.edge.player.player_sink import SocketSink
from server.wallet.connection import WalletConnection
from server.wallet.gateway import HttpWalletGateway
from tests.chaos.points import FRAMES, POINTS
from tests.helpers.transition_kinds import kind_of


class Trap:
    """Counts the hits of one point; at the last one the process ends here and now."""

    def __init__(self, armed, signal_name):
        self.name, _, hits = armed.partition(":")
        self._left = int(hits or "1")
        self._signal = signal.Signals[f"SIG{signal_name}"]
        assert self.name in {"", *POINTS}, f"there is no point {self.name}"

    def hit(self, names):
        if self.name in names:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


TRAP = Trap(os.environ.get("CHAOS_POINT", ""), os.environ.get("CHAOS_SIGNAL", "KILL"))


def wrap(owner, attribute, stems, *, before="before", after="after", worth=lambda _result: True):
    """Put points around an async function. ``stems(*arguments)`` names them; ``worth`` looks at the result first."""
    original = getattr(owner, attribute)

    @functools.wraps(original)
    async def wrapper(*arguments, **named):
        found = stems(*arguments)
        if before is not None:
            TRAP.hit([f"{stem}.{before}" for stem in found])
        result = await original(*arguments, **named)
        if after is not None and worth(result):
            TRAP.hit([f"{stem}.{after}" for stem in found])
        return result

    setattr(owner, attribute, wrapper)


def wrap_plain(owner, attribute, stems, *, before="before", after="after", worth=lambda _result: True):
    """The same for a function that does not wait."""
    original = getattr(owner, attribute)

    @functools.wraps(original)
    def wrapper(*arguments, **named):
        found = stems(*arguments)
        if before is not None:
            TRAP.hit([f"{stem}.{before}" for stem in found])
        result = original(*arguments, **named)
        if after is not None and worth(result):
            TRAP.hit([f"{stem}.{after}" for stem in found])
        return result

    setattr(owner, attribute, wrapper)


def always(stem):
    return lambda *_arguments: [stem]


def transitions_of(*arguments):
    return {f"commit.{kind_of(transition)}" for transition in arguments[-1]}


def frames_of(data):
    return [f"frame.{kind}" for kind in FRAMES if b'{"type":"%s"' % kind.encode() in data]


async def commit_in_a_transaction(ledger, transitions):
    """What commits itself otherwise, so that there is a moment in which all of it is done and nothing committed."""
    work = functools.partial(commit_it, ledger, transitions)
    return await ledger._database.in_transaction(work)


async def commit_it(ledger, transitions, connection):
    return await server.db.stores.ledger.commit_group(connection, ledger._vault, transitions)


def wrap_ledger():
    PostgresLedger._commit = commit_in_a_transaction
    wrap(PostgresLedger, "commit", transitions_of)
    wrap(server.db.stores.ledger, "commit_group", transitions_of, before=None, after="inside")
    wrap(PostgresOutbox, "_claim", always("claim_calls"), before=None, after="inside", worth=bool)
    wrap(PostgresRounds, "take_orphans", always("take_orphans"), worth=bool)
    wrap(PostgresOutbox, "claim_calls", always("claim_calls"), worth=bool)
    wrap(PostgresOutbox, "release_claims", always("release_claims"), worth=bool)
    wrap(PostgresSessions, "open_session", always("open_session"), worth=bool)
    for name in ("heartbeat", "register_node"):
        wrap(PostgresNodes, name, always(name))


def wrap_wallet():
    wrap(HttpWalletGateway, "send", lambda _self, _operator, call, *_: [f"send.{call.kind.value}"])
    wrap(
        WalletConnection,
        "_send",
        lambda _self, request: [f"send.{request.url.path.rpartition('/')[2]}"],
        before=None,
        after="written",
    )
    wrap_plain(WalletPool, "hand_over", always("hand_over"))


def wrap_sockets():
    wrap_plain(SocketSink, "send", lambda _self, *frames: frames_of(b"".join(frames)), after=None)
    wrap(
        WebSocketConnection,
        "send_message",
        lambda _self, message: frames_of(message.encode()),
        before=None,
        after="written",
    )


def wrap_life():
    wrap(actors.cluster.recovery, "resolve", always("resolve"), worth=lambda ending: ending is not None)
    wrap(server.app, "migrate", always("migrate"))
    wrap(server.db.migrations.migrate, "_run", always("migrate"), before=None, after="inside")
    wrap(actors.play.lobby.Lobby, "drain", always("drain"))
    wrap_plain(actors.play.lobby.Lobby, "_interrupt", always("drain.interrupt"))
    wrap(Node, "drain", always("drain"), before=None, after="delivered")
    wrap(Edge, "stop", always("drain"), before="closing", after=None)


def with_settings(**changes):
    """Change what no configuration can."""
    original = server.node.game_settings
    server.node.game_settings = lambda config: dataclasses.replace(original(config), **changes)


if __name__ == "__main__":
    wrap_ledger()
    wrap_wallet()
    wrap_sockets()
    wrap_life()
    if os.environ.get("CHAOS_ONE_BY_ONE") == "1":
        with_settings(ledger_group_max=1)
    if os.environ.get("CHAOS_SHORT_LEASE") == "1":
        with_settings(lease_ms=3_000, orphan_sweep_ms=1_000)
    sys.exit(main())
