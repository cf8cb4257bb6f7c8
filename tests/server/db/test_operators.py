"""Provisioning: what is stored comes back, secrets opened; changes change what they name."""

import asyncio
from dataclasses import fields

import asyncpg
import pytest
import trio

from actors.facts.records import OperatorStatus
from server.db.stores.operators import PostgresOperatorStore
from server.ports.operators import OperatorChange
from server.secrets.vault import Vault, VaultError
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


async def test_the_first_that_serves_decides_about_the_master_key(store, database):
    """An operator that was made with another one could be read by no server, and removed by nobody."""
    await store.claim_database()
    other = PostgresOperatorStore(database, Vault(b"1" * 32))
    for refused in (other.claim_database(), other.create_operator(NEW, NOON_MS)):
        with pytest.raises(VaultError, match="another master key"):
            await refused
    assert await database.run(lambda connection: connection.fetchval("SELECT count(*) FROM operators")) == 0
    await store.claim_database()
    made = await store.create_operator(NEW, NOON_MS)
    assert await store.load_operators() == [made]


@pytest.mark.parametrize("wrong", [{"rtp_bps": 0}, {"rev_share_bps": 10_001}, {"max_win_multiplier": 1}, {"name": ""}])
async def test_terms_that_can_not_be_are_refused_as_a_whole(store, wrong):
    made = await store.create_operator(NEW, NOON_MS)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await store.change_operator(made.operator_id, OperatorChange(**({"wallet_callback_url": "x"} | wrong)), NOON_MS)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await store.create_operator(books.new_operator(**wrong), NOON_MS)
    assert await store.load_operators() == [made]


async def test_another_master_key_opens_no_operator(store, database):
    await store.create_operator(NEW, NOON_MS)
    with pytest.raises(VaultError, match=r"another master key .* Of 1 operators 1 do not open with it, and 0 have no"):
        await PostgresOperatorStore(database, Vault(b"x" * 32)).load_operators()


BEFORE_CODES = r"none of the 2 operators in the database has a code .* begin with an empty database"


async def test_operators_of_before_rows_had_codes_are_refused_as_what_they_are(store, database):
    """A newer server must not mark such a database as its own either: then they would only be put aside, one by one."""
    for _ in range(2):
        await store.create_operator(NEW, NOON_MS)
    await database.run(lambda connection: connection.execute("UPDATE operators SET mac = NULL"))
    await database.run(lambda connection: connection.execute("DELETE FROM master_key_mark"))
    for refused in (store.load_operators, store.claim_database, store.load_operators):
        with pytest.raises(VaultError, match=BEFORE_CODES):
            await refused()
    with pytest.raises(VaultError, match=BEFORE_CODES):
        await store.create_operator(NEW, NOON_MS)


@pytest.mark.logs_errors("a row is put aside")
async def test_those_without_a_code_are_counted_apart_from_those_with_a_wrong_one(store, database):
    for _ in range(3):
        await store.create_operator(NEW, NOON_MS)
    bare = "UPDATE operators SET mac = NULL WHERE operator_id = (SELECT min(operator_id::text)::uuid FROM operators)"
    await database.run(lambda connection: connection.execute(bare))
    other = PostgresOperatorStore(database, Vault(b"1" * 32))
    for refused in (other.load_operators, other.claim_database):
        with pytest.raises(VaultError, match=r"another master key .* Of 3 operators 2 do not open .* 1 have no code"):
            await refused()
    assert len(await store.load_operators()) == 2, "with the right key the one is put aside"


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize(
    "edit",
    [
        "SET api_key_sealed = set_byte(api_key_sealed, 20, get_byte(api_key_sealed, 20) # 1)",
        "SET hmac_secret_sealed = ''",
        "SET wallet_callback_url = 'https://attacker.example'",
        "SET rtp_bps = 10000",
        "SET rev_share_bps = 0",
        "SET max_win_multiplier = 1000000",
        "SET status = 'suspended'",
        "SET allow_cidrs = '{}'",
        "SET frame_origins = '{*}'",
        "SET name = 'Another'",
        "SET mac = NULL",
        "SET mac = set_byte(mac, 0, 2)",
        "SET (api_key_sealed, hmac_secret_sealed, mac) = (SELECT api_key_sealed, hmac_secret_sealed, mac"
        " FROM operators WHERE operator_id <> $1)",
    ],
)
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another"])
async def test_one_operator_that_was_edited_is_out_alone(store, database, edit, is_alone, caplog):
    """Whatever was done to its row; and no change makes it a row of ours again."""
    edited = await store.create_operator(NEW, NOON_MS)
    others = [await store.create_operator(books.new_operator(), NOON_MS + 1)]
    await database.run(
        lambda connection: connection.execute(f"UPDATE operators {edit} WHERE operator_id = $1", edited.operator_id)
    )
    if is_alone:
        await database.run(
            lambda connection: connection.execute(
                "WITH gone AS (DELETE FROM operator_currencies WHERE operator_id = $1) "
                "DELETE FROM operators WHERE operator_id = $1",
                others.pop().operator_id,
            )
        )
    for _ in range(3):
        assert await store.load_operators() == others
    (told,) = caplog.records
    assert (told.levelname, told.table, told.operator_id) == ("ERROR", "operators", str(edited.operator_id))
    with pytest.raises(VaultError, match=str(edited.operator_id)):
        await store.change_operator(edited.operator_id, OperatorChange(name="Now ours"), NOON_MS + 2)
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE operator_currencies SET max_payout_minor = 10^15 WHERE operator_id = $1 AND currency = 'EUR'",
        "DELETE FROM operator_currencies WHERE operator_id = $1 AND currency = 'EUR'",
        "INSERT INTO operator_currencies VALUES ($1, 'GBP')",
    ],
)
async def test_the_currencies_of_an_operator_are_under_its_code(store, database, edit, caplog):
    edited = await store.create_operator(NEW, NOON_MS)
    await database.run(lambda connection: connection.execute(edit, edited.operator_id))
    assert await store.load_operators() == []
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
async def test_an_operator_that_is_put_back_is_served_again(store, database, caplog):
    made = await store.create_operator(NEW, NOON_MS)

    async def rename(name: str) -> None:
        await database.run(lambda connection: connection.execute("UPDATE operators SET name = $1", name))

    await rename("Another")
    assert await store.load_operators() == []
    await rename(NEW.name)
    assert await store.load_operators() == [made]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    caplog.clear()


async def test_of_two_changes_at_once_neither_undoes_the_other(store, database):
    """The second one has to wait until the first is done, and to read what that left. It was read without the lock."""
    made = await store.create_operator(NEW, NOON_MS)
    is_changed = trio.Event()

    async def rename():
        await is_changed.wait()
        await store.change_operator(made.operator_id, OperatorChange(name="Another"), NOON_MS + 2)

    async def suspend(connection):
        await store.change(connection, made.operator_id, OperatorChange(status=OperatorStatus.SUSPENDED), NOON_MS + 1)
        trio.from_thread.run_sync(is_changed.set, trio_token=token)
        while not await connection.fetchval(WAITS):
            await asyncio.sleep(0.01)

    token = trio.lowlevel.current_trio_token()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rename)
            await database.in_transaction(suspend)
    (left,) = await store.load_operators()
    assert (left.name, left.status) == ("Another", OperatorStatus.SUSPENDED)


WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


async def test_living_nodes_that_have_not_read_a_change_are_named(store, world, database):
    made = await store.create_operator(NEW, NOON_MS)
    first, second, _dead = [await world.ledger.register_node(name, NOON_MS) for name in ("node-a", "node-b", "node-c")]
    dead = "UPDATE nodes SET heartbeat_at_ms = heartbeat_at_ms - 60000 WHERE node = 'node-c'"
    await database.run(lambda connection: connection.execute(dead))
    version = await store.operators_version()
    assert await store.unconfirmed(version) == ["node-a", "node-b"]
    await store.confirm_operators(first, version)
    assert await store.unconfirmed(version) == ["node-b"]
    await store.confirm_operators(second, version)
    assert await store.unconfirmed(version) == []
    await store.change_operator(made.operator_id, OperatorChange(name="Another"), NOON_MS + 1)
    version, before = await store.operators_version(), version
    assert version > before
    assert await store.unconfirmed(version) == ["node-a", "node-b"]
    again = await world.ledger.register_node("node-a", NOON_MS)
    assert await store.unconfirmed(before) == ["node-a"], "its new life has read nothing yet"
    await store.confirm_operators(first, version)
    assert "node-a" in await store.unconfirmed(version), "and the old one does not speak for it"
    for owner in (again, second):
        await store.confirm_operators(owner, version)
    assert await store.unconfirmed(version) == []
    await store.change_operator(made.operator_id, OperatorChange(name="A third"), NOON_MS + 2)
    version = await store.operators_version()
    await store.confirm_operators(again, version)
    assert await store.unconfirmed(version) == ["node-b"], "nobody waits for a life that was replaced"
    ended = "UPDATE nodes SET ended_at_ms = heartbeat_at_ms WHERE node = 'node-b'"
    await database.run(lambda connection: connection.execute(ended))
    assert await store.unconfirmed(version) == [], "nor for one that has ended"
