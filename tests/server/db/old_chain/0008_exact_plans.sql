-- As `commit_group_2`, but for what its statements find. A plan is made once for each connection, perhaps from statistics of a
-- moment when the tables were small or nobody played, and then a scan of a whole index seems to cost nothing: of all rounds
-- that are live, or of all calls that an operator's silent wallet has not taken yet. So a row is looked for by its key alone,
-- and what else is asked of it waits for that (`|| left(i.x, 0)` adds nothing, and can't be known before). What a session owes
-- or has played is asked for in the order that only its own index has. A session's live round is its newest one: no other
-- begins before that has ended.
--
-- Launches find their rows exactly as they are, and are left to the function before. The rest is written out, also where it is
-- as it was: an end differs in one condition within its statements, and a call of the older functions for what remains would
-- cost each commit their own lock and look at the batch.

CREATE FUNCTION commit_group_3(batch jsonb) RETURNS TABLE (applied_kind text, applied_key text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    ended_ids uuid[];
BEGIN
    IF batch ? 'launches' THEN
        -- It locks the sessions of the whole group, too.
        RETURN QUERY SELECT * FROM commit_group_2(
            jsonb_build_object('sessions', batch -> 'sessions', 'launches', batch -> 'launches'));
    ELSE
        PERFORM FROM sessions s
        JOIN jsonb_to_recordset(batch -> 'sessions') AS i (operator_id uuid, session_id uuid)
            USING (operator_id, session_id)
        ORDER BY s.operator_id, s.session_id FOR NO KEY UPDATE OF s;
    END IF;

    IF batch ? 'bets' THEN
        RETURN QUERY
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'bets') AS i (
                operator_id uuid, session_id uuid, round_id uuid, operator_player_id text, currency text,
                amount_minor bigint, auto_cashout_hundredths int, client_seed text, nonce bigint, server_seed_hash text,
                rtp_bps int, max_win_multiplier int, rev_share_bps int, max_payout_minor bigint, growth_rate_per_ms numeric,
                created_at_ms bigint, owner_node text, owner_epoch bigint, operator_tx_id text, body bytea, next_hash text,
                next_sealed bytea, "position" bigint)
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
                 max_payout_minor, growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms)
            SELECT operator_id, round_id, session_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths,
                   client_seed, nonce, server_seed_hash, a.server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps,
                   max_payout_minor, growth_rate_per_ms, 'betting', owner_node, owner_epoch, created_at_ms
            FROM input JOIN advanced a USING (operator_id, session_id)
            RETURNING r.operator_id, r.round_id
        )
        INSERT INTO transactions AS t
            (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status, created_at_ms,
             next_attempt_at_ms)
        SELECT operator_id, operator_tx_id, round_id, session_id, 'bet', amount_minor, body, "position", 'pending',
               created_at_ms, created_at_ms
        FROM input JOIN placed USING (operator_id, round_id)
        RETURNING 'bet', t.round_id::text;
    END IF;

    IF batch ? 'starts' THEN
        RETURN QUERY
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'starts') AS i (
                operator_id uuid, session_id uuid, round_id uuid, started_at_ms bigint, balance_minor bigint, attempts int,
                owner_node text, owner_epoch bigint)
        ), started AS (
            UPDATE rounds r SET status = 'flying', started_at_ms = i.started_at_ms
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
        UPDATE sessions n SET balance_minor = s.balance_minor
        FROM started s WHERE n.operator_id = s.operator_id AND n.session_id = s.session_id
        RETURNING 'start', s.round_id::text;
    END IF;

    IF batch ? 'ends' THEN
        WITH input AS (
            SELECT * FROM jsonb_to_recordset(batch -> 'ends') AS i (
                operator_id uuid, round_id uuid, status text, result text, reason text, realized_hundredths int,
                payout_minor bigint, server_seed text, crash_hundredths int, map_seed text, loot_seed text, guard_seed text,
                settled_at_ms bigint, owner_node text, owner_epoch bigint)
        ), ended AS (
            UPDATE rounds r
            SET status = i.status, result = i.result, reason = i.reason, realized_hundredths = i.realized_hundredths,
                payout_minor = i.payout_minor, server_seed = i.server_seed, crash_hundredths = i.crash_hundredths,
                map_seed = i.map_seed, loot_seed = i.loot_seed, guard_seed = i.guard_seed, settled_at_ms = i.settled_at_ms
            FROM input i
            WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id
                AND r.status = CASE i.status WHEN 'void' THEN 'betting' ELSE 'flying' END
                AND r.owner_node = i.owner_node AND r.owner_epoch = i.owner_epoch
            RETURNING r.*
        ), counted AS (
            INSERT INTO revenue_days AS d
                (operator_id, settled_day, currency, rev_share_bps, lane, stakes_minor, payouts_minor, rounds)
            SELECT operator_id, settled_day, currency, rev_share_bps, owner_node, sum(amount_minor), sum(payout_minor),
                   count(*)
            FROM ended WHERE status = 'settled'
            GROUP BY operator_id, settled_day, currency, rev_share_bps, owner_node
            ORDER BY operator_id, settled_day, currency, rev_share_bps, owner_node
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
                (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status,
                 created_at_ms, next_attempt_at_ms, claim_node, claim_epoch)
            SELECT i.operator_id, i.owed_tx_id, i.round_id, i.session_id, i.owed_kind, i.owed_minor, i.owed_body,
                   i.owed_position, 'pending', i.owed_created_at_ms,
                   CASE WHEN c.is_claimed THEN i.claimed_until_ms ELSE i.owed_created_at_ms END,
                   CASE WHEN c.is_claimed THEN i.owner_node END, CASE WHEN c.is_claimed THEN i.owner_epoch END
            FROM jsonb_to_recordset(batch -> 'ends') AS i (
                operator_id uuid, session_id uuid, round_id uuid, owed_tx_id text, owed_kind text, owed_minor bigint,
                owed_body bytea, owed_position bigint, owed_created_at_ms bigint, claimed_until_ms bigint, owner_node text,
                owner_epoch bigint)
            CROSS JOIN LATERAL (
                SELECT i.claimed_until_ms IS NOT NULL AND (
                    SELECT e.position FROM transactions e WHERE e.operator_id = i.operator_id
                    AND e.session_id = i.session_id AND e.status = 'pending' AND e.kind <> 'bet'
                    ORDER BY e.position LIMIT 1) IS NULL AS is_claimed
            ) c
            WHERE i.owed_tx_id IS NOT NULL AND i.round_id = ANY (ended_ids)
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
                last_error = NULL, claim_node = NULL, claim_epoch = NULL
            FROM input i
            WHERE t.operator_id = i.operator_id AND t.session_id = i.session_id AND t.operator_tx_id = i.operator_tx_id
                AND t.status || left(i.operator_tx_id, 0) IN ('pending', 'parked')
                AND t.kind || left(i.operator_tx_id, 0) <> 'bet'
            RETURNING t.operator_id, t.session_id, t.operator_tx_id, i.balance_minor
        )
        UPDATE sessions s SET balance_minor = a.balance_minor
        FROM acknowledged a WHERE s.operator_id = a.operator_id AND s.session_id = a.session_id
        RETURNING 'call', a.operator_tx_id;
    END IF;

    IF batch ? 'postponed' THEN
        RETURN QUERY
        UPDATE transactions t
        SET attempts = i.attempts, next_attempt_at_ms = i.next_attempt_at_ms, last_error = i.last_error,
            status = CASE WHEN i.parked THEN 'parked' ELSE t.status END, claim_node = NULL, claim_epoch = NULL
        FROM jsonb_to_recordset(batch -> 'postponed') AS i (
            operator_id uuid, session_id uuid, operator_tx_id text, attempts int, next_attempt_at_ms bigint,
            last_error text, parked bool, owner_node text, owner_epoch bigint)
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
