"""What an answer of a wallet means: pure, from its status, headers and body.

What is not listed is ``Unclear``, the careful choice: a bet is then refunded, a win or a refund is sent again, and both
are idempotent by ``operator_tx_id``::

    200, ok true, balance_minor an integer from 0 to 10^15   Acknowledged
    200, ok true, no such balance                            to a win or refund Acknowledged, the balance unknown
    200, ok false                                            Declined
    4xx but 408, 425 and 429                                 Declined
    either of these two with the code ``already_booked``     to a win or refund Acknowledged, the balance unknown
    408, 425, 429, 5xx, 3xx, 1xx, any other 2xx              Unclear
    200 that can't be read, or is too large                  Unclear

(Contract 6.2; operator-api.md 2.) A bet that flies needs the balance that it left; a win that was booked must not be
sent for days because of a balance that we can't read.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Never

import httpx

from actors.facts.records import CallKind
from actors.ports.wallet import Acknowledged, Declined, Unclear, WalletAnswer

BALANCE_MINOR_MAX: Final = 10**15
RETRY_AFTER_MS_MAX: Final = 600_000
"""A wallet that asks to be left alone for longer is asked again after this."""
ALREADY_BOOKED: Final = "already_booked"

_UNCLEAR_4XX: Final = frozenset({408, 425, 429})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_DIGITS_MAX: Final = 20


def verdict(kind: CallKind, answer: httpx.Response, now_ms: int) -> WalletAnswer:
    """What ``answer`` to a call of this kind says. ``now_ms``: unix milliseconds, for a date in ``Retry-After``."""
    said = _said(kind, answer)
    if isinstance(said, Declined | Unclear):
        return replace(said, retry_after_ms=retry_after_ms(answer.headers.get_list("retry-after"), now_ms))
    return said


def _said(kind: CallKind, answer: httpx.Response) -> WalletAnswer:
    if answer.status_code == 200:
        return classify_body(kind, answer.content)
    said = classify_status(answer.status_code)
    is_refusal_of_money = isinstance(said, Declined) and kind is not CallKind.BET
    if is_refusal_of_money and _code_of(_leniently(answer.content)) == ALREADY_BOOKED:
        return Acknowledged(None)
    return said


def classify_status(status: int) -> Declined | Unclear:
    """What a status other than 200 says by itself."""
    is_refusal = 400 <= status <= 499 and status not in _UNCLEAR_4XX
    return (Declined if is_refusal else Unclear)(f"the wallet answered {status}")


def classify_body(kind: CallKind, body: bytes) -> WalletAnswer:
    """What the body of a 200 says. Anything that two readers could understand differently is ``Unclear``, but for what
    an acknowledged win or refund says of the balance."""
    is_bet = kind is CallKind.BET
    answer = _strictly(body) if is_bet else _leniently(body)
    if answer is _UNREADABLE:
        return Unclear("the answer is not valid JSON")
    if not isinstance(answer, dict):
        return Unclear("the answer is not a JSON object")
    accepted = answer.get("ok")
    if accepted is False:
        is_booked = not is_bet and _code_of(answer) == ALREADY_BOOKED
        return Acknowledged(None) if is_booked else Declined("the wallet answered 200 with ok false")
    if accepted is not True:
        return Unclear("the answer has no boolean ok")
    balance_minor = answer.get("balance_minor")
    if type(balance_minor) is int and 0 <= balance_minor <= BALANCE_MINOR_MAX:
        return Acknowledged(balance_minor)
    return Unclear("the answer has no balance_minor that can be read") if is_bet else Acknowledged(None)


def _code_of(answer: object) -> str | None:
    """The code of a refusal: ``error.code``, or ``error`` if that is a string."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    return code if isinstance(code, str) else None


def retry_after_ms(values: Sequence[str], now_ms: int) -> int | None:
    """For how long the wallet asks to be left alone, at most ``RETRY_AFTER_MS_MAX``; ``None`` if it does not, or not so
    that it can be understood. Seconds or an HTTP date (RFC 9110, 10.2.3); of several the longest."""
    longest_ms = max((_wait_ms(value.strip(), now_ms) for value in values), default=0)
    return min(longest_ms, RETRY_AFTER_MS_MAX) if longest_ms > 0 else None


def _wait_ms(value: str, now_ms: int) -> int:
    if _SECONDS.fullmatch(value):
        return int(value) * 1000
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # what says "-0000" is UTC, too
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1000 - now_ms
    except (ValueError, OverflowError):
        return 0


# JSON, read twice: as strictly as money needs, and as leniently as words deserve.

_UNREADABLE: Final = object()
_AMBIGUOUS: Final = object()


def _strictly(body: bytes) -> object:
    try:
        return _STRICT.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a repeated key, or digits without end
        return _UNREADABLE


def _leniently(body: bytes) -> object:
    """As ``_strictly``, but a value that can't be understood spoils no other."""
    document = _strictly(body)
    if document is not _UNREADABLE:
        return document
    try:
        return _LENIENT.decode(body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return _UNREADABLE


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _marked(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document: dict[str, object] = {}
    for name, value in pairs:
        document[name] = _AMBIGUOUS if name in document else value
    return document


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def _bounded(digits: str) -> object:
    return int(digits) if len(digits) <= _DIGITS_MAX else _AMBIGUOUS


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_LENIENT: Final = json.JSONDecoder(
    object_pairs_hook=_marked, parse_constant=lambda _constant: _AMBIGUOUS, parse_int=_bounded
)
