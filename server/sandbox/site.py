"""What the demo operator serves: the wallet callbacks, and a lobby for people. Requests in, replies out, no sockets."""

import html
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from server.sandbox.getaway_client import GetawayClient, GetawayError
from server.sandbox.signatures import Credentials, refusal
from server.sandbox.wallet_book import KINDS, OPENING_MINOR, BookAnswer, RefusedError, WalletBook

SESSION_TTL_S: Final = 4 * 3600
LEDGER_LINES: Final = 200
LOBBY_LINES: Final = 30
_PAGES: Final = Path(__file__).parent / "pages"
_ASSETS: Final = {"/lobby.css": "text/css", "/lobby.js": "text/javascript", "/game_frame.js": "text/javascript"}
_EXPONENTS: Final = {"USD": 2, "EUR": 2, "JPY": 0}
_LANGUAGES: Final = {
    "": "Browser’s",
    "en": "English",
    "es": "Español",
    "pt": "Português",
    "de": "Deutsch",
    "fr": "Français",
    "tr": "Türkçe",
    "ar": "العربية",
}
_MINUTES: Final = re.compile(r"[1-9][0-9]{0,3}")
_MINUTES_MAX: Final = 1440
_PLAYER: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_COOKIE: Final = re.compile(r"(?:^|;\s*)player=([A-Za-z0-9_-]{1,32})(?:;|$)")


@dataclass(frozen=True)
class Request:
    """``target`` is exactly as on the wire; ``headers`` has lower-case names and every value that was sent."""

    method: str
    target: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class OperatorSite:
    """``say`` gets one line for every wallet call; ``origins`` are the lobby's own, for its browser requests."""

    def __init__(
        self,
        book: WalletBook,
        client: GetawayClient,
        credentials: Credentials,
        *,
        origins: Sequence[str],
        say: Callable[[str], None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._client = client
        self._credentials = credentials
        self._origins = tuple(origins)
        self._say = say
        self._now_s = now_s

    def reply(self, request: Request) -> Reply:
        """Answer one request. Never raises for bad input."""
        try:
            url = urlsplit(request.target)
            if url.path.startswith("/wallet/"):
                return self._wallet(request)
            handlers = {
                ("GET", "/"): self._lobby_page,
                ("GET", "/ledger"): self._ledger_page,
                ("GET", "/api/balance"): self._balance,
                ("GET", "/api/entries"): self._entries,
                ("POST", "/api/launch"): self._launch,
                ("POST", "/api/deposit"): self._deposit,
            }
            if request.method == "GET" and url.path in _ASSETS:
                return Reply(200, _ASSETS[url.path], (_PAGES / url.path[1:]).read_bytes())
            handler = handlers.get((request.method, url.path))
            if handler is None:
                return _json(404, {"ok": False, "error": "not_found"})
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            return handler(request, query)
        except RefusedError as refused:
            return _json(refused.status, {"ok": False, "error": refused.code})
        except GetawayError as error:
            return _json(502, {"ok": False, "error": str(error)})
        except sqlite3.Error as error:
            self._say(f"operator: the database failed: {type(error).__name__}")
            return _json(503, {"ok": False, "error": "unavailable"})
        except ValueError:
            return _json(400, {"ok": False, "error": "bad_target"})

    # The wallet, called by the game server

    def _wallet(self, request: Request) -> Reply:
        kind = request.target.removeprefix("/wallet/")
        if kind not in KINDS:
            return _json(404, {"ok": False, "error": "not_found"})
        if request.method != "POST":
            return _json(405, {"ok": False, "error": "method_not_allowed"})
        problem = refusal(
            self._credentials,
            int(self._now_s()),
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=request.body,
        )
        if problem is not None:
            self._say(f"wallet  {kind:<6}  refused: {problem}")
            return _json(401, {"ok": False, "error": problem})
        answer = self._book.answer(kind, request.body, int(self._now_s() * 1000))
        self._say(_call_line(kind, answer))
        return Reply(answer.status, "application/json", answer.body)

    # The lobby, used by the player's browser

    def _lobby_page(self, request: Request, query: Mapping[str, str]) -> Reply:
        if "player" not in query:
            cookie = _COOKIE.search("; ".join(request.headers.get("cookie", ())))
            player = cookie.group(1) if cookie else f"guest-{secrets.token_hex(3)}"
            location = "/?" + urlencode({"player": player, "currency": "USD", **query})
            return Reply(302, "text/plain", b"", {"Location": location})
        (player, currency), (lang, minutes) = _who(query), _choices(query)
        balance_minor = self._book.open_account(player, currency, int(self._now_s() * 1000))
        page = _fill(
            "lobby.html",
            player=player,
            currency=currency,
            exponent=str(_EXPONENTS.get(currency, 0)),
            lang=lang or "",
            minutes="" if minutes is None else str(minutes),
            balance=shown(balance_minor, currency),
        )
        page = page.replace("<!--currencies-->", _options({code: code for code in OPENING_MINOR}, currency))
        page = page.replace("<!--languages-->", _options(_LANGUAGES, lang or ""))
        cookie_value = f"player={player}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"
        return self._html(page, {"Set-Cookie": cookie_value})

    def _ledger_page(self, request: Request, query: Mapping[str, str]) -> Reply:
        player, currency = _who(query)
        rows = "".join(
            "<tr>"
            f"<td>{datetime.fromtimestamp(entry.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}</td>"
            f"<td>{html.escape(entry.kind)}</td><td><code>{html.escape(entry.round_id or '')}</code></td>"
            f'<td class="number{" gain" if entry.amount_minor > 0 else " loss"}">'
            f"{shown(entry.amount_minor, entry.currency, sign=True)}</td>"
            f'<td class="number">{shown(entry.balance_minor, entry.currency)}</td></tr>'
            for entry in self._book.entries(player, LEDGER_LINES)
        )
        page = _fill("ledger.html", player=player, currency=currency, lines=str(LEDGER_LINES))
        return self._html(page.replace("<!--rows-->", rows), {})

    def _balance(self, request: Request, query: Mapping[str, str]) -> Reply:
        player, currency = _who(query)
        return _balance_reply(currency, self._book.balance(player, currency))

    def _entries(self, request: Request, query: Mapping[str, str]) -> Reply:
        player, _ = _who(query)
        entries = [
            {
                "entry": entry.entry,
                "at": f"{datetime.fromtimestamp(entry.at_ms / 1000, UTC):%H:%M:%S}",
                "kind": entry.kind,
                "round": (entry.round_id or "")[:8],
                "amount_minor": entry.amount_minor,
                "amount": shown(entry.amount_minor, entry.currency, sign=True),
                "balance": shown(entry.balance_minor, entry.currency),
            }
            for entry in self._book.entries(player, LOBBY_LINES)
        ]
        return _json(200, {"ok": True, "entries": entries})

    def _launch(self, request: Request, query: Mapping[str, str]) -> Reply:
        document = self._browser_document(request)
        (player, currency), (lang, minutes) = _who(document), _choices(document)
        own_origin = next(iter(request.headers.get("origin", ())), self._origins[0])
        here = {"player": player, "currency": currency, "lang": lang or "", "reality_check_minutes": minutes or ""}
        launched = self._client.launch(
            player,
            currency,
            self._book.open_account(player, currency, int(self._now_s() * 1000)),
            SESSION_TTL_S,
            lang=lang,
            reality_check_minutes=minutes,
            lobby_url=f"{own_origin}/?{urlencode(here)}",
        )
        return _json(200, {"ok": True, "launch_url": launched.launch_url, "expires_at": launched.expires_at})

    def _deposit(self, request: Request, query: Mapping[str, str]) -> Reply:
        document = self._browser_document(request)
        player, currency = _who(document)
        amount_minor = document.get("amount_minor")
        if type(amount_minor) is not int:
            raise RefusedError(400, "bad_amount_minor")
        balance_minor = self._book.deposit(player, currency, amount_minor, int(self._now_s() * 1000))
        return _balance_reply(currency, balance_minor)

    def _browser_document(self, request: Request) -> dict[str, object]:
        """A POST's JSON object, if a page of ours sent it: other sites may not spend or launch in a player's name."""
        if any(origin not in self._origins for origin in request.headers.get("origin", ())):
            raise RefusedError(403, "foreign_origin")
        if list(request.headers.get("content-type", ())) != ["application/json"]:
            raise RefusedError(400, "bad_content_type")
        try:
            document = json.loads(request.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise RefusedError(400, "bad_json") from None
        if not isinstance(document, dict):
            raise RefusedError(400, "bad_json")
        return document

    def _html(self, page: str, headers: Mapping[str, str]) -> Reply:
        policy = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
            f"frame-src {self._client.origin}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        return Reply(200, "text/html", page.encode(), {"Content-Security-Policy": policy, **headers})


def shown(amount_minor: int, currency: str, *, sign: bool = False) -> str:
    """An amount as people read it, such as ``1,234.50 USD``."""
    exponent = _EXPONENTS.get(currency, 0)
    whole, part = divmod(abs(amount_minor), 10**exponent)
    mark = "-" if amount_minor < 0 else "+" if sign else ""
    return f"{mark}{whole:,}" + (f".{part:0{exponent}}" if exponent else "") + f" {currency}"


def _call_line(kind: str, answer: BookAnswer) -> str:
    call = answer.call
    if call is None or answer.balance_minor is None:
        return f"wallet  {kind:<6}  {answer.outcome}"
    amount_minor = -call.amount_minor if kind == "bet" else call.amount_minor
    amount = shown(amount_minor, call.currency, sign=True)
    return (
        f"wallet  {kind:<6}  round {call.round_id[:8]}  {ascii(call.player)[1:-1]}  {amount:>16}  "
        f"balance {shown(answer.balance_minor, call.currency)}  {answer.outcome}"
    )


def _who(fields: Mapping[str, object]) -> tuple[str, str]:
    player, currency = fields.get("player"), fields.get("currency", "USD")
    if not isinstance(player, str) or not _PLAYER.fullmatch(player):
        raise RefusedError(400, "bad_player")
    if not isinstance(currency, str) or currency not in OPENING_MINOR:
        raise RefusedError(400, "bad_currency")
    return player, currency


def _choices(fields: Mapping[str, object]) -> tuple[str | None, int | None]:
    """The game's language and the minutes between reality checks, as a form sends them: empty for none."""
    lang, minutes = fields.get("lang", ""), fields.get("reality_check_minutes", "")
    if not isinstance(lang, str) or lang not in _LANGUAGES:
        raise RefusedError(400, "bad_lang")
    if minutes == "":
        return lang or None, None
    if not isinstance(minutes, str) or not _MINUTES.fullmatch(minutes) or int(minutes) > _MINUTES_MAX:
        raise RefusedError(400, "bad_reality_check_minutes")
    return lang or None, int(minutes)


def _options(texts: Mapping[str, str], chosen: str) -> str:
    return "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{html.escape(text)}</option>'
        for value, text in texts.items()
    )


def _fill(name: str, **values: str) -> str:
    template = Template((_PAGES / name).read_text(encoding="utf-8"))
    return template.substitute({key: html.escape(value) for key, value in values.items()})


def _balance_reply(currency: str, balance_minor: int | None) -> Reply:
    if balance_minor is None:
        return _json(404, {"ok": False, "error": "unknown_player"})
    return _json(200, {"ok": True, "balance_minor": balance_minor, "balance": shown(balance_minor, currency)})


def _json(status: int, document: Mapping[str, object]) -> Reply:
    return Reply(status, "application/json", json.dumps(document).encode())
