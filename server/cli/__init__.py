"""The command line, ``getaway``."""

from server.cli.program import main

__all__ = ["main"]
