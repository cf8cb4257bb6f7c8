"""What is measured of it."""
