"""A connection's requests, on their way to the web application."""
