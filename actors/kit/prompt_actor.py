"""The prompt actor: while it waits for a message, the next one is handled where it is told.

A turn of its task for each message costs as much as most messages do. All else is as with any actor: one message after
the other, each to its end, and what fails is the actor, in its own task, not whoever told it.
"""

from abc import abstractmethod
from uuid import UUID

from actors.kit.actor import Actor, Message


class PromptActor(Actor[Message]):
    """An actor most of whose messages need no waiting. Its task receives those that come while it does something else.

    What tells must not rely on any order between its own next steps and what the message leads to.
    """

    __slots__ = ("_is_handling",)

    def __init__(self, kind: str, mailbox_max: int, subject: UUID | None = None) -> None:
        super().__init__(kind, mailbox_max, subject)
        self._is_handling = False

    @abstractmethod
    def handle_at_once(self, message: Message) -> Message | None:
        """Handle a message without waiting. What is left of it goes to the actor's own task, as a message."""

    def tell(self, message: Message) -> None:
        """See ``Actor.tell``. An actor that handles a message must not tell itself another one: it has it at hand."""
        assert not self._is_handling, "an actor tells itself what it has at hand"
        if not self.is_waiting:
            super().tell(message)
            return
        self._is_handling = True
        try:
            left = self.handle_at_once(message)
        except Exception as error:
            self.fail(error)
        else:
            if left is not None:
                super().tell(left)
        finally:
            self._is_handling = False
