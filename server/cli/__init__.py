"""The command line of the program ``getaway``."""

from server.cli.program import main

__all__ = ["main"]
