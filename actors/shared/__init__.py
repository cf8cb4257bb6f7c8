"""What all actors of a node share: its ports and settings, the ledger, the metronome, the messages."""
