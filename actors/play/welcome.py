"""A session's first frame: it has all that a page needs to show the truth, whether it is new or back from a lost
connection."""

from collections.abc import Callable, Sequence
from uuid import UUID

from actors.facts.frames_out import (
    PROTOCOL_VERSION,
    DiscardedPromise,
    FlyingRound,
    Growth,
    Limits,
    PastRound,
    Promise,
    Totals,
    WelcomeOut,
)
from actors.facts.records import FinishedRound, SessionRecord
from actors.play.betting import Betting
from actors.play.judging import BetTerms
from actors.play.purse import Purse
from actors.rules.money import multiplier_number
from actors.shared.messages import Attach
from actors.shared.services import Services


def with_newest(
    newest: FinishedRound | None,
    stored: Sequence[FinishedRound] | None,
    history_max: int,
    flies: Callable[[UUID], bool],
) -> Sequence[FinishedRound] | None:
    """A welcome's history, whose reading may have missed the round that has just ended; ``None``: it has none.

    A round that still ``flies`` for its player is left out: its end is stored, and will be told as one. It would be
    over and under way at once, with its seed revealed.
    """
    stored = stored and [past for past in stored if not flies(past.round_id)]
    if stored is None or newest is None or any(newest.round_id == finished.round_id for finished in stored):
        return stored
    return [newest, *stored][:history_max]


def welcome(
    services: Services, attach: Attach, *, session: SessionRecord, terms: BetTerms, purse: Purse, betting: Betting
) -> WelcomeOut:
    """The frame that answers ``hello``. Where it wants no history it has no such field."""
    flying, discarded = betting.flying, betting.discarded
    history = with_newest(betting.last, attach.history, attach.history_max, betting.flies)
    return WelcomeOut(
        id=attach.frame_id,
        protocol=PROTOCOL_VERSION,
        session_id=session.session_id,
        player=session.operator_player_id,
        currency=session.currency,
        balance_minor=purse.balance_minor,
        pending_minor=purse.pending_minor,
        limits=Limits.of(terms.limits, terms.operator.max_win_multiplier),
        rtp_target=multiplier_number(terms.operator.rtp_bps),
        growth=Growth(rate_per_ms=float(services.settings.growth_rate_per_ms)),
        tick_ms=services.settings.tick_ms,
        next=Promise.of(betting.promised),
        discarded=None if discarded is None else DiscardedPromise.of(discarded),
        round=None if flying is None else FlyingRound.of(flying.live, flying.balance_minor),
        history=None if history is None else [PastRound.of(finished) for finished in history],
        totals=Totals.of(session, purse.totals),
        server_time=services.clock.shared_ms(),
        expires_at=session.expires_at_ms,
    )
