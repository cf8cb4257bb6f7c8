"""What the tool asks of a server as an operator does: signed, without a secret in it, as patiently as it is told."""

import time
from uuid import uuid4

import httpx
import pytest
import trio

from server.loadtest.plan.plan import Credentials
from server.loadtest.plan.quantities import Target
from server.loadtest.play.operator_api import ApiError, OperatorApi, patiently
from tests.helpers.independent_signer import signature

CREDENTIALS = Credentials(operator_id=str(uuid4()), api_key="gk_key", hmac_secret="gs_secret")
TARGET = Target("http://game.example:8080", "game.example", 8080, is_tls=False)
LAUNCHED = {"ok": True, "session_id": "s-1", "launch_url": "http://game.example:8080/play?session=token-1"}
REFUSAL = {"ok": False, "error": {"code": "rate_limited", "message": "Slower, please."}}


class Server:
    """Gives these answers, one after the other, and the last of them for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append((trio.current_time(), request))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(retry_after=None, status=429):
    return httpx.Response(status, json=REFUSAL, headers={} if retry_after is None else {"Retry-After": retry_after})


async def with_api(server, work):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        return await work(OperatorApi(client, TARGET, CREDENTIALS))


async def failure(answer):
    with pytest.raises(ApiError) as caught:
        await with_api(Server(answer), lambda api: api.round("r-1"))
    return caught.value


async def test_a_launch_is_signed_as_the_contract_says_and_its_token_is_not_shown():
    server = Server(httpx.Response(200, json=LAUNCHED))
    launched = await with_api(server, lambda api: api.launch("ann", "USD", 1_000, 60))
    assert (launched.session_id, launched.token) == ("s-1", "token-1")
    assert "token-1" not in repr(launched)
    ((_, request),) = server.asked
    timestamp = request.headers["X-Timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    target = "/api/public/rgs/launch"
    assert str(request.url) == TARGET.origin + target
    assert request.headers["X-Signature"] == signature("gs_secret", timestamp, "POST", target, request.content)
    assert "gs_secret" not in str(request.headers) + request.content.decode()


@pytest.mark.parametrize(
    ("text", "wait_s"), [("0", 0), ("3", 3), ("3600", 5), (None, None), ("soon", None), ("-1", None), ("²", None)]
)
async def test_it_comes_again_when_the_server_says_but_sleeps_no_run_away(text, wait_s):
    assert (await failure(refused(text if text is None else text.encode()))).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("answer", "code", "is_unreachable"),
    [
        (refused(), "rate_limited", False),
        (refused(status=503), "rate_limited", True),
        (httpx.Response(502, text="<html>"), "http_502", True),
        (httpx.Response(200, text="<html>"), "http_200", False),
        (httpx.Response(200, json=REFUSAL), "rate_limited", False),
        (httpx.Response(404, json=[]), "http_404", False),
        (httpx.ConnectError("refused"), "no_connection", True),
        (httpx.ReadTimeout("late"), "timeout", True),
    ],
)
async def test_what_is_no_good_answer_is_told_by_its_code(answer, code, is_unreachable):
    error = await failure(answer)
    assert (error.code, error.is_unreachable) == (code, is_unreachable)


async def test_an_answer_without_a_session_is_no_launch():
    with pytest.raises(ApiError) as caught:
        answer = httpx.Response(200, json={"ok": True, "session_id": "s-1", "launch_url": "http://game.example/play"})
        await with_api(Server(answer), lambda api: api.launch("ann", "USD", 1_000, 60))
    assert caught.value.code == "bad_answer"


async def test_a_round_is_asked_for_until_it_comes_or_time_is_up(autojump_clock):
    server = Server(refused("2"), refused("3"), httpx.Response(200, json={"ok": True, "status": "settled"}))
    told = await with_api(server, lambda api: patiently(api, "r-1", trio.current_time() + 60))
    assert told["status"] == "settled"
    assert [at for at, _ in server.asked] == [0, 2, 5]

    began = trio.current_time()
    with pytest.raises(ApiError, match="Slower, please"):
        await with_api(Server(refused("5")), lambda api: patiently(api, "r-1", began + 12))
    assert trio.current_time() - began == 10, "a third wait would end after the time"
