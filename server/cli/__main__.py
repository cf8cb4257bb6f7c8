"""``python -m server.cli`` is ``getaway``."""

from server.cli.program import main

main()
