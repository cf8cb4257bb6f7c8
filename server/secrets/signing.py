"""How requests between operators and this server are signed, in both directions. Pure functions.

The string to sign is ``<ts>.<METHOD>.<path>.<sha256(rawBody)>``; the signature is its HMAC-SHA256 under the operator's
``hmac_secret``, whose text (UTF-8) is the key. Both digests are lower-case hex.
"""

import hashlib
import hmac


def string_to_sign(timestamp: str, method: str, target: str, body: bytes) -> str:
    """The text that is signed.

    ``timestamp``: 10 ASCII digits, unix seconds. ``target``: the request target exactly as on the wire, without any
    decoding. ``body``: the exact bytes of the body, empty when there is none.
    """
    return f"{timestamp}.{method}.{target}.{hashlib.sha256(body).hexdigest()}"


def sign(secret: str, string: str) -> str:
    """The signature of a string to sign: 64 lower-case hex characters."""
    return hmac.digest(secret.encode("utf-8"), string.encode("utf-8"), "sha256").hex()
