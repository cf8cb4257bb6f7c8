"""Whether the books are right: ours against themselves, and against the operator's."""
