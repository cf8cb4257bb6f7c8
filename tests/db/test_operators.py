"""Provisioning: what is stored comes back, secrets opened; changes change what they name."""

from dataclasses import fields

import asyncpg
import pytest

from actors.records import OperatorStatus
from server.db.operators import PostgresOperatorStore
from server.reports import OperatorChange
from server.vault import Vault, VaultError
from tests.helpers import books
from tests.helpers.books import LIMITS, NOON_MS

NEW = books.new_operator(allow_cidrs=("10.0.0.0/8", "2001:db8::/32"), name='Casino "Ö" 100 %')


@pytest.fixture
def store(database):
    return PostgresOperatorStore(database, Vault(bytes(32)))


async def test_an_operator_comes_back_as_it_was_made(store):
    made = await store.create_operator(NEW, NOON_MS)
    for field in fields(NEW):
        assert getattr(made, field.name) == getattr(NEW, field.name)
    assert made.status is OperatorStatus.ACTIVE
    assert await store.load_operators() == [made]


async def test_operators_are_listed_oldest_first(store):
    made = [
        await store.create_operator(books.new_operator(name=name), NOON_MS + at) for name, at in (("b", 2), ("a", 1))
    ]
    assert await store.load_operators() == made[::-1]


async def test_nothing_is_changed_that_is_not_named(store):
    made = await store.create_operator(NEW, NOON_MS)
    assert await store.change_operator(made.operator_id, OperatorChange(), NOON_MS + 1) == made
    assert await store.load_operators() == [made]


CHANGES = {
    "name": "Another",
    "wallet_callback_url": "https://another.example",
    "rtp_bps": 9_000,
    "max_win_multiplier": 100,
    "rev_share_bps": 0,
    "bet_limits": {"GBP": LIMITS, "USD": None},
    "allow_cidrs": (),
    "frame_origins": ("*",),
    "status": OperatorStatus.SUSPENDED,
}


async def test_every_field_can_be_changed_alone(store):
    assert set(CHANGES) == {field.name for field in fields(OperatorChange)}
    expected = await store.create_operator(NEW, NOON_MS)
    bystander = await store.create_operator(books.new_operator(), NOON_MS + 1)
    for name, value in CHANGES.items():
        changed = await store.change_operator(expected.operator_id, OperatorChange(**{name: value}), NOON_MS + 2)
        for field in fields(changed):
            wanted = value if field.name == name else getattr(expected, field.name)
            assert getattr(changed, field.name) == wanted, name
        expected = changed
        assert await store.load_operators() == [expected, bystander]


async def test_a_suspended_operator_can_be_active_again(store):
    made = await store.create_operator(NEW, NOON_MS)
    for status in (OperatorStatus.SUSPENDED, OperatorStatus.ACTIVE):
        changed = await store.change_operator(made.operator_id, OperatorChange(status=status), NOON_MS)
        assert changed.status is status
        assert [loaded.status for loaded in await store.load_operators()] == [status]


async def test_there_is_nobody_to_change(store):
    assert await store.change_operator(books.identifier("nobody"), OperatorChange(name="x"), NOON_MS) is None


@pytest.mark.parametrize("wrong", [{"rtp_bps": 0}, {"rev_share_bps": 10_001}, {"max_win_multiplier": 1}, {"name": ""}])
async def test_terms_that_can_not_be_are_refused_as_a_whole(store, wrong):
    made = await store.create_operator(NEW, NOON_MS)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await store.change_operator(made.operator_id, OperatorChange(**({"wallet_callback_url": "x"} | wrong)), NOON_MS)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await store.create_operator(books.new_operator(**wrong), NOON_MS)
    assert await store.load_operators() == [made]


async def test_secrets_open_with_their_key_and_in_their_row_only(store, database):
    first = await store.create_operator(NEW, NOON_MS)
    await store.create_operator(books.new_operator(), NOON_MS + 1)
    with pytest.raises(VaultError):
        await PostgresOperatorStore(database, Vault(b"x" * 32)).load_operators()
    swap = f"""
        UPDATE operators o SET api_key_sealed = other.api_key_sealed FROM operators other
        WHERE o.operator_id = '{first.operator_id}' AND other.operator_id <> o.operator_id
    """
    await database.run(lambda connection: connection.execute(swap))
    with pytest.raises(VaultError):
        await store.load_operators()
