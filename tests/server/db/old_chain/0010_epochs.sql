-- A sequence goes back with its database: two lives of a node would be taken for one, and the second could go on with what
-- the first had left. An epoch is the moment at which a life begins, in microseconds, and eleven random bits: no history of
-- the database draws it twice. It is larger than any before it, also should the database's clock have gone back.

CREATE FUNCTION next_epoch() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                     (SELECT coalesce(max(n.epoch), 0) FROM nodes n) / 2048 + 1) * 2048)
        + (get_byte(drawn.bytes, 0) * 8 + get_byte(drawn.bytes, 1) / 32)
    FROM (SELECT uuid_send(gen_random_uuid()) AS bytes) AS drawn
$$;

ALTER TABLE nodes ALTER COLUMN epoch SET DEFAULT next_epoch();
DROP SEQUENCE node_epochs;
