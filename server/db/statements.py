"""One statement for all transitions of a kind in a group: arrays in, the keys of what was applied out.

Each statement checks in SQL what its transition requires. A key that does not come back was not applied now; the
``READ_`` statements find those that had been applied before, so that a repeated transition answers as it did the first
time.
"""


def dead_owners(owners: str) -> str:
    """A table ``dead`` (node, epoch, heartbeat_at_ms) of those ``owners`` that are neither alive nor ($1, $2).

    $3 is the last heartbeat that no longer counts. To be joined with equality: a row that another node has taken
    meanwhile then no longer matches. A NOT EXISTS beside a row lock doesn't see that, because PostgreSQL checks a row
    that has changed again without the rows that it must not match.
    """
    return f"""owners AS MATERIALIZED (
    SELECT DISTINCT node, epoch FROM ({owners}) AS o (node, epoch) WHERE (node, epoch) <> ($1, $2)
), dead AS MATERIALIZED (
    SELECT o.node, o.epoch, coalesce(n.heartbeat_at_ms, 0) AS heartbeat_at_ms
    FROM owners o LEFT JOIN nodes n ON n.node = o.node AND n.epoch = o.epoch
    WHERE n.epoch IS NULL OR n.heartbeat_at_ms <= $3
        OR EXISTS (SELECT FROM nodes l WHERE l.node = n.node AND l.epoch > n.epoch)
)"""


def few(rows: str, *columns: str) -> str:
    """The rows of the table expression ``rows`` as a table ``f`` that the planner takes for short.

    It can't know how many rows a LIMIT of a value lets through, takes it for a tenth of the table, and would read all of
    a table of millions to change thirty rows.
    """
    arrays = ", ".join(f"ARRAY(SELECT {column} FROM {rows})" for column in columns)
    return f"unnest({arrays}) AS f ({', '.join(columns)})"


LOCK_SESSIONS = """
SELECT FROM sessions s JOIN unnest($1::uuid[], $2::uuid[]) AS i (operator_id, session_id) USING (operator_id, session_id)
ORDER BY s.operator_id, s.session_id FOR NO KEY UPDATE OF s
"""

CREATE_SESSIONS = """
WITH input AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[], $9::text[],
        $10::text[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bigint[])
    AS i (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms, expires_at_ms,
          client_seed, server_seed_hash, server_seed_sealed, signature_digest, sealed_token, replay_until_ms)
), first AS (
    INSERT INTO launch_replays AS l
        (operator_id, signature_digest, session_id, expires_at_ms, sealed_token, replay_until_ms)
    SELECT operator_id, signature_digest, session_id, expires_at_ms, sealed_token, replay_until_ms FROM input
    ORDER BY operator_id, signature_digest
    ON CONFLICT (operator_id, signature_digest) DO NOTHING
    RETURNING l.operator_id, l.session_id
)
INSERT INTO sessions
    (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms, expires_at_ms,
     client_seed, nonce, server_seed_hash, server_seed_sealed)
SELECT i.operator_id, i.session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms, expires_at_ms,
       client_seed, 1, server_seed_hash, server_seed_sealed
FROM input i JOIN first f USING (operator_id, session_id)
RETURNING session_id AS key
"""

READ_LAUNCHES = """
SELECT l.operator_id, l.signature_digest, l.session_id, l.expires_at_ms, l.sealed_token
FROM unnest($1::uuid[], $2::bytea[]) AS i (operator_id, signature_digest)
JOIN launch_replays l USING (operator_id, signature_digest)
"""

FORGET_LAUNCHES = """
DELETE FROM launch_replays WHERE (operator_id, signature_digest) IN (
    SELECT operator_id, signature_digest FROM launch_replays WHERE replay_until_ms < $1
    ORDER BY replay_until_ms LIMIT 200 FOR UPDATE SKIP LOCKED)
"""

PLACE_BETS = """
WITH input AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::int[], $8::text[], $9::bigint[],
        $10::text[], $11::int[], $12::int[], $13::int[], $14::bigint[], $15::numeric[], $16::bigint[], $17::text[],
        $18::bigint[], $19::text[], $20::bytea[], $21::text[], $22::bytea[], $23::bigint[])
    AS i (operator_id, session_id, round_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths, client_seed,
          nonce, server_seed_hash, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor, growth_rate_per_ms,
          created_at_ms, owner_node, owner_epoch, operator_tx_id, body, next_hash, next_sealed, position)
), promised AS (
    SELECT s.operator_id, s.session_id, s.server_seed_sealed
    FROM sessions s JOIN input i USING (operator_id, session_id)
    WHERE s.owner_node = i.owner_node AND s.owner_epoch = i.owner_epoch
        AND s.operator_player_id = i.operator_player_id AND s.currency = i.currency
        AND s.nonce = i.nonce AND s.server_seed_hash = i.server_seed_hash
        AND s.expires_at_ms > i.created_at_ms
        AND NOT EXISTS (SELECT FROM rounds r WHERE r.operator_id = s.operator_id AND r.session_id = s.session_id
                        AND r.status IN ('betting', 'flying'))
        AND NOT EXISTS (SELECT FROM transactions t WHERE t.operator_id = s.operator_id AND t.session_id = s.session_id
                        AND t.status = 'pending' AND t.kind <> 'bet')
), advanced AS (
    UPDATE sessions s
    SET nonce = i.nonce + 1, client_seed = i.client_seed, server_seed_hash = i.next_hash, server_seed_sealed = i.next_sealed
    FROM input i JOIN promised p USING (operator_id, session_id)
    WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id
    RETURNING s.operator_id, s.session_id, p.server_seed_sealed
), placed AS (
    INSERT INTO rounds AS r
        (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths, client_seed,
         nonce, server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
         growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms)
    SELECT operator_id, round_id, session_id, operator_player_id, currency, amount_minor, auto_cashout_hundredths, client_seed,
           nonce, server_seed_hash, a.server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
           growth_rate_per_ms, 'betting', owner_node, owner_epoch, created_at_ms
    FROM input JOIN advanced a USING (operator_id, session_id)
    RETURNING r.operator_id, r.round_id
)
INSERT INTO transactions
    (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status, created_at_ms,
     next_attempt_at_ms)
SELECT operator_id, operator_tx_id, round_id, session_id, 'bet', amount_minor, body, position, 'pending', created_at_ms,
       created_at_ms
FROM input JOIN placed USING (operator_id, round_id)
RETURNING round_id AS key
"""

START_ROUNDS = """
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::int[], $7::text[],
        $8::bigint[])
    AS i (operator_id, session_id, round_id, started_at_ms, balance_minor, attempts, owner_node, owner_epoch)
), started AS (
    UPDATE rounds r SET status = 'flying', started_at_ms = i.started_at_ms
    FROM input i
    WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id AND r.status = 'betting'
        AND r.owner_node = i.owner_node AND r.owner_epoch = i.owner_epoch
    RETURNING r.operator_id, r.session_id, r.round_id, r.started_at_ms, i.balance_minor, i.attempts
), bets AS (
    UPDATE transactions t SET status = 'acknowledged', attempts = s.attempts, acknowledged_at_ms = s.started_at_ms
    FROM started s
    WHERE t.operator_id = s.operator_id AND t.operator_tx_id = 'bet-' || s.round_id
)
UPDATE sessions n SET balance_minor = s.balance_minor
FROM started s WHERE n.operator_id = s.operator_id AND n.session_id = s.session_id
RETURNING s.round_id AS key
"""

END_ROUNDS = """
WITH input AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::text[], $9::int[],
        $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::bigint[])
    AS i (operator_id, round_id, status, result, reason, realized_hundredths, payout_minor, server_seed, crash_hundredths,
          map_seed, loot_seed, guard_seed, settled_at_ms, owner_node, owner_epoch)
), ended AS (
UPDATE rounds r
SET status = i.status, result = i.result, reason = i.reason, realized_hundredths = i.realized_hundredths,
    payout_minor = i.payout_minor, server_seed = i.server_seed, crash_hundredths = i.crash_hundredths, map_seed = i.map_seed,
    loot_seed = i.loot_seed, guard_seed = i.guard_seed, settled_at_ms = i.settled_at_ms
FROM input i
WHERE r.operator_id = i.operator_id AND r.round_id = i.round_id
    AND r.status = CASE i.status WHEN 'void' THEN 'betting' ELSE 'flying' END
    AND r.owner_node = i.owner_node AND r.owner_epoch = i.owner_epoch
RETURNING r.operator_id, r.round_id, r.status, r.settled_day, r.currency, r.rev_share_bps, r.amount_minor, r.payout_minor,
    r.owner_node
), counted AS (
INSERT INTO revenue_days AS d
    (operator_id, settled_day, currency, rev_share_bps, lane, stakes_minor, payouts_minor, rounds)
SELECT operator_id, settled_day, currency, rev_share_bps, owner_node, sum(amount_minor), sum(payout_minor), count(*)
FROM ended WHERE status = 'settled'
GROUP BY operator_id, settled_day, currency, rev_share_bps, owner_node
ORDER BY operator_id, settled_day, currency, rev_share_bps, owner_node
ON CONFLICT (operator_id, settled_day, currency, rev_share_bps, lane) DO UPDATE
SET stakes_minor = d.stakes_minor + excluded.stakes_minor, payouts_minor = d.payouts_minor + excluded.payouts_minor,
    rounds = d.rounds + excluded.rounds
)
SELECT round_id AS key FROM ended
"""

END_BETS = """
UPDATE transactions t SET status = i.status, attempts = i.attempts, last_error = i.last_error
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[])
AS i (operator_id, operator_tx_id, status, attempts, last_error)
WHERE t.operator_id = i.operator_id AND t.operator_tx_id = i.operator_tx_id
"""

OWE = """
INSERT INTO transactions
    (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status, created_at_ms,
     next_attempt_at_ms)
SELECT i.operator_id, i.operator_tx_id, i.round_id, i.session_id, i.kind, i.amount_minor, i.body, i.position, 'pending',
       i.created_at_ms, i.next_attempt_at_ms
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bytea[], $8::bigint[],
            $9::bigint[], $10::bigint[])
AS i (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, created_at_ms,
      next_attempt_at_ms)
"""

ACKNOWLEDGE = """
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[])
    AS i (operator_id, session_id, operator_tx_id, attempts, balance_minor, acknowledged_at_ms)
), acknowledged AS (
    UPDATE transactions t
    SET status = 'acknowledged', attempts = i.attempts, acknowledged_at_ms = i.acknowledged_at_ms, last_error = NULL,
        claim_node = NULL, claim_epoch = NULL
    FROM input i
    WHERE t.operator_id = i.operator_id AND t.session_id = i.session_id AND t.operator_tx_id = i.operator_tx_id
        AND t.status IN ('pending', 'parked') AND t.kind <> 'bet'
    RETURNING t.operator_id, t.session_id, t.operator_tx_id, i.balance_minor
)
UPDATE sessions s SET balance_minor = a.balance_minor
FROM acknowledged a WHERE s.operator_id = a.operator_id AND s.session_id = a.session_id
RETURNING a.operator_tx_id AS key
"""

POSTPONE = """
UPDATE transactions t
SET attempts = i.attempts, next_attempt_at_ms = i.next_attempt_at_ms, last_error = i.last_error,
    status = CASE WHEN i.parked THEN 'parked' ELSE t.status END, claim_node = NULL, claim_epoch = NULL
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::bool[], $8::text[], $9::bigint[])
AS i (operator_id, session_id, operator_tx_id, attempts, next_attempt_at_ms, last_error, parked, owner_node, owner_epoch)
WHERE t.operator_id = i.operator_id AND t.session_id = i.session_id AND t.operator_tx_id = i.operator_tx_id
    AND t.status = 'pending' AND t.kind <> 'bet'
    AND (t.claim_node IS NULL OR t.claim_node = i.owner_node AND t.claim_epoch = i.owner_epoch)
RETURNING t.operator_tx_id AS key
"""

CHANGE_CLIENT_SEEDS = """
UPDATE sessions s SET client_seed = i.client_seed
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[])
AS i (operator_id, session_id, client_seed, owner_node, owner_epoch)
WHERE s.operator_id = i.operator_id AND s.session_id = i.session_id
    AND s.owner_node = i.owner_node AND s.owner_epoch = i.owner_epoch
RETURNING s.session_id AS key
"""

READ_ROUNDS = """
SELECT r.round_id, r.status, r.started_at_ms, r.result, r.reason, r.realized_hundredths, r.payout_minor, r.owner_node,
       r.owner_epoch, t.status AS bet_status
FROM unnest($1::uuid[], $2::uuid[]) AS i (operator_id, round_id)
JOIN rounds r USING (operator_id, round_id)
JOIN transactions t ON t.operator_id = r.operator_id AND t.operator_tx_id = 'bet-' || r.round_id
"""

READ_CALLS = """
SELECT t.operator_tx_id, t.status
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS i (operator_id, session_id, operator_tx_id)
JOIN transactions t USING (operator_id, session_id, operator_tx_id) WHERE t.kind <> 'bet'
"""
