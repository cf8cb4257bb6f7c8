"""Bugs of hand-overs: what moves too early, what is left behind, and who may move it."""

from types import SimpleNamespace
from unittest import mock

from actors.facts.records import RoundStatus
from actors.play.live_rounds import LiveRounds
from actors.play.round import RoundActor
from actors.play.session_handover import Giving
from tests.helpers.memory_ledger import MemoryLedger
from tests.worlds.planting import Bugs

BUGS = Bugs()


@BUGS.named("the move of a session is not fenced")
def _move_unfenced():
    real = MemoryLedger._move

    def move(self, owner, request, lease_ms, now_ms):
        self.requests.setdefault((request.session_id, request.asker), request)
        return real(self, self.sessions[request.session_id].owner, request, lease_ms, now_ms)

    return [(MemoryLedger, "_move", move)]


@BUGS.named("a session moves before its cash-outs are decided")
def _not_waited_for():
    real = Giving._let_go

    async def let_go(self, digest, session_id):
        self._rounds, rounds = SimpleNamespace(of=lambda _session_id: None), self._rounds
        try:
            await real(self, digest, session_id)
        finally:
            self._rounds = rounds

    return [(Giving, "_let_go", let_go)]


@BUGS.named("a flight that arrives is interrupted")
def _interrupted_on_arrival():
    return [(LiveRounds, "fly_on", lambda self, opened: None)]


@BUGS.named("a flight stays behind when its session moves")
def _flight_left_behind():
    real = MemoryLedger._move

    def move(self, owner, request, lease_ms, now_ms):
        before = {key: stored.owner for key, stored in self.rounds.items()}
        moved = real(self, owner, request, lease_ms, now_ms)
        for key, stored in self.rounds.items():
            stored.owner = before[key]
        return moved

    return [(MemoryLedger, "_move", move)]


@BUGS.named("a flight starts anew where it arrives")
def _starts_anew():
    real = RoundActor._takeoff

    def takeoff(self, live, began_ms, balance_minor):
        if self.placed.status is RoundStatus.FLYING:
            began_ms = self._services.metronome.next_beat_ms()
        return real(self, live, began_ms, balance_minor)

    return [(RoundActor, "_takeoff", takeoff)]


@BUGS.named("a session is given to the dead")
def _given_to_the_dead():
    real = MemoryLedger._move

    def move(self, owner, request, lease_ms, now_ms):
        with mock.patch.object(MemoryLedger, "_is_alive", lambda *_: True):
            return real(self, owner, request, lease_ms, now_ms)

    return [(MemoryLedger, "_move", move)]
