"""A casino integrates the game: launches, plays rounds of every kind, and finds its own books in the reads."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.whole import fairness
from tests.whole.casino import LAUNCH, raw_request
from tests.whole.fairness import curve_hundredths, hundredths_of
from tests.whole.house import RATE_PER_MS, audit_house, finished_round, open_house
from tests.whole.player import SLACK_MS, now_ms
from tests.whole.wallet import Fault

ROUNDS_PER_PLAYER = 5


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_house(postgres, tmp_path_factory.mktemp("integration"), GETAWAY_WALLET_BET_TIMEOUT_MS="1500") as house:
        yield house
        audit_house(house)


@pytest.fixture(scope="module")
def low_ceiling(house):
    """An operator whose players are cashed out at 2x at the latest, and that gives the house 12.5 %."""
    return house.add_operator("--max-win", "2", "--rev-share", "12.5", max_win=2, share=Fraction(125, 1000))


@pytest.fixture(scope="module")
def small_purse(house):
    """An operator with a largest payout of 15.00, a round number only for some stakes."""
    return house.add_operator("--limits", "USD:100:1000:1:1500")


def test_launch_gives_a_session_and_a_page(house):
    operator = house.operator
    before = datetime.now(UTC)
    answer = operator.request("POST", LAUNCH, operator.launch_body("player-of-the-page", ttl_seconds=3600))
    assert answer.status == 200
    assert answer.header("X-Request-Id")
    session = operator.session_of(answer, "player-of-the-page")
    assert set(answer.json) >= {"ok", "session_id", "launch_url", "expires_at"}
    assert len(session.token) >= 43  # 256 bits in base64
    assert session.expires_at.endswith("Z")
    left = datetime.fromisoformat(session.expires_at) - before
    assert timedelta(seconds=3595) <= left <= timedelta(seconds=3605)
    split = urlsplit(session.launch_url)
    assert split.path == "/play"
    page = raw_request(house.url, "GET", f"{split.path}?{split.query}")
    assert page.status == 200
    assert page.header("Content-Type").startswith("text/html")
    assert page.header("X-Request-Id")
    policy = page.header("Content-Security-Policy")
    wallet_origin = house.wallet.url.removesuffix("/wallet")
    (ancestors,) = [part.split() for part in policy.split(";") if part.strip().startswith("frame-ancestors")]
    assert ancestors == ["frame-ancestors", wallet_origin]
    assert page.header("X-Frame-Options") is None, "it would forbid what frame-ancestors allows"


async def test_welcome_says_what_the_table_is(house):
    session = house.operator.session(balance_minor=123_456)
    async with house.playing(session) as player:
        welcome = player.welcome
        assert welcome["protocol"] == 1
        assert welcome["session_id"] == session.session_id
        assert welcome["currency"] == "USD"
        assert welcome["balance_minor"] == 123_456
        assert set(welcome["limits"]) == {
            "min_bet_minor",
            "max_bet_minor",
            "bet_step_minor",
            "max_payout_minor",
            "min_cashout",
            "max_win_multiplier",
        }
        assert hundredths_of(welcome["limits"]["min_cashout"]) == 101
        assert welcome["limits"]["max_win_multiplier"] == 2000
        assert str(welcome["growth"]["rate_per_ms"]) == RATE_PER_MS
        assert set(welcome["next"]) == {"server_seed_hash", "client_seed", "nonce"}
        assert welcome["next"]["nonce"] == 1
        assert (welcome["round"], welcome["history"]) == (None, [])
        assert abs(welcome["server_time"] - now_ms()) < 5000


async def check_seeds_are_hidden(house, started):
    told = await trio.to_thread.run_sync(house.operator_of(started).round, started["round_id"])
    if told["status"] == "flying":
        assert (told["server_seed"], told["outcome"], told["realized_multiplier"]) == (None, None, None)
        assert told["server_seed_hash"] == started["server_seed_hash"]


async def play_by_hand(house, player, count):
    """Cash out by hand at 1.2x or so; what is paid is the multiplier of the moment that the server heard of it."""
    for number in range(count):
        committed = player.next
        started = await player.bet(1000 + number)
        assert started["server_seed_hash"] == committed["server_seed_hash"]
        assert started["nonce"] == committed["nonce"]
        await check_seeds_are_hidden(house, started)
        if not await player.wait_for_multiplier(120):
            assert player.seen[-1]["result"] == "crash"
            continue
        sent = now_ms()
        shown = player.ticks[-1][1]
        ended = await player.ask("cashout", "round_ended", round_id=started["round_id"])
        if ended["result"] == "cashout":
            paid = hundredths_of(ended["realized_multiplier"])
            late = curve_hundredths(now_ms() + SLACK_MS - started["started_at"], RATE_PER_MS)
            soon = curve_hundredths(sent - SLACK_MS - started["started_at"], RATE_PER_MS)
            assert max(shown, soon) <= paid <= late
        await player.fence()  # the cash-out may have come too late; its error is not the next bet's


def predicted(ended, target_hundredths, max_win=2000):
    """The result that the revealed seeds compel for an automatic cash-out."""
    crash = fairness.crash_hundredths(ended["server_seed"], ended["client_seed"], ended["nonce"], max_win=max_win)
    if target_hundredths <= crash:
        return target_hundredths
    return 0


async def play_automatically(house, player, count, multiplier, amount_minor=1001):
    for number in range(count):
        ended = await player.play(amount_minor, auto_cashout=multiplier, client_seed=f"seed_{number}-A")
        assert ended["client_seed"] == f"seed_{number}-A"
        paid = hundredths_of(ended["realized_multiplier"])
        assert paid == predicted(ended, round(multiplier * 100))
        assert ended["result"] == ("cashout" if paid else "crash")
        assert all(shown <= hundredths_of(ended["crash_point"]) for _, shown, _ in player.ticks)


async def play_until_the_crash(house, player, count):
    for _ in range(count):
        ended = await player.play(777, auto_cashout=1999.99)
        assert ended["result"] == "crash" or hundredths_of(ended["crash_point"]) >= 199_999


async def play_to_the_ceiling(house, player, count):
    for _ in range(count):
        ended = await player.play(999)
        paid = hundredths_of(ended["realized_multiplier"])
        assert paid == predicted(ended, 200, max_win=2)
        assert ended["result"] == ("max_win" if paid else "crash")


async def play_to_the_largest_payout(house, player, count):
    """1000 x 1.50 is the largest payout; nothing above it is ever paid."""
    for _ in range(count):
        ended = await player.play(1000)
        assert ended["payout_minor"] == fairness.payout_minor(1000, predicted(ended, 150))
        assert ended["result"] == ("max_win" if ended["payout_minor"] else "crash")


async def bet_declined(house, player, count):
    for number in range(count):
        fault = Fault(status=402) if number % 2 else Fault()
        house.wallet.mistreat(player.session.player_id, "bet", fault)
        ended, codes = await player.bet_in_vain(500)
        assert (ended["status"], ended["result"], ended["payout_minor"]) == ("void", None, 0)
        assert ended["reason"]
        assert set(codes) <= {"bet_declined"}
        assert fairness.commitment(ended["server_seed"]) == ended["server_seed_hash"]
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        assert [(one["kind"], one["status"]) for one in told["transactions"]] == [("bet", "declined")]


async def bet_lost(house, player, count):
    """No answer tells whether the player was debited: the round is void, and a refund makes it so."""
    held = threading.Event()
    faults = [
        Fault(status=500),
        Fault(status=503, takes_effect=True),
        Fault(hold=held, takes_effect=True),
        Fault(hold=held, takes_effect=True, late=True),
        Fault(body=b"[1, 2", takes_effect=True),
        Fault(status=429),
        Fault(status=408, takes_effect=True),
    ]
    wallet, player_id = house.wallet, player.session.player_id
    for fault in faults:
        wallet.mistreat(player_id, "bet", fault)
        ended, codes = await player.bet_in_vain(600)
        assert ended["status"] == "void", ended
        assert set(codes) <= {"wallet_unavailable"}
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        assert [(one["kind"], one["status"]) for one in told["transactions"]] == [
            ("bet", "unknown"),
            ("refund", "acknowledged"),
        ]
    held.set()
    assert wallet.balances[player_id, "USD"] == 500_000


async def win_delivered_late(house, player, count):
    """The wallet fails on the win: it comes again until it is acknowledged, and no bet overtakes it."""
    wallet, player_id = house.wallet, player.session.player_id
    won = 0
    while not won:
        wallet.mistreat(player_id, "win", Fault(status=500), Fault(status=503, takes_effect=True))
        ended = await player.play(1000, auto_cashout=1.01)
        won = ended["payout_minor"]
        if not won:
            wallet.forget_faults(player_id)
    bet = await player.bet(1000, auto_cashout=1.01)
    assert bet["type"] == "round_started", bet
    after = await player.until("round_ended")
    await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
    assert [call.status for call in wallet.calls_of(f"win-{ended['round_id']}")] == [500, 503, 200]
    await trio.to_thread.run_sync(finished_round, house.operator, after["round_id"])
    await player.settled_balance(wallet.balances[player_id, "USD"])


KINDS = [
    (play_by_hand, ()),
    (play_by_hand, ()),
    (play_automatically, (1.5,)),
    (play_automatically, (1.01,)),
    (play_automatically, (2.37, 33_300)),
    (play_until_the_crash, ()),
    (bet_declined, ()),
    (bet_lost, ()),
    (win_delivered_late, ()),
]


async def test_rounds_of_every_kind_at_once(house, low_ceiling, small_purse):
    async def play(operator, kind, *arguments):
        session = await trio.to_thread.run_sync(operator.session)
        async with house.playing(session) as player:
            await kind(house, player, ROUNDS_PER_PLAYER, *arguments)

    async with trio.open_nursery() as nursery:
        for kind, arguments in KINDS:
            nursery.start_soon(play, house.operator, kind, *arguments)
        nursery.start_soon(play, low_ceiling, play_to_the_ceiling)
        nursery.start_soon(play, small_purse, play_to_the_largest_payout)
    told = await trio.to_thread.run_sync(audit_house, house)
    results = Counter((one["status"], one["result"]) for one in told.values())
    assert {("settled", "cashout"), ("settled", "crash"), ("settled", "max_win"), ("void", None)} <= set(results)
    assert len(told) >= 40


async def test_two_cash_outs_at_once_have_one_effect(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        ended = {"result": "crash"}
        while ended["result"] == "crash":
            started = await player.bet(1000)
            for mark in ("a", "b") if await player.wait_for_multiplier(105) else ():
                await player.send("cashout", round_id=started["round_id"], id=mark)
            while player.round is not None:
                await player.receive()
            await player.fence()
            ended = next(frame for frame in reversed(player.seen) if frame["type"] == "round_ended")
        error = [frame for frame in player.seen if frame["type"] == "error"][-1]
        assert error["id"] == "b"
        assert error["code"] in ("no_such_round", "too_late")
        told = await trio.to_thread.run_sync(finished_round, house.operator, ended["round_id"])
        assert Counter(one["kind"] for one in told["transactions"]) == {"bet": 1, "win": 1}


async def test_a_bet_while_betting_or_flying_starts_no_second_round(house):
    session, paused = house.operator.session(), threading.Event()
    async with house.playing(session) as player:
        house.wallet.mistreat(session.player_id, "bet", Fault(pause=paused, takes_effect=True))
        await player.send("bet", amount_minor=1000, id="first")
        await player.send("bet", amount_minor=1000, id="second")
        codes = {frame.get("id"): frame.get("code") for frame in [await player.receive(), await player.receive()]}
        assert codes == {"first": None, "second": "round_in_progress"}
        paused.set()
        await player.until("round_started")
        await player.send("bet", amount_minor=1000, id="third")
        frames = [await player.receive()]
        while frames[-1].get("id") != "third":
            frames.append(await player.receive())
        crashed_before = any(frame["type"] == "round_ended" for frame in frames)
        assert crashed_before or frames[-1]["code"] == "round_in_progress"
        bets = [call for call in house.wallet.calls if call.body["session_id"] == session.session_id]
        assert len(bets) == (1 if frames[-1]["type"] == "error" else 2)


async def test_the_same_signed_launch_ten_times_at_once_is_one_session(house):
    operator = house.operator
    body = operator.launch_body("player-in-a-hurry")
    headers, answers = operator.signed("POST", LAUNCH, body), []

    async def launch():
        answers.append(await trio.to_thread.run_sync(operator.send, "POST", LAUNCH, headers, body))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(launch)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["session_id"] for answer in answers}) == 1
    assert len({answer.json["launch_url"] for answer in answers}) == 1


async def test_a_second_socket_replaces_the_first_and_finds_the_round(house):
    session = house.operator.session()
    async with house.playing(session) as first:
        flew = False
        while not flew:
            started = await first.bet(1000)
            flew = await first.wait_for_multiplier(102)
        async with house.playing(session) as second:
            frames = await first.closed()
            assert (frames[-1]["type"], frames[-1]["reason"]) == ("session_ended", "replaced")
            if second.round is None:  # it crashed meanwhile
                assert second.welcome["history"][0]["round_id"] == started["round_id"]
            else:
                compared = ("round_id", "amount_minor", "started_at", "server_seed_hash", "map_seed", "loot_seed")
                assert {name: second.round[name] for name in compared} == {name: started[name] for name in compared}
                ended = await second.ask("cashout", "round_ended", "error", round_id=started["round_id"])
                if ended["type"] == "error":  # it crashed in this moment, and the end is still to come
                    assert ended["code"] == "too_late"
                    ended = await second.until("round_ended")
                assert ended["round_id"] == started["round_id"]
            with pytest.raises(ConnectionClosed):
                await first.send("ping", t=1)


async def test_history_pages_backwards(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        ended = [await player.play(100, auto_cashout=1.01) for _ in range(5)]
        newest_first = [frame["round_id"] for frame in reversed(ended)]
        page = await player.ask("history", "history", limit=3)
        assert ([one["round_id"] for one in page["rounds"]], page["more"]) == (newest_first[:3], True)
        rest = await player.ask("history", "history", limit=3, before=newest_first[2])
        assert ([one["round_id"] for one in rest["rounds"]], rest["more"]) == (newest_first[3:], False)
    async with house.playing(session) as player:
        assert [one["round_id"] for one in player.welcome["history"]] == newest_first
        assert player.next["nonce"] == 6


async def test_the_client_seed_is_chosen_after_the_commitment(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        committed = player.next["server_seed_hash"]
        changed = await player.ask("client_seed", "client_seed", value="my-own_Seed-9")
        assert changed["next"] == {"server_seed_hash": committed, "client_seed": "my-own_Seed-9", "nonce": 1}
        ended = await player.play(100, auto_cashout=1.01)
        assert (ended["server_seed_hash"], ended["client_seed"]) == (committed, "my-own_Seed-9")
        assert ended["next"]["client_seed"] == "my-own_Seed-9"
