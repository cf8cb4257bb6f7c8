"""Errors between actors. The tree::

Exception
├── ActorError
│   ├── ActorStoppedError    the actor has ended, or was restarted, before it answered
│   └── MailboxFullError     the actor's mailbox is full: its owner's overflow rule applies
└── LedgerUnavailableError   (actors.ports.ledger) whether a change was stored is not known
"""


class ActorError(Exception):
    """Something about the actor itself, not about what it was asked."""


class ActorStoppedError(ActorError):
    """The actor has ended, or was restarted, before it answered; the operation may or may not have happened."""


class MailboxFullError(ActorError):
    """The mailbox is full; nothing was queued."""
