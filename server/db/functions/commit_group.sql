-- version: 6
--
-- What a group of transitions does: one round trip, one transaction. `batch` has for each kind of transition an array of
-- objects (server/db/stores/group_rows.py), those of launches, bets and calls with the columns of their tables, and in `sessions`,
-- `rounds` and `calls` the rows that are to change. What was applied comes back as (applied_kind, applied_key).
-- What each transition requires is checked here, in SQL. What had been applied before does not come back: the caller reads it.
--
-- It waits for nobody's row lock. All rows that the group is to change are locked first, those that somebody else has locked
-- are skipped, and their sessions are left out and told as `busy`: a person's open transaction delays the session whose row it
-- holds, not everybody who shares the commit. Revenue is shared by all rounds of a day, so where somebody holds its row it is
-- counted in a lane of this transaction's own. A row that is new to this statement's snapshot is nobody's, and not `busy`.
-- Each statement below begins after the locks are held, and sees what was committed before it began.
--
-- A plan is made once for each connection, perhaps from statistics of a moment when the tables were small or nobody played,
-- and then a scan of a whole index seems to cost nothing: of all rounds that are live, or of all calls that an operator's
-- silent wallet has not taken yet. So a row is looked for by its key alone, and what else is asked of it waits for that
-- (`|| left(i.x, 0)` adds nothing, and can't be known before). What a session owes or has played is asked for in the order
-- that only its own index has. A session's live round is its newest one: no other begins before that has ended.

CREATE FUNCTION commit_group_6(batch jsonb) RETURNS TABLE (applied_kind text, applied_key text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    held_count bigint;
    is_held boolean;
    busy_ids uuid[];
    ended_ids uuid[];
BEGIN
    -- Nearly always all are there to be locked. The second look finds out which are not.
    PERFORM FROM sessions s
    JOIN jsonb_to_recordset(batch -> 'sessions') AS i (operator_id uuid, session_id uuid)
        USING (operator_id, session_id)
    FOR NO KEY UPDATE OF s SKIP LOCKED;
    GET DIAGNOSTICS held_count = ROW_COUNT;
    is_held := held_count = jsonb_array_length(batch -> 'sessions') AND NOT batch ? 'launches';
    IF batch ? 'rounds' THEN
        PERFORM FROM rounds r
        JOIN jsonb_to_recordset(batch -> 'rounds') AS i (operator_id uuid, round_id uuid) USING (operator_id, round_id)
        FOR NO KEY UPDATE OF r SKIP LOCKED;
        GET DIAGNOSTICS held_count = ROW_COUNT;
        is_held := is_held AND held_count = jsonb_array_length(batch -> 'rounds');
    END IF;
    IF batch ? 'calls' THEN
        PERFORM FROM transactions t
        JOIN jsonb_to_recordset(batch -> 'calls') AS i (operator_id uuid, operator_tx_id text)
            USING (operator_id, operator_tx_id)
        FOR NO KEY UPDATE OF t SKIP LOCKED;
        GET DIAGNOSTICS held_count = ROW_COUNT;
        is_held := is_held AND held_count = jsonb_array_length(batch -> 'calls');
    END IF;
    IF is_held IS NOT TRUE THEN
        SELECT array_agg(b.session_id) INTO busy_ids FROM (
            SELECT i.session_id
            FROM jsonb_to_recordset(batch -> 'sessions') AS i (operator_id uuid, session_id uuid)
            LEFT JOIN LATERAL (
                SELECT TRUE AS is_held FROM sessions s
                WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id FOR NO KEY UPDATE SKIP LOCKED
            ) h ON TRUE
            WHERE h.is_held IS NULL AND (
                SELECT TRUE FROM sessions s WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id)
            UNION ALL
            SELECT i.session_id
            FROM jsonb_to_recordset(batch -> 'rounds') AS i (operator_id uuid, session_id uuid, round_id uuid)
            LEFT JOIN LATERAL (
                SELECT TRUE AS is_held FROM rounds r
                WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id FOR NO KEY UPDATE SKIP LOCKED
            ) h ON TRUE
            WHERE h.is_held IS NULL AND (
                SELECT TRUE FROM rounds r WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id)
            UNION ALL
            SELECT i.session_id
            FROM jsonb_to_recordset(batch -> 'calls') AS i (operator_id uuid, session_id uuid, operator_tx_id text)
            LEFT JOIN LATERAL (
                SELECT TRUE AS is_held FROM transactions t
                WHERE t.operator_id = i.operator_id AND t.operator_tx_id = i.operator_tx_id FOR NO KEY UPDATE SKIP LOCKED
            ) h ON TRUE
            WHERE h.is_held IS NULL AND (
                SELECT TRUE FROM transactions t WHERE t.operator_id = i.operator_id AND t.operator_tx_id = i.operator_tx_id)
            UNION ALL
            -- A session's row refers to its operator's.
            SELECT i.session_id
            FROM jsonb_to_recordset(batch -> 'launches') AS i (operator_id uuid, session_id uuid)
            LEFT JOIN LATERAL (
                SELECT TRUE AS is_held FROM operators o WHERE o.operator_id = i.operator_id FOR KEY SHARE SKIP LOCKED
            ) h ON TRUE
            WHERE h.is_held IS NULL AND (SELECT TRUE FROM operators o WHERE o.operator_id = i.operator_id)
        ) b;
    END IF;
    IF busy_ids IS NOT NULL THEN
        RETURN QUERY SELECT DISTINCT 'busy', b::text FROM unnest(busy_ids) b;
        batch := (
            SELECT jsonb_object_agg(part.key, (
                SELECT coalesce(jsonb_agg(e), '[]') FROM jsonb_array_elements(part.value) e
                WHERE (e ->> 'session_id')::uuid <> ALL (busy_ids)))
            FROM jsonb_each(batch) part);
    END IF;

    IF batch ? 'launches' THEN
        RETURN QUERY
        WITH first AS (
            INSERT INTO launch_replays AS l
            SELECT i.* FROM jsonb_populate_recordset(NULL::launch_replays, batch -> 'launches') i
            ORDER BY i.operator_id, i.signature_digest
            ON CONFLICT (operator_id, signature_digest) DO NOTHING
            RETURNING l.operator_id, l.session_id
        )
        INSERT INTO sessions AS s
        SELECT i.* FROM jsonb_populate_recordset(NULL::sessions, batch -> 'launches') i
        JOIN first f USING (operator_id, session_id)
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

    IF batch ? 'bets' THEN
        RETURN QUERY
        WITH input AS (
            SELECT r.*, e ->> 'next_hash' AS next_hash, (e ->> 'next_sealed')::bytea AS next_sealed
            FROM jsonb_array_elements(batch -> 'bets') e CROSS JOIN LATERAL jsonb_populate_record(NULL::rounds, e) r
        ), promised AS (
            SELECT s.operator_id, s.session_id, s.server_seed_sealed
            FROM sessions s JOIN input i USING (operator_id, session_id)
            WHERE s.owner_node = i.owner_node AND s.owner_epoch = i.owner_epoch
                AND s.operator_player_id = i.operator_player_id AND s.currency = i.currency
                AND s.nonce = i.nonce AND s.server_seed_hash = i.server_seed_hash
                AND s.expires_at_ms > i.created_at_ms
                AND (SELECT r.status IN ('betting', 'flying') FROM rounds r
                     WHERE r.operator_id = s.operator_id AND r.session_id = s.session_id
                     ORDER BY r.nonce DESC LIMIT 1) IS NOT TRUE
                AND (SELECT t.position FROM transactions t WHERE t.operator_id = s.operator_id
                     AND t.session_id = s.session_id AND t.status = 'pending' AND t.kind <> 'bet'
                     ORDER BY t.position LIMIT 1) IS NULL
        ), advanced AS (
            UPDATE sessions s
            SET nonce = i.nonce + 1, client_seed = i.client_seed, server_seed_hash = i.next_hash,
                server_seed_sealed = i.next_sealed
            FROM input i JOIN promised p USING (operator_id, session_id)
            WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id
            RETURNING s.operator_id, s.session_id, p.server_seed_sealed
        ), placed AS (
            INSERT INTO rounds AS r
                (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths,
                 client_seed, nonce, server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps,
                 max_payout_minor, growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms, bet_mac)
            SELECT operator_id, round_id, session_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths,
                   client_seed, nonce, server_seed_hash, a.server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps,
                   max_payout_minor, growth_rate_per_ms, 'betting', owner_node, owner_epoch, created_at_ms, bet_mac
            FROM input JOIN advanced a USING (operator_id, session_id)
            RETURNING r.operator_id, r.round_id
        )
        INSERT INTO transactions AS t
        SELECT i.* FROM jsonb_populate_recordset(NULL::transactions, batch -> 'bet_calls') i
        JOIN placed USING (operator_id, round_id)
        RETURNING 'bet', t.round_id::text;
    END IF;

    IF batch ? 'starts' THEN
        RETURN QUERY
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'starts') AS i (
                operator_id uuid, session_id uuid, round_id uuid, started_at_ms bigint, balance_minor bigint, attempts int,
                owner_node text, owner_epoch bigint, start_mac bytea)
        ), started AS (
            UPDATE rounds r SET status = 'flying', started_at_ms = i.started_at_ms, start_mac = i.start_mac
            FROM input i
            WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id AND r.status || left(i.owner_node, 0) = 'betting'
                AND r.owner_node = i.owner_node AND r.owner_epoch = i.owner_epoch
            RETURNING r.operator_id, r.session_id, r.round_id, r.started_at_ms, i.balance_minor, i.attempts
        ), bets AS (
            UPDATE transactions t
            SET status = 'acknowledged', attempts = s.attempts, acknowledged_at_ms = s.started_at_ms
            FROM started s
            WHERE t.operator_id = s.operator_id AND t.operator_tx_id = 'bet-' || s.round_id
        )
        UPDATE sessions n SET balance_minor = s.balance_minor, balance_is_known = true
        FROM started s WHERE n.operator_id = s.operator_id AND n.session_id = s.session_id
        RETURNING 'start', s.round_id::text;
    END IF;

    IF batch ? 'ends' THEN
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'ends') AS i (
                operator_id uuid, round_id uuid, status text, result text, reason text, realized_hundredths int,
                payout_minor bigint, server_seed text, crash_hundredths int, map_seed text, loot_seed text, guard_seed text,
                settled_at_ms bigint, owner_node text, owner_epoch bigint, end_mac bytea)
        ), ended AS (
            UPDATE rounds r
            SET status = i.status, result = i.result, reason = i.reason, realized_hundredths = i.realized_hundredths,
                payout_minor = i.payout_minor, server_seed = i.server_seed, crash_hundredths = i.crash_hundredths,
                map_seed = i.map_seed, loot_seed = i.loot_seed, guard_seed = i.guard_seed, settled_at_ms = i.settled_at_ms,
                end_mac = i.end_mac
            FROM input i
            WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id
                AND r.status = CASE i.status WHEN 'void' THEN 'betting' ELSE 'flying' END
                AND r.owner_node = i.owner_node AND r.owner_epoch = i.owner_epoch
            RETURNING r.*
        ), counted AS (
            INSERT INTO revenue_days AS d
                (operator_id, settled_day, currency, rev_share_bps, lane, stakes_minor, payouts_minor, rounds)
            SELECT e.operator_id, e.settled_day, e.currency, e.rev_share_bps,
                   CASE WHEN h.is_held IS NULL AND (
                       SELECT TRUE FROM revenue_days d
                       WHERE d.operator_id = e.operator_id AND d.settled_day = e.settled_day AND d.currency = e.currency
                           AND d.rev_share_bps = e.rev_share_bps AND d.lane = e.owner_node)
                   THEN e.owner_node || ' ' || pg_current_xact_id() ELSE e.owner_node END,
                   e.stakes_minor, e.payouts_minor, e.rounds
            FROM (
                SELECT operator_id, settled_day, currency, rev_share_bps, owner_node, sum(amount_minor) AS stakes_minor,
                       sum(payout_minor) AS payouts_minor, count(*) AS rounds
                FROM ended WHERE status = 'settled'
                GROUP BY operator_id, settled_day, currency, rev_share_bps, owner_node
            ) e
            LEFT JOIN LATERAL (
                SELECT TRUE AS is_held FROM revenue_days d
                WHERE d.operator_id = e.operator_id AND d.settled_day = e.settled_day AND d.currency = e.currency
                    AND d.rev_share_bps = e.rev_share_bps AND d.lane = e.owner_node FOR NO KEY UPDATE SKIP LOCKED
            ) h ON TRUE
            ORDER BY 1, 2, 3, 4, 5
            ON CONFLICT (operator_id, settled_day, currency, rev_share_bps, lane) DO UPDATE
            SET stakes_minor = d.stakes_minor + excluded.stakes_minor,
                payouts_minor = d.payouts_minor + excluded.payouts_minor, rounds = d.rounds + excluded.rounds
        )
        SELECT coalesce(array_agg(round_id), '{}') INTO ended_ids FROM ended;

        UPDATE transactions t SET status = i.bet_status, attempts = i.bet_attempts, last_error = i.bet_detail
        FROM jsonb_to_recordset(batch -> 'ends') AS i (
            operator_id uuid, round_id uuid, bet_status text, bet_attempts int, bet_detail text)
        WHERE i.bet_status IS NOT NULL AND i.round_id = ANY (ended_ids)
            AND t.operator_id = i.operator_id AND t.operator_tx_id = 'bet-' || i.round_id;

        -- The node that ends a round claims what is owed at once and sends it, unless another call of the session waits.
        RETURN QUERY
        WITH owed AS (
            INSERT INTO transactions AS t
            SELECT o.* FROM jsonb_array_elements(batch -> 'outbox') e
            CROSS JOIN LATERAL jsonb_populate_record(NULL::transactions, e) i
            CROSS JOIN LATERAL jsonb_populate_record(i, CASE WHEN (
                SELECT w.position FROM transactions w WHERE w.operator_id = i.operator_id
                AND w.session_id = i.session_id AND w.status = 'pending' AND w.kind <> 'bet'
                ORDER BY w.position LIMIT 1) IS NULL THEN '{}' ELSE coalesce(e -> 'unclaimed', '{}') END) o
            WHERE i.round_id = ANY (ended_ids)
            RETURNING t.round_id, t.claim_node
        )
        SELECT 'claim', o.round_id::text FROM owed o WHERE o.claim_node IS NOT NULL;

        RETURN QUERY SELECT 'end', unnest(ended_ids)::text;
    END IF;

    IF batch ? 'acknowledged' THEN
        RETURN QUERY
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'acknowledged') AS i (
                operator_id uuid, session_id uuid, operator_tx_id text, attempts int, balance_minor bigint,
                acknowledged_at_ms bigint)
        ), acknowledged AS (
            UPDATE transactions t
            SET status = 'acknowledged', attempts = i.attempts, acknowledged_at_ms = i.acknowledged_at_ms,
                last_error = NULL, refused_since_ms = NULL, not_before_ms = NULL, claim_node = NULL, claim_epoch = NULL
            FROM input i
            WHERE t.operator_id = i.operator_id AND t.session_id = i.session_id AND t.operator_tx_id = i.operator_tx_id
                AND t.status || left(i.operator_tx_id, 0) IN ('pending', 'parked')
                AND t.kind || left(i.operator_tx_id, 0) <> 'bet'
            RETURNING t.operator_id, t.session_id, t.operator_tx_id, i.balance_minor
        )
        UPDATE sessions s
        SET balance_minor = coalesce(a.balance_minor, s.balance_minor), balance_is_known = a.balance_minor IS NOT NULL
        FROM acknowledged a WHERE s.operator_id = a.operator_id AND s.session_id = a.session_id
        RETURNING 'call', a.operator_tx_id;
    END IF;

    IF batch ? 'postponed' THEN
        RETURN QUERY
        UPDATE transactions t
        SET attempts = i.attempts, next_attempt_at_ms = i.next_attempt_at_ms, last_error = i.last_error,
            refused_since_ms = i.refused_since_ms, not_before_ms = i.not_before_ms,
            status = CASE WHEN i.parked THEN 'parked' ELSE t.status END, claim_node = NULL, claim_epoch = NULL
        FROM jsonb_to_recordset(batch -> 'postponed') AS i (
            operator_id uuid, session_id uuid, operator_tx_id text, attempts int, next_attempt_at_ms bigint,
            last_error text, refused_since_ms bigint, not_before_ms bigint, parked bool, owner_node text,
            owner_epoch bigint)
        WHERE t.operator_id = i.operator_id AND t.session_id = i.session_id AND t.operator_tx_id = i.operator_tx_id
            AND t.status || left(i.operator_tx_id, 0) = 'pending' AND t.kind || left(i.operator_tx_id, 0) <> 'bet'
            AND (t.claim_node IS NULL OR t.claim_node = i.owner_node AND t.claim_epoch = i.owner_epoch)
        RETURNING 'call', t.operator_tx_id;
    END IF;

    IF batch ? 'client_seeds' THEN
        RETURN QUERY
        UPDATE sessions s SET client_seed = i.client_seed
        FROM jsonb_to_recordset(batch -> 'client_seeds') AS i (
            operator_id uuid, session_id uuid, client_seed text, owner_node text, owner_epoch bigint)
        WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id
            AND s.owner_node = i.owner_node AND s.owner_epoch = i.owner_epoch
        RETURNING 'client_seed', s.session_id::text;
    END IF;
END $$;
