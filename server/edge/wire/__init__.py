"""Bytes to and from one client, bounded."""
