"""The edge: TCP connections, TLS, players' sockets; what is HTTP goes on to the web application."""
