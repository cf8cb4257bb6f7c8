"""A casino's backend: it signs what it asks of the game server. Written from the specification alone."""

import hashlib
import hmac
import http.client
import itertools
import json
import time
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

ANSWER_S_MAX = 20
LAUNCH = "/api/public/rgs/launch"
ROUND = "/api/public/rgs/round/"
REVENUE = "/api/public/rgs/revenue"


def string_to_sign(timestamp, method, target, body):
    return f"{timestamp}.{method.upper()}.{target}.{hashlib.sha256(body).hexdigest()}"


def signature(hmac_secret, timestamp, method, target, body=b""):
    text = string_to_sign(timestamp, method, target, body)
    return hmac.new(hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def parse_json(text):
    """JSON with exact numbers: a float would hide a third decimal."""
    return json.loads(text, parse_float=Decimal)


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self):
        return parse_json(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def error(self):
        return self.json["error"]


def raw_request(url, method, target, headers=(), body=b""):
    """One request, the headers exactly as given (a list of pairs: one may come twice)."""
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=ANSWER_S_MAX)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body or method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


@dataclass
class Session:
    """What a launch gave: where the player's browser is to go."""

    session_id: str
    launch_url: str
    token: str
    player_id: str
    currency: str
    expires_at: str


@dataclass
class Operator:
    """An operator's account with the game server at ``url``."""

    url: str
    operator_id: str
    api_key: str
    hmac_secret: str
    wallet: object = None
    players: itertools.count = field(default_factory=lambda: itertools.count(1))

    def signed(self, method, target, body=b"", *, timestamp=None, signed_target=None, secret=None):
        """The four headers, as pairs."""
        timestamp = str(int(time.time())) if timestamp is None else timestamp
        text = signature(secret or self.hmac_secret, timestamp, method, signed_target or target, body)
        return [
            ("X-Operator-Id", self.operator_id),
            ("X-Operator-Key", self.api_key),
            ("X-Timestamp", timestamp),
            ("X-Signature", text),
        ]

    def send(self, method, target, headers, body=b""):
        kind = [("Content-Type", "application/json")] if method == "POST" else []
        return raw_request(self.url, method, target, [*headers, *kind], body)

    def request(self, method, target, body=b"", **signing):
        return self.send(method, target, self.signed(method, target, body, **signing), body)

    def launch_body(self, player_id, currency="USD", balance_minor=500_000, ttl_seconds=3600):
        return json.dumps(
            {
                "operator_player_id": player_id,
                "currency": currency,
                "balance_minor": balance_minor,
                "ttl_seconds": ttl_seconds,
            }
        ).encode()

    def new_player_id(self):
        return f"player-{next(self.players)}"

    def session(self, player_id=None, *, currency="USD", balance_minor=500_000, ttl_seconds=3600):
        """Launch the game for a player, who has ``balance_minor`` in our wallet."""
        player_id = player_id or self.new_player_id()
        if self.wallet is not None:
            self.wallet.open_account(player_id, currency, balance_minor)
        answer = self.request("POST", LAUNCH, self.launch_body(player_id, currency, balance_minor, ttl_seconds))
        assert answer.status == 200, answer
        return self.session_of(answer, player_id, currency)

    def session_of(self, answer, player_id, currency="USD"):
        given = answer.json
        assert given["ok"] is True
        (token,) = parse_qs(urlsplit(given["launch_url"]).query)["session"]
        return Session(given["session_id"], given["launch_url"], token, player_id, currency, given["expires_at"])

    def round(self, round_id):
        answer = self.request("GET", ROUND + round_id)
        assert answer.status == 200, answer
        return answer.json

    def revenue(self, first, last):
        answer = self.request("GET", f"{REVENUE}?from={first}&to={last}")
        assert answer.status == 200, answer
        assert answer.json["ok"] is True
        return answer.json["days"]
