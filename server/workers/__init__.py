"""Several server processes on one port: the parent that owns them, and what it hands to each."""
