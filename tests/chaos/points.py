"""The points at which a server can be killed: their names, and the scenario that leads to each.

A point's last word says where: ``before`` and ``after`` a step, ``inside`` the database's transaction (its statements
are done, its commit is not), ``written`` when the bytes have left the process.
"""

from dataclasses import dataclass

TRANSITIONS = (
    "CreateSession",
    "PlaceBet",
    "StartRound",
    "void",
    "settled",
    "refunded",
    "AcknowledgeCall",
    "PostponeCall",
    "ChangeClientSeed",
)
FRAMES = ("welcome", "bet_pending", "round_started", "round_ended", "balance", "client_seed")
KINDS = ("bet", "win", "refund")


@dataclass(frozen=True)
class Point:
    """``scenario`` reaches it; it is hit at least ``hits_max`` times there, so that any of these hits may be the last.

    ``play``: players bet on a server that is armed from its start. ``recovery``: an armed server starts on the rounds
    and calls that a killed one left. ``drain``: an armed server is told to stop while rounds fly. ``migration``: an
    armed server starts on an empty database.
    """

    name: str
    scenario: str
    hits_max: int = 1


def _all_points():
    for transition in TRANSITIONS:
        in_recovery = transition == "refunded"
        for place in ("before", "inside", "after"):
            scenario, hits_max = ("recovery", 3) if in_recovery else ("play", 5)
            yield Point(f"commit.{transition}.{place}", scenario, hits_max)
    for kind in KINDS:
        for place in ("before", "written", "after"):
            yield Point(f"send.{kind}.{place}", "play", 5)
    for frame in FRAMES:
        for place in ("before", "written"):
            yield Point(f"frame.{frame}.{place}", "play", 5)
    for place in ("before", "inside", "after"):
        yield Point(f"claim_calls.{place}", "play", 4)
    for place in ("before", "after"):
        yield Point(f"hand_over.{place}", "play", 4)
        yield Point(f"heartbeat.{place}", "play", 2)
        yield Point(f"open_session.{place}", "play", 5)
        yield Point(f"register_node.{place}", "recovery")
        yield Point(f"take_orphans.{place}", "recovery")
        yield Point(f"resolve.{place}", "recovery", 4)
        yield Point(f"release_claims.{place}", "recovery")
        yield Point(f"drain.{place}", "drain")
        yield Point(f"drain.interrupt.{place}", "drain", 3)
    yield Point("drain.delivered", "drain")
    yield Point("drain.closing", "drain")
    yield Point("migrate.before", "migration")
    yield Point("migrate.inside", "migration", 2)
    yield Point("migrate.after", "migration")


POINTS = {point.name: point for point in _all_points()}
