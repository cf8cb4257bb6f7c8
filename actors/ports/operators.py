"""The operators that were provisioned."""

from typing import Protocol

from actors.facts.records import Operator, Owner


class OperatorSource(Protocol):
    """Where provisioned operators come from."""

    async def operators_version(self) -> int:
        """The number of the last change. What is loaded afterwards has it, and all before it.

        Raises ``LedgerUnavailableError`` on trouble, as the others do.
        """

    async def load_operators(self) -> list[Operator]:
        """All operators that open, their secrets opened."""

    async def confirm_operators(self, owner: Owner, version: int) -> None:
        """This node goes by the operators as of ``version``: whoever has changed one may be waiting for that."""
