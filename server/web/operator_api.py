"""The operator API: what operators ask with a signature, below ``/api/public/rgs``."""

from quart import Blueprint
from quart.blueprints import BlueprintSetupState

from server.web.authentication import Authenticator
from server.web.launch import LaunchApi
from server.web.revenue import RevenueApi
from server.web.rounds import RoundsApi
from server.web.services import WebServices


def operator_api(services: WebServices, authenticator: Authenticator) -> Blueprint:
    """Everything below it is answered only to an operator that has signed the request."""
    api = Blueprint("operator_api", __name__, url_prefix="/api/public/rgs")
    api.before_request(authenticator.authenticate)
    api.add_url_rule("/launch", view_func=LaunchApi(services).launch, methods=["POST"])
    api.add_url_rule("/round/<round_id>", view_func=RoundsApi(services).round, methods=["GET"])
    api.add_url_rule("/revenue", view_func=RevenueApi(services).revenue, methods=["GET"])
    api.record(_leave_out_head)
    return api


def _leave_out_head(state: BlueprintSetupState) -> None:
    """The contract has signed GET and POST. Werkzeug adds HEAD wherever there is GET."""
    for rule in state.app.url_map.iter_rules():
        if rule.endpoint.startswith("operator_api.") and rule.methods is not None:
            rule.methods.discard("HEAD")
