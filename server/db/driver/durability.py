"""Whether the database keeps what it has confirmed: money must survive a power cut."""

import logging
from typing import Final

from server.db.driver.database import Database
from server.db.errors import UnsafeDatabaseError

log = logging.getLogger("getaway.database")

_NEEDED: Final = ("fsync", "full_page_writes", "synchronous_commit")
_OFF = "SELECT name FROM pg_settings WHERE name = ANY($1) AND setting = 'off' ORDER BY name"


async def check_durability(database: Database, *, allow_unsafe: bool) -> None:
    """Raises ``UnsafeDatabaseError`` if the database could forget a commit, or only warns if ``allow_unsafe``."""
    rows = await database.run(lambda connection: connection.fetch(_OFF, _NEEDED))
    names = [row["name"] for row in rows]
    if not names:
        return
    if allow_unsafe:
        log.warning("the database may forget what it has confirmed", extra={"off": names})
        return
    commands = " ".join(f"ALTER SYSTEM SET {name} = on;" for name in names)
    raise UnsafeDatabaseError(
        f"the database may forget what it has confirmed: off is {', '.join(names)}. Turn it on ({commands} SELECT"
        " pg_reload_conf()), or set [database] allow_unsafe_durability = true if no real money is in it"
    )
