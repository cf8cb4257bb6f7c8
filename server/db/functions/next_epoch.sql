-- version: 1
--
-- An epoch is the moment at which a life of a node begins, in microseconds, and eleven random bits: no history of the
-- database draws it twice, while a sequence goes back with its database, and two lives would be taken for one. It is larger
-- than any before it, also should the database's clock have gone back.

CREATE OR REPLACE FUNCTION next_epoch() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                     (SELECT coalesce(max(n.epoch), 0) FROM nodes n) / 2048 + 1) * 2048)
        + (get_byte(drawn.bytes, 0) * 8 + get_byte(drawn.bytes, 1) / 32)
    FROM (SELECT uuid_send(gen_random_uuid()) AS bytes) AS drawn
$$;
