"""The server around the game: configuration, database, HTTP, websockets, wallet gateway, command line."""
