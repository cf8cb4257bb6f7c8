"""What the actors need from the outside, a noun a file. Adapters are in ``server``, in-memory twins in ``tests``."""
