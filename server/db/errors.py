"""Errors of the database. The tree::

Exception
└── LedgerUnavailableError         (actors.ports) trouble at any time: repeat, or read
    └── DatabaseUnavailableError   the database can't be reached at all: one line for a person
DatabaseError
├── MigrationError                 the schema is not one that this version can work on
├── TooFewConnectionsError         it lets fewer connections in than are configured
└── UnsafeDatabaseError            it may forget what it has confirmed
"""

from actors.ports import LedgerUnavailableError


class DatabaseUnavailableError(LedgerUnavailableError):
    """The database can't be reached; the text is one line for a person."""


class DatabaseError(Exception):
    """The database is there but not as it must be."""


class UnsafeDatabaseError(DatabaseError):
    """The database may forget what it has confirmed; the text is one line for a person."""


class TooFewConnectionsError(DatabaseError):
    """The database lets fewer connections in than are configured; the text is one line for a person."""


class MigrationError(DatabaseError):
    """The schema is not one that this version can work on; the text is one line for a person."""
