"""The ports: who may connect, and what becomes of a connection."""
