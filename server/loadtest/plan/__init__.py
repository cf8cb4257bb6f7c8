"""What a load test is asked to do."""
