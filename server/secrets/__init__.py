"""What the master key and the operators' keys do."""
