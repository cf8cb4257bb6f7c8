"""Whoever reads the whole database learns no seed before its time, no secret and no token."""

import base64
import hashlib
import logging
from dataclasses import replace

import pytest

from actors.facts.records import CallStatus
from actors.facts.transitions import Rejected
from server.db.stores.operators import PostgresOperatorStore
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS

TOKEN = "a-token-of-43-characters-as-the-server-makes"
SECRETS = {"api_key": "api-key-0123456789abcdef", "hmac_secret": "hmac-secret-0123456789abcdef"}


def forms(secret: str) -> list[bytes]:
    """A secret in plain and in the ways that somebody could have written it down."""
    raw = secret.encode()
    found = [raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")]
    if len(secret) == 64:
        found += [bytes.fromhex(secret), base64.b64encode(bytes.fromhex(secret)).rstrip(b"=")]
    return found


async def dump(database) -> bytes:
    """Every value of every column of every table, as text and as bytes."""

    async def read(connection):
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        assert {row["relname"] for row in tables} >= {
            "operators",
            "sessions",
            "rounds",
            "transactions",
            "launch_replays",
        }
        values = []
        for table in tables:
            for row in await connection.fetch(f"SELECT * FROM {table['relname']}"):
                for value in row.values():
                    is_bytes = isinstance(value, bytes)
                    values += (
                        [value, value.hex().encode(), base64.b64encode(value)] if is_bytes else [str(value).encode()]
                    )
        return b"\n".join(values)

    return await database.run(read)


def holds(dumped: bytes, secret: str) -> bool:
    return any(form in dumped for form in forms(secret))


@pytest.fixture
async def operator(database):
    new = books.new_operator(**SECRETS)
    return await PostgresOperatorStore(database, Vault(bytes(32))).create_operator(new, NOON_MS)


async def test_a_whole_life_of_rounds_shows_each_seed_only_after_its_end(database, world, owner, operator):
    created = books.new_session(operator, token_digest=hashlib.sha256(TOKEN.encode()).digest())
    await world.commit(created)
    await books.opened(world.ledger, created, owner)

    async def look(revealed, hidden):
        dumped = await dump(database)
        for secret in (TOKEN, *SECRETS.values()):
            assert not holds(dumped, secret)
        for nonce in revealed:
            assert holds(dumped, books.seed(created.session_id, nonce))
        for nonce in hidden:
            assert not holds(dumped, books.seed(created.session_id, nonce))

    ends = [
        lambda live: books.cash_out(owner, live),
        lambda live: books.crash(owner, live),
        lambda live: books.refund(owner, live),
        lambda live: books.crash(owner, live),
        lambda live: books.void(owner, live, CallStatus.UNKNOWN),
    ]
    await look([], [1])
    for nonce, end in enumerate(ends, start=1):
        live = books.new_round(created, nonce)
        await world.commit(books.place(owner, live))
        await look(range(1, nonce), [nonce, nonce + 1])
        if nonce == 5:
            flight = live
        else:
            await world.commit(books.start(owner, live))
            flight = books.flying(live)
            await look(range(1, nonce), [nonce, nonce + 1])
        assert await world.commit(end(flight)) != Rejected()
        await look(range(1, nonce + 1), [nonce + 1])
        for call in await world.ledger.outbox_of(created.operator_id, created.session_id):
            await world.commit(books.acknowledge(flight, call.kind))


@pytest.mark.logs_errors("a group was refused and is committed one by one", "a transition was refused by the schema")
async def test_a_refused_transition_is_logged_without_its_values(world, owner, operator, caplog):
    created = await world.owned(owner, operator=operator, operator_player_id="player-to-be-kept-secret")
    live = await world.fly(owner, created)
    broken = books.changed(books.cash_out(owner, live), payout_minor=7)
    won = await world.fly(owner, await world.owned(owner, "won", operator=operator))
    await world.commit(books.cash_out(owner, won))
    # Of a call that is there: otherwise it depends on the plan whether anybody reads the balance.
    too_large = replace(books.acknowledge(won), balance_minor=2**70)
    named = books.new_session(operator, "other", operator_player_id="\ud800player-to-be-kept-secret")
    with caplog.at_level(logging.DEBUG):
        answers = await world.ledger.commit([broken, too_large, named])
    assert answers == [Rejected()] * 3
    assert len(caplog.records) == 4, "the group, then each by itself"
    logged = "\n".join(logging.Formatter().format(record) + repr(vars(record)) for record in caplog.records)
    assert "end_and_payout" in logged, "what refused it is named"
    for value in (
        "player-to-be-kept-secret",
        live.commitment.server_seed,
        str(2**70),
        str(live.round_id),
        str(won.round_id),
    ):
        assert value not in logged


@pytest.mark.logs_errors("a promise that is discarded can't be read (VaultError)")
async def test_a_sealed_seed_opens_for_its_round_only(database, world, owner, rounds, caplog):
    swap = f"""
        UPDATE sessions s SET server_seed_sealed = other.server_seed_sealed FROM sessions other
        WHERE s.session_id = '{rounds.fresh.session_id}' AND other.session_id = '{rounds.won.session_id}'
    """
    await database.run(lambda connection: connection.execute(swap))
    with caplog.at_level(logging.ERROR):
        opened = await books.opened(world.ledger, rounds.fresh, owner)
    assert opened.discarded is None, "the other session's promise is not revealed in its place"
    assert [record.message for record in caplog.records] == ["a promise that is discarded can't be read"]
