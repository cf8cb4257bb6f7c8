"""What is true of sessions, rounds and calls, as values: what is stored, what changes it, what players are sent."""
