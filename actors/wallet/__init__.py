"""The calls to operators' wallets: who sends them, when, and how many at a time."""
