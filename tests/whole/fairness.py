"""The fairness of the game and its arithmetic, worked out from the specification a second time."""

import hashlib
import hmac
from decimal import Decimal, localcontext
from fractions import Fraction


def outcome_hex(server_seed, client_seed, nonce, purpose):
    message = f"{client_seed}:{nonce}:{purpose}".encode("ascii")
    return hmac.new(server_seed.encode("ascii"), message, hashlib.sha256).hexdigest()


def commitment(server_seed):
    return hashlib.sha256(server_seed.encode("ascii")).hexdigest()


def crash_hundredths(server_seed, client_seed, nonce, *, rtp_bps=9600, max_win=2000):
    drawn = int(outcome_hex(server_seed, client_seed, nonce, "crash")[:13], 16)
    free = rtp_bps * 2**52 // (100 * (2**52 - drawn))
    return min(max(free, 100), 100 * max_win)


def curve_hundredths(elapsed_ms, rate_per_ms):
    """The multiplier shown at ``elapsed_ms``, in hundredths. ``rate_per_ms`` is a decimal string."""
    with localcontext() as context:
        context.prec = 50
        return int(100 * (Decimal(rate_per_ms) * max(0, int(elapsed_ms))).exp())


def first_ms_at(hundredths, rate_per_ms):
    """The first millisecond of a flight that shows at least ``hundredths``."""
    low, high = 0, 1
    while curve_hundredths(high, rate_per_ms) < hundredths:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if curve_hundredths(middle, rate_per_ms) >= hundredths:
            high = middle
        else:
            low = middle + 1
    return low


def payout_minor(amount_minor, hundredths):
    return amount_minor * hundredths // 100


def hundredths_of(multiplier):
    """A multiplier of the wire, parsed with ``parse_float=Decimal``, in hundredths; it must have no third decimal."""
    assert not isinstance(multiplier, (float, bool)), "parse JSON with parse_float=Decimal"
    scaled = Decimal(multiplier) * 100
    assert scaled == int(scaled), f"more than two decimals: {multiplier}"
    return int(scaled)


def split_of(ggr_minor, share=Fraction(15, 100)):
    """``(house_share_minor, operator_share_minor)``. Rounding a fraction rounds half to even."""
    house = round(ggr_minor * share)
    return house, ggr_minor - house
