"""What a connection has of a request that an operator has signed: it lasts for the next one, and no longer."""

import trio

from tests.helpers.edge_fakes import open_edge, small_app, until


async def signing_app(scope, receive, send):
    """As the operator API: tells the connection that the request was signed."""
    if scope["path"] == "/signed":
        scope["state"]["signed"]()
    await small_app(scope, receive, send)


async def ask(stream, path):
    """Whether it is answered soon."""
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: game.test\r\n\r\n".encode())
    with trio.move_on_after(0.3):
        return (await stream.receive_some()).startswith(b"HTTP/1.1 ")
    return False


async def test_behind_a_signed_request_one_is_free_and_those_after_it_wait_as_all_others():
    async with open_edge(signing_app, units_per_second=0.01, units_burst=1) as world, await world.connect() as stream:
        for _ in range(5):
            assert await ask(stream, "/signed")
        answered = 0
        while await ask(stream, "/livez"):
            answered += 1
        assert answered == 3, "one behind a signed one, one that is paid, and one on credit"


async def test_a_place_is_kept_while_the_last_request_was_signed():
    async with open_edge(signing_app) as world, await world.connect() as stream:
        admission = world.edge._shared.admission
        for path, kept in (("/livez", 0), ("/signed", 1), ("/signed", 1), ("/livez", 0), ("/signed", 1)):
            await ask(stream, path)
            assert len(admission._signed) == kept
        await stream.aclose()
        await until(lambda: admission.taken == len(admission._signed) == 0)


async def test_calls_and_the_requests_of_others_do_not_wait_for_each_other():
    async with open_edge(signing_app) as world, await world.connect() as caller, await world.connect() as stranger:
        assert await ask(caller, "/signed") and await ask(stranger, "/livez")
        world.edge._shared.turnstile._is_turning = True  # held by one who never passes
        assert await ask(caller, "/signed") and not await ask(stranger, "/livez")
    async with open_edge(signing_app) as world, await world.connect() as caller, await world.connect() as stranger:
        assert await ask(caller, "/signed") and await ask(stranger, "/livez")
        world.edge._shared.calls._is_turning = True
        assert await ask(stranger, "/livez") and not await ask(caller, "/signed")
