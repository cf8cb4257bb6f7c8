"""Sound books with a round in every state, and the command line that reconciles them."""

import base64
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import trio

from actors.facts.records import CallKind, CallStatus
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.command_line import MASTER_KEY, CommandLine, Done
from tests.helpers.ledger_worlds import PostgresWorld
from tests.helpers.postgres import PostgresServer
from tests.helpers.signed_rows import sign_all

VAULT = Vault(base64.b64decode(MASTER_KEY))
NOW_MS = NOON_MS + 30_000
"""What the database's clock shows. The machine's is months ahead, by which everybody would be dead."""
NEXT_DAY_MS = NOON_MS + 86_400_000


@dataclass
class Books:
    """A database with books, and the command line on it. ``names``: operators, sessions and rounds for texts."""

    server: PostgresServer
    url: str
    getaway: CommandLine
    names: dict[str, UUID]

    def damage(self, *statements: str) -> None:
        """What the schema would not allow: no trigger and no foreign key is asked."""
        filled = [self.text(statement) for statement in statements]
        self.server.execute("SET session_replication_role = replica", *filled, url=self.url)

    def sign(self) -> None:
        """All rows as they are now get the codes that the server would have given them."""

        async def run() -> None:
            async with open_database(self.url, Path()) as database:
                await database.in_transaction(lambda connection: sign_all(connection, VAULT))

        trio.run(run)

    def text(self, pattern: str) -> str:
        return pattern.format_map(self.names)

    def reconcile(self, *arguments: str) -> Done:
        return self.getaway("reconcile", *map(self.text, arguments))

    def findings(self, document: dict) -> dict[str, list[str]]:
        """What differs, by check; the ids are names again."""
        found = {check["check"]: check["shown"] for check in document["checks"] if check["differences"]}
        return {check: sorted(self.named(row["subject"]) for row in shown) for check, shown in found.items()}

    def unlike_ours(self, document: dict) -> set[str]:
        """The rows that the server has not written as they are."""
        found = self.findings(document)
        return {subject for check, subjects in found.items() if check.startswith("written_") for subject in subjects}

    def named(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(str(value), name)
        return text


async def fill(url: str) -> dict[str, UUID]:
    """A round in every state, and three rounds in one session, the last of them on the next day."""
    async with open_database(url, Path()) as database:
        world = PostgresWorld(database, VAULT)
        owner = await world.ledger.register_node("node-a", NOON_MS)
        first, second = await world.add_operator(), await world.add_operator()
        rounds = {}
        regular = await world.owned(owner, "regular", operator=first, expires_at_ms=2 * NEXT_DAY_MS)

        async def fly(name, created=None, nonce=1, **changes):
            created = created or await world.owned(owner, name, operator=first)
            rounds[name] = await world.fly(owner, created, nonce, **changes)
            return rounds[name]

        async def bet(name):
            rounds[name] = await world.bet(owner, await world.owned(owner, name, operator=first))
            return rounds[name]

        await world.commit(books.cash_out(owner, await fly("won", regular), 155))
        await world.commit(books.acknowledge(rounds["won"]))
        await world.commit(books.crash(owner, await fly("lost", regular, 2)))
        await world.commit(books.crash(owner, await fly("later", regular, 3, created_at_ms=NEXT_DAY_MS)))
        await world.commit(books.void(owner, await bet("declined")))
        await world.commit(books.void(owner, await bet("unknown"), CallStatus.UNKNOWN))
        await world.commit(books.acknowledge(rounds["unknown"], CallKind.REFUND))
        await world.commit(books.refund(owner, await fly("refunded")))
        await world.commit(books.acknowledge(rounds["refunded"], CallKind.REFUND))
        await world.commit(books.cash_out(owner, await fly("owed")))
        await fly("flying")
        await bet("betting")
        elsewhere = await world.owned(owner, "elsewhere", operator=second, currency="EUR")
        await world.commit(books.crash(owner, await fly("foreign", elsewhere)))
        await world.set_clock(NOW_MS)
    names = {name: live.round_id for name, live in rounds.items()}
    return names | {
        "first": first.operator_id,
        "second": second.operator_id,
        "regular": regular.session_id,
        "fresh": rounds["declined"].session_id,
    }
