"""Whoever restores: runs what `getaway restored` does, with the operators' books as their lists, or hastily without.

A careful person does as docs/restore.md says: has all nodes stopped, or waits until all know of the cut; ends what
hangs; waits until nothing is under way any more; and only then asks the operators. What it finds out of this order is
judged as strictly as any other world. A hasty one comes 8 s after the cut was noticed, and has no lists.
"""

from uuid import UUID

import trio

from actors.kit.clock import ServerClock
from actors.ports.wallet import Acknowledged
from server.books.restoring import BookedCall, Findings
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers import memory_restore
from tests.helpers.game import NOON_MS
from tests.worlds.wallets import OperatorBook, Wire

CAREFUL_SHARE = 0.75
HASTE_S = 8.0
NOTICED_WITHIN_S = (5.0, 12.0)
"""A heartbeat is due every 3 s, and may take 6 s and be lost."""
STOPS_SHARE = 0.5
"""Of the careful whose nodes know of the cut: who stops them all the same."""
LOOK_S = 1.0
AGAIN_S = 3.0
REFUND_TIMEOUT_MS = 10_000
TOMBSTONES_SHARE = 0.5
"""Operators that list refunds of bets which they never took."""


class Person:
    """Of one world: what it did is for the judges."""

    def __init__(self, world) -> None:
        self._world = world
        self._rng = world.draws("restoring")
        self.label = "the person"
        self.is_careful = self._rng.random() < CAREFUL_SHARE
        self.lists_tombstones = self._rng.random() < TOMBSTONES_SHARE
        self.may_run = trio.Event()
        """Nodes may be started: they may not between the stop for the restore and its end."""
        self.may_run.set()
        self.is_done = trio.Event()
        self.listed: set[str] = set()
        """Rounds that were named to a person."""
        self.refunds: dict[UUID, bytes] = {}
        """What was noted of bets that only operators know: the bodies of their refunds, by round."""
        self._wire = Wire(self)

    # What a wire asks of its life.

    @property
    def world(self):
        return self._world

    async def gate(self) -> None:
        """It never stands still."""

    def note_crossing(self, method: str, arguments: tuple) -> None:
        """It is never paused."""

    # What it does.

    def stops_nodes(self) -> None:
        """Nobody starts a node before the restore is seen to."""
        if self.is_careful:
            self.may_run = trio.Event()

    async def noticed(self) -> None:
        """A node has noted the cut. The careful know already that they have restored."""
        if self.is_careful:
            return
        await trio.sleep(HASTE_S)
        if self._world.ledger.cut_reason is not None:
            self._world.trace.note("a person has the history restored")
            self._world.ledger.restored()

    async def see_to_it(self, since_s: float) -> None:
        """From the cut on, to the backup of ``since_s``. The hasty do nothing by themselves."""
        if not self.is_careful:
            return
        world = self._world
        if self.may_run.is_set():
            await trio.sleep(self._rng.uniform(*NOTICED_WITHIN_S))
            if world.ledger.cut_reason is None or self._rng.random() < STOPS_SHARE:
                self.stops_nodes()
        for life in world.living():
            if life.paused or not life.knows_of_cut or not self.may_run.is_set():
                life.kill("is stopped for the restore")
        while world.network.under_way:
            await trio.sleep(LOOK_S)
        clock = ServerClock(NOON_MS, lambda: NOON_MS + trio.current_time() * 1000)
        gateway = HttpWalletGateway(WalletGatewaySettings(), clock, transport=self._wire)
        todo = list(world.books.values())
        while todo:
            if await self._restore(todo[0], since_s, gateway):
                todo.pop(0)
            else:
                await trio.sleep(AGAIN_S)
        world.trace.note("a person has restored with the operators' lists")
        world.ledger.restored()
        self.may_run.set()
        self.is_done.set()
        if not world.living() and not world.over:
            world.begin("node-a")

    async def _restore(self, book: OperatorBook, since_s: float, gateway: HttpWalletGateway) -> bool:
        """One run of the command; whether all of it could be done."""
        world, ledger, operator_id = self._world, self._world.ledger, book.record.operator_id
        rows = self.rows_of(book, since_s)
        found = memory_restore.compare(ledger, operator_id, rows, int(NOON_MS + since_s * 1000))
        self._note(found)
        is_done = True
        changes = [(memory_restore.end_as_booked, end) for end in found.ends]
        changes += [(memory_restore.park_contradicted, each) for each in found.contradicted]
        for change, what in changes:
            try:
                change(ledger, what)
            except memory_restore.NotFreeError as error:
                world.trace.note(f"the person has to come again: {error}")
                is_done = False
        for bet in found.bets:
            body = self.refunds.setdefault(bet.round_id, bet.refund_body)
            call = bet.refund(operator_id, body, ledger.now_ms())
            self._wire.due[call.operator_tx_id] = trio.current_time() + REFUND_TIMEOUT_MS / 1000
            answer = await gateway.send(book.record, call, REFUND_TIMEOUT_MS)
            world.trace.note(f"the person sends {call.operator_tx_id}: {answer}")
            is_done = is_done and isinstance(answer, Acknowledged)
        return is_done

    def _note(self, found: Findings) -> None:
        trace = self._world.trace
        for end in found.ends:
            trace.note(f"{end.live.round_id} is live, and booked as {end.settlement or 'refunded'}: {end.problem}")
            if end.problem is not None:
                self.listed.add(str(end.live.round_id))
        self.listed |= {str(each.call.round_id) for each in found.contradicted}
        for unknown in found.unknown:
            trace.note(f"{unknown.operator_tx_id} is for a person: {unknown.why}")
            self.listed.add(unknown.operator_tx_id.partition("-")[2])

    def rows_of(self, book: OperatorBook, since_s: float) -> list[BookedCall]:
        """The operator's list: what it has booked since then, in order."""
        rows = []
        for tx_id, entry in book.entries.items():
            is_booked = entry.status == 200 and (entry.moved_minor or self.lists_tombstones)
            if is_booked and entry.booked_at_s >= since_s:
                ids = entry.session_id, entry.player
                rows.append(BookedCall(len(rows) + 2, tx_id, entry.kind.value, entry.amount_minor, "USD", *ids))
        return rows
