"""A call that goes out twice, because a kept connection ended under it: an answer to one is not the answer to both."""

import httpx
import pytest
import trio

from actors.facts.records import CallKind
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from server.wallet.connection import UnansweredError
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.raw_http import always, raw_server, reset, response
from tests.helpers.wallet_calls import GOOD, FrozenClock, assert_unclear, call, gateway, operator


async def twice(first, again, kind=CallKind.BET):
    """The answer to a call whose kept connection ends as ``first`` says, and whose repetition is answered ``again``."""
    script = [always(response(GOOD)), first, again]

    async def answer(stream, request):
        return await script.pop(0)(stream, request)

    async with raw_server(answer) as server, gateway() as wallet:
        assert await wallet.send(operator(server.url), call(kind), 2000) == Acknowledged(490_000)
        answered = await wallet.send(operator(server.url), call(kind), 2000)
    assert [request.connection for request in server.requests] == [1, 1, 2]
    return answered


async def debits_and_hangs_up(stream, request):
    return False


async def debits_and_resets(stream, request):
    reset(stream)
    return False


@pytest.mark.parametrize("first", [debits_and_hangs_up, debits_and_resets])
@pytest.mark.parametrize(
    "again",
    [
        *(response(b"{}", f"{status} No") for status in (400, 401, 402, 403, 404, 409, 422)),
        response(b'{"ok":false,"error":"already_booked"}'),
        response(b'{"ok":false,"error":{"code":"already_booked"}}', "409 Conflict"),
    ],
)
async def test_a_bet_that_is_refused_only_when_it_came_again_may_have_been_debited(first, again):
    answer = await twice(first, always(again))
    assert_unclear(answer, "sent again")
    assert answer.sends == 2


@pytest.mark.parametrize("again", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{", response(b"", "500 Oh")])
async def test_two_sendings_without_a_clear_answer_are_two(again):
    answer = await twice(debits_and_hangs_up, always(again, keep=False))
    assert_unclear(answer)
    assert answer.sends == 2


@pytest.mark.parametrize("kind", list(CallKind))
async def test_an_acknowledged_repetition_is_all_that_is_needed(kind):
    assert await twice(debits_and_hangs_up, always(response(GOOD)), kind) == Acknowledged(490_000, sends=2)


@pytest.mark.parametrize("kind", [CallKind.WIN, CallKind.REFUND])
async def test_money_that_was_booked_by_the_lost_sending_is_done(kind):
    again = always(response(b'{"ok":false,"error":"already_booked"}', "409 Conflict"))
    assert await twice(debits_and_hangs_up, again, kind) == Acknowledged(None, sends=2)


class LostError(UnansweredError):
    """What becomes of a sending that is not answered."""

    def __init__(self, phrase, **sending):
        super().__init__(phrase)
        self.sending = sending


class ScriptedTransport(httpx.AsyncBaseTransport):
    """Answers from a list; keeps until when each exchange may last."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.give_up_at = []
        self.may_reuse = []

    async def handle_async_request(self, request):
        sending = request.extensions["sending"]
        self.give_up_at.append(trio.current_effective_deadline())
        self.may_reuse.append(sending.may_reuse)
        sending.has_left = True
        await trio.sleep(1)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, LostError):
            for name, value in outcome.sending.items():
                setattr(sending, name, value)
        if isinstance(outcome, Exception):
            raise outcome
        status, body = outcome
        return httpx.Response(status, content=body)


async def over(transport, kind=CallKind.BET):
    settings = WalletGatewaySettings(allow_insecure_callbacks=True)
    async with HttpWalletGateway(settings, FrozenClock(), transport=transport) as wallet:
        return await wallet.send(operator("http://127.0.0.1:9"), call(kind), 5_000)


STALE = LostError("lost", is_stale=True)
STALE_UNSENT = LostError("lost", is_stale=True, has_left=False)
NO_CONNECTION = LostError("no connection", has_left=False)
REFUSED = (409, b"")


async def test_the_repetition_gets_only_what_is_left_of_the_time(autojump_clock):
    began_at = trio.current_time()
    transport = ScriptedTransport(STALE, REFUSED)
    await over(transport)
    assert transport.give_up_at == [began_at + 5, began_at + 5]
    assert transport.may_reuse == [True, False]


@pytest.mark.parametrize(
    ("outcomes", "answer"),
    [
        ([STALE, NO_CONNECTION], Unclear("lost; sent again: no connection", sends=1)),
        ([STALE_UNSENT, REFUSED], Declined("the wallet answered 409", sends=1)),
        ([STALE_UNSENT, NO_CONNECTION], NotSent("no connection", is_unreachable=True)),
        ([STALE_UNSENT, (200, GOOD)], Acknowledged(490_000, sends=1)),
    ],
)
async def test_only_what_may_have_arrived_is_counted_and_doubted(autojump_clock, outcomes, answer):
    assert await over(ScriptedTransport(*outcomes)) == answer


@pytest.mark.logs_errors("a wallet call failed unexpectedly")
async def test_what_fails_in_us_on_its_way_may_have_arrived(autojump_clock, caplog):
    answer = await over(ScriptedTransport(RuntimeError("secret")))
    assert_unclear(answer, "unexpectedly")
    assert answer.sends == 1 and "secret" not in caplog.text + answer.detail, (
        "which is stored, and told to the operator"
    )
    caplog.clear()


async def test_nothing_goes_out_to_an_address_that_policy_forbids():
    async with HttpWalletGateway(WalletGatewaySettings(), FrozenClock(), transport=ScriptedTransport()) as wallet:
        answer = await wallet.send(operator("http://wallet.example"), call(), 5_000)
    assert isinstance(answer, NotSent)
    assert (answer.sends, answer.is_unreachable) == (0, False), "the wallet has no part in it"
    assert "https" in answer.detail


@pytest.mark.logs_errors("a wallet call could not be written")
async def test_a_call_that_we_cannot_even_write_has_not_left():
    broken = operator("https://wallet.example")
    object.__setattr__(broken, "api_key", "two words")
    async with HttpWalletGateway(WalletGatewaySettings(), FrozenClock(), transport=ScriptedTransport()) as wallet:
        answer = await wallet.send(broken, call(), 5_000)
    assert isinstance(answer, NotSent)
    assert not answer.is_unreachable
