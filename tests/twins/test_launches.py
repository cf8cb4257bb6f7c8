"""Launches: a session for each signature, whatever is repeated and whoever commits at the same time."""

import hashlib
from dataclasses import replace

import pytest
import trio

from actors.facts.records import PageOptions
from actors.facts.transitions import Launched, Rejected
from tests.helpers import books
from tests.helpers.books import NOON_MS


async def test_a_launch_stores_a_session(world, owner):
    operator = await world.add_operator()
    created = books.new_session(operator)
    answer = await world.commit(created)
    assert answer == Launched(created.session_id, created.expires_at_ms, created.sealed_token, replayed=False)
    opened = await books.opened(world.ledger, created, owner)
    record = opened.session
    for name in ("operator_id", "session_id", "operator_player_id", "currency", "balance_minor"):
        assert getattr(record, name) == getattr(created, name)
    assert (record.created_at_ms, record.expires_at_ms) == (created.created_at_ms, created.expires_at_ms)
    assert record.next == books.new_round(created).commitment
    assert (opened.live_round, opened.outbox) == (None, ())


@pytest.mark.parametrize(
    "page",
    [
        PageOptions(),
        PageOptions(lang="pt-BR", reality_check_minutes=1_440, lobby_url="https://casino.example/?a=\"<&>'#b"),
        PageOptions(lang="aa-12345678-12345678-12345678-12345", reality_check_minutes=1),
    ],
)
async def test_what_a_launch_asks_of_the_page_stays_with_the_session(world, owner, other, page):
    created = await world.owned(owner, page=page)
    assert (await world.frame(created)).page == page
    live = await world.fly(owner, created)
    await world.commit(books.cash_out(owner, live))
    await world.commit(books.change_client_seed(owner, created, "another"))
    frame = await world.frame(created)
    assert (frame.operator_id, frame.expires_at_ms, frame.page) == (created.operator_id, created.expires_at_ms, page)


async def test_launches_of_one_group_keep_their_own_pages(world):
    operator = await world.add_operator()
    pages = [PageOptions(lang="de"), PageOptions(), PageOptions(reality_check_minutes=60)]
    launches = [books.new_session(operator, number, page=page) for number, page in enumerate(pages)]
    await world.ledger.commit(launches)
    assert [(await world.frame(created)).page for created in launches] == pages


async def test_a_repeated_launch_changes_nothing_of_the_first_page(world):
    created = books.new_session(await world.add_operator(), page=PageOptions(lang="de"))
    await world.commit(created)
    again = replace(created, session_id=books.identifier("again"), page=PageOptions(lang="fr"))
    assert (await world.commit(again)).replayed is True
    assert (await world.frame(created)).page == PageOptions(lang="de")


async def test_a_launch_whose_answer_was_lost_gets_the_same_answer(world):
    created = books.new_session(await world.add_operator())
    assert await world.commit(created) == await world.commit(created)


async def test_a_seen_signature_gets_the_first_session(world, owner):
    operator = await world.add_operator()
    first, second = books.new_session(operator, 1), books.new_session(operator, 2)
    second = replace(second, signature_digest=first.signature_digest)
    await world.commit(first)
    assert await world.commit(second) == Launched(
        first.session_id, first.expires_at_ms, first.sealed_token, replayed=True
    )
    digest, seed = second.token_digest, second.server_seed
    assert await world.ledger.open_session(digest, owner, books.LEASE_MS, NOON_MS, seed) is None


async def test_signatures_of_different_operators_are_different(world):
    signature = hashlib.sha256(b"the same").digest()
    answers = [
        await world.commit(books.new_session(await world.add_operator(), signature_digest=signature)) for _ in range(2)
    ]
    assert [answer.replayed for answer in answers] == [False, False]


async def test_one_group_with_one_signature_makes_one_session(world):
    operator = await world.add_operator()
    launches = [books.new_session(operator, name, signature_digest=b"s" * 32) for name in range(3)]
    other = books.new_session(operator, "other")
    answers = await world.ledger.commit([launches[2], other, launches[0], launches[1]])
    winner = launches[2]
    replay = Launched(winner.session_id, winner.expires_at_ms, winner.sealed_token, replayed=True)
    assert answers[0] == replace(replay, replayed=False)
    assert (answers[1].session_id, answers[1].replayed) == (other.session_id, False)
    assert answers[2:] == [replay, replay]


async def test_of_launches_at_the_same_moment_one_wins(world, owner):
    operator = await world.add_operator()
    launches = [books.new_session(operator, name, signature_digest=b"s" * 32) for name in range(8)]
    answers = []

    async def launch(created):
        answers.append(await world.commit(created))

    async with trio.open_nursery() as nursery:
        for created in launches:
            nursery.start_soon(launch, created)
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 7
    (session_id,) = {answer.session_id for answer in answers}
    assert {answer.sealed_token for answer in answers} == {b"sealed" + session_id.bytes}
    stored = [
        await world.ledger.open_session(each.token_digest, owner, books.LEASE_MS, NOON_MS, each.server_seed)
        for each in launches
    ]
    assert [opened.session.session_id for opened in stored if opened is not None] == [session_id]


async def test_an_old_signature_is_forgotten_by_a_later_launch_of_another(world):
    operator = await world.add_operator()
    old = books.new_session(operator, 1, replay_until_ms=NOON_MS + 1_000)
    again = books.new_session(
        operator, 2, signature_digest=old.signature_digest, created_at_ms=NOON_MS + 1_001, sealed_token=b"again"
    )
    await world.commit(old)
    answer = await world.commit(again)
    assert (answer.session_id, answer.replayed) == (old.session_id, True), "not forgotten yet: still the first answer"
    await world.commit(books.new_session(operator, 3, created_at_ms=NOON_MS + 1_001))
    assert (await world.commit(replace(again, session_id=books.identifier("third")))).replayed is False


async def test_a_signature_is_kept_until_its_time(world):
    operator = await world.add_operator()
    old = books.new_session(operator, 1, replay_until_ms=NOON_MS + 1_000)
    await world.commit(old)
    await world.commit(books.new_session(operator, 2, created_at_ms=NOON_MS + 1_000))
    again = books.new_session(operator, 3, signature_digest=old.signature_digest, created_at_ms=NOON_MS + 1_000)
    assert (await world.commit(again)).session_id == old.session_id


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
@pytest.mark.parametrize(
    "wrong",
    [
        {"balance_minor": -1},
        {"expires_at_ms": NOON_MS},
        {"token_digest": b"short"},
        {"client_seed": "not a seed"},
        {"page": PageOptions(lang="a language")},
        {"page": PageOptions(lang="aa-12345678-12345678-12345678-123456")},
        {"page": PageOptions(reality_check_minutes=0)},
        {"page": PageOptions(reality_check_minutes=1_441)},
        {"page": PageOptions(lobby_url="")},
        {"page": PageOptions(lobby_url="https://casino.example/" + "a" * 2_026)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_session_that_can_not_be_is_refused_and_its_signature_stays_free(world, wrong):
    operator = await world.add_operator()
    assert await world.commit(books.new_session(operator, **wrong)) == Rejected()
    assert (await world.commit(books.new_session(operator))).replayed is False


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_a_session_is_created_once(world):
    operator = await world.add_operator()
    first = books.new_session(operator)
    await world.commit(first)
    assert await world.commit(replace(first, signature_digest=b"t" * 32, balance_minor=1)) == Rejected()
