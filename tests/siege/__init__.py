"""A siege: a real server under each attack that outsiders tried, while honest players play and operators launch."""
