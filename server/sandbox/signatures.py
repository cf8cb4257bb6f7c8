"""Checking and making signatures, on an operator's side. The scheme is the same in both directions."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TOLERANCE_S = 300
_HEADERS = ("X-Operator-Id", "X-Operator-Key", "X-Timestamp", "X-Signature")


@dataclass(frozen=True)
class Credentials:
    """What provisioning showed once, and never again."""

    operator_id: str
    api_key: str = field(repr=False)
    hmac_secret: str = field(repr=False)


def signature(hmac_secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """``HMAC_SHA256(hmac_secret, "<ts>.<METHOD>.<path>.<sha256(rawBody)>")``, hex. ``target`` is exactly as sent."""
    text = f"{timestamp}.{method}.{target}.{hashlib.sha256(body).hexdigest()}"
    return hmac.new(hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed_headers(credentials: Credentials, now_s: int, method: str, target: str, body: bytes) -> dict[str, str]:
    """The headers of a request of ours. The secret itself never travels."""
    timestamp = str(now_s)
    return {
        "Content-Type": "application/json",
        "X-Operator-Id": credentials.operator_id,
        "X-Operator-Key": credentials.api_key,
        "X-Timestamp": timestamp,
        "X-Signature": signature(credentials.hmac_secret, timestamp, method, target, body),
    }


def refusal(
    credentials: Credentials,
    now_s: int,
    *,
    method: str,
    target: str,
    headers: Mapping[str, Sequence[str]],
    body: bytes,
) -> str | None:
    """Why a call is not authentic; ``None`` if it is.

    ``headers`` has lower-case names and every value that was sent.
    """
    values: dict[str, str] = {}
    for name in _HEADERS:
        sent = headers.get(name.lower(), ())
        if len(sent) != 1:
            return f"{name} must be sent once"
        values[name] = sent[0]
    timestamp = values["X-Timestamp"]
    if not re.fullmatch(r"[0-9]{10}", timestamp) or abs(int(timestamp) - now_s) > TOLERANCE_S:
        return "stale timestamp"
    expected = {
        "X-Operator-Id": credentials.operator_id,
        "X-Operator-Key": credentials.api_key,
        "X-Signature": signature(credentials.hmac_secret, timestamp, method, target, body),
    }
    # Compared as bytes, every one of them, in a time that tells nothing.
    matches = [hmac.compare_digest(values[name].encode(), value.encode()) for name, value in expected.items()]
    return None if all(matches) else "bad credentials or signature"
