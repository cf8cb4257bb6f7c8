"""Operators on PostgreSQL: provisioning, both secrets sealed, and the whole row under a code.

Bills, wallet calls and everybody's access depend on these rows. One that does not open, or is not as we wrote it, is put
aside: that operator is served no more, and all the others are. It can't be changed either, for a change would give it a
code; it is put back from a backup, or provisioned anew.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from actors.facts.records import Operator, OperatorStatus, Owner
from actors.rules.limits import BetLimits
from server.db.driver.database import Connection, Database
from server.db.stores.bad_rows import DOES_NOT_OPEN, PutAside
from server.db.stores.rows import Row, plain_uuid
from server.ports.operators import NewOperator, OperatorChange
from server.secrets.row_macs import OPERATOR, RowMacError
from server.secrets.vault import KEY_PLACES, Vault, VaultError

ALIVE_MS: Final = 10_000
"""A node whose last heartbeat is older counts as dead. Longer than any lease, so that none is passed over: one that wakes
up after it knows by its first heartbeat that its life is over."""

_INSERT = """
INSERT INTO operators
    (operator_id, name, api_key_sealed, hmac_secret_sealed, wallet_callback_url, rtp_bps, max_win_multiplier, rev_share_bps,
     status, allow_cidrs, frame_origins, created_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $11, $11)
"""

_SIGN = "UPDATE operators SET mac = $2 WHERE operator_id = $1"

_NEXT_VERSION = "UPDATE operator_changes SET version = version + 1"

_VERSION = "SELECT version FROM operator_changes"

_CONFIRM = """
UPDATE nodes SET operators_version = $3 WHERE node = $1 AND epoch = $2 AND operators_version IS DISTINCT FROM $3
"""

# Whoever is not alive does nothing, and reads them anew when it starts again.
_UNCONFIRMED = """
SELECT n.node FROM nodes n
WHERE n.heartbeat_at_ms > database_ms() - $1 AND n.ended_at_ms IS NULL
    AND NOT EXISTS (SELECT FROM nodes l WHERE l.node = n.node AND l.epoch > n.epoch)
    AND n.operators_version >= $2 IS NOT TRUE
ORDER BY n.node
"""

_MARK = "INSERT INTO master_key_mark (mark) VALUES ($1) ON CONFLICT (is_only) DO NOTHING"

_MARKED = "SELECT mark FROM master_key_mark"

SELECT_OPERATORS = """
SELECT o.*, (
    SELECT jsonb_object_agg(c.currency, CASE WHEN c.min_bet_minor IS NULL THEN NULL ELSE jsonb_build_array(
        c.min_bet_minor, c.max_bet_minor, c.bet_step_minor, c.max_payout_minor) END)::text
    FROM operator_currencies c WHERE c.operator_id = o.operator_id) AS currencies
FROM operators o
"""

_CHANGE = """
UPDATE operators SET name = $2, wallet_callback_url = $3, rtp_bps = $4, max_win_multiplier = $5, rev_share_bps = $6,
    status = $7, allow_cidrs = $8, frame_origins = $9, changed_at_ms = $10
WHERE operator_id = $1
"""

_CURRENCY = """
INSERT INTO operator_currencies
    (operator_id, currency, min_bet_minor, max_bet_minor, bet_step_minor, max_payout_minor)
VALUES ($1, $2, $3, $4, $5, $6)
"""


class PostgresOperatorStore:
    """Implements ``server.ports.operators.OperatorStore`` and ``actors.ports.operators.OperatorSource`` on top of PostgreSQL."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()

    async def claim_database(self) -> None:
        """Note by which master key the database is written, unless somebody has: by the first that serves or adds to it.

        Raises ``VaultError`` if that is another key, or if the operators are of a time before rows had codes.
        """
        await self._database.in_transaction(self._claim)

    async def _claim(self, connection: Connection) -> None:
        if await connection.fetchval(_MARKED) is None:
            # Whoever adds the first operator leaves a mark: where there is none, nothing says whose these are.
            self._check_any_opens(await connection.fetch(SELECT_OPERATORS))
            await connection.execute(_MARK, self._vault.macs.mark)
        if await connection.fetchval(_MARKED) == self._vault.macs.mark:
            return
        # A mark that is damaged is no other key.
        rows = await connection.fetch(SELECT_OPERATORS)
        self._check_any_opens(rows)
        if not rows:
            raise VaultError(f"the database is written with another master key than this one: it is {KEY_PLACES}")

    def _check_any_opens(self, rows: Sequence[Row]) -> None:
        """Raises ``VaultError``, with what is wrong with how many, if there are operators and none of them opens."""
        if not rows or any(map(self._opens, rows)):
            return
        bare = sum(row["mac"] is None for row in rows)
        if bare == len(rows):
            raise VaultError(
                f"none of the {bare} operators in the database has a code of the master key: they were written before "
                "rows had codes, or by somebody else, and nothing can tell which. No session, round or call of theirs "
                "is believed: begin with an empty database, and create the operators anew"
            )
        raise VaultError(
            f"the database is written with another master key than this one: it is {KEY_PLACES}. Of {len(rows)} "
            f"operators {len(rows) - bare} do not open with it, and {bare} have no code at all"
        )

    async def create_operator(self, new: NewOperator, now_ms: int) -> Operator:
        """Store a new operator. Raises ``VaultError`` if the database is written with another master key."""
        operator_id = uuid4()

        async def create(connection: Connection) -> Row:
            await self._claim(connection)
            await connection.execute(_NEXT_VERSION)
            await connection.execute(
                _INSERT,
                operator_id,
                new.name,
                self._seal(operator_id, "api_key", new.api_key),
                self._seal(operator_id, "hmac_secret", new.hmac_secret),
                new.wallet_callback_url,
                new.rtp_bps,
                new.max_win_multiplier,
                new.rev_share_bps,
                list(new.allow_cidrs),
                list(new.frame_origins),
                now_ms,
            )
            await self._store_currencies(connection, operator_id, new.bet_limits)
            return await self._signed(connection, operator_id)

        return self.opened(await self._database.in_transaction(create))

    async def load_operators(self) -> list[Operator]:
        """All operators that open, oldest first; the others are put aside.

        Raises ``VaultError`` if nothing says that this is the master key that the database is written with: the mark
        is another one, or missing, and none of them opens.
        """

        async def read(connection: Connection) -> tuple[list[Row], bytes | None]:
            rows = await connection.fetch(SELECT_OPERATORS + "ORDER BY o.created_at_ms, o.operator_id")
            return rows, await connection.fetchval(_MARKED)

        rows, mark = await self._database.run(read)
        if mark != self._vault.macs.mark:
            self._check_any_opens(rows)
        self._aside.keep_only("operators", rows)
        return self._aside.opened("operators", rows, self.opened)

    async def change_operator(self, operator_id: UUID, change: OperatorChange, now_ms: int) -> Operator | None:
        """Change what is named; the rest stays. Raises ``VaultError`` if the row is not one that we wrote."""
        row = await self._database.in_transaction(
            lambda connection: self.change(connection, operator_id, change, now_ms)
        )
        return None if row is None else self.opened(row)

    async def change(
        self, connection: Connection, operator_id: UUID, change: OperatorChange, now_ms: int
    ) -> Row | None:
        """The same in a transaction of the caller's. The row is locked before it is read: of two changes at once,
        neither undoes the other."""
        if not await connection.fetchval(
            "SELECT true FROM operators WHERE operator_id = $1 FOR NO KEY UPDATE", operator_id
        ):
            return None
        old = await self._read(connection, operator_id)
        self._check(old)
        await connection.execute(_NEXT_VERSION)

        def kept(name: str) -> Any:  # noqa: ANN401 - as many types as columns
            value = getattr(change, name)
            return old[name] if value is None else value

        await connection.execute(
            _CHANGE,
            operator_id,
            kept("name"),
            kept("wallet_callback_url"),
            kept("rtp_bps"),
            kept("max_win_multiplier"),
            kept("rev_share_bps"),
            str(kept("status")),
            list(kept("allow_cidrs")),
            list(kept("frame_origins")),
            now_ms,
        )
        if change.bet_limits is not None:
            await connection.execute("DELETE FROM operator_currencies WHERE operator_id = $1", operator_id)
            await self._store_currencies(connection, operator_id, change.bet_limits)
        return await self._signed(connection, operator_id)

    async def operators_version(self) -> int:
        """The number of the last change."""
        return int(await self._database.run(lambda connection: connection.fetchval(_VERSION)))

    async def confirm_operators(self, owner: Owner, version: int) -> None:
        """Said beside the node's heartbeat, where whoever changes an operator looks."""
        await self._database.run(lambda connection: connection.execute(_CONFIRM, owner.node, owner.epoch, version))

    async def unconfirmed(self, version: int) -> list[str]:
        """The names of the living nodes that have not confirmed ``version`` yet."""
        rows = await self._database.run(lambda connection: connection.fetch(_UNCONFIRMED, ALIVE_MS, version))
        return [row["node"] for row in rows]

    async def _read(self, connection: Connection, operator_id: UUID) -> Row:
        row = await connection.fetchrow(SELECT_OPERATORS + "WHERE o.operator_id = $1", operator_id)
        assert row is not None, "the row was locked or just written"
        return row

    async def _signed(self, connection: Connection, operator_id: UUID) -> Row:
        """The row as it was written just now, with its code."""
        row = await self._read(connection, operator_id)
        await connection.execute(_SIGN, operator_id, self._vault.macs.of_row(OPERATOR, covered(row)))
        return await self._read(connection, operator_id)

    async def _store_currencies(
        self, connection: Connection, operator_id: UUID, bet_limits: Mapping[str, BetLimits | None]
    ) -> None:
        rows: list[tuple[Any, ...]] = []
        for currency, limits in bet_limits.items():
            if limits is None:
                rows.append((operator_id, currency, None, None, None, None))
            else:
                values = (limits.min_bet_minor, limits.max_bet_minor, limits.bet_step_minor, limits.max_payout_minor)
                rows.append((operator_id, currency, *values))
        await connection.executemany(_CURRENCY, rows)

    def _seal(self, operator_id: UUID, name: str, secret: str) -> bytes:
        return self._vault.seal(secret.encode("utf-8"), secret_context(operator_id, name))

    def _open(self, row: Row, name: str) -> str:
        return self._vault.open(row[f"{name}_sealed"], secret_context(row["operator_id"], name)).decode("utf-8")

    def _check(self, row: Row) -> None:
        try:
            self._vault.macs.check(OPERATOR, covered(row), row["mac"])
        except RowMacError as error:
            raise VaultError(f"operator {row['operator_id']} can't be used: {error}") from None

    def _opens(self, row: Row) -> bool:
        try:
            self.opened(row)
        except DOES_NOT_OPEN:
            return False
        return True

    def opened(self, row: Row) -> Operator:
        """A row of ``SELECT_OPERATORS``. Raises ``VaultError`` and other errors of ``DOES_NOT_OPEN``."""
        self._check(row)
        return Operator(
            operator_id=plain_uuid(row["operator_id"]),
            name=row["name"],
            api_key=self._open(row, "api_key"),
            hmac_secret=self._open(row, "hmac_secret"),
            wallet_callback_url=row["wallet_callback_url"],
            rtp_bps=row["rtp_bps"],
            max_win_multiplier=row["max_win_multiplier"],
            rev_share_bps=row["rev_share_bps"],
            status=OperatorStatus(row["status"]),
            bet_limits=_bet_limits(row["currencies"]),
            allow_cidrs=tuple(row["allow_cidrs"]),
            frame_origins=tuple(row["frame_origins"]),
        )


def secret_context(operator_id: UUID, name: str) -> bytes:
    """A secret is sealed for one operator and one use."""
    return f"operator:{operator_id}:{name}".encode("ascii")


def covered(row: Row) -> dict[str, Any]:
    """The row as its code covers it: with the currencies in an order of ours, not of a document's text."""
    limits: dict[str, list[int] | None] = json.loads(row["currencies"] or "{}")
    return {**row, "currencies": [[currency, values] for currency, values in sorted(limits.items())]}


def _bet_limits(text: str | None) -> dict[str, BetLimits | None]:
    loaded: dict[str, list[int] | None] = json.loads(text or "{}")
    return {
        currency: None
        if values is None
        else BetLimits(
            min_bet_minor=values[0], max_bet_minor=values[1], bet_step_minor=values[2], max_payout_minor=values[3]
        )
        for currency, values in sorted(loaded.items())
    }
