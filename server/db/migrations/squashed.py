"""Databases from before the first release, whose seventeen migrations are one now: developers have some of them.

Only a database that has them all becomes one of today's. ``tests/server/db/test_squashed.py`` shows that they are the same.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from server.db.driver.database import Connection
from server.db.errors import MigrationError

FIRST: Final = "0001_schema.sql"
"""The migration that has their place."""
_OLD_FIRST: Final = "0001_books.sql"
_DIGEST: Final = "d671725baab8d0125145c93c65a3594197d739f1c0fb3f0cc6e05fdcd32f50ed"
"""SHA-256 of the seventeen names and checksums."""

_ADOPT: Final = """
DROP FUNCTION commit_group_1, commit_group_2, commit_group_3, commit_group_4;
DROP FUNCTION move_session_1, move_session_2, move_session_3;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_lang_check;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_reality_check_minutes_check;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_lobby_url_check;
DELETE FROM migrations;
"""


def is_squashed(applied: Mapping[str, str]) -> bool:
    """Whether the seventeen were ``applied``: checksums by name. Raises ``MigrationError`` if only some were."""
    if _OLD_FIRST not in applied:
        return False
    text = "\n".join(f"{name} {checksum}" for name, checksum in sorted(applied.items()))
    if hashlib.sha256(text.encode()).hexdigest() != _DIGEST:
        raise MigrationError(
            "the database was made by a version from before the first release that this one can't follow:"
            " begin with an empty database"
        )
    return True


async def adopt(connection: Connection, checksum: str) -> None:
    """Have a database that ``is_squashed`` stand where ``FIRST`` leads, and say so with its checksum."""
    await connection.execute(_ADOPT)
    await connection.execute("INSERT INTO migrations (name, checksum) VALUES ($1, $2)", FIRST, checksum)
