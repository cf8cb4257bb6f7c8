"""What became of a wallet call: one fate out of those of all its sendings. (Contract, section 6.2.)

A call may go out more than once: on a new connection after a kept one had ended, or again later. An answer to one
sending says nothing of the others: a wallet that debits, loses the connection and refuses the repetition *has* debited.
"""

from collections.abc import Iterable
from enum import IntEnum


class Fate(IntEnum):
    """What is known of one sending, or of all sendings of a call. The larger one outweighs the smaller."""

    NEVER_LEFT = 0
    """Nothing left this process: it certainly had no effect."""
    REFUSED = 1
    """The wallet refused it plainly: it had no effect."""
    UNKNOWN = 2
    """It may have had its effect."""
    ACKNOWLEDGED = 3
    """It has had its effect; a call has it once, however often it is sent."""


def merged(fates: Iterable[Fate]) -> Fate:
    """The fate of a call whose sendings had ``fates``, in whatever order they had them.

    Acknowledged if any sending was; otherwise unknown if the fate of any is: unknown is absorbing. Refused only if
    every sending was plainly refused or never left.
    """
    return max(fates, default=Fate.NEVER_LEFT)
