"""Measurements of how money survives: programs, not tests. Each prints its figures; `make figures` runs them all."""
