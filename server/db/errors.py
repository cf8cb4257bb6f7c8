"""Errors of the database. The tree::

Exception
└── LedgerUnavailableError         (actors.ports.ledger) trouble at any time: repeat, or read
    └── DatabaseUnavailableError   the database can't be reached at all: one line for a person
DatabaseUrlError                   the database's URL can't be used (a ValueError)
RefusedError                       the values themselves are refused
DatabaseError
├── MigrationError                 the schema is not one that this version can work on
├── TooFewConnectionsError         it lets fewer connections in than are configured
└── UnsafeDatabaseError            it may forget what it has confirmed
"""

from actors.ports.ledger import LedgerUnavailableError


class DatabaseUnavailableError(LedgerUnavailableError):
    """The database can't be reached; the text is one line for a person."""


class DatabaseUrlError(ValueError):
    """The database's URL can't be used; the text is a clause for a person, and holds no value of the URL but a host."""


class DatabaseError(Exception):
    """The database is there but not as it must be."""


class UnsafeDatabaseError(DatabaseError):
    """The database may forget what it has confirmed; the text is one line for a person."""


class TooFewConnectionsError(DatabaseError):
    """The database lets fewer connections in than are configured; the text is one line for a person."""


class MigrationError(DatabaseError):
    """The schema is not one that this version can work on; the text is one line for a person."""


class RefusedError(Exception):
    """The database refuses the values themselves: the same work would be refused again. It names none of them."""

    def __init__(self, sqlstate: str, table: str | None, constraint: str | None) -> None:
        super().__init__(f"refused by the database (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate
        self.table_name = table
        self.constraint_name = constraint
