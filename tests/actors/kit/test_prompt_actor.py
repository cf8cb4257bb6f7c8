"""An actor that handles messages where they are told is otherwise like any other."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.kit.errors import ActorStoppedError, MailboxFullError
from actors.kit.prompt_actor import PromptActor
from actors.kit.supervisor import Policy, Supervisor


class Scribe(PromptActor[str]):
    """Writes down each message, and which task handled it. ``slow`` ones are for its own task, which takes its time."""

    def __init__(self) -> None:
        super().__init__("scribe", 3)
        self.written: list[str] = []
        self.handlers: list[trio.lowlevel.Task] = []
        self.go_on = trio.Event()

    async def run(self) -> None:
        while True:
            message = await self.receive()
            if message.startswith("slow"):
                await self.go_on.wait()
            self.write(message)

    def handle_at_once(self, message: str) -> str | None:
        if message.startswith("slow"):
            return message
        self.write(message)
        return "left" if message == "more" else None

    def write(self, message: str) -> None:
        if message == "fail":
            raise RuntimeError("as told")
        if message == "outer":
            self.tell("inner")
        self.written.append(message)
        self.handlers.append(trio.lowlevel.current_task())


@pytest.fixture
async def scribe(nursery: trio.Nursery, failures: list[str]) -> Scribe:
    scribe = Scribe()
    Supervisor(nursery, failures.append).start(scribe, Policy.TEMPORARY)
    await wait_all_tasks_blocked()
    return scribe


@pytest.fixture
def failures() -> list[str]:
    return []


async def test_a_message_is_handled_where_it_is_told_while_the_actor_waits(scribe: Scribe) -> None:
    scribe.tell("a")
    scribe.tell("b")
    assert scribe.written == ["a", "b"]
    assert set(scribe.handlers) == {trio.lowlevel.current_task()}


async def test_messages_keep_their_order_behind_one_that_takes_time(scribe: Scribe) -> None:
    scribe.tell("a")
    scribe.tell("slow")
    scribe.tell("b")
    scribe.tell("c")
    await wait_all_tasks_blocked()
    scribe.tell("d")
    assert scribe.written == ["a"]
    scribe.go_on.set()
    await wait_all_tasks_blocked()
    assert scribe.written == ["a", "slow", "b", "c", "d"]
    assert trio.lowlevel.current_task() not in scribe.handlers[1:]
    scribe.tell("e")
    assert scribe.written[-1] == "e" and scribe.handlers[-1] is trio.lowlevel.current_task()


async def test_what_is_left_of_a_message_is_for_the_actors_own_task(scribe: Scribe) -> None:
    scribe.tell("more")
    scribe.tell("after")
    assert scribe.written == ["more"]
    await wait_all_tasks_blocked()
    assert scribe.written == ["more", "left", "after"]
    assert trio.lowlevel.current_task() not in scribe.handlers[1:]


async def test_an_actor_that_tells_itself_what_it_has_at_hand_fails(scribe: Scribe, failures: list[str]) -> None:
    scribe.tell("outer")
    scribe.tell("after")
    await wait_all_tasks_blocked()
    assert failures == ["scribe"] and scribe.written == []


async def test_a_mailbox_is_bounded_while_the_actor_is_busy(scribe: Scribe) -> None:
    for message in ("slow", "a", "b"):
        scribe.tell(message)
    await wait_all_tasks_blocked()
    scribe.tell("c")
    with pytest.raises(MailboxFullError):
        scribe.tell("too many")
    scribe.go_on.set()
    await wait_all_tasks_blocked()
    assert scribe.written == ["slow", "a", "b", "c"]


@pytest.mark.parametrize("behind", [[], ["a"]])
async def test_what_fails_is_the_actor_and_not_who_told_it(
    scribe: Scribe, failures: list[str], behind: list[str]
) -> None:
    scribe.tell("fail")
    for message in behind:
        scribe.tell(message)
    await wait_all_tasks_blocked()
    assert failures == ["scribe"] and scribe.written == []
    with pytest.raises(ActorStoppedError):
        scribe.tell("anybody there")


async def test_whoever_waits_for_an_answer_is_told_of_a_failure(scribe: Scribe, nursery: trio.Nursery) -> None:
    told = []

    async def ask() -> None:
        with pytest.raises(ActorStoppedError):
            await scribe.ask(lambda _reply: "never answered", 60_000)
        told.append(True)

    nursery.start_soon(ask)
    await wait_all_tasks_blocked()
    scribe.tell("fail")
    await wait_all_tasks_blocked()
    assert told == [True]
