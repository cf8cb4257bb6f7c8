"""The operator REST API, the player's page and the private metrics port."""
