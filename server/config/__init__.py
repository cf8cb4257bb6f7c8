"""What people may write: the configuration file, the environment, and values of operators' terms."""
