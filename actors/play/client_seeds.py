"""A session's client seed: stored before the player is told."""

from actors.facts.records import SessionRecord
from actors.facts.transitions import Applied, ChangeClientSeed
from actors.shared.services import Services


async def store_client_seed(services: Services, session: SessionRecord, client_seed: str) -> bool:
    """Whether it is stored; ``False`` if the session is not ours any more. Raises ``LedgerUnavailableError``."""
    change = ChangeClientSeed(
        owner=services.owner,
        operator_id=session.operator_id,
        session_id=session.session_id,
        client_seed=client_seed,
    )
    return isinstance(await services.ledger.commit(change), Applied)
