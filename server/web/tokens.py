"""The tokens of sessions: what is kept of them, and how a repeated launch gets the first one's again."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


def token_digest(token: str) -> bytes:
    """What is kept of a session's token."""
    return hashlib.sha256(token.encode("ascii")).digest()


def seal_token(token: str, signature: bytes, session_id: bytes) -> bytes:
    """Seal a token so that only who has the request's signature, the sender, can open it: nonce and ciphertext."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_replay_key(signature)).encrypt(nonce, token.encode("ascii"), session_id)


def open_token(sealed: bytes, signature: bytes, session_id: bytes) -> str | None:
    """The token of an earlier launch; ``None`` for another signature, or if what is kept is damaged."""
    try:
        opened = AESGCM(_replay_key(signature)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], session_id)
    except InvalidTag:
        return None
    return opened.decode("ascii")


def _replay_key(signature: bytes) -> bytes:
    return hmac.digest(signature, b"getaway/launch-replay/v1", "sha256")
