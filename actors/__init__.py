"""The game as actors on trio. Knows trio, its rules and its ports; never a database, a socket or an HTTP library."""
