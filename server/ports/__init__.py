"""What rooms of the server need of the database, as shapes."""
