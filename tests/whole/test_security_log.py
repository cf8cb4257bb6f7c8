"""The security log of the real server: who came in and who did not, and nothing that would be a secret."""

import json
import time
import urllib.error
import urllib.request

import pytest
import trio

from tests.whole.casino import LAUNCH
from tests.whole.house import open_house
from tests.whole.player import connected

LOGGER = "getaway.security"


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_house(postgres, tmp_path_factory.mktemp("security")) as house:
        yield house


def lines(house) -> list[dict]:
    written = [line for line in house.server.log().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, written) if line["logger"] == LOGGER]


def wait_for(house, event: str, count: int = 1, **fields: object) -> list[dict]:
    deadline = time.monotonic() + 20
    while True:
        found = [line for line in lines(house) if line["event"] == event and fields.items() <= line.items()]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{event} {fields} is not in {lines(house)}"
        time.sleep(0.05)


def refused(request) -> set[str]:
    """The names of the headers of a refusal."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as refusal:
        return {name.lower() for name in refusal.headers}


async def in_thread(function, *arguments):
    return await trio.to_thread.run_sync(function, *arguments)


async def test_who_comes_in_and_who_does_not(house):
    session = await in_thread(house.operator.session)
    async with house.playing(session):
        (accepted,) = await in_thread(wait_for, house, "hello accepted")
    async with connected(house.url) as socket:
        await socket.send_message(json.dumps({"type": "hello", "session": "x" * 43}))
        with trio.fail_after(10):
            assert json.loads(await socket.get_message())["code"] == "unauthorized"
    (stranger, *_) = await in_thread(wait_for, house, "hello refused")
    request = urllib.request.Request(house.url + LAUNCH, data=b"{}", method="POST")
    assert "server" not in await in_thread(refused, request)
    (unsigned,) = await in_thread(lambda: wait_for(house, "request refused", code="missing_header"))
    assert accepted["address_digest"] == stranger["address_digest"] == unsigned["address_digest"]
    assert unsigned["route"] == LAUNCH
    written = json.dumps(lines(house))
    for secret in (session.token, house.operator.api_key, house.operator.hmac_secret, "127.0.0.1", session.player_id):
        assert secret not in written


def test_changes_of_an_operator_are_noticed(house):
    done = house.server.getaway("operator", "update", house.operator.operator_id, "--rtp", "95")
    assert done.returncode == 0, done.stderr
    (line,) = wait_for(house, "operator changed", operator_id=house.operator.operator_id)
    assert line["changed"] == ["rtp_bps"]


def test_a_thousand_refusals_are_a_few_lines_and_their_count(house):
    for _ in range(150):
        refused(f"{house.url}/play?session={'y' * 43}")
    deadline = time.monotonic() + 20
    while True:
        found = [line for line in lines(house) if "unknown_session" in (line.get("code"), line.get("kind", "")[-15:])]
        shown = sum(line["event"] == "request refused" for line in found)
        if shown + sum(line.get("left_out", 0) for line in found) == 150:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
