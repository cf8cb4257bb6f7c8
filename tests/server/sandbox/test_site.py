import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from server.sandbox.getaway_client import GetawayClient
from server.sandbox.signatures import Credentials, signature
from server.sandbox.site import OperatorSite, Request, shown
from server.sandbox.wallet_book import WalletBook

NOW_S = 1_782_864_001
CREDENTIALS = Credentials("7f5c1d3e-0000-4000-8000-000000000001", "api-key", "test-secret-0123456789abcdef")
ORIGIN = "http://127.0.0.1:8090"
BET = json.dumps(
    {
        "operator_tx_id": "bet-1",
        "operator_player_id": "ada",
        "session_id": "s",
        "round_id": "0a1b2c3d-0000-4000-8000-000000000000",
        "currency": "USD",
        "amount_minor": 10_000,
    }
).encode()


class FakeGetaway:
    """The game server's launch, as the contract has it: it checks the signature by itself."""

    def __init__(self):
        self.calls, self.status, self.answer, game = [], 200, None, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                game.calls.append((self.path, dict(self.headers.items()), body))
                raw = game.answer if game.answer is not None else game.launched()
                self.send_response(game.status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def launched(self):
        launched = {
            "ok": True,
            "session_id": "6d0c",
            "launch_url": f"{self.url}/play?session=opaque",
            "expires_at": "2026-07-03T21:00:00Z",
        }
        return json.dumps(launched).encode()


@pytest.fixture
def game():
    game = FakeGetaway()
    yield game
    game.server.shutdown()
    game.server.server_close()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def site(tmp_path, game, lines):
    book = WalletBook(tmp_path / "wallet.sqlite")
    book.open_account("ada", "USD", NOW_S * 1000)
    client = GetawayClient(game.url, CREDENTIALS, timeout_s=1)
    yield OperatorSite(book, client, CREDENTIALS, origins=[ORIGIN], say=lines.append, now_s=lambda: NOW_S)
    book.close()


def headers(target="/wallet/bet", body=BET, timestamp=NOW_S, method="POST", **changes):
    text = f"{timestamp}.{method}.{target}.{hashlib.sha256(body).hexdigest()}"
    made = {
        "x-operator-id": [CREDENTIALS.operator_id],
        "x-operator-key": [CREDENTIALS.api_key],
        "x-timestamp": [str(timestamp)],
        "x-signature": [hmac.new(CREDENTIALS.hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()],
    }
    made.update({name.replace("_", "-"): value for name, value in changes.items()})
    return made


def call(site, sent, target="/wallet/bet", body=BET, method="POST"):
    reply = site.reply(Request(method, target, sent, body))
    return reply.status, json.loads(reply.body)


def post(site, path, document, **more):
    sent = {"content-type": ["application/json"], "origin": [ORIGIN], **more}
    reply = site.reply(Request("POST", path, sent, json.dumps(document).encode()))
    return reply.status, json.loads(reply.body)


def get(site, target, **sent):
    return site.reply(Request("GET", target, sent))


# Signatures


def test_an_authentic_call_is_carried_out_and_printed(site, lines):
    assert call(site, headers()) == (200, {"ok": True, "balance_minor": 490_000})
    (line,) = lines
    for part in ("bet", "0a1b2c3d", "ada", "-100.00 USD", "balance 4,900.00 USD", "accepted"):
        assert part in line


@pytest.mark.parametrize("seconds", [-300, -299, 299, 300])
def test_timestamps_may_differ_by_five_minutes(site, seconds):
    assert call(site, headers(timestamp=NOW_S + seconds))[0] == 200


@pytest.mark.parametrize("seconds", [-301, 301, 10**6])
def test_stale_timestamps_are_refused(site, seconds):
    assert call(site, headers(timestamp=NOW_S + seconds)) == (401, {"ok": False, "error": "stale timestamp"})


@pytest.mark.parametrize(
    "changes",
    [
        {"x_timestamp": []},
        {"x_timestamp": ["now"]},
        {"x_timestamp": ["01782864001"]},
        {"x_timestamp": ["١٧٨٢٨٦٤٠٠١"]},
        {"x_timestamp": [str(NOW_S)] * 2},
        {"x_signature": []},
        {"x_signature": [""]},
        {"x_signature": ["é"]},
        {"x_signature": ["0" * 64]},
        {"x_signature": headers()["x-signature"] * 2},
        {"x_signature": [headers()["x-signature"][0].upper()]},
        {"x_operator_id": []},
        {"x_operator_id": ["7f5c1d3e-0000-4000-8000-000000000002"]},
        {"x_operator_key": ["other"]},
    ],
)
def test_unauthentic_calls_move_nothing(site, lines, changes):
    status, answer = call(site, headers(**changes))
    assert (status, answer["ok"]) == (401, False)
    assert json.loads(get(site, "/api/balance?player=ada").body)["balance_minor"] == 500_000
    assert all(CREDENTIALS.hmac_secret not in line and CREDENTIALS.api_key not in line for line in lines)


def test_a_signature_covers_body_and_target(site):
    assert call(site, headers(), body=BET + b" ")[0] == 401
    assert call(site, headers(target="/wallet/win"))[0] == 401
    assert call(site, headers(method="PUT"))[0] == 401


@pytest.mark.parametrize("target", ["/wallet/", "/wallet/bets", "/wallet/bet/", "/wallet/bet?x=1", "/wallet/%62et"])
def test_other_paths_of_the_wallet_do_not_exist(site, target):
    assert call(site, headers(target=target), target=target)[0] == 404


def test_a_wallet_call_is_a_post(site):
    assert call(site, headers(method="GET"), method="GET")[0] == 405


def test_the_scheme_is_the_published_one():
    assert (
        signature(
            "test-secret-0123456789abcdef",
            "1782864001",
            "POST",
            "/wallet/bet",
            '{"operator_tx_id":"bet-1","note":"é€"}'.encode(),
        )
        == "d13191defc839de505e12c5ca42cfb88bfbff7f651dd0cf665e217901d9cb0b6"
    )


# The lobby


def test_a_launch_is_signed_and_gives_the_frame_its_address(site, game):
    status, answer = post(site, "/api/launch", {"player": "ada", "currency": "USD"})
    assert (status, answer["launch_url"]) == (200, f"{game.url}/play?session=opaque")
    ((path, sent, body),) = game.calls
    assert path == "/api/public/rgs/launch"
    document = json.loads(body)
    assert (document["operator_player_id"], document["currency"], document["balance_minor"]) == ("ada", "USD", 500_000)
    assert 60 <= document["ttl_seconds"] <= 86_400
    text = f"{sent['X-Timestamp']}.POST.{path}.{hashlib.sha256(body).hexdigest()}"
    expected = hmac.new(CREDENTIALS.hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert sent["X-Signature"] == expected
    assert (sent["X-Operator-Id"], sent["X-Operator-Key"]) == (CREDENTIALS.operator_id, CREDENTIALS.api_key)
    assert CREDENTIALS.hmac_secret not in sent.values()


def test_a_launch_says_what_the_player_chose_and_where_the_lobby_is(site, game):
    chosen = {"player": "ada", "currency": "USD", "lang": "pt", "reality_check_minutes": "45"}
    assert post(site, "/api/launch", chosen)[0] == 200
    assert post(site, "/api/launch", {"player": "ada", "lang": "", "reality_check_minutes": ""}, origin=[])[0] == 200
    first, second = (json.loads(body) for _, _, body in game.calls)
    assert (first["lang"], first["reality_check_minutes"]) == ("pt", 45)
    assert first["lobby_url"] == f"{ORIGIN}/?player=ada&currency=USD&lang=pt&reality_check_minutes=45"
    assert (second["lang"], second["reality_check_minutes"]) == (None, None)
    page = get(site, first["lobby_url"].removeprefix(ORIGIN)).body.decode()
    assert 'data-lang="pt" data-minutes="45"' in page
    assert '<option value="pt" selected>Português</option>' in page
    assert get(site, second["lobby_url"].removeprefix(ORIGIN)).status == 200


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ({"lang": "xx"}, "bad_lang"),
        ({"lang": 7}, "bad_lang"),
        ({"reality_check_minutes": "0"}, "bad_reality_check_minutes"),
        ({"reality_check_minutes": "1441"}, "bad_reality_check_minutes"),
        ({"reality_check_minutes": "soon"}, "bad_reality_check_minutes"),
        ({"reality_check_minutes": 45.5}, "bad_reality_check_minutes"),
    ],
)
def test_a_bad_choice_launches_nothing(site, game, chosen, code):
    answer = post(site, "/api/launch", {"player": "ada", "currency": "USD"} | chosen)
    assert answer == (400, {"ok": False, "error": code})
    assert game.calls == []


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (401, b'{"ok":false,"error":{"code":"bad_signature"}}', "401 bad_signature"),
        (503, b'{"ok":false,"error":{"code":"draining"}}', "503 draining"),
        (500, b"{}", "500"),
        (200, b"{}", "200"),
        (200, b'{"ok":true}', "lacks"),
        (200, b"<html>", "not JSON"),
        (200, b"[1]", "200"),
        (302, b"{}", "302"),
    ],
)
def test_a_refused_launch_says_why(site, game, status, answer, says):
    game.status, game.answer = status, answer
    got, reply = post(site, "/api/launch", {"player": "ada", "currency": "USD"})
    assert (got, reply["ok"]) == (502, False)
    assert says in reply["error"]


def test_a_game_server_that_is_away_says_so(site, game):
    game.server.shutdown()
    game.server.server_close()
    status, answer = post(site, "/api/launch", {"player": "ada", "currency": "USD"})
    assert (status, answer["error"]) == (502, "the game server does not answer")


@pytest.mark.parametrize("path", ["/api/launch", "/api/deposit"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"origin": ["http://evil.example"]}, 403),
        ({"origin": ["null"]}, 403),
        ({"content-type": ["text/plain"]}, 400),
        ({"content-type": []}, 400),
    ],
)
def test_other_sites_cannot_act_for_a_player(site, game, path, sent, status):
    assert post(site, path, {"player": "ada", "currency": "USD", "amount_minor": 5}, **sent)[0] == status
    assert game.calls == []
    assert json.loads(get(site, "/api/balance?player=ada").body)["balance_minor"] == 500_000


def test_two_players_have_two_wallets(site):
    assert get(site, "/?player=bob&currency=JPY").status == 200
    post(site, "/api/deposit", {"player": "bob", "currency": "JPY", "amount_minor": 7})
    assert json.loads(get(site, "/api/balance?player=bob&currency=JPY").body)["balance"] == "500,007 JPY"
    assert json.loads(get(site, "/api/balance?player=ada").body)["balance"] == "5,000.00 USD"


def test_the_lobby_names_a_player_and_keeps_the_name(site):
    first = get(site, "/")
    assert first.status == 302
    assert first.headers["Location"].startswith("/?player=guest-")
    page = get(site, first.headers["Location"])
    cookie = page.headers["Set-Cookie"].split(";")[0]
    again = get(site, "/?currency=EUR", cookie=[f"a=b; {cookie}"])
    assert again.headers["Location"] == first.headers["Location"].replace("USD", "EUR")
    in_turkish = get(site, "/?lang=tr&reality_check_minutes=30").headers["Location"]
    assert in_turkish.endswith("&currency=USD&lang=tr&reality_check_minutes=30")


def test_the_page_embeds_the_game_and_nothing_else(site, game):
    page = get(site, "/?player=ada")
    policy = page.headers["Content-Security-Policy"]
    assert f"frame-src {game.url};" in policy
    assert "default-src 'none'" in policy
    text = page.body.decode()
    assert "5,000.00 USD" in text
    assert "://" not in text
    assert "$" not in text
    for asset in ("/lobby.css", "/lobby.js"):
        assert asset in text
        assert get(site, asset).status == 200
    assert get(site, "/game_frame.js").content_type == "text/javascript"


@pytest.mark.parametrize("player", ["", "a" * 33, "<script>", "a b", "é", "a%22"])
def test_a_bad_player_is_refused(site, player):
    for path in ("/", "/ledger", "/api/balance", "/api/entries"):
        reply = get(site, f"{path}?player={player}&x=1")
        assert reply.status in ({302, 400} if player == "" else {400})
        assert b"<script>" not in reply.body


def test_the_ledger_lists_the_wallets_lines(site):
    call(site, headers())
    page = get(site, "/ledger?player=ada").body.decode()
    assert page.index("-100.00 USD") < page.index("+5,000.00 USD")
    assert "0a1b2c3d-0000-4000-8000-000000000000" in page


def test_the_lobby_is_told_of_the_newest_lines(site):
    call(site, headers())
    bet, opening = json.loads(get(site, "/api/entries?player=ada").body)["entries"]
    assert bet == {
        "entry": 2,
        "at": "00:00:01",
        "kind": "bet",
        "round": "0a1b2c3d",
        "amount_minor": -10_000,
        "amount": "-100.00 USD",
        "balance": "4,900.00 USD",
    }
    assert (opening["kind"], opening["round"], opening["amount"]) == ("opening", "", "+5,000.00 USD")


@pytest.mark.parametrize(
    "target", ["//[", "*", "/nothing", "/pages/lobby.html", "/../site.py", "/lobby.js/", "http://["]
)
def test_odd_targets_get_an_answer(site, target):
    assert get(site, target).status in {400, 404}


def test_a_database_in_trouble_is_a_503(site):
    site._book.close()
    assert call(site, headers()) == (503, {"ok": False, "error": "unavailable"})


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [(5, "USD", "0.05 USD"), (-123_456, "EUR", "-1,234.56 EUR"), (1_234, "JPY", "1,234 JPY"), (0, "USD", "0.00 USD")],
)
def test_amounts_are_shown_in_their_currency(amount_minor, currency, text):
    assert shown(amount_minor, currency) == text
