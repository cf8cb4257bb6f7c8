-- Codes that only the holder of the master key can make (server/row_macs.py), so that a row is believed for who wrote it and
-- not for being there. They are null in rows of before, and of nodes of the version before: those are refused.

ALTER TABLE sessions ADD mac bytea;
ALTER TABLE rounds ADD bet_mac bytea, ADD start_mac bytea, ADD end_mac bytea;
ALTER TABLE transactions ADD mac bytea;
ALTER TABLE operators ADD mac bytea;

-- By this a server knows that its master key is the one that this database is written with, whatever became of a row.
CREATE TABLE master_key_mark (is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), mark bytea NOT NULL);
