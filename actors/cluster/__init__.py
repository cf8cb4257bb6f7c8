"""Many nodes on one database: who owns what, and what becomes of it when an owner is gone."""
