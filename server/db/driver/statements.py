"""The statement that commits a group, and those that read what had been applied before it.

``commit_group_6`` (``functions/commit_group.sql``) checks in SQL what each transition requires. A key that does
not come back was not applied now; the ``READ_`` statements find those that had been applied before, so that a repeated
transition answers as it did the first time.
"""


def dead_owners(owners: str) -> str:
    """A table ``dead`` (node, epoch, flown_at_ms) of those ``owners`` that are neither alive nor ($1, $2).

    $3 is the silence, in milliseconds by the database's clock, from which on a node counts as dead; ``flown_at_ms`` is
    up to when its flights had flown. To be joined with equality: a row that another node has taken
    meanwhile then no longer matches. A NOT EXISTS beside a row lock doesn't see that, because PostgreSQL checks a row
    that has changed again without the rows that it must not match.
    """
    return f"""owners AS MATERIALIZED (
    SELECT DISTINCT node, epoch FROM ({owners}) AS o (node, epoch) WHERE (node, epoch) <> ($1, $2)
), dead AS MATERIALIZED (
    SELECT o.node, o.epoch, coalesce(n.flown_at_ms, n.heartbeat_at_ms, 0) AS flown_at_ms
    FROM owners o LEFT JOIN nodes n ON n.node = o.node AND n.epoch = o.epoch
    WHERE n.epoch IS NULL OR n.ended_at_ms IS NOT NULL OR n.heartbeat_at_ms <= (SELECT database_ms()) - $3
        OR EXISTS (SELECT FROM nodes l WHERE l.node = n.node AND l.epoch > n.epoch)
)"""


def few(rows: str, *columns: str) -> str:
    """The rows of the table expression ``rows`` as a table ``f`` that the planner takes for short.

    It can't know how many rows a LIMIT of a value lets through, takes it for a tenth of the table, and would read all of
    a table of millions to change thirty rows.
    """
    arrays = ", ".join(f"ARRAY(SELECT {column} FROM {rows})" for column in columns)
    return f"unnest({arrays}) AS f ({', '.join(columns)})"


COMMIT_GROUP = "SELECT applied_kind, applied_key FROM commit_group_6($1::jsonb)"

READ_LAUNCHES = """
SELECT l.operator_id, l.signature_digest, l.session_id, l.expires_at_ms, l.sealed_token
FROM unnest($1::uuid[], $2::bytea[]) AS i (operator_id, signature_digest)
JOIN launch_replays l USING (operator_id, signature_digest)
"""

READ_ROUNDS = """
SELECT r.operator_id, r.round_id, r.session_id, r.status, r.started_at_ms, r.start_mac, r.result, r.reason,
       r.realized_hundredths, r.payout_minor, r.owner_node, r.owner_epoch, t.status AS bet_status
FROM unnest($1::uuid[], $2::uuid[]) AS i (operator_id, round_id)
JOIN rounds r USING (operator_id, round_id)
JOIN transactions t ON t.operator_id = r.operator_id AND t.operator_tx_id = 'bet-' || r.round_id
"""

READ_CALLS = """
SELECT t.operator_tx_id, t.status
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS i (operator_id, session_id, operator_tx_id)
JOIN transactions t USING (operator_id, session_id, operator_tx_id) WHERE t.kind <> 'bet'
"""
