"""The twin and PostgreSQL side by side: one random story, told to both, gets the same answers and the same books."""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from actors.facts.records import CallKind, CallStatus, SessionRequest
from actors.facts.transitions import Launched
from actors.ports.nodes import Pulse
from actors.ports.sessions import SessionElsewhereError
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS
from tests.helpers.ledger_worlds import MemoryWorld, PostgresWorld
from tests.helpers.memory_ledger import MemoryLedger

STEPS = 200
SESSIONS_MAX = 5


@dataclass
class Story:
    """Invents what happens next. It looks at the twin to be sensible most of the time; often it is not."""

    random: Random
    operators: list
    twin: MemoryLedger
    now_ms: int = NOON_MS

    def __post_init__(self):
        self.owners, self.sessions, self.rounds, self.done = [], [], [], []

    def transition(self):
        if self.done and self.random.random() < 0.1:
            return self.random.choice(self.done)
        makers = [self.launch] + [self.bet] * 5
        if self.rounds:
            makers += [self.start] * 4 + [self.end] * 5 + [self.fact] * 5
        makers += [self.client_seed] if self.sessions else []
        made = self.random.choice(makers)()
        self.done.append(made)
        return made

    def owner(self, likely=None):
        if likely is not None and self.random.random() < 0.85:
            return likely
        return self.owners[-1] if self.random.random() < 0.8 else self.random.choice(self.owners)

    def session(self):
        """Usually one that somebody has opened."""
        opened = [each for each in self.sessions if self.twin.sessions[each.session_id].owner]
        return self.random.choice(opened if opened and self.random.random() < 0.9 else self.sessions)

    def live(self):
        """Usually a live round, and who owns it."""
        stored = [each for each in self.twin.rounds.values() if each.finished is None]
        if stored and self.random.random() < 0.8:
            chosen = self.random.choice(stored)
            return chosen.live, self.owner(chosen.owner)
        return self.random.choice(self.rounds), self.owner()

    def launch(self):
        old = self.random.choice(self.sessions) if self.sessions else None
        again = old is not None and (len(self.sessions) >= SESSIONS_MAX or self.random.random() < 0.2)
        operators = [each for each in self.operators if not again or each.operator_id == old.operator_id]
        created = books.new_session(
            self.random.choice(operators),
            (len(self.sessions), self.random.randrange(3)),
            created_at_ms=self.now_ms,
            expires_at_ms=self.now_ms + self.random.choice([60_000, books.HOUR_MS]),
            operator_player_id=self.random.choice(["player-1", "player-2"]),
            replay_until_ms=self.now_ms + books.HOUR_MS,
        )
        if again:
            return replace(created, signature_digest=old.signature_digest)
        self.sessions.append(created)
        return created

    def bet(self):
        stored = [each for each in self.sessions if each.session_id in self.twin.sessions]
        if not stored:
            return self.launch()
        self.sessions = stored
        created = self.session()
        session = self.twin.sessions[created.session_id]
        nonce = session.record.next.nonce + self.random.choices([0, 1, -1], [10, 1, 1])[0] or 1
        live = books.new_round(
            created,
            nonce,
            round_id=books.identifier(created, nonce, self.random.randrange(3)),
            created_at_ms=self.now_ms,
            amount_minor=self.random.randrange(1, 500),
        )
        self.rounds.append(live)
        return books.place(self.owner(session.owner), live)

    def start(self):
        live, owner = self.live()
        return books.start(owner, live, self.now_ms, self.random.randrange(20_000))

    def end(self):
        live, owner = self.live()
        live = books.flying(live)
        betting = live.round_id in self.twin.rounds and self.twin.rounds[live.round_id].live.started_at_ms is None
        if betting and self.random.random() < 0.8:
            status = self.random.choice([CallStatus.DECLINED, CallStatus.UNKNOWN])
            return books.void(owner, live, status, self.now_ms)
        made = self.random.choice(
            [
                lambda: books.cash_out(owner, live, self.random.randrange(98, 201), self.now_ms),
                lambda: books.cash_out(owner, live, self.random.randrange(101, 201), self.now_ms),
                lambda: books.crash(owner, live, self.now_ms),
                lambda: books.refund(owner, live, self.now_ms),
            ]
        )()
        return books.changed(made, server_seed="ab" * 32) if self.random.random() < 0.05 else made

    def fact(self):
        pending = [each.call for each in self.twin.calls.values() if each.status is CallStatus.PENDING]
        known = [live for live in self.rounds if any(live.round_id == call.round_id for call in pending)]
        live, kind = (
            self.random.choice(known or self.rounds),
            self.random.choice([*CallKind, CallKind.WIN, CallKind.WIN]),
        )
        if self.random.random() < 0.7:
            return books.acknowledge(live, kind, self.random.randrange(-1_000, 20_000), self.random.randrange(1, 9))
        parked = self.random.random() < 0.3
        owner = self.owner()
        return books.postpone(live, kind, owner=owner, attempts=self.random.randrange(1, 9), parked=parked)

    def client_seed(self):
        return books.change_client_seed(self.owner(), self.random.choice(self.sessions), books.CLIENT_SEED)

    def step(self):
        """A function of a ledger, the same for both."""
        self.now_ms += self.random.randrange(4_000)
        now_ms = self.now_ms
        if not self.owners or self.random.random() < 0.03:
            name = self.random.choice(["node-a", "node-b"])
            return lambda ledger: ledger.register_node(name, now_ms)
        owner = self.owner()
        if self.random.random() < 0.55:
            group = [self.transition() for _ in range(self.random.choice([1, 1, 2, 4, 8]))]
            return lambda ledger: ledger.commit(group)
        session = self.random.choice(self.sessions) if self.sessions else None
        before = self.random.choice([None, *(live.round_id for live in self.rounds)])
        player, limit = self.random.choice(["player-1", "player-2"]), self.random.randrange(1, 6)
        operator_id = self.random.choice(self.operators).operator_id
        quotas = {operator.operator_id: self.random.randrange(1, 4) for operator in self.operators}
        choices = [lambda ledger: ledger.heartbeat(owner, now_ms)] * 3
        choices += [lambda ledger: ledger.history(operator_id, player, before, limit)]
        choices += [lambda ledger: ledger.take_orphans(owner, LEASE_MS, now_ms, limit)]
        choices += [lambda ledger: ledger.claim_calls(owner, quotas, now_ms, 20_000)] * 2
        choices += [lambda ledger: ledger.release_claims(owner, LEASE_MS, now_ms, 1_000)]
        choices += [lambda ledger: ledger.own_live_rounds(owner, now_ms - 2_000, limit)]
        claimed = [key for key, each in self.twin.calls.items() if each.claimed_by is not None]
        in_flight = sorted(key for key in claimed if self.random.random() < 0.4)
        claimer = self.owner(self.twin.calls[self.random.choice(claimed)].claimed_by if claimed else None)
        choices += [lambda ledger: ledger.give_up_claims(claimer, in_flight, now_ms)] * 2
        choices += [lambda ledger: ledger.outbox_counts()]
        if session is not None:
            seed = self.promise(session)
            choices += [lambda ledger: ledger.open_session(session.token_digest, owner, LEASE_MS, now_ms, seed)] * 5
            choices += [lambda ledger: ledger.outbox_of(session.operator_id, session.session_id)]
            choices += self.handovers(session, owner, now_ms)
        return self.random.choice(choices)

    def promise(self, session):
        """What an opening draws: mostly what the story's bets are on."""
        known = self.twin.sessions.get(session.session_id)
        nonce = 1 if known is None else known.record.next.nonce
        return books.seed(session.session_id, nonce + 1_000 if self.random.random() < 0.1 else nonce)

    def handovers(self, session, owner, now_ms):
        """Asking for a session, withdrawing, giving, taking up: by anybody, in any order."""
        request = SessionRequest(
            operator_id=session.operator_id,
            session_id=session.session_id,
            token_digest=session.token_digest,
            asker=self.owner(),
            asked_at_ms=now_ms,
        )
        giver, asker = self.twin.sessions[session.session_id].owner or owner, request.asker
        known = [each for each in self.twin.requests.values() if each.session_id == session.session_id]
        wanted = self.random.choice([*known, request])
        return [
            *[lambda ledger: ledger.request_session(session.token_digest, asker, now_ms)] * 2,
            lambda ledger: ledger.withdraw_request(session.token_digest, asker),
            lambda ledger: ledger.session_requests(owner, LEASE_MS, now_ms, 12_000),
            *[lambda ledger: ledger.move_session(giver, wanted, LEASE_MS, now_ms)] * 3,
            lambda ledger: ledger.move_session(owner, request, LEASE_MS, now_ms),
            lambda ledger: ledger.end_request(wanted),
            lambda ledger: ledger.has_company(owner, LEASE_MS, now_ms),
        ]


async def told(step, ledger):
    try:
        answer = await step(ledger)
    except SessionElsewhereError:
        return "elsewhere"
    # The id of its history is each database's own.
    return replace(answer, lineage=replace(answer.lineage, history_id="")) if isinstance(answer, Pulse) else answer


async def books_of(world, story):
    """Everything that can be read."""
    sessions = []
    for created in story.sessions:
        session = await world.ledger.open_session(
            created.token_digest, story.owners[-1], 1, story.now_ms + 10**6, books.seed(created.session_id, 999)
        )
        sessions.append((session, await world.ledger.outbox_of(created.operator_id, created.session_id)))
    rounds = []
    for live in story.rounds:
        key = (live.operator_id, live.round_id)
        is_live, finished = await world.ledger.live_round(*key), await world.ledger.finished_round(*key)
        calls = await world.call_states(live) if is_live or finished else None
        rounds.append((is_live, finished, calls))
    return sessions, rounds


@pytest.mark.parametrize("number", range(5))
async def test_a_random_story_has_one_ending(emptied_database_url, number):
    async with open_database(emptied_database_url, Path()) as database:
        real, twin = PostgresWorld(database, Vault(bytes(32))), MemoryWorld(MemoryLedger())
        ids = [books.identifier("operator", each) for each in range(2)]
        operators = [await real.add_operator(each) for each in ids]
        assert operators == [await twin.add_operator(each) for each in ids]
        story, kinds = Story(Random(number), operators, twin.ledger.real), set()
        for count in range(STEPS):
            step = story.step()
            answer = await told(step, real.ledger)
            if hasattr(answer, "epoch"):
                twin.ledger.real.epochs_drawn = answer.epoch - 1
            expected = await told(step, twin.ledger)
            assert answer == expected, f"story {number}, step {count}"
            if hasattr(answer, "epoch"):
                story.owners.append(answer)
            kinds |= {type(each) for each in answer} if isinstance(answer, list) else set()
        assert await books_of(real, story) == await books_of(twin, story)
        assert Launched in kinds and len(kinds) >= 4, "the story had something to tell"
        ended = [live for live in story.rounds if await real.ledger.finished_round(live.operator_id, live.round_id)]
        assert len(ended) >= 1
