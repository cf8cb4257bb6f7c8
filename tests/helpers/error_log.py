"""What a test logs as an error: each has to be expected, or the test fails.

An error in the log wakes somebody up. A test that provokes one says so, by its words::

    @pytest.mark.logs_errors("an actor failed")

These words have to come. With ``sometimes=True`` they may: where one of two twins logs, or where a race decides.
"""

import logging

import pytest


class ErrorLog(logging.Handler):
    """Keeps what is logged as an error or worse, as ``logger: words``, with actor and exception if any."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        actor = getattr(record, "actor", None)
        kind = record.exc_info[0] if record.exc_info else None
        what = ", ".join(each for each in (actor, kind and kind.__name__) if each)
        self.lines.append(f"{record.name}: {record.getMessage()}" + (f" ({what})" if what else ""))

    def complaints(self, node: pytest.Item) -> list[str]:
        """Errors that no ``logs_errors`` of the test, its class or its module names, and words that did not come."""
        marks = list(node.iter_markers("logs_errors"))
        named = [words for mark in marks for words in mark.args]
        needed = [words for mark in marks if not mark.kwargs.get("sometimes", False) for words in mark.args]
        unexpected = [line for line in self.lines if not any(words in line for words in named)]
        missing = [words for words in needed if not any(words in line for line in self.lines)]
        return [f"unexpected: {line}" for line in unexpected] + [f"did not come: {words}" for words in missing]
