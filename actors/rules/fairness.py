"""Provably fair outcomes, algorithm ``hmac-sha256-v1``.

Every outcome of a round is ``HMAC_SHA256(key=server_seed, "<client_seed>:<nonce>:<topic>")``, where the key
is the seed's 64 ASCII characters. The commitment ``sha256(server_seed)`` is public before the bet, so nobody can
choose an outcome after seeing the stake. ``docs/fairness.md`` explains how anybody checks a round.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

ALGORITHM = "hmac-sha256-v1"
CRASH_DIGEST_BITS = 52
"""A crash point uses the first 13 hex digits of its digest: 52 bits."""

CRASH_HUNDREDTHS_MIN = 100
"""A round can crash at once, at 1.00x, but never below."""

_SERVER_SEED = re.compile(r"[0-9a-f]{64}")
_CLIENT_SEED = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round's seeds decide: the crash point in hundredths and three 64-character hex seeds for the scenery."""

    crash_hundredths: int
    map_seed: str
    loot_seed: str
    guard_seed: str


def is_server_seed(text: str) -> bool:
    """Whether ``text`` is a server seed: 64 lower-case hex characters."""
    return _SERVER_SEED.fullmatch(text) is not None


def is_client_seed(text: str) -> bool:
    """Whether ``text`` is a client seed: 1 to 64 of ``A-Z a-z 0-9 _ -``."""
    return _CLIENT_SEED.fullmatch(text) is not None


def commitment(server_seed: str) -> str:
    """The hash that is shown before the bet: SHA-256 over the seed's 64 ASCII characters, lower-case hex."""
    assert is_server_seed(server_seed), "a server seed is 64 lower-case hex characters"
    return hashlib.sha256(server_seed.encode("ascii")).hexdigest()


def digest(server_seed: str, client_seed: str, nonce: int, topic: str) -> str:
    """One outcome of a round as 64 hex characters; ``topic`` is ``crash``, ``map``, ``loot`` or ``guard``."""
    assert is_server_seed(server_seed) and is_client_seed(client_seed) and nonce >= 1
    text = f"{client_seed}:{nonce}:{topic}"
    return hmac.new(server_seed.encode("ascii"), text.encode("ascii"), "sha256").hexdigest()


def crash_hundredths(crash_digest: str, rtp_bps: int, max_win_multiplier: int) -> int:
    """The crash point in hundredths, from 100 to ``100 * max_win_multiplier``.

    With ``H`` the digest's first 52 bits, ``floor(rtp_bps * 2^52 / (100 * (2^52 - H)))``: the chance that the crash
    point is at least ``m`` is ``rtp / m``, so that every cash-out strategy has the same expected return.
    """
    assert 1 <= rtp_bps <= 10_000 and max_win_multiplier >= 2
    span = 1 << CRASH_DIGEST_BITS
    drawn = int(crash_digest[: CRASH_DIGEST_BITS // 4], 16)
    hundredths = (rtp_bps * span) // (100 * (span - drawn))
    return min(max(hundredths, CRASH_HUNDREDTHS_MIN), 100 * max_win_multiplier)


def outcome(server_seed: str, client_seed: str, nonce: int, rtp_bps: int, max_win_multiplier: int) -> Outcome:
    """Everything that the seeds decide about one round under the given terms."""
    crash, map_seed, loot_seed, guard_seed = (
        digest(server_seed, client_seed, nonce, topic) for topic in ("crash", "map", "loot", "guard")
    )
    return Outcome(crash_hundredths(crash, rtp_bps, max_win_multiplier), map_seed, loot_seed, guard_seed)
