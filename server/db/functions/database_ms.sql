-- version: 1
--
-- Who is alive, and what is due, is judged by one clock that all nodes share: the database's. In unix milliseconds, and, unlike
-- now(), of this very moment.

CREATE OR REPLACE FUNCTION database_ms() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;
