"""A round's whole life on PostgreSQL, and what its operator reads afterwards."""

from datetime import UTC, date, datetime
from pathlib import Path

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.facts.transitions import Applied, Launched, Started
from server.db.driver.database import open_database
from server.db.stores.operators import PostgresOperatorStore
from server.db.stores.reports import PostgresReports
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.stores import EveryStore


async def test_a_round_from_the_launch_to_the_invoice(database_url):
    vault = Vault(bytes(32))
    async with open_database(database_url, Path()) as database:
        ledger, reports = EveryStore(database, vault), PostgresReports(database, vault)
        operator = await PostgresOperatorStore(database, vault).create_operator(books.new_operator(), NOON_MS)
        owner = await ledger.register_node("node-a", NOON_MS)
        created = books.new_session(operator)
        live = books.new_round(created)
        (launched,) = await ledger.commit([created])
        assert launched == Launched(created.session_id, created.expires_at_ms, created.sealed_token, replayed=False)
        opened = await ledger.open_session(created.token_digest, owner, 10_000, created.server_seed)
        assert opened.session.next == live.commitment
        assert await ledger.commit([books.place(owner, live)]) == [Applied()]
        assert await ledger.live_round(operator.operator_id, live.round_id) == live
        started_at_ms = live.created_at_ms + 10
        assert await ledger.commit([books.start(owner, live)]) == [Started(started_at_ms)]
        live = books.flying(live)
        assert await ledger.commit([books.cash_out(owner, live)]) == [Applied()]
        assert [call.kind for call in await ledger.outbox_of(operator.operator_id, created.session_id)] == ["win"]
        assert await ledger.commit([books.acknowledge(live)]) == [Applied()]

        report = await reports.round_report(operator.operator_id, live.round_id)
        assert report == await reports.find_round(live.round_id)
        assert (report.status, report.payout_minor, report.server_seed) == (
            RoundStatus.SETTLED,
            150,
            live.commitment.server_seed,
        )
        assert report.outcome == live.outcome
        assert [(call.kind, call.status) for call in report.calls] == [
            (CallKind.BET, CallStatus.ACKNOWLEDGED),
            (CallKind.WIN, CallStatus.ACKNOWLEDGED),
        ]
        day = datetime.fromtimestamp(NOON_MS / 1000, UTC).date()
        (row,) = await reports.revenue(operator.operator_id, day, day)
        assert (row.period_day, row.currency, row.ggr_minor, row.rounds) == (day, "USD", -50, 1)
        assert await reports.revenue(operator.operator_id, date(2020, 1, 1), date(2020, 12, 31)) == []
