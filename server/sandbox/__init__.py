"""A demo operator, and ``getaway demo``, which runs it beside the game server.

The operator (``operator``, ``site``, ``wallet_book``, ``signatures``, ``getaway_client``) is written as a customer
would write one: on the standard library, and without a line of the game server's code.
"""
