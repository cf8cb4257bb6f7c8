"""The actors' and the web's ports on PostgreSQL."""
