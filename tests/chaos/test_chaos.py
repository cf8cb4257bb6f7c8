"""The short form of ``make chaos``: some kills of each kind, on real processes; the books are compared after each."""

import random

from tests.chaos.disasters import kill_postgres, silence_a_node
from tests.chaos.kills import kill_at
from tests.chaos.points import POINTS, TRANSITIONS
from tests.chaos.world import open_world

KILLS = (
    "commit.PlaceBet.after",
    "send.bet.written",
    "commit.StartRound.inside",
    "commit.SettleRound.after",
    "send.win.after",
    "commit.RefundRound.after",
    "drain.interrupt.after",
    "migrate.inside",
)


async def test_no_money_is_lost_by_kills(tmp_path):
    async with open_world(tmp_path) as world:
        for repetition, name in enumerate(KILLS):
            await kill_at(world, name, repetition)
        await kill_postgres(world, 1, random.Random(1))
        await silence_a_node(world)
        assert world.figures.kills == dict.fromkeys((*KILLS, "postgres", "silence"), 1)
        assert world.figures.interrupted_rounds >= 8


def test_every_transition_has_points():
    import actors.transitions  # noqa: PLC0415

    kinds = {kind.__name__ for kind in actors.transitions.Transition.__args__}
    assert kinds == set(TRANSITIONS)
    assert len(POINTS) >= 40
