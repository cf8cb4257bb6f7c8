"""What operators read: their rounds as they are, and revenue by UTC day, currency and share."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
import trio
import trio.testing

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.ports.ledger import LedgerUnavailableError
from actors.rules.money import RevenueShare, split_revenue
from actors.rules.settlement import Result
from server.db.stores.reports import PostgresReports
from server.db.stores.session_frames import PostgresSessionFrames
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS

DAY_MS = 86_400_000
MIDNIGHT_MS = NOON_MS // DAY_MS * DAY_MS
DAY = datetime.fromtimestamp(MIDNIGHT_MS / 1000, UTC).date()


@pytest.fixture
def reports(database):
    return PostgresReports(database, Vault(bytes(32)))


@pytest.fixture
def frames(database) -> PostgresSessionFrames:
    return PostgresSessionFrames(database, Vault(bytes(32)))


class Casino:
    """Plays whole rounds of an operator with chosen stakes, payouts, moments and shares."""

    def __init__(self, world, owner, operator):
        self.world, self.owner, self.operator = world, owner, operator
        self._count = 0

    async def live(self, amount_minor, currency="USD", share_bps=1_500, *, at_ms=NOON_MS):
        self._count += 1
        created = await self.world.owned(
            self.owner,
            self._count,
            operator=self.operator,
            currency=currency,
            created_at_ms=at_ms - 10_000,
            expires_at_ms=at_ms + books.HOUR_MS,
        )
        return books.new_round(created, amount_minor=amount_minor, terms={"rev_share_bps": share_bps})

    async def play(self, amount_minor, hundredths, currency="USD", share_bps=1_500, *, at_ms=NOON_MS):
        live = await self.live(amount_minor, currency, share_bps, at_ms=at_ms)
        flight = books.flying(live)
        end = books.cash_out(self.owner, flight, hundredths, at_ms) if hundredths else None
        end = end or books.crash(self.owner, flight, at_ms)
        await self.world.ledger.commit([books.place(self.owner, live), books.start(self.owner, live), end])
        return flight


@pytest.fixture
async def casino(world, owner):
    return Casino(world, owner, await world.add_operator())


async def revenue(reports, casino, first=DAY, last=DAY):
    rows = await reports.revenue(casino.operator.operator_id, first, last)
    return [
        (row.period_day, row.currency, row.ggr_minor, row.house_share_minor, row.operator_share_minor, row.rounds)
        for row in rows
    ]


async def test_revenue_is_stakes_less_payouts(reports, casino):
    await casino.play(1_000, 0)
    await casino.play(1_000, 150)
    assert await revenue(reports, casino) == [(DAY, "USD", 500, 75, 425, 2)]


async def test_days_and_currencies_are_rows_in_order(reports, casino):
    next_day_ms = NOON_MS + DAY_MS
    await casino.play(300, 0, "USD", at_ms=next_day_ms)
    await casino.play(200, 0, "EUR", at_ms=next_day_ms)
    await casino.play(100, 0, "USD")
    rows = await revenue(reports, casino, DAY, DAY + timedelta(days=5))
    assert [row[:3] for row in rows] == [
        (DAY, "USD", 100),
        (DAY + timedelta(days=1), "EUR", 200),
        (DAY + timedelta(days=1), "USD", 300),
    ]
    assert await revenue(reports, casino, date(2000, 1, 1), DAY - timedelta(days=1)) == []


async def test_a_share_that_changes_within_a_day_is_rounded_share_by_share(reports, casino):
    await casino.play(10, 0, share_bps=1_500)
    await casino.play(30, 0, share_bps=500)
    await casino.play(10, 0, share_bps=2_500)
    # 1.5 -> 2, 1.5 -> 2 and 2.5 -> 2, where 11 % of 50 would be 5.5.
    assert await revenue(reports, casino) == [(DAY, "USD", 50, 6, 44, 3)]
    split = split_revenue([(10, 1_500), (30, 500), (10, 2_500)])
    assert split == RevenueShare(ggr_minor=50, house_share_minor=6, operator_share_minor=44)


async def test_a_day_has_one_row_for_each_currency_whatever_the_shares(reports, casino):
    for currency, share_bps in (("USD", 1_500), ("EUR", 500), ("USD", 500), ("EUR", 1_500)):
        await casino.play(100, 0, currency, share_bps)
    assert await revenue(reports, casino) == [(DAY, currency, 200, 20, 180, 2) for currency in ("EUR", "USD")]


async def test_a_day_of_losses_is_negative_and_rounded_half_to_even(reports, casino):
    await casino.play(10, 200)
    await casino.play(20, 200, "EUR")
    assert await revenue(reports, casino) == [
        (DAY, "EUR", -20, round(Fraction(-20 * 1_500, 10_000)), -17, 1),
        (DAY, "USD", -10, -2, -8, 1),
    ]


async def test_only_settled_rounds_count(reports, casino, world, owner):
    void, unknown = await casino.live(100), await casino.live(200)
    flying, refunded, betting = await casino.live(300), await casino.live(400), await casino.live(500)
    await world.ledger.commit([books.place(owner, live) for live in (void, unknown, flying, refunded, betting)])
    await world.ledger.commit([books.start(owner, live) for live in (flying, refunded)])
    ends = [
        books.void(owner, void, at_ms=NOON_MS),
        books.void(owner, unknown, CallStatus.UNKNOWN, at_ms=NOON_MS),
        books.refund(owner, books.flying(refunded), at_ms=NOON_MS),
    ]
    await world.ledger.commit(ends)
    assert await revenue(reports, casino) == []
    await casino.play(50, 0)
    assert await revenue(reports, casino) == [(DAY, "USD", 50, 8, 42, 1)]


async def test_a_day_is_a_utc_day_to_the_millisecond(reports, casino):
    await casino.play(1, 0, at_ms=MIDNIGHT_MS - 1)
    await casino.play(20, 0, at_ms=MIDNIGHT_MS)
    await casino.play(300, 0, at_ms=MIDNIGHT_MS + DAY_MS - 1)
    await casino.play(4_000, 0, at_ms=MIDNIGHT_MS + DAY_MS)
    rows = await revenue(reports, casino, DAY - timedelta(days=1), DAY + timedelta(days=1))
    assert [(row[0] - DAY, row[2]) for row in rows] == [
        (timedelta(days=-1), 1),
        (timedelta(0), 320),
        (timedelta(days=1), 4_000),
    ]
    assert [row[2] for row in await revenue(reports, casino)] == [320]


async def test_every_operator_has_revenue_of_its_own(reports, casino, world):
    await casino.play(100, 0)
    stranger = await world.add_operator()
    assert await reports.revenue(stranger.operator_id, DAY, DAY) == []


async def test_sums_may_exceed_what_one_amount_can_be(reports, casino):
    for _ in range(3):
        await casino.play(4 * 10**18, 0)
    ((_, _, ggr, house, operators, rounds),) = await revenue(reports, casino)
    assert (ggr, house + operators, rounds) == (12 * 10**18, 12 * 10**18, 3)


async def test_a_round_shows_its_secrets_only_after_its_end(reports, world, rounds):
    operator_id = rounds.operator.operator_id
    for live in (rounds.betting, rounds.flying):
        report = await reports.round_report(operator_id, live.round_id)
        assert report.status is live.status
        assert (report.server_seed, report.outcome, report.realized_hundredths, report.settled_at_ms) == (None,) * 4
        assert live.commitment.server_seed not in repr(report)
        assert report.server_seed_hash == live.commitment.server_seed_hash
    for live in (rounds.won, rounds.crashed, rounds.void, rounds.taken_back):
        report = await reports.round_report(operator_id, live.round_id)
        assert hashlib.sha256(report.server_seed.encode()).hexdigest() == report.server_seed_hash
        assert report.outcome == live.outcome
    assert (report.status, report.realized_hundredths, report.payout_minor) == (RoundStatus.REFUNDED, 0, 0)


async def test_a_round_lists_its_calls_in_order(reports, world, rounds):
    live = rounds.won
    key = (rounds.operator.operator_id, live.round_id)
    pending = (await reports.round_report(*key)).calls
    assert [(call.kind, call.status) for call in pending] == [
        (CallKind.BET, CallStatus.ACKNOWLEDGED),
        (CallKind.WIN, CallStatus.PENDING),
    ]
    assert [call.next_attempt_at_ms for call in pending] == [None, live.created_at_ms + 500]
    await world.commit(books.postpone(live, attempts=4))
    postponed = (await reports.round_report(*key)).calls[1]
    assert (postponed.attempts, postponed.last_error) == (4, "connection lost")
    await world.commit(books.acknowledge(live, attempts=5))
    won = await reports.round_report(*key)
    assert (won.result, won.realized_hundredths, won.payout_minor) == (Result.CASHOUT, 150, 150)
    (_, win) = won.calls
    assert (win.status, win.attempts, win.last_error, win.next_attempt_at_ms) == (
        CallStatus.ACKNOWLEDGED,
        5,
        None,
        None,
    )
    assert win.acknowledged_at_ms == live.created_at_ms + 600


async def test_rounds_are_found_by_their_operator_or_at_the_command_line(reports, world, rounds):
    stranger = await world.add_operator()
    assert await reports.round_report(stranger.operator_id, rounds.won.round_id) is None
    own = await reports.round_report(rounds.operator.operator_id, rounds.won.round_id)
    assert await reports.find_round(rounds.won.round_id) == own
    assert await reports.find_round(books.identifier("nothing")) is None


async def test_a_token_opens_its_operators_page(frames, rounds):
    frame = await frames.session_frame(rounds.fresh.token_digest)
    assert (frame.operator_id, frame.expires_at_ms) == (rounds.operator.operator_id, rounds.fresh.expires_at_ms)
    assert frame.page == rounds.fresh.page
    assert await frames.session_frame(bytes(32)) is None


async def test_what_two_nodes_settle_adds_up(reports, casino, world):
    await casino.play(100, 0)
    casino.owner = await world.ledger.register_node("another-node", NOON_MS)
    await casino.play(300, 150)
    assert await revenue(reports, casino) == [(DAY, "USD", -50, -8, -42, 2)]


async def test_a_settlement_that_is_repeated_counts_once(reports, casino, world):
    flight = await casino.play(200, 0)
    await world.ledger.commit([books.crash(casino.owner, flight)])
    assert await revenue(reports, casino) == [(DAY, "USD", 200, 30, 170, 1)]


async def test_what_was_counted_is_what_the_rounds_say(casino, database):
    sums = "operator_id, settled_day, currency, rev_share_bps, stakes_minor, payouts_minor, rounds"
    for amount_minor, hundredths, currency, share_bps in (
        (100, 0, "USD", 1_500),
        (200, 150, "EUR", 500),
        (40, 0, "USD", 500),
    ):
        await casino.play(amount_minor, hundredths, currency, share_bps)
    await casino.play(70, 0, at_ms=NOON_MS + DAY_MS)
    anew_sums = "operator_id, settled_day, currency, rev_share_bps, sum(amount_minor), sum(payout_minor), count(*)"
    keys = "operator_id, settled_day, currency, rev_share_bps"
    kept = await database.run(lambda connection: connection.fetch(f"SELECT {sums} FROM revenue_days"))
    anew = await database.run(
        lambda connection: connection.fetch(f"SELECT {anew_sums} FROM rounds WHERE status = 'settled' GROUP BY {keys}")
    )
    mine = [tuple(row) for row in kept if row["operator_id"] == casino.operator.operator_id]
    assert len(mine) == 4
    assert set(mine) <= {tuple(row) for row in anew}


async def test_a_round_is_read_alike_by_one_and_by_many_at_once(reports, casino):
    live = await casino.play(1_000, 150)
    read, seen = (casino.operator.operator_id, live.round_id), []

    async def note():
        seen.append(await reports.round_report(*read))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(note)
    alone = await reports.round_report(*read)
    assert alone.payout_minor == 1_500 and [call.kind for call in alone.calls] == [CallKind.BET, CallKind.WIN]
    assert seen == 20 * [alone] == 20 * [await reports.find_round(live.round_id)]


async def test_tokens_that_are_asked_for_at_once_share_a_statement(frames, rounds, database, monkeypatch):
    """A thousand wrong tokens a second must not cost a thousand statements, and a good one among them is found."""
    statements, run = [], database.run

    async def counted(work, **how):
        statements.append(work)
        return await run(work, **how)

    monkeypatch.setattr(database, "run", counted)
    found = {}

    async def ask(digest):
        found[digest] = await frames.session_frame(digest)

    wrong = [number.to_bytes(32, "big") for number in range(700)]
    async with trio.open_nursery() as nursery:
        for digest in [*wrong, rounds.fresh.token_digest]:
            nursery.start_soon(ask, digest)
    assert found[rounds.fresh.token_digest].operator_id == rounds.operator.operator_id
    assert [digest for digest in wrong if found[digest] is not None] == []
    assert len(statements) <= 4


async def test_whoever_asks_for_others_and_gives_up_is_replaced(frames, rounds, database, monkeypatch):
    run, gate = database.run, trio.Event()

    async def late(work, **how):
        await gate.wait()
        return await run(work, **how)

    monkeypatch.setattr(database, "run", late)
    found = []

    async def ask(scope):
        with scope:
            found.append(await frames.session_frame(rounds.fresh.token_digest))

    scopes = [trio.CancelScope() for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(ask, scope)
        await trio.testing.wait_all_tasks_blocked()
        for scope in scopes[:3]:
            scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert len(found) >= 1 and {frame.operator_id for frame in found} == {rounds.operator.operator_id}


async def test_trouble_reaches_all_who_asked_and_the_next_are_answered(frames, rounds, database, monkeypatch):
    run, failures = database.run, []

    async def failing(work, **how):
        failures.append(work)
        await trio.sleep(0.01)
        raise LedgerUnavailableError("no connection")

    monkeypatch.setattr(database, "run", failing)
    refused = []

    async def ask():
        with pytest.raises(LedgerUnavailableError):
            await frames.session_frame(rounds.fresh.token_digest)
        refused.append(1)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
    assert len(refused) == 10 and len(failures) <= 2
    monkeypatch.setattr(database, "run", run)
    assert await frames.session_frame(rounds.fresh.token_digest) is not None
