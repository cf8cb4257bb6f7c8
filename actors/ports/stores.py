"""All that a node stores, and reads back."""

from dataclasses import dataclass

from actors.ports.handovers import HandOvers
from actors.ports.ledger import Ledger
from actors.ports.nodes import Nodes
from actors.ports.outbox import Outbox
from actors.ports.rounds import Rounds
from actors.ports.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """One a noun, all of one database."""

    ledger: Ledger
    nodes: Nodes
    sessions: Sessions
    handovers: HandOvers
    rounds: Rounds
    outbox: Outbox
