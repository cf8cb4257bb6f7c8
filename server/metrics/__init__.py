"""What is counted, and what is told of it."""
