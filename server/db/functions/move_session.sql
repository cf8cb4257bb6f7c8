-- version: 4
--
-- Moves a session from its owner to a living node that asks for it, and its flight with it; true if the session is there.
-- Who lives is judged by the database's clock. A bet whose fate is not known stays where it was sent, and so does an
-- interrupted round, which its owner is ending.
--
-- The session is locked first, as every change of it does: what is read afterwards was committed before, and no bet of the
-- old owner can come in between. A round that somebody else has taken meanwhile stays with its taker.

CREATE FUNCTION move_session_4(
    operator uuid, moved uuid, from_node text, from_epoch bigint, asker_node text, asker_epoch bigint, lease_ms bigint
) RETURNS boolean LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    held sessions%ROWTYPE;
BEGIN
    SELECT * INTO held FROM sessions s WHERE s.operator_id = operator AND s.session_id = moved FOR NO KEY UPDATE;
    IF (held.owner_node, held.owner_epoch) = (asker_node, asker_epoch) THEN
        RETURN true;
    END IF;
    IF (held.owner_node, held.owner_epoch) IS DISTINCT FROM (from_node, from_epoch)
        OR NOT EXISTS (SELECT FROM session_requests q WHERE q.operator_id = operator AND q.session_id = moved
                       AND q.to_node = asker_node AND q.to_epoch = asker_epoch)
        OR NOT EXISTS (SELECT FROM nodes n WHERE n.node = asker_node AND n.epoch = asker_epoch
                       AND n.heartbeat_at_ms > database_ms() - lease_ms AND n.ended_at_ms IS NULL)
        OR EXISTS (SELECT FROM nodes n WHERE n.node = asker_node AND n.epoch > asker_epoch)
    THEN
        RETURN false;
    END IF;
    PERFORM FROM rounds r WHERE r.operator_id = operator AND r.session_id = moved AND r.status IN ('betting', 'flying')
    FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM rounds r WHERE r.operator_id = operator AND r.session_id = moved
               AND r.status IN ('betting', 'flying') AND r.owner_node = from_node AND r.owner_epoch = from_epoch
               AND (r.status = 'betting' OR r.interrupted_at_ms IS NOT NULL))
    THEN
        RETURN false;
    END IF;
    WITH given AS (
        UPDATE sessions s SET owner_node = asker_node, owner_epoch = asker_epoch
        WHERE s.operator_id = operator AND s.session_id = moved
    )
    UPDATE rounds r SET owner_node = asker_node, owner_epoch = asker_epoch
    WHERE r.operator_id = operator AND r.session_id = moved AND r.status = 'flying'
        AND r.owner_node = from_node AND r.owner_epoch = from_epoch;
    -- The old owner may not have noted yet that it took up the session when it was given it.
    DELETE FROM session_requests q
    WHERE q.operator_id = operator AND q.session_id = moved AND q.to_node = from_node AND q.to_epoch = from_epoch;
    RETURN true;
END $$;
