"""Bugs of what follows a restore: what is given back twice, or not at all, and who goes on as if nothing was lost."""

from dataclasses import replace

from actors.facts.records import CallKind
from server.books import restoring
from tests.helpers.memory_ledger import MemoryLedger
from tests.worlds.planting import Bugs

BUGS = Bugs()


@BUGS.named("who has not noticed that the history was cut ends orphans of it")
def _orphans_of_the_past():
    return [(MemoryLedger, "_is_whole", lambda self, owner, written_ms: True)]


@BUGS.named("a restore refunds what the operator has paid")
def _booked_ends_ignored():
    return [(restoring, "_booked_end", lambda live, calls: [])]


@BUGS.named("a restore forgets the bets that only the operator knows")
def _lost_bets_forgotten():
    real = restoring._of_lost

    def forget(round_id, calls, since_ms):
        found = real(round_id, calls, since_ms)
        return None if isinstance(found, restoring.LostBet) else found

    return [(restoring, "_of_lost", forget)]


@BUGS.named("a restore refunds a forgotten bet whose win is booked")
def _wins_forgotten():
    real = restoring._of_lost

    def forget(round_id, calls, since_ms):
        return real(round_id, {kind: row for kind, row in calls.items() if kind != CallKind.WIN}, since_ms)

    return [(restoring, "_of_lost", forget)]


@BUGS.named("a restore ends a round with another win than was booked")
def _another_win():
    real = restoring._booked_end

    def smallest(end):
        paid_minor = end.live.amount_minor * 101 // 100
        return end.settlement and replace(end.settlement, realized_hundredths=101, payout_minor=paid_minor)

    def another(live, calls):
        return [replace(end, settlement=smallest(end)) for end in real(live, calls)]

    return [(restoring, "_booked_end", another)]
