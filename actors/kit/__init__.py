"""What every actor is made of: mailboxes, supervision, time. It knows trio, and nothing of the game."""
