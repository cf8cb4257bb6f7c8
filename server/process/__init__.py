"""What a server process does about the interpreter, the system and its own log."""
