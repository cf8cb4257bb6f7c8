"""The PostgreSQL that comes with the server, and who keeps it."""
