"""What is stored of a session, a round and its calls comes back everywhere as it was told, each field of it.

The records of ``actors/facts`` declare what is stored. A field that somebody forgets on its way, in a statement, a
row, a report or the twin, is named here; one that is not filled in here is, too.
"""

from dataclasses import fields, is_dataclass, replace
from uuid import UUID

import pytest

from actors.facts.columns import columns, made, values
from actors.facts.records import (
    CallKind,
    CallStatus,
    FinishedRound,
    LiveRound,
    PageOptions,
    SessionRecord,
    WalletCall,
)
from actors.facts.transitions import CreateSession
from server.db.driver.database import open_database
from server.db.stores.reports import PostgresReports
from server.ports.reports import CallReport, RoundReport
from server.secrets.row_macs import BET, CALL, END, SESSION, START
from server.secrets.vault import Vault
from tests.helpers import books

PAGE = PageOptions(lang="pt-BR", reality_check_minutes=30, lobby_url="https://casino.example/?a=b")
ENDS = {
    "cash-out": books.cash_out,
    "crash": books.crash,
    "declined": books.void,
    "unknown": lambda owner, live: books.void(owner, live, CallStatus.UNKNOWN),
    "refund": books.refund,
}
WITHOUT_A_START = {"declined", "unknown"}

OF_THE_TABLE = {
    "sessions": {
        "balance_is_known",
        "nonce",
        "server_seed_hash",
        "server_seed_sealed",
        "owner_node",
        "owner_epoch",
        "mac",
    },
    "rounds": {"server_seed_sealed", "owner_node", "owner_epoch", "settled_day", "bet_mac", "start_mac", "end_mac"},
    "transactions": {"status", "last_error", "acknowledged_at_ms", "claim_node", "claim_epoch", "not_before_ms", "mac"},
}
"""Columns that no record of a launch, a round or a call has, beside each table's own."""
OF_THE_LAUNCH = {"server_seed", "signature_digest", "sealed_token", "replay_until_ms"}
"""Fields of a launch that are not the session's: sealed, or kept with the signature."""
OF_THE_END = {"status", "result", "reason", "realized_hundredths", "payout_minor", "settled_at_ms"}
"""Columns of an ended round that it did not have before, or otherwise."""
UNSIGNED = {
    SESSION: {"balance_minor", "client_seed"},
    BET: {"status", "started_at_ms", "interrupted_at_ms", "server_seed", *columns(FinishedRound)} - set(BET.columns),
    CALL: {"attempts", "next_attempt_at_ms", "refused_since_ms"},
}
"""What changes after a row was written, or has a code of its own."""


def assert_filled(record: object) -> None:
    """Each member that may be missing is there, or a test of this file would pass whatever became of it."""
    empty = [name for name, value in values(record).items() if value is None]
    assert empty == [], f"fill in {empty} of {type(record).__name__} in this file"


def assert_same(found: object, told: object) -> None:
    assert type(found) is type(told)
    for each in fields(told):
        one, other = getattr(found, each.name), getattr(told, each.name)
        if is_dataclass(other):
            assert_same(one, other)
        else:
            assert one == other, f"{type(told).__name__}.{each.name}"


class Story:
    """A session with all that a launch may say, and one round of each end, each a session of its own."""

    def __init__(self, world, owner, operator):
        self.world, self.owner, self.operator = world, owner, operator

    async def launched(self, name) -> CreateSession:
        created = books.new_session(self.operator, name, page=PAGE, balance_minor=12_345)
        assert_filled(created)
        await self.world.commit(created)
        return created

    async def placed(self, created) -> LiveRound:
        """With a target that no flight of ``books`` reaches before its cash-out."""
        live = books.new_round(created, auto_cashout_hundredths=199, amount_minor=200)
        await self.world.commit(books.place(self.owner, live))
        return live

    async def ended(self, name):
        created = await self.launched(name)
        await books.opened(self.world.ledger, created, self.owner)
        live = await self.placed(created)
        if name not in WITHOUT_A_START:
            await self.world.commit(books.start(self.owner, live))
            live = books.flying(live)
        end = ENDS[name](self.owner, live)
        await self.world.commit(end)
        return created, live, end


@pytest.fixture
async def story(world, owner) -> Story:
    return Story(world, owner, await world.add_operator())


async def test_a_session_comes_back_as_it_was_launched(story):
    created = await story.launched("session")
    opened = await books.opened(story.world.ledger, created, story.owner)
    promised = books.new_round(created).commitment
    assert_same(opened.session, made(SessionRecord, values(created), next=promised, balance_is_known=True))
    frame = await story.world.frame(created)
    assert_same(frame.page, created.page)
    assert (frame.operator_id, frame.expires_at_ms) == (created.operator_id, created.expires_at_ms)


async def test_a_live_round_comes_back_as_it_was_placed_and_started(story):
    created = await story.launched("live")
    await books.opened(story.world.ledger, created, story.owner)
    placed = await story.placed(created)
    assert_same(await story.world.ledger.live_round(placed.operator_id, placed.round_id), placed)
    await story.world.commit(books.start(story.owner, placed))
    live = books.flying(placed)
    assert_filled(replace(live, interrupted_at_ms=0))
    assert_same(await story.world.ledger.live_round(live.operator_id, live.round_id), live)
    opened = await books.opened(story.world.ledger, created, story.owner)
    assert_same(opened.live_round, live)


@pytest.mark.parametrize("name", ENDS)
async def test_an_ended_round_comes_back_as_it_ended(story, name):
    created, live, end = await story.ended(name)
    due = end.finished
    ledger = story.world.ledger
    for each in columns(FinishedRound).keys() - OF_THE_END:
        assert values(due)[each] == values(live)[each], each
    assert_same(await ledger.finished_round(live.operator_id, live.round_id), due)
    (shown,), _ = await ledger.history(live.operator_id, live.operator_player_id, None, 10)
    assert_same(shown, due)
    opened = await books.opened(ledger, created, story.owner)
    assert opened.outbox == tuple(filter(None, [end.call]))
    for found in opened.outbox:
        assert_filled(replace(found, refused_since_ms=0))
        assert_same(found, end.call)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_the_report_says_all_that_was_told(emptied_database_url, story, name):
    """Reports have no twin."""
    _, live, end = await story.ended(name)
    async with open_database(emptied_database_url, None, pool_size=1) as database:
        report = await PostgresReports(database, Vault(bytes(32))).round_report(live.operator_id, live.round_id)
    told = values(live) | values(end.finished)
    calls = [books.place(story.owner, live).call, *filter(None, [end.call])]
    assert [call.operator_tx_id for call in report.calls] == [call.operator_tx_id for call in calls]
    for each in fields(RoundReport):
        if each.name not in {"calls", "problems", "outcome"}:
            assert getattr(report, each.name) == told[each.name], each.name
    assert_same(report.outcome, end.finished.outcome)
    states = await story.world.call_states(live)
    for found, call in zip(report.calls, calls, strict=True):
        status, attempts, last_error = states[call.kind.value]
        due = values(call) | {"attempts": attempts, "status": status, "last_error": last_error, "problem": None}
        if status is not CallStatus.PENDING:
            due["next_attempt_at_ms"] = None
        due["acknowledged_at_ms"] = (
            live.started_at_ms if call.kind is CallKind.BET and name not in WITHOUT_A_START else None
        )
        for each in fields(CallReport):
            assert getattr(found, each.name) == due[each.name], each.name


async def test_records_and_tables_have_the_same_columns(emptied_database_url):
    stored = {
        "sessions": columns(CreateSession).keys() - OF_THE_LAUNCH | columns(SessionRecord).keys() - {"server_seed"},
        "rounds": columns(LiveRound).keys() | columns(FinishedRound).keys(),
        "transactions": columns(WalletCall).keys(),
    }
    query = """SELECT attname FROM pg_attribute
        WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped"""
    async with open_database(emptied_database_url, None, pool_size=1) as database:
        for table, known in stored.items():
            rows = await database.run(lambda connection, table=table: connection.fetch(query, table))
            assert {row["attname"] for row in rows} == known | OF_THE_TABLE[table], table


@pytest.mark.parametrize(
    ("kind", "record", "left_out"),
    [(SESSION, CreateSession, OF_THE_LAUNCH), (BET, LiveRound, set()), (CALL, WalletCall, set())],
    ids=["session", "bet", "call"],
)
def test_each_column_is_signed_or_known_to_change(kind, record, left_out):
    unsigned = columns(record).keys() - set(kind.columns) - left_out
    assert unsigned == UNSIGNED[kind] & columns(record).keys()
    if kind is BET:
        assert columns(FinishedRound).keys() <= {*BET.columns, *START.columns, *END.columns}


def test_columns_are_those_of_nested_records():
    assert columns(CreateSession)["lang"] == "page.lang"
    assert columns(LiveRound)["nonce"] == "commitment.nonce"
    round_trip = made(LiveRound, values(books.new_round(books.new_session(_Operator()))))
    assert round_trip == books.new_round(books.new_session(_Operator()))


class _Operator:
    operator_id = UUID(int=7)
