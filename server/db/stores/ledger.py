"""The ledger on PostgreSQL: transitions, committed."""

import logging
from collections.abc import Sequence

from actors.facts.transitions import Answer, Busy, Rejected, Transition
from server.db.driver.database import REFUSALS, Database
from server.db.stores.groups import commit_at_once, commit_group, needs_one_call
from server.secrets.vault import Vault

log = logging.getLogger("getaway.db")


class PostgresLedger:
    """Implements ``actors.ports.ledger.Ledger`` on top of PostgreSQL."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        """All transitions in one transaction; see the port.

        Should the database refuse one of them outright, a defect, each is committed by itself, so that it stands alone.
        The log names what refused it and none of the values: they tell of players and of seeds.
        """
        try:
            return await self._commit(transitions)
        except REFUSALS as error:
            refusal = {
                "sqlstate": error.sqlstate,
                "table": error.table_name,
                "constraint": error.constraint_name,
                "kinds": sorted({type(transition).__name__ for transition in transitions}),
            }
        if len(transitions) == 1:
            log.error("a transition was refused by the schema", extra=refusal)
            return [Rejected()]
        log.error("a group was refused and is committed one by one", extra=refusal)
        answers: list[Answer | Busy] = []
        for transition in transitions:
            answers += await self.commit([transition])
        return answers

    async def _commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        if not transitions:
            return []
        if needs_one_call(transitions):
            return await commit_at_once(self._database, self._vault, transitions)
        return await self._database.in_transaction(
            lambda connection: commit_group(connection, self._vault, transitions)
        )
