"""Ports as one object: the in-memory twin is one, and what tests both wants the same of PostgreSQL."""

from dataclasses import fields

from actors.ports.stores import Stores
from server.db.stores.bad_rows import PutAside
from server.db.stores.stores import postgres_stores


def stores_of(one) -> Stores:
    """``one`` object that is all of them."""
    return Stores(**{field.name: one for field in fields(Stores)})


class EveryStore:
    """All stores of PostgreSQL; whatever is asked of it the one answers that has it."""

    def __init__(self, database, vault, aside: PutAside | None = None) -> None:
        self.database = database
        stores = postgres_stores(database, vault, aside or PutAside())
        self._all = [getattr(stores, field.name) for field in fields(Stores)]

    def __getattr__(self, name: str):
        (found,) = [getattr(store, name) for store in self._all if hasattr(store, name)]
        return found
