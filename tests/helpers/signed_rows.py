"""Rows that a test wrote by SQL get their codes, as if the server had written them."""

from uuid import UUID

from server.db.stores.operators import SELECT_OPERATORS, covered, secret_context
from server.secrets.row_macs import BET, CALL, END, OPERATOR, SESSION, START, RowKind
from server.secrets.vault import Vault

CHUNK = 20_000
_CODES: tuple[tuple[str, str, str, str, RowKind], ...] = (
    ("sessions", "session_id", "mac", "true", SESSION),
    ("rounds", "round_id", "bet_mac", "true", BET),
    ("rounds", "round_id", "start_mac", "started_at_ms IS NOT NULL", START),
    ("rounds", "round_id", "end_mac", "settled_at_ms IS NOT NULL", END),
    ("transactions", "operator_tx_id", "mac", "true", CALL),
)


async def sign_all(connection, vault: Vault) -> None:
    """In a transaction of the caller's, who may switch off triggers: ended rounds and bodies never change otherwise."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    for table, key, column, condition, kind in _CODES:
        key_type = "text" if table == "transactions" else "uuid"
        rows = await connection.fetch(f"SELECT * FROM {table} WHERE {condition}")
        for first in range(0, len(rows), CHUNK):
            part = rows[first : first + CHUNK]
            await connection.execute(
                f"UPDATE {table} t SET {column} = i.mac"
                f" FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS i (operator_id, key, mac)"
                f" WHERE t.operator_id = i.operator_id AND t.{key} = i.key::{key_type}",
                [row["operator_id"] for row in part],
                [str(row[key]) for row in part],
                [vault.macs.of_row(kind, row) for row in part],
            )


async def sign_operator(connection, vault: Vault, operator_id: UUID) -> None:
    """With secrets that open."""
    for name in ("api_key", "hmac_secret"):
        sealed = vault.seal(name.encode(), secret_context(operator_id, name))
        await connection.execute(f"UPDATE operators SET {name}_sealed = $2 WHERE operator_id = $1", operator_id, sealed)
    row = await connection.fetchrow(SELECT_OPERATORS + "WHERE o.operator_id = $1", operator_id)
    mac = vault.macs.of_row(OPERATOR, covered(row))
    await connection.execute("UPDATE operators SET mac = $2 WHERE operator_id = $1", operator_id, mac)
