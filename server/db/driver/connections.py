"""Whether the database lets as many connections in as the workers' pools may open."""

from typing import Final

from server.db.driver.database import Database
from server.db.errors import TooFewConnectionsError

_ALLOWED: Final = """
SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS of_server,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS of_role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database
"""
"""A limit of -1 is none."""


def connections_of(workers: int, pool_size: int) -> int:
    """How many connections they may open: beside its pool each has one for commits and one for heartbeats."""
    return workers * (pool_size + 2)


async def check_connections(database: Database, workers: int, pool_size: int) -> None:
    """Raises ``TooFewConnectionsError`` if the pools of so many workers can't all be filled.

    A pool grows only under load: without this the lack would show then.
    """
    row = await database.run(lambda connection: connection.fetchrow(_ALLOWED))
    assert row is not None
    allowed = min(limit for limit in row.values() if limit >= 0)
    needed = connections_of(workers, pool_size)
    if needed > allowed:
        raise TooFewConnectionsError(
            f"{workers} workers with [database] pool_size = {pool_size} need {needed} connections, and the database"
            f" allows {allowed}: lower pool_size or [server] workers, or raise the database's max_connections"
            " (or the limit of the role or the database)"
        )
