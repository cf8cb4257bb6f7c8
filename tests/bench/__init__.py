"""The benchmark: programs, not tests. ``make bench`` runs it and writes the table of docs/performance.md."""
