"""``GET /api/public/rgs/round/<round_id>``. A suspended operator may still read: it has books to close."""

from quart import Response
from quart_schema import document_querystring, document_response

from server.http.errors import not_found, not_ours
from server.http.round_answer import RoundAnswer, round_answer
from server.ports.reports import NotOursError
from server.web.authentication import parse_uuid
from server.web.members import NoParameters, json_answer, read_query
from server.web.read_turns import read_turn
from server.web.request_facts import signed
from server.web.services import WebServices


class RoundsApi:
    """Answers what is asked of one round."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @document_querystring(NoParameters)
    @document_response(RoundAnswer)
    async def round(self, round_id: str) -> Response:
        """One of the operator's rounds; what is no round id names no round."""
        read_query(NoParameters)
        identity, operator_id = parse_uuid(round_id), signed().caller.operator.operator_id
        if identity is None:
            raise not_found()
        async with read_turn(self._services):
            try:
                report = await self._services.reports.round_report(operator_id, identity)
            except NotOursError:
                raise not_ours() from None
        if report is None or report.operator_id != operator_id:
            raise not_found()
        return json_answer(round_answer(report))
