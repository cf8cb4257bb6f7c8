"""An operator's backend that talks to the server under test."""

import json

from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.independent_signer import signed_headers
from tests.helpers.web_fakes import NOW_S

LAUNCH = "/api/public/rgs/launch"
LAUNCH_FIELDS = {"operator_player_id": "player-42", "currency": "USD", "balance_minor": 500_000, "ttl_seconds": 3600}


class Casino:
    def __init__(self, port, operator):
        self.port = port
        self.operator = operator

    def headers(self, method, target, body=b"", timestamp=NOW_S):
        operator = self.operator
        return signed_headers(
            operator.operator_id, operator.api_key, operator.hmac_secret, timestamp, method, target, body
        )

    async def send(self, method, target, body=b"", headers=None):
        chosen = self.headers(method, target, body) if headers is None else headers
        return await exchange(self.port, request_bytes(method, target, chosen, body), method)

    async def get(self, target):
        return await self.send("GET", target)

    async def launch(self, body=None, **changes):
        chosen = json.dumps(LAUNCH_FIELDS | changes).encode() if body is None else body
        return await self.send("POST", LAUNCH, chosen)
