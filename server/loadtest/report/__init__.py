"""What a person is shown of it."""
