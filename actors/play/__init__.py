"""A player at the game: the lobby, sessions, rounds."""
