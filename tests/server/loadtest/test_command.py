"""``getaway loadtest`` against the real server, with real sockets and processes."""

import json
import os
import pty
import signal
import subprocess
import threading
import time

from tests.server.loadtest.stage import FLYING, LIMITS
from tests.whole.casino import Operator
from tests.whole.wallet import Fault, Wallet

NAMES = [f"gambler-{number}" for number in range(1, 21)]


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def are_gone(pids, within_s):
    """Whether all these processes end in time; one that waits to be reaped by its new parent has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        listed = ("-p", ",".join(map(str, pids)))
        shown = subprocess.run(["ps", "-o", "stat=", *listed], capture_output=True, text=True, check=False)
        if all(state.startswith("Z") for state in shown.stdout.split()):
            return True
        time.sleep(0.1)
    return False


def test_a_whole_run_with_its_report(stage):
    report = stage.folder / "out.html"
    options = stage.options("--fail-if", "bet_p99>5s", "--fail-if", "errors>0", "--report", str(report))
    status, out, err = stage.run(*options, "--processes", "2")
    assert status == 0, out + err
    for title in ("launch", "bet to round_started", "cash-out to round_ended", "tick lateness", "stand-in wallet"):
        assert title in out
    assert "no differences" in out
    assert "kept    bet_p99>5s" in out
    assert "20 of 20 launched" in out
    assert "comparing the books" in err, "without a terminal the progress is lines"
    page = report.read_text(encoding="utf-8")
    assert page.count("<svg") >= 8
    assert "<script" not in page
    assert "Every threshold kept, and all books agree." in page


def test_the_figures_add_up(stage):
    status, told = stage.document(*stage.options("--strategy", "random", "--wallet-latency", "20ms", "--seed", "5"))
    assert status == 0, told
    counts, books, latencies = told["counts"], told["books"], told["latencies_ms"]
    assert told["errors"] == {}
    assert counts["launched"] == 20
    assert counts["rounds"] == counts["bets"] > 20
    assert counts["bets_due"] == counts["bets"] + counts.get("skipped", 0)
    assert books["differences"] == []
    assert books["wallet_rounds"] == books["told_rounds"] == books["fair_rounds"] == counts["rounds"]
    assert books["wallet_balances"] == 20
    assert told["money"]["stakes_minor"] == 100 * counts["rounds"]
    wins = latencies["cashout"]["count"]
    assert books["wallet_calls"] == counts["rounds"] + wins
    assert latencies["crash"]["count"] == counts["rounds"] - wins
    assert latencies["bet"]["count"] == counts["rounds"]
    assert 20 <= latencies["bet_service"]["p50"] <= latencies["bet"]["max"], "the wallet alone takes 20 ms"
    assert latencies["wallet"]["p50"] < 20, "the stand-in's own latency is apart"
    assert latencies["cashout_service"]["count"] > 0
    assert 0 <= latencies["tick"]["p50"] < 1000
    assert latencies["tick"]["count"] > 100
    # The same machine has one clock.
    assert abs(told["clock"]["ahead_ms"]) < 50
    assert told["clock"]["uncertainty_ms"] < 50


def test_a_missed_threshold_fails(stage):
    status, out, _ = stage.run(*stage.options("--fail-if", "bet_p50>1us", players=3, duration="3s"))
    assert status == 1
    assert "FAILED  bet_p50>1us: bet_p50 is " in out


def test_a_planted_difference_in_the_stand_ins_books_is_found(stage):
    names = stage.write("names.txt", "\n".join(NAMES))
    process = stage.start(*stage.options("--players-file", names))
    stage.wait_until_seated()
    planted = {
        "operator_tx_id": "bet-planted",
        "operator_player_id": "gambler-7",
        "session_id": "s",
        "round_id": "planted",
        "currency": "USD",
        "amount_minor": 123,
    }
    assert stage.call_wallet("bet", **planted) == 200
    status, out, _ = stage.finish(process)
    assert status == 1, out
    assert "difference: bet-planted: the wallet booked a bet of 123 for gambler-7" in out


def test_the_operators_own_wallet_and_its_faults(stage):
    wallet = Wallet()
    try:
        created = stage.server.create_operator(wallet.url, *LIMITS)
        operator = Operator(
            stage.server.url, **{name: created[name] for name in ("operator_id", "api_key", "hmac_secret")}
        )
        wallet.trust(operator)
        for name in NAMES:
            wallet.open_account(name, "USD", 1_000_000)
        wallet.mistreat("gambler-3", "bet", Fault(status=503))
        wallet.mistreat("gambler-4", "bet", Fault(status=402))
        own = ["--credentials", stage.write("own.json", json.dumps(created)), "--wallet", "operator"]
        names = ("--players-file", stage.write("names.txt", "\n".join(NAMES)), "--balance", "1000000")
        status, told = stage.document(*stage.options(*own, *names, wallet=False))
        assert status == 0, told
        assert told["errors"] == {"bet bet_declined": 1, "bet wallet_unavailable": 1}
        assert told["books"]["told_rounds"] == told["counts"]["rounds"] > 20
        assert told["books"]["wallet_rounds"] == 0
        assert wallet.violations == []
        booked = -sum(entry.delta_minor for entry in wallet.journal)
        assert told["money"]["stakes_minor"] - told["money"]["payouts_minor"] == booked
    finally:
        wallet.close()


def test_a_wallet_that_refuses_every_bet_is_no_success(stage):
    """Nothing is owed and no book differs: nothing was played."""
    wallet = Wallet()
    try:
        created = stage.server.create_operator(wallet.url, *LIMITS)
        wallet.trust(
            Operator(stage.server.url, **{name: created[name] for name in ("operator_id", "api_key", "hmac_secret")})
        )
        for name in NAMES:
            wallet.open_account(name, "USD", 0)
        own = ["--credentials", stage.write("own.json", json.dumps(created)), "--wallet", "operator"]
        names = ("--players-file", stage.write("names.txt", "\n".join(NAMES)), "--balance", "1000000")
        status, told = stage.document(*stage.options(*own, *names, wallet=False, duration="2s"))
        assert (status, told["ok"], told["rounds_played"], told["books"]["differences"]) == (4, False, 0, [])
        assert told["counts"]["bets"] > 0 and set(told["errors"]) == {"bet bet_declined"}
        assert any("no round was played" in note for note in told["notes"])
    finally:
        wallet.close()


def test_ctrl_c_lands_the_players_and_prints_the_table(stage):
    """On a terminal the progress is a live picture."""
    parent, child = pty.openpty()
    seen = bytearray()

    def read():
        while True:
            try:
                data = os.read(parent, 65_536)
            except OSError:  # the other side has closed
                return
            if not data:
                return
            seen.extend(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process = stage.start(
        *stage.options("--strategy", "hold", "--processes", "2", duration="60s"),
        stderr=child,
        TERM="xterm",
        COLUMNS="120",
    )
    os.close(child)
    stage.wait_until_seated()
    time.sleep(1)
    children = children_of(process.pid)
    assert len(children) == 2
    process.send_signal(signal.SIGINT)
    begun_at = time.monotonic()
    status, out, _ = stage.finish(process)
    reader.join(5)
    os.close(parent)
    assert status == 130, out
    assert time.monotonic() - begun_at < 20
    assert "20 of 20 launched" in out
    assert "no differences" in out
    assert "the run was interrupted" in out
    assert b"bets/s" in seen
    assert b"\x1b[" in seen
    assert are_gone(children, 0.5)


def test_players_end_with_a_parent_that_is_killed(stage):
    process = stage.start(*stage.options("--processes", "2", duration="60s"))
    stage.wait_until_seated()
    children = children_of(process.pid)
    assert len(children) == 2
    process.kill()
    stage.finish(process)
    assert are_gone(children, 5)


def test_a_server_that_dies_and_comes_back_costs_nobody_money(stage):
    process = stage.start(*stage.options("--json", duration="12s"))
    # A launch that finds no server is not repeated, and who has no session can't be told a balance.
    stage.wait_until_seated()
    time.sleep(1)
    stage.server.kill()
    stage.server.start()
    status, out, err = stage.finish(process)
    told = json.loads(out)
    assert told["books"]["differences"] == [], err
    assert status == 0, told
    assert told["counts"]["launched"] == 20
    assert told["counts"]["reconnects"] >= 20
    assert told["books"]["wallet_balances"] == 20
    assert sum(count for name, count in told["errors"].items() if name.startswith("socket ")) >= 20


def test_a_server_that_stalls_can_not_hide_it(stage):
    """Bets go on being due while it stands still for 1.5 of 8 seconds, and each of them counts how long it waited."""
    process = stage.start(*stage.options("--json", "--strategy", "hold", "--landing", "1s", players=30, duration="8s"))
    stage.wait_until_seated(30)
    # Two of five flights outlast the stall, and one is enough to have late ticks.
    stage.wait_for(FLYING, lambda count: count >= 12)
    os.kill(stage.server.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(stage.server.pid, signal.SIGCONT)
    status, out, err = stage.finish(process)
    told = json.loads(out)
    assert status == 0, err
    bets = told["latencies_ms"]["bet"]
    assert bets["max"] > 1_000
    # A fifth of all bets were due during the stall, evenly over it: more than an eighth of all waited for a third of it
    # or longer, and a tenth surely for a sixth.
    assert bets["p90"] > 250
    assert bets["p50"] < 500
    assert told["latencies_ms"]["tick"]["max"] > 1_000
    assert told["counts"]["ticks_skipped"] > 10


def test_what_can_not_begin_is_one_line(stage):
    def refused(expected, *options):
        status, out, err = stage.run(*options)
        assert (status, out) == (expected, ""), err
        return err.splitlines()[-1]

    nowhere = ["--target", "http://127.0.0.1:9", *stage.options()[2:]]
    assert "http://127.0.0.1:9 can't be reached" in refused(3, *nowhere)
    wrong = stage.write("wrong.json", json.dumps(stage.operator | {"hmac_secret": "gs_wrong"}))
    assert "hmac_secret is not" in refused(2, *stage.options(), "--credentials", wrong)
    wrong = stage.write("wrong.json", json.dumps(stage.operator | {"api_key": "gk_wrong"}))
    assert "invalid_credentials" in refused(2, *stage.options(), "--credentials", wrong)
    assert "wallet" in refused(2, *stage.options(), "--wallet-listen", f"127.0.0.1:{stage.server.port}")
    assert "stakes in USD are 10 to 100000" in refused(2, *stage.options("--bet", "9"))
    assert "largest multiplier, 2000" in refused(2, *stage.options("--strategy", "fixed:2000.01"))
    assert "currency must be one of: USD" in refused(2, *stage.options("--currency", "EUR"))
    metrics = ["--target", stage.server.metrics_url, *stage.options()[2:]]
    assert "--target must be the public origin of a Getaway server" in refused(2, *metrics)


def test_credentials_may_come_from_the_environment(stage):
    options = stage.options(players=2, duration="2s")
    index = options.index("--credentials")
    del options[index : index + 2]
    variables = {
        "OPERATOR_ID": stage.operator["operator_id"],
        "API_KEY": stage.operator["api_key"],
        "HMAC_SECRET": stage.operator["hmac_secret"],
    }
    status, out, err = stage.run(*options, **variables)
    assert status == 0, out + err
