"""Bugs of promises: what is shown is not what is played, or is shown again after it was revealed."""

from dataclasses import replace

from actors.facts.frames_out import RoundEndedOut
from actors.facts.records import Commitment
from actors.play import betting, judging
from actors.rules import fairness
from actors.shared.contact import LedgerContact
from actors.shared.flights import FlightMemory
from tests.helpers.memory_ledger import MemoryLedger
from tests.worlds.planting import Bugs

BUGS = Bugs()

# A database that goes back.


@BUGS.named("an opening continues the promise that it finds")
def _no_new_draw():
    real = MemoryLedger.open_session

    async def open_session(self, token_digest, owner, *rest):
        found = [each for each in self.sessions.values() if each.token_digest == token_digest]
        opened = await real(self, token_digest, owner, *rest[:-1], found[0].record.next.server_seed if found else "")
        return opened and replace(opened, discarded=None)

    return [(MemoryLedger, "open_session", open_session)]


@BUGS.named("epochs go back with the database")
def _epochs_repeat():
    real = MemoryLedger.go_back

    def go_back(self, backup):
        real(self, backup)
        self.epochs_drawn = max((owner.epoch for owner in self.heartbeats_ms), default=0)

    return [(MemoryLedger, "go_back", go_back)]


@BUGS.named("a flight flies on because its row says so")
def _rows_are_believed():
    return [(FlightMemory, "contradicts", lambda self, live: False)]


# Promise against play.


def _plays_another(promised: Commitment) -> Commitment:
    server_seed = fairness.commitment(promised.server_seed)
    return replace(promised, server_seed=server_seed, server_seed_hash=fairness.commitment(server_seed))


@BUGS.named("the house draws the server seed after it has seen the bet")
def _drawn_late():
    new_round, place = judging.new_round, MemoryLedger._place_bet

    def drawn_late(services, record, promised, bet, terms):
        return new_round(services, record, _plays_another(promised), bet, terms)

    def unchecked(self, bet):
        stored = self.sessions[bet.round.session_id]
        if stored.owner == bet.owner and bet.round.round_id not in self.rounds:
            stored.record = replace(stored.record, next=bet.round.commitment)
        return place(self, bet)

    return [(betting, "new_round", drawn_late), (MemoryLedger, "_place_bet", unchecked)]


@BUGS.named("the client seed that comes with a bet is not played")
def _own_seed_ignored():
    real = judging.new_round

    def ignores(services, record, promised, bet, terms):
        return real(services, record, promised, replace(bet, client_seed=None), terms)

    return [(betting, "new_round", ignores)]


@BUGS.named("bets are taken although the history was cut")
def _cut_ignored():
    def forgets(self, name, value):
        object.__setattr__(self, name, False if name == "is_cut" else value)

    return [(LedgerContact, "__setattr__", forgets)]


@BUGS.named("a client seed is confirmed and not played")
def _confirmed_only():
    real = judging.new_round

    def stale(services, record, promised, bet, terms):
        return real(services, record, replace(promised, client_seed=record.next.client_seed), bet, terms)

    return [(betting, "new_round", stale)]


@BUGS.named("the round's own promise is shown as the next one")
def _shown_again():
    real = RoundEndedOut.after

    def shown_again(finished, frame_id, *, promised, **now):
        played = replace(
            promised, server_seed_hash=finished.server_seed_hash, nonce=finished.nonce, client_seed=finished.client_seed
        )
        return real(finished, frame_id, promised=played, **now)

    return [(RoundEndedOut, "after", shown_again)]


@BUGS.named("a client seed is taken while the news of a bet is awaited")
def _seed_amid_a_bet():
    return [(betting.Betting, "_takes_client_seed", True)]
