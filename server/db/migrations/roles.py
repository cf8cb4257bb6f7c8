"""What the server's role in the database may do: play, and neither change the schema nor undo what is written.

Migrations need the role that owns the tables, and that one can do anything: switch triggers off, delete, truncate. The
server does not need it. So ``getaway migrate --grant ROLE`` gives another role what the server needs and nothing else.
"""

import logging
import re
from typing import Final

from server.db.driver.database import Connection, Database
from server.db.errors import MigrationError

log = logging.getLogger("getaway.db")

DELETED: Final = ("launch_replays", "operator_currencies", "session_requests")
"""Tables whose rows go when they have served their purpose. All others only grow and change."""

READ_ONLY: Final = ("migrations",)
"""Tables that only migrations write."""

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,63}")

# By names that are looked up, not by texts: the database puts them into quotes where that is needed.
_ROLE = """
SELECT quote_ident(rolname) AS quoted, rolsuper OR EXISTS (
    SELECT FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND pg_has_role(r.oid, c.relowner, 'MEMBER')
) AS is_owner, quote_ident(current_schema()) AS schema, quote_ident(current_database()) AS database
FROM pg_roles r WHERE rolname = $1
"""

_TABLES = """
SELECT c.relname, quote_ident(c.relname) AS quoted FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""

_OWNS = """
SELECT r.rolsuper OR pg_has_role(current_user, c.relowner, 'MEMBER')
FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = to_regclass('rounds')
"""


async def grant_server(database: Database, role: str) -> None:
    """Give ``role`` what a server needs of this schema, and take away whatever else it had of it.

    Raises ``MigrationError`` if there is no such role, or if it could do anything anyway.
    """

    async def grant(connection: Connection) -> None:
        # PostgreSQL only warns of a grant that it has not made.
        if not await connection.fetchval(_OWNS):
            raise MigrationError("the rights can't be granted: only the role that owns the tables can")
        found = await connection.fetchrow(_ROLE, role) if _NAME.fullmatch(role) else None
        if found is None:
            raise MigrationError(
                "there is no such role in the database: CREATE ROLE it first, with LOGIN and a password"
            )
        if found["is_owner"]:
            raise MigrationError(
                "that role owns tables or is a superuser, and may do anything as it is: the server needs one of its own"
            )
        name, schema = found["quoted"], found["schema"]
        for kind in ("TABLES", "SEQUENCES"):
            await connection.execute(f"REVOKE ALL ON ALL {kind} IN SCHEMA {schema} FROM {name}")
        await connection.execute(f"REVOKE CREATE ON SCHEMA {schema} FROM {name}")
        await connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {found['database']} TO {name}")
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
        await connection.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {name}")
        await connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {name}")
        for table in await connection.fetch(_TABLES):
            rights = "SELECT" if table["relname"] in READ_ONLY else "SELECT, INSERT, UPDATE"
            if table["relname"] in DELETED:
                rights += ", DELETE"
            await connection.execute(f"GRANT {rights} ON {schema}.{table['quoted']} TO {name}")

    await database.in_transaction(grant)


async def warn_of_owner(database: Database) -> None:
    """Say so in the log if the server's role could switch off what protects the books."""
    if await database.run(lambda connection: connection.fetchval(_OWNS)):
        log.warning(
            "the server's database role owns the books: whoever gets hold of it can switch their protection off. "
            "Give the server a role of its own (getaway migrate --grant ROLE, docs/production.md)"
        )
