"""``getaway restored``: what it sends, notes and leaves, and that it does nothing that was not asked for."""

import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
import trio

from tests.helpers.books import NOON_MS
from tests.helpers.command_line import on_database
from tests.helpers.ledger_worlds import open_world
from tests.helpers.sound_books import VAULT

LOCAL = {"GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true"}
NOBODY_LISTENS = "http://127.0.0.1:9/callbacks"
SINCE = "2026-01-01T00:00:00Z"
HEAD = "operator_tx_id,kind,amount_minor,currency,session_id,operator_player_id\n"
ROUND, SESSION = uuid.uuid4(), uuid.uuid4()


class Wallet:
    """It answers what it is told to, and keeps the bodies of what it was sent."""

    def __init__(self):
        self.bodies, self.status = [], 200


@pytest.fixture
def wallet():
    kept = Wallet()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            kept.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            answer = b'{"ok": true, "balance_minor": 1}'
            self.send_response(kept.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        kept.url = f"http://127.0.0.1:{server.server_port}/callbacks"
        yield kept
        server.shutdown()
        thread.join()


class Restored:
    """The command for one operator and its list, and what is in the database."""

    def __init__(self, url, folder, wallet_url=NOBODY_LISTENS):
        self.url, self.list = url, folder / "theirs.csv"
        self.getaway = on_database(url)
        create = ("operator", "create", "--name", "Casino", "--wallet-url", wallet_url, "--currency", "USD", "--json")
        self.operator_id = self.getaway(*create, **LOCAL).document["operator_id"]
        self.write(f"bet-{ROUND},bet,100,USD,{SESSION},player-42")

    def write(self, *rows):
        self.list.write_text(HEAD + "\n".join(rows) + "\n")

    def __call__(self, *options, since=SINCE, by="me"):
        operator = ("--operator", self.operator_id, "--operator-file", str(self.list))
        return self.getaway("restored", "--since", since, *operator, "--by", by, *options, **LOCAL)

    def read(self, statement):
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()

    @property
    def histories(self):
        return self.read("SELECT restored_by FROM histories")

    @property
    def noted(self):
        """Attempts, whether there is an error, whether it is acknowledged."""
        return self.read("SELECT attempts, last_error IS NOT NULL, acknowledged_at_ms IS NOT NULL FROM lost_bets")


@pytest.fixture
def restored(emptied_database_url, tmp_path, wallet):
    return Restored(emptied_database_url, tmp_path, wallet.url)


def test_bets_stay_stopped_while_a_refund_is_not_acknowledged(emptied_database_url, tmp_path):
    restored = Restored(emptied_database_url, tmp_path)
    for runs in (1, 2):
        done = restored("--yes")
        assert (done.status, done.err) == (1, "")
        assert f"refund-{ROUND}" in done.out and "bets stay stopped until all" in done.out
        assert restored.noted == [(0, True, False)], f"nothing left in {runs} runs"
    assert restored.histories == []


def test_a_refund_that_is_refused_is_sent_again_by_the_next_run_and_counted(restored, wallet):
    wallet.status = 500
    for runs in (1, 2):
        assert restored("--yes").status == 1
        assert restored.noted == [(runs, True, False)]
    wallet.status = 200
    assert restored("--yes").status == 0
    assert restored.noted == [(3, False, True)]
    assert restored("--yes").status == 0
    assert len(wallet.bodies) == 3, "what is acknowledged is not sent again"
    assert {path for path, _ in wallet.bodies} == {"/callbacks/refund"}


def test_without_yes_nothing_is_done(restored, wallet):
    done = restored()
    assert (done.status, done.err) == (0, "")
    assert f"refund-{ROUND}" in done.out and "to be sent" in done.out and "nothing was done: add --yes" in done.out
    assert (wallet.bodies, restored.noted, restored.histories) == ([], [], [])


def test_bets_stay_stopped_if_more_lists_come(restored, wallet):
    done = restored("--yes", "--stay-stopped")
    assert (done.status, len(wallet.bodies), restored.histories) == (0, 1, [])
    assert "bets stay stopped, as asked" in done.out
    assert "a new history has begun" in restored("--yes").out
    assert (len(wallet.bodies), len(restored.histories)) == (1, 1)


def test_what_a_time_is_depends_on_its_zone(restored):
    restored.read("INSERT INTO histories DEFAULT VALUES RETURNING 1")
    assert restored("--yes", since="2026-07-31T14:00:00+02:00").status == 0
    noted = restored.read("SELECT restored_since_ms, restored_by FROM histories WHERE restored_at_ms IS NOT NULL")
    assert noted == [(1_785_499_200_000, "me")], "12:00 UTC"


def test_a_refund_has_the_bytes_of_the_first_run_whatever_a_later_list_says(restored, wallet):
    """The same transaction id always carries the same bytes: a wallet may have booked the first ones."""
    wallet.status = 500
    restored("--yes")
    restored.write(f"bet-{ROUND},bet,100,USD,{SESSION},player-43")
    wallet.status = 200
    assert restored("--yes", by="somebody else").status == 0
    (first, second) = [body for _, body in wallet.bodies]
    assert first == second and b"player-42" in first


def test_a_refund_that_somebody_has_edited_is_never_sent(restored, wallet, postgres):
    wallet.status = 500
    restored("--yes")
    edit = "UPDATE lost_bets SET body = replace(convert_from(body, 'UTF8'), ':100', ':100000')::bytea"
    postgres.execute("SET session_replication_role = replica", edit, url=restored.url)
    wallet.status = 200
    done = restored("--yes")
    assert done.status == 1 and "never sent" in done.out
    assert (len(wallet.bodies), restored.histories) == (1, [])


def test_a_live_round_ends_as_its_operator_has_booked_it(restored, wallet):
    async def fly():
        async with open_world(restored.url, VAULT) as world:
            owner = await world.ledger.register_node("node-a", NOON_MS)
            operator = await world.add_operator()
            return await world.fly(owner, await world.owned(owner, operator=operator))

    live = trio.run(fly)
    restored.operator_id = str(live.operator_id)
    ids = f"USD,{live.session_id},{live.operator_player_id}"
    restored.write(f"bet-{live.round_id},bet,{live.amount_minor},{ids}", f"win-{live.round_id},win,137,{ids}")
    states = "SELECT r.status, r.payout_minor, t.status FROM rounds r JOIN transactions t USING (operator_id, round_id)"
    before = restored.read(states)
    told = restored().out
    assert str(live.round_id) in told and "paid 1.37 USD" in told
    assert restored.read(states) == before == [("flying", 0, "acknowledged")]
    done = restored("--yes")
    assert (done.status, done.err) == (0, "")
    assert restored.read(states) == [("settled", 137, "acknowledged")] * 2
    assert wallet.bodies == [], "it is booked already"


@pytest.mark.parametrize(
    ("since", "rows_max", "text"),
    [("2026-01-01T00:00:00", 1_000, "must name its time zone"), (SINCE, 1, "more than 1 rows")],
)
def test_a_time_without_its_zone_and_a_list_that_is_too_long_are_refused(
    restored, wallet, monkeypatch, since, rows_max, text
):
    monkeypatch.setattr("server.cli.restored.ROWS_MAX", rows_max)
    restored.write(*(f"bet-{uuid.uuid4()},bet,100,USD,{SESSION},player-42" for _ in range(2)))
    done = restored("--yes", since=since)
    assert done.status == 2 and text in done.err
    assert (wallet.bodies, restored.noted, restored.histories) == ([], [], [])
