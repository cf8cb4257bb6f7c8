"""``getaway loadtest``: simulated players against a running server, a wallet for them, and the comparison of all books.

It is a client. Of the server it knows the public contract: how requests are signed, the player's protocol, and the
rules by which anybody can check a round. ``docs/loadtest.md`` says what it measures and how.
"""
