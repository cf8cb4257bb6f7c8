"""A session's first frame and its last: the welcome has all that a page needs to show the truth, whether it is new or
back from a lost connection."""

from collections.abc import Callable, Sequence
from uuid import UUID

from actors.facts.protocol import (
    PROTOCOL_VERSION,
    discarded_fields,
    encode,
    history_fields,
    limits_fields,
    next_fields,
    round_fields,
    session_ended_frame,
    totals_fields,
)
from actors.facts.records import Commitment, FinishedRound, SessionRecord, SessionTotals
from actors.play.bets import Table
from actors.ports.sink import PlayerSink
from actors.rules.money import multiplier_number
from actors.shared.messages import RoundFlies
from actors.shared.services import Services


def end_socket(sink: PlayerSink, reason: str) -> None:
    """Tell a page why there is no more, and close."""
    sink.send(session_ended_frame(reason))
    sink.close()


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


def welcome_frame(
    services: Services,
    frame_id: str | None,
    *,
    session: SessionRecord,
    table: Table,
    balance_minor: int,
    pending_minor: int,
    promised: Commitment,
    discarded: Commitment | None,
    flying: RoundFlies | None,
    history: Sequence[FinishedRound] | None,
    totals: SessionTotals,
) -> bytes:
    """The frame that answers ``hello``. ``flying`` is the live round; without ``history`` it has no such field.

    ``discarded`` is revealed: nobody plays it.
    """
    live_round = None
    if flying is not None:
        assert flying.live.started_at_ms is not None
        live_round = round_fields(flying.live, flying.live.started_at_ms, flying.balance_minor)
    return encode(
        "welcome",
        frame_id,
        protocol=PROTOCOL_VERSION,
        session_id=str(session.session_id),
        player=session.operator_player_id,
        currency=session.currency,
        balance_minor=balance_minor,
        pending_minor=pending_minor,
        limits=limits_fields(table.limits, table.operator.max_win_multiplier),
        rtp_target=multiplier_number(table.operator.rtp_bps),
        growth={"rate_per_ms": float(services.settings.growth_rate_per_ms)},
        tick_ms=services.settings.tick_ms,
        next=next_fields(promised),
        **({} if discarded is None else {"discarded": discarded_fields(discarded)}),
        round=live_round,
        **({} if history is None else {"history": history_fields(history)}),
        totals=totals_fields(session, totals),
        server_time=services.clock.shared_ms(),
        expires_at=session.expires_at_ms,
    )
