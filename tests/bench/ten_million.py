"""Ten million stored rounds: ``python -m tests.bench.ten_million [--quick] [--rounds N]``. Takes about ten minutes.

A month of rounds is written by SQL (``stored_rounds.py``). Measured are ``revenue`` over the whole month and
``round`` of a round drawn at random, signed, one after the other over a kept connection of the running server; and how
fast the ledger writes rounds into this database and into an empty one, by one writer and by four at once for the same
operator, currency and day. Needs 3 GB of disk for each million rounds.
"""

import http.client
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import trio

from server.db.driver.database import open_database
from server.db.embedded.embedded import embedded_server
from server.db.migrations.migrate import migrate
from server.db.stores.rows import Row, check_session, finished_round, wallet_call
from server.secrets.vault import Vault
from tests.bench.arithmetic import quantile
from tests.bench.figures.stand import MASTER_KEY
from tests.bench.house import LIMITS
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.start import started_s
from tests.bench.stored_rounds import (
    CURRENCIES,
    DAY_MS,
    DAYS,
    ROUNDS_PER_SESSION,
    Loader,
    operator_of,
    round_id,
)
from tests.bench.writing import Written, write
from tests.bench.yardsticks import BenchError, Tools
from tests.helpers.postgres import PostgresServer
from tests.helpers.server_process import ServerProcess
from tests.whole.casino import REVENUE, ROUND, Operator, parse_json

ROUNDS = 10_000_000
ROUND_DISK_BYTES = 3_000
OPERATORS = 4
READ_S_MAX = 20
READS_MIN = 20
WARM_READS = 5
WRITERS = (1, 4)
TURNS = 9
SLOWER_MAX = 0.8
LOCK_PART_MAX = 0.1
READ_GOALS = (
    ("`revenue` over 31 days of 10 million rounds, signed, over HTTP", 20),
    ("`round` among 10 million, signed, over HTTP", 3),
)
"""Milliseconds."""
_TERMS = ("operators", "operator_currencies")
VAULT = Vault(MASTER_KEY)
LOOKED_AT = 1_000
_OPENED: dict[str, Callable[[Row], object]] = {
    "sessions": lambda row: check_session(VAULT.macs, row),
    "rounds": lambda row: finished_round(VAULT, row),
    "transactions": lambda row: wallet_call(VAULT, row),
}


@dataclass(frozen=True, slots=True)
class Archive:
    """A server that is not started yet, on a full database; another one is empty."""

    server: ServerProcess
    full_url: str
    empty_url: str
    operators: Sequence[Operator]
    rounds: int
    first_day: date

    @property
    def operator_ids(self) -> list[UUID]:
        return [UUID(operator.operator_id) for operator in self.operators]


def rounds_that_fit(wanted: int, folder: Path) -> int:
    """As many as there is room for on the disk, half of what is free being left alone; whole sessions."""
    fitting = min(wanted, shutil.disk_usage(folder).free // 2 // ROUND_DISK_BYTES)
    if fitting < wanted:
        progress(f"ten_million: the disk has room for {fitting:,} rounds only, not for {wanted:,}")
    rounds: int = fitting // ROUNDS_PER_SESSION * ROUNDS_PER_SESSION
    if not rounds:
        raise BenchError(f"there is no room for stored rounds in {folder}: free {ROUND_DISK_BYTES} bytes a round")
    return rounds


@contextmanager
def open_archive(rounds: int) -> Iterator[Archive]:
    folder = Path(tempfile.mkdtemp(prefix="getaway-archive-"))
    try:
        with embedded_server(folder / "postgres") as url:
            postgres = PostgresServer(url)
            postgres.execute("CREATE DATABASE empty")
            empty_url = postgres.url_of("empty")
            operators = _operators(ServerProcess(empty_url, folder))
            first_day = date.fromtimestamp(time.time()) - timedelta(days=DAYS + 1)
            server = ServerProcess(url, folder, GETAWAY_LOG_LEVEL="warning", **LIMITS)
            for operator in operators:
                operator.url = server.url
            archive = Archive(server, url, empty_url, operators, rounds, first_day)
            trio.run(_copy_operators, archive)
            Loader(url, VAULT.macs, archive.operator_ids, (first_day - date(1970, 1, 1)).days * DAY_MS, rounds).load()
            trio.run(_look, archive)
            try:
                yield archive
            finally:
                server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _operators(server: ServerProcess) -> list[Operator]:
    """Operators of an empty database, which gets its schema by it."""
    more = [word for currency in CURRENCIES if currency != "USD" for word in ("--currency", currency)]
    made = [server.create_operator("http://127.0.0.1:9", *more) for _ in range(OPERATORS)]
    names = ("operator_id", "api_key", "hmac_secret")
    return [Operator(server.url, **{name: created[name] for name in names}) for created in made]


async def _copy_operators(archive: Archive) -> None:
    """The same operators in the other database."""
    async with open_database(archive.empty_url, Path()) as empty, open_database(archive.full_url, Path()) as full:
        await migrate(full)
        for table in _TERMS:
            columns = await full.run(
                lambda connection, table=table: connection.fetch(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = $1", table
                )
            )
            names = ", ".join(row["column_name"] for row in columns)
            rows = await empty.run(
                lambda connection, table=table, names=names: connection.fetch(f"SELECT {names} FROM {table}")
            )
            places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
            statement = f"INSERT INTO {table} ({names}) VALUES ({places})"
            await full.run(
                lambda connection, statement=statement, rows=rows: connection.executemany(
                    statement, [tuple(row) for row in rows]
                )
            )


async def _look(archive: Archive) -> None:
    """Some of the rows are opened, as the server opens them."""
    async with open_database(archive.full_url, Path()) as full:
        for table, opened in _OPENED.items():
            query = f"SELECT * FROM {table} LIMIT {LOOKED_AT}"
            for row in await full.run(lambda connection, query=query: connection.fetch(query)):
                opened(row)


class Reader:
    """Signed requests over one kept connection."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def read(self, operator: Operator, target: str) -> tuple[float, int, bytes]:
        """Milliseconds that it took, the answer's status and its body."""
        headers = dict(operator.signed("GET", target))
        began = time.monotonic()
        self._connection.request("GET", target, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return (time.monotonic() - began) * 1000, answer.status, body

    def reads(self, calls: Callable[[int], tuple[Operator, str]], count: int) -> "Reads":
        """``count`` calls; fewer if they take longer than ``READ_S_MAX``. The first ones, untold, warm up."""
        for number in range(WARM_READS):
            self.read(*calls(number))
        made = Reads([], 0)
        deadline = time.monotonic() + READ_S_MAX
        while len(made.took_ms) < count and (len(made.took_ms) < READS_MIN or time.monotonic() < deadline):
            took_ms, status, _ = self.read(*calls(len(made.took_ms)))
            made.took_ms.append(took_ms)
            made.failed += status != 200
        return made


@dataclass(slots=True)
class Reads:
    """Milliseconds of every call, those included that were not answered 200, and how many of them there were."""

    took_ms: list[float]
    failed: int

    def part_ms(self, part: float) -> float:
        return quantile(self.took_ms, part)

    def told(self) -> dict[str, float]:
        """For the JSON line."""
        parts_ms = {f"p{part:.0%}"[:-1] + "_ms": round(self.part_ms(part), 2) for part in (0.5, 0.99)}
        return {"calls": len(self.took_ms), "failed": self.failed, **parts_ms}


def check_revenue(archive: Archive, reader: Reader, target: str) -> None:
    """Raises ``BenchError`` if it does not count every stored round, unless it has no answer at all."""
    answers = [reader.read(operator, target) for operator in archive.operators]
    if any(status != 200 for _, status, _ in answers):
        progress("ten_million: revenue is not answered")
        return
    settled = sum(day["rounds"] for _, _, body in answers for day in parse_json(body)["days"])
    if settled != archive.rounds:
        raise BenchError(f"revenue counts {settled} rounds, and {archive.rounds} are stored")


def read_all(archive: Archive, options: Options) -> tuple[Reads, Reads]:
    """Calls of ``revenue`` and of ``round``."""
    reader, dice = Reader(archive.server), random.Random(1)
    last_day = archive.first_day + timedelta(days=DAYS - 1)
    revenue = f"{REVENUE}?from={archive.first_day}&to={last_day}"
    check_revenue(archive, reader, revenue)

    def any_round(_number: int) -> tuple[Operator, str]:
        number = dice.randrange(archive.rounds)
        owner = operator_of(number, archive.operator_ids)
        operator = next(each for each in archive.operators if each.operator_id == str(owner))
        return operator, f"{ROUND}{round_id(number)}"

    revenues = reader.reads(lambda number: (archive.operators[number % OPERATORS], revenue), options.pick(300, 40))
    return revenues, reader.reads(any_round, options.pick(3_000, 300))


def write_both(archive: Archive, options: Options) -> dict[tuple[str, int], Written]:
    """Medians, by database and number of writers, measured in turns: each takes two seconds, a machine's speed changes
    within minutes, and the full database is still being vacuumed at first."""
    seen: dict[tuple[str, int], list[Written]] = {}
    for _ in range(options.pick(TURNS, 1)):
        for writers in WRITERS:
            for name, url in (("empty", archive.empty_url), ("full", archive.full_url)):
                rounds = options.pick(40, 12) // writers
                written = trio.run(write, url, archive.operator_ids[0], writers, rounds)
                seen.setdefault((name, writers), []).append(written)
    return {
        key: Written(median(one.rounds_per_s for one in values), median(one.lock_part for one in values))
        for key, values in seen.items()
    }


def measure(_tools: Tools, options: Options) -> list[Line]:
    wanted = options.rounds or options.pick(ROUNDS, 200_000)
    rounds = rounds_that_fit(wanted, Path(tempfile.gettempdir()))
    progress(f"ten_million: writing {rounds:,} rounds")
    with open_archive(rounds) as archive:
        ready_s = started_s(archive.server)
        progress("ten_million: reading")
        revenue_reads, round_reads = read_all(archive, options)
        archive.server.kill()
        progress("ten_million: writing through the ledger")
        written = write_both(archive, options)
    show(
        row="ten_million",
        rounds=rounds,
        ready_s=round(ready_s, 2),
        revenue=revenue_reads.told(),
        round=round_reads.told(),
        written={f"{name}, {writers}": [round(part, 3) for part in each] for (name, writers), each in written.items()},
    )
    return lines(rounds, ready_s, (revenue_reads, round_reads), written)


def lines(
    rounds: int,
    ready_s: float,
    reads: tuple[Reads, Reads],
    written: dict[tuple[str, int], Written],
) -> list[Line]:
    """With the number of rounds in the measured column: it may be less than the goal's."""
    is_whole = rounds >= ROUNDS
    read = []
    for (what, goal_ms), made in zip(READ_GOALS, reads, strict=True):
        text = f"p50 {made.part_ms(0.5):.1f} ms, p99 {made.part_ms(0.99):.1f} ms ({len(made.took_ms)} calls"
        text += f", {made.failed} failed" * bool(made.failed) + f", {rounds:,} rounds)"
        is_met = is_whole and made.part_ms(0.99) <= goal_ms and not made.failed
        read.append(Line(what, f"p99 <= {goal_ms} ms", text, is_met))
    kept = {
        writers: written["full", writers].rounds_per_s / written["empty", writers].rounds_per_s for writers in WRITERS
    }
    locked = max(each.lock_part for each in written.values())
    texts = [
        f"{writers} writer{'s' * (writers > 1)}: {written['empty', writers].rounds_per_s:,.0f} rounds/s into the empty"
        f" database, {written['full', writers].rounds_per_s:,.0f} into the full one ({kept[writers]:.0%})"
        for writers in WRITERS
    ]
    return [
        *read,
        Line(
            what="writing rounds, bet to acknowledged win, into an empty database and into one with 10 million",
            goal=f"full at least {SLOWER_MAX:.0%} of empty; under {LOCK_PART_MAX:.0%} of the time in queues for a row",
            measured=f"{'; '.join(texts)}; {locked:.0%} in queues ({rounds:,} rounds)",
            met=is_whole and min(kept.values()) >= SLOWER_MAX and locked < LOCK_PART_MAX,
        ),
        Line(
            what="start to ready with 10 million rounds",
            goal="<= 1.5 s",
            measured=f"{ready_s:.2f} s ({rounds:,} rounds)",
            met=is_whole and ready_s <= 1.5,
        ),
    ]


if __name__ == "__main__":
    run_row(measure)
