-- What an operator asks of the player's page at the launch. It is kept with the session: in the page's address the player
-- could take it away, and any node may be asked for the page.

ALTER TABLE sessions ADD lang text, ADD reality_check_minutes integer, ADD lobby_url text;

-- Not validated: they hold for every row from now on, and those before have nothing in these columns, so that nobody has to wait
-- while all of them are read.
ALTER TABLE sessions
    ADD CHECK (length(lang) <= 35 AND lang ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$') NOT VALID,
    ADD CHECK (reality_check_minutes BETWEEN 1 AND 1440) NOT VALID,
    ADD CHECK (length(lobby_url) BETWEEN 1 AND 2048) NOT VALID;

-- As `commit_group_1`, but for the launches. It commits everything else, and has locked the sessions when it returns; no
-- transition depends on another one of its group, so launches may be last.

CREATE FUNCTION commit_group_2(batch jsonb) RETURNS TABLE (applied_kind text, applied_key text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    RETURN QUERY SELECT * FROM commit_group_1(batch - 'launches');

    IF batch ? 'launches' THEN
        RETURN QUERY
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'launches') AS i (
                operator_id uuid, session_id uuid, operator_player_id text, currency text, balance_minor bigint,
                token_digest bytea, created_at_ms bigint, expires_at_ms bigint, client_seed text, server_seed_hash text,
                server_seed_sealed bytea, signature_digest bytea, sealed_token bytea, replay_until_ms bigint, lang text,
                reality_check_minutes int, lobby_url text)
        ), first AS (
            INSERT INTO launch_replays AS l
                (operator_id, signature_digest, session_id, expires_at_ms, sealed_token, replay_until_ms)
            SELECT operator_id, signature_digest, session_id, expires_at_ms, sealed_token, replay_until_ms FROM input
            ORDER BY operator_id, signature_digest
            ON CONFLICT (operator_id, signature_digest) DO NOTHING
            RETURNING l.operator_id, l.session_id
        )
        INSERT INTO sessions AS s
            (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms,
             expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, lang, reality_check_minutes, lobby_url)
        SELECT i.operator_id, i.session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms,
               expires_at_ms, client_seed, 1, server_seed_hash, server_seed_sealed, lang, reality_check_minutes, lobby_url
        FROM input i JOIN first f USING (operator_id, session_id)
        RETURNING 'launch', s.session_id::text;

        DELETE FROM launch_replays WHERE (operator_id, signature_digest) IN (
            SELECT l.operator_id, l.signature_digest FROM launch_replays l
            WHERE l.replay_until_ms < (SELECT min((e ->> 'created_at_ms')::bigint)
                                       FROM jsonb_array_elements(batch -> 'launches') e)
                -- A launch of this group may be a repeated one: the caller still reads what it answered.
                AND (l.operator_id, l.signature_digest) NOT IN (
                    SELECT e.operator_id, e.signature_digest
                    FROM jsonb_to_recordset(batch -> 'launches') AS e (operator_id uuid, signature_digest bytea))
            ORDER BY l.replay_until_ms LIMIT 200 FOR UPDATE SKIP LOCKED);
    END IF;
END $$;
