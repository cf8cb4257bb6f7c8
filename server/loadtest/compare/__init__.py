"""The players' books against the wallet's and the server's."""
