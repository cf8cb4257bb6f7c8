"""All stores of one database."""

from actors.ports.stores import Stores
from server.db.driver.database import Database
from server.db.stores.bad_rows import PutAside
from server.db.stores.handovers import PostgresHandOvers
from server.db.stores.ledger import PostgresLedger
from server.db.stores.nodes import PostgresNodes
from server.db.stores.outbox import PostgresOutbox
from server.db.stores.rounds import PostgresRounds
from server.db.stores.sessions import PostgresSessions
from server.secrets.vault import Vault


def postgres_stores(database: Database, vault: Vault, aside: PutAside) -> Stores:
    """They share what is put ``aside``: a row that did not open for one of them is in nobody's way any more."""
    return Stores(
        ledger=PostgresLedger(database, vault),
        nodes=PostgresNodes(database),
        sessions=PostgresSessions(database, vault, aside),
        handovers=PostgresHandOvers(database),
        rounds=PostgresRounds(database, vault, aside),
        outbox=PostgresOutbox(database, vault, aside),
    )
