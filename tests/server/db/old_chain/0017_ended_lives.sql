-- A life that is known to be over before its lease is: by its own last word, or because its process is gone, and with it the
-- connection whose session-level advisory lock, on the epoch, it held. It never begins again; its node registers a new one.

ALTER TABLE nodes ADD ended_at_ms bigint;

-- As `move_session_2`, and nothing is given to a life that is over.
CREATE FUNCTION move_session_3(
    operator uuid, moved uuid, from_node text, from_epoch bigint, asker_node text, asker_epoch bigint, lease_ms bigint
) RETURNS boolean LANGUAGE sql AS $$
    SELECT NOT EXISTS (
        SELECT FROM nodes n WHERE n.node = asker_node AND n.epoch = asker_epoch AND n.ended_at_ms IS NOT NULL)
    AND move_session_2(operator, moved, from_node, from_epoch, asker_node, asker_epoch, lease_ms)
$$;
