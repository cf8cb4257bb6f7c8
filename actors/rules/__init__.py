"""The game's rules: pure functions over integers, no clock, no randomness, no I/O."""
