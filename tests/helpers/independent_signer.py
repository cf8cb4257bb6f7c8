"""An operator's own signer, written from the contract's text and sharing no code with the server."""

import hashlib


def _hmac_sha256(key: bytes, message: bytes) -> str:
    """HMAC by its definition (RFC 2104), so that nothing of the server's way of computing it is trusted."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner.digest())
    return outer.hexdigest()


def text_to_sign(timestamp, method, target, body=b""):
    """``<ts>.<METHOD>.<path>.<sha256(rawBody)>``."""
    return ".".join([str(timestamp), method.upper(), target, hashlib.sha256(body).hexdigest()])


def signature(secret, timestamp, method, target, body=b""):
    """64 lower-case hex digits."""
    return _hmac_sha256(secret.encode("utf-8"), text_to_sign(timestamp, method, target, body).encode("utf-8"))


def signed_headers(operator_id, api_key, secret, timestamp, method, target, body=b""):
    """The four required headers as a dict of strings."""
    return {
        "X-Operator-Id": str(operator_id),
        "X-Operator-Key": api_key,
        "X-Timestamp": str(timestamp),
        "X-Signature": signature(secret, timestamp, method, target, body),
    }
