"""Who gets a place, and who gives way: see ``server.edge.listen.admission``."""

import random

import pytest
import trio
from wsproto.frame_protocol import Opcode

from server.config.values import network
from server.edge.listen.admission import GRACE_S, Admission
from server.http.forwarded import address_group, forwarded_for, is_trusted
from tests.helpers.edge_fakes import (
    PATIENCE_S,
    Client,
    open_edge,
    until,
    upgrade_request,
)

LIVE = b"GET /livez HTTP/1.1\r\nHost: game.test\r\n\r\n"


class Place:
    def __init__(self, name):
        self.name = name
        self.is_cut = False

    def cut(self):
        self.is_cut = True


def places(admission, group, count, prefix=""):
    made = [Place(f"{prefix}{group}{number}") for number in range(count)]
    for place in made:
        assert admission.admit(place, group)
    return made


def cut(*groups):
    return [place.name for group in groups for place in group if place.is_cut]


async def test_the_oldest_of_the_address_with_most_gives_way():
    admission = Admission(10, 10)
    many, few = places(admission, "a", 7), places(admission, "b", 3)
    (newcomer,) = places(admission, "c", 1)
    assert cut(many, few) == ["a0"]
    places(admission, "c", 2, "more ")
    assert cut(many, few) == ["a0", "a1", "a2"]
    assert not newcomer.is_cut and admission.taken == 10 and admission.gave_way == 3


async def test_whoever_spoke_last_goes_last():
    admission = Admission(3, 3)
    made = places(admission, "a", 3)
    admission.heard(made[0])
    places(admission, "b", 1)
    assert cut(made) == ["a1"]


async def test_newcomers_of_one_address_do_not_push_out_each_other_at_once(autojump_clock):
    admission = Admission(3, 16)
    made = places(admission, "a", 3)
    assert not admission.admit(Place("early"), "a")
    await trio.sleep(2 * GRACE_S)
    places(admission, "a", 1, "late ")
    assert cut(made) == ["a0"]


async def test_one_address_has_a_part_of_the_places():
    admission = Admission(10, 4)
    made = places(admission, "a", 6)
    assert cut(made) == ["a0", "a1"] and admission.taken == 4
    proxied = places(admission, None, 6)
    assert cut(proxied) == [] and admission.taken == 10


async def test_players_and_signed_calls_stay(autojump_clock):
    admission = Admission(20, 20)
    players, callers, idle = places(admission, "a", 10), places(admission, "b", 2), places(admission, "c", 8)
    for player in players:
        admission.entered(player)
    for caller in callers:
        admission.signed(caller, is_signed=True)
    await trio.sleep(2 * GRACE_S)
    for number in range(8):
        places(admission, f"d{number}", 1)
    assert len(cut(idle)) == 8 and cut(players, callers) == []
    admission.signed(callers[0], is_signed=False)
    assert not admission.is_crowded


async def test_signed_calls_stay_in_number_only(autojump_clock):
    admission = Admission(20, 20)  # two of which are kept
    callers = places(admission, "b", 20)
    for caller in callers:
        admission.signed(caller, is_signed=True)
    await trio.sleep(2 * GRACE_S)
    for number in range(10):
        places(admission, f"c{number}", 1)
    assert [caller.is_cut for caller in callers] == [True] * 10 + [False] * 10


async def test_with_players_alone_the_newest_is_refused():
    admission = Admission(4, 4)
    for player in places(admission, "a", 4):
        admission.entered(player)
    assert not admission.admit(Place("newcomer"), "b")
    assert admission.taken == 4


async def test_players_leave_the_last_places_to_those_who_were_here():
    admission = Admission(20, 20)
    players = places(admission, "a", 18)
    for player in players[:17]:
        admission.entered(player)
    assert not admission.is_crowded
    admission.entered(players[17])
    assert admission.is_crowded
    admission.leave(players[3])
    admission.leave(players[3])
    assert not admission.is_crowded and admission.players == 17


async def test_a_proxys_connection_is_counted_where_its_client_is():
    admission = Admission(100, 2)
    made = places(admission, None, 5)
    for place in made:
        admission.move(place, "a")
    assert len(cut(made)) == 3 and admission.taken == 2


async def test_an_address_with_many_does_not_push_out_one_with_few(autojump_clock):
    admission = Admission(10, 10)
    few = places(admission, "b", 3)
    many = places(admission, "a", 7)
    await trio.sleep(2 * GRACE_S)
    for number in range(50):
        admission.admit(Place(f"a{number}"), "a")
    assert cut(few) == [] and len(cut(many)) == 7


@pytest.mark.parametrize("seed", range(20))
async def test_the_books_of_places_add_up(seed, autojump_clock):
    chance = random.Random(seed)
    admission = Admission(chance.randrange(1, 30), chance.randrange(1, 12))
    here = []
    for _ in range(600):
        what = chance.randrange(7)
        place = chance.choice(here) if here else None
        if what <= 2 or place is None:
            place = Place("x")
            if admission.admit(place, chance.choice([*"abcd", None])):
                here.append(place)
        elif what == 3:
            admission.leave(place)
            here.remove(place)
        elif what == 4:
            admission.signed(place, is_signed=chance.random() < 0.7)
        elif what == 5:
            chance.choice([admission.entered, admission.heard])(place)
        else:
            admission.move(place, chance.choice("abcd"))
        if chance.random() < 0.1:
            await trio.sleep(GRACE_S / 2)
        here = [place for place in here if not place.is_cut]
        assert admission.taken == len(here)
        sizes = [len(members) for members in admission._groups.values()]
        assert admission._largest == max(sizes, default=0) and 0 not in sizes
        assert sum(sizes) + len(admission._signed) + admission.players == len(here)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "", True),
    ],
)
def test_groups_of_addresses(one, other, same):
    assert (address_group(one) == address_group(other)) is same


def test_whom_a_proxy_speaks_for_is_read_from_the_bytes():
    head = b"GET / HTTP/1.1\r\nX-Forwarded-For: a, b\r\nX: X-Forwarded-For: c\r\nx-forwarded-for:d\r\n\r\n"
    assert forwarded_for(head) == ["a, b", "d"]
    loopback = (network("127.0.0.0/8"),)
    assert is_trusted("127.0.0.1", loopback) and not is_trusted("10.0.0.1", loopback)
    assert not is_trusted("127.0.0.1", ()) and not is_trusted("", loopback)


# Over real sockets.


async def test_idle_connections_give_way_to_those_who_want_something():
    """200 idle connections of one address, and everything was refused."""
    async with open_edge(connections_max=200) as world:
        idle = [await world.connect() for _ in range(200)]
        await until(lambda: world.edge.connections_open >= 100)
        await trio.sleep(2 * GRACE_S)
        for _ in range(5):
            assert (await world.get())[0] == 200
        player = await world.player()
        world.lobby.doors[0].sink.send(b"here")
        assert (await player.frame())[1] == "here"
        assert world.observer.refused == 0
        assert idle


async def test_a_players_socket_stays_while_thousands_come():
    async with open_edge(connections_max=40) as world:
        players = [await world.player() for _ in range(5)]
        await world.connect()
        for _ in range(200):
            await world.connect()
        await until(lambda: world.edge.gave_way > 50 or world.observer.refused > 50)
        for number, player in enumerate(players):
            world.lobby.doors[number].sink.send(b"still here")
            assert (await player.frame())[1] == "still here"
        assert world.observer.ends == []


async def test_the_last_places_are_for_players_who_were_here():
    async with open_edge(connections_max=20) as world:
        known = set()
        world.lobby.was_here = lambda hello: hello in known
        for _ in range(18):
            await world.player()
        late = await world.player(hello=False)
        await late.say('{"type":"hello"}')
        texts, code = await late.until_close()
        assert code == 1013 and '"rate_limited"' in texts[0]
        known.add(b'{"type":"hello"}')
        await world.player()


async def test_a_pipeline_waits_for_its_turn_behind_others():
    """A hundred requests at once on each of ten connections do not come before one of another."""
    async with open_edge() as world:
        crowd = [await world.connect() for _ in range(10)]
        for stream in crowd:
            await stream.send_all(LIVE * 100)
        with trio.fail_after(PATIENCE_S):
            assert (await world.get())[0] == 200
        for stream in crowd:
            await stream.aclose()
        assert await world.is_well()


async def test_through_a_trusted_proxy_clients_are_told_apart():
    async with open_edge(trusted_proxies=(network("127.0.0.1/32"),), connections_max=32) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.connect)
        for number in range(20):  # sixteen of them may be of one client
            stream = await world.connect()
            await stream.send_all(upgrade_request(X_Forwarded_For="203.0.113.9"))
            await Client(stream).shake_hands()
            assert number < 20
        await until(lambda: world.edge.connections_open == 17)
        other = await world.player(X_Forwarded_For="203.0.113.10")
        await other.send(Opcode.PING, b"?")
        assert await other.frame() == (Opcode.PONG, b"?")


async def test_what_is_unread_of_answers_is_bounded_for_all():
    async with open_edge(unsent_bytes_total_max=100_000_000, send_timeout_ms=600_000) as world:
        slow = [await world.connect(receive_buffer=4_096) for _ in range(3)]
        for stream in slow:
            await stream.send_all(LIVE.replace(b"/livez", b"/big"))
            await stream.receive_some(1)
        await until(lambda: world.edge.connections_open == 1)
        assert await world.is_well()
