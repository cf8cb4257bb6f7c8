"""The database goes back: a base copy is put under a server. A person runs `getaway restored` then."""

import csv
from datetime import UTC, datetime

import trio

from tests.chaos.world import ChaosError, in_thread

COLUMNS = ("operator_tx_id", "kind", "amount_minor", "currency", "session_id", "operator_player_id")
EXCUSED = (
    "the database's history was cut",
    "no bets until `getaway restored`",
    "this life ends, and the node registers anew",
    "a round that has ended is stored as live",
)
QUIET_S = 1


async def go_back(world, *, is_running=True):
    """Everybody plays on a copy's future, which is lost then: under the server that plays, or under one that is killed
    and starts again. In the end each stake that only wallet and players remember was paid or given back."""
    books, table = world.books, world.table
    await in_thread(world.server.start)
    table.mistreating = True
    await world.play_on()
    await world.come_to_rest()
    since = datetime.now(UTC)
    at_copy = await in_thread(_round_ids, world)
    copy = await in_thread(world.cluster.copy)
    await world.play_on()
    await world.until(lambda: _has_crashed(world, at_copy), "a stake that only the wallet will remember")
    if not is_running:
        world.server.kill()
    await in_thread(world.cluster.kill)
    await in_thread(world.cluster.go_back_to, copy)
    table.hear_of_restore()
    await in_thread(world.cluster.start)
    if is_running:
        # Everybody tries to bet until the server knows.
        await world.until(lambda: _is_cut(world), "the server did not see that its database has gone back")
    table.betting = False
    world.forget_faults()
    await world.until(lambda: not any(gambler.is_waiting for gambler in table.gamblers), "the end of the old life")
    await world.until(lambda: not world.house.wallet.is_busy, "the wallet's last answers")
    await trio.sleep(QUIET_S)
    if is_running and world.server.status is not None:
        raise ChaosError(f"the server ended with the history:\n{world.server.log()[-2000:]}")
    await in_thread(_see_to_what_was_lost, world, since)
    if not is_running:
        await in_thread(world.server.start)
    await world.until(world.server.is_ready, "ready after `getaway restored`")
    present = await in_thread(_round_ids, world)
    assert at_copy <= present, "what was in the copy is there again"
    books.lost |= _remembered(world) - present
    world.house.wallet.forget_owed(books.lost)
    table.trust_again()
    await world.play_on()
    await world.come_to_rest()
    await world.audit(EXCUSED)
    world.figures.count(f"restore.{'running' if is_running else 'restarted'}")
    world.server.kill()


def _round_ids(world):
    return {row["id"] for row in world.books.query("SELECT round_id::text AS id FROM rounds")}


def _has_crashed(world, before):
    crashed = world.books.query("SELECT round_id::text AS id FROM rounds WHERE status = 'settled' AND payout_minor = 0")
    return not {row["id"] for row in crashed} <= before


def _is_cut(world):
    return bool(world.books.query("SELECT 1 FROM histories WHERE cut_at_ms IS NOT NULL AND restored_at_ms IS NULL"))


def _remembered(world):
    """The rounds that the wallet or a player knows of."""
    with world.house.wallet.lock:
        called = {call.body["round_id"] for call in world.house.wallet.calls}
    return called.union(*(gambler.remembered() for gambler in world.table.gamblers))


def _see_to_what_was_lost(world, since):
    """As docs/restore.md says, with the list of what the wallet has booked."""
    wallet, path = world.house.wallet, world.server.log_path.with_name("booked.csv")
    with wallet.lock, path.open("w", newline="") as file:
        bodies = {call.tx_id: call.body for call in wallet.calls}
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for entry in wallet.journal:
            rows.writerow({**bodies[entry.tx_id], "kind": entry.kind})
    operator = ("--operator", world.house.operator.operator_id, "--operator-file", str(path))
    done = world.server.getaway("restored", "--since", since.isoformat(), *operator, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
