"""What worlds are spared until the product is mended. Each of these shrinks when it is."""

PAUSE_S_MAX = 28.0
"""A start that is stored later than 30 s after it was asked for makes the void that should undo it fail for good."""
