"""A player's websocket."""
