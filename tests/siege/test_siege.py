"""A short siege. What is asserted depends on no speed: nobody honest is cut, memory is bounded, refusals are told."""

import pytest

from tests.siege.siege import besieged

SECONDS = 3
PLAYERS = 6
MEMORY_KIB_MAX = 500_000


@pytest.fixture(scope="module")
def siege():
    with besieged() as siege:
        yield siege


@pytest.mark.parametrize(
    "attacks",
    [
        ["unread_history", "void_rounds", "drips"],
        ["idle_connections", "wrong_pages"],
        ["early_pings", "pings", "fragments", "wrong_hellos"],
    ],
    ids=" and ".join,
)
def test_honest_players_play_on_and_operators_launch(siege, attacks):
    phase = siege.phase(attacks, SECONDS, PLAYERS)
    assert phase.lost == 0, phase.troubles
    assert phase.pings and phase.cashouts and phase.launches
    assert not any(trouble.startswith("error: ") for trouble in phase.troubles), phase.troubles
    assert phase.memory_kib < MEMORY_KIB_MAX
    assert siege.server.errors() == []


def test_what_was_refused_is_counted(siege):
    ended = siege.counted("getaway_player_sockets_ended_total", "end")
    assert ended["control"] > 0 and ended["fragments"] > 0
    assert siege.counted("getaway_connections_gave_way_total", None)[""] > 0
    void = siege.counted("getaway_operator_rounds_total", "status")["void"]
    assert 0 < void < 2_000, "an operator has 200 void rounds at once and 20 a second"
