"""Its processes, and when they do what."""
