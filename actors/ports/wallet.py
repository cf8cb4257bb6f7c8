"""One signed call to an operator's wallet, and what its answer means."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from actors.facts.records import Operator, WalletCall
from actors.rules.call_fates import Fate, merged


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The call has had its effect: 200 with ``ok: true``, or a win or refund that is ``already_booked``.

    ``balance_minor`` is ``None`` if the answer did not say it in a way that can be read, which only the answer to a win
    or refund may. ``sends``: see the gateway.
    """

    balance_minor: int | None
    sends: int = 1
    fate: ClassVar[Fate] = Fate.ACKNOWLEDGED


@dataclass(frozen=True, slots=True)
class Declined:
    """A plain refusal: another 4xx, or 200 with ``ok: false``. The call certainly had no effect.

    ``retry_after_ms``: so long the wallet asks to be left alone (its ``Retry-After``).
    """

    detail: str
    sends: int = 1
    retry_after_ms: int | None = None
    fate: ClassVar[Fate] = Fate.REFUSED


@dataclass(frozen=True, slots=True)
class Unclear:
    """Unknown whether the call had its effect: no answer in time, a lost connection, 408, 425, 429, 5xx, garbage.

    ``retry_after_ms``: see ``Declined``.
    """

    detail: str
    sends: int = 1
    retry_after_ms: int | None = None
    fate: ClassVar[Fate] = Fate.UNKNOWN


@dataclass(frozen=True, slots=True)
class NotSent:
    """The call never left this process, so it certainly had no effect.

    ``is_unreachable``: because there was no connection to the wallet; otherwise the reason lies with us.
    """

    detail: str
    is_unreachable: bool = False
    sends: ClassVar[int] = 0
    retry_after_ms: ClassVar[int | None] = None
    fate: ClassVar[Fate] = Fate.NEVER_LEFT


WalletAnswer = Acknowledged | Declined | Unclear | NotSent


def answer_of_all(sendings: Sequence[WalletAnswer]) -> WalletAnswer:
    """What all sendings of one call come to, the last one's words where several say the same.

    An answer to one of them is not the call's: see ``merged``.
    """
    fate, last = merged(sending.fate for sending in sendings), sendings[-1]
    telling = [sending for sending in sendings if sending.fate is fate][-1]
    if isinstance(telling, NotSent):
        return telling
    sends = sum(sending.sends for sending in sendings)
    if isinstance(telling, Unclear) and isinstance(last, Declined | NotSent):
        return Unclear(f"{telling.detail}; sent again: {last.detail}", sends, last.retry_after_ms)
    return replace(telling, sends=sends)


class WalletGateway(Protocol):
    """One attempt at a signed call to an operator's wallet.

    A connection that was kept from an earlier call may be closed just as the next one goes out. Then the same bytes are
    sent once more on a new one, within what is left of the time. The answer is what all sendings come to
    (``answer_of_all``); its ``sends`` are those that may have reached the wallet.
    """

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        """Sign the frozen body with a fresh timestamp, send it, classify the answer. It ends within ``timeout_ms``, for
        which nobody else looks, and never raises but for cancellation; ``detail`` is short, printable and free of
        secrets and player ids."""
