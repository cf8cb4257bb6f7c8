-- Who is alive, and what is due, is judged by one clock that all nodes share: the database's. In unix milliseconds, and, unlike
-- now(), of this very moment.

CREATE FUNCTION database_ms() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Up to when the flights of this life had flown at its last heartbeat, in the time of their stored starts. It may be before
-- heartbeat_at_ms: where a clock has leapt forward, flights have not. Null while a node of the version before writes the row.
ALTER TABLE nodes ADD flown_at_ms bigint;

-- As `move_session_1`, with the asker's life judged by the database's clock.
CREATE FUNCTION move_session_2(
    operator uuid, moved uuid, from_node text, from_epoch bigint, asker_node text, asker_epoch bigint, lease_ms bigint
) RETURNS boolean LANGUAGE sql AS $$
    SELECT move_session_1(operator, moved, from_node, from_epoch, asker_node, asker_epoch, database_ms() - lease_ms)
$$;
