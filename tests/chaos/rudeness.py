"""How wallets mistreat calls: each way is what the next sendings of a call meet, one after the other.

None of them lies about money: what is refused for the first time has moved nothing, and what is told to be booked is.
"""

from tests.whole.wallet import Fault

SOON = (("Retry-After", "1"),)
ALREADY_BOOKED = b'{"ok": false, "error": {"code": "already_booked", "message": "seen before"}}'
SECOND_ANSWER = b'HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"ok": false}\n'
DEBITS_AND_REFUSES = "debits, hangs up, refuses the repetition"


def refusing(status, name):
    """It books, hangs up without a byte, and refuses what comes again: at once, if the connection was a kept one."""
    return Fault(drop=True, takes_effect=True, name=f"{name}: the first"), Fault(status=status, name=name)


PLAIN = (
    (Fault(status=500),),
    (Fault(status=500, takes_effect=True),),
    (Fault(drop=True),),
    (Fault(drop=True, takes_effect=True),),
)
BET_RUDENESS = (
    *PLAIN,
    (Fault(status=402),),
    refusing(409, DEBITS_AND_REFUSES),
    refusing(402, "debits, hangs up, and has no money"),
    (Fault(drop=True), Fault(status=409)),
    (Fault(status=429, headers=SOON, name="429 and Retry-After"),),
    (Fault(status=503, headers=SOON, takes_effect=True, name="503 and Retry-After"),),
    (Fault(takes_effect=True, body=b'{"ok": true}', name="a debit without a balance"),),
    (Fault(takes_effect=True, body=b'{"ok": true, "balance_minor": -5}', name="a debit and a balance below 0"),),
    (Fault(takes_effect=True, trailing=SECOND_ANSWER, name="a bet answered twice"),),
)
DELIVERY_RUDENESS = (
    *PLAIN,
    (*refusing(409, "books, hangs up, refuses"), Fault(status=404), Fault(status=400)),
    (
        Fault(status=500, takes_effect=True),
        Fault(status=409, takes_effect=True, body=ALREADY_BOOKED, says_done=True, name="already_booked"),
    ),
    (Fault(status=500, takes_effect=True), Fault(status=409, name="answers twice differently"), Fault(status=403)),
    (Fault(status=429, headers=SOON, name="429 and Retry-After"),),
    (Fault(status=503, headers=SOON, takes_effect=True, name="503 and Retry-After"),),
    (Fault(takes_effect=True, body=b'{"ok": true}', says_done=True, name="done without a balance"),),
    (
        Fault(
            takes_effect=True,
            body=b'{"ok": true, "balance_minor": -500}',
            says_done=True,
            name="done and a balance below 0",
        ),
    ),
    (Fault(takes_effect=True, trailing=SECOND_ANSWER, name="a win or refund answered twice"),),
)
NAMED = frozenset(fault.name for way in (*BET_RUDENESS, *DELIVERY_RUDENESS) for fault in way if fault.name)
