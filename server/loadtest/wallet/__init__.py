"""The wallet that they play with."""
