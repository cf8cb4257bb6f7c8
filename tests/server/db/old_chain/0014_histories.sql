-- Which database this is, and whether its history was cut: one row for each history, the one that is not restored the present one.
--
-- A database that was restored from a backup, or a standby that was promoted without the newest commits, has forgotten bets that
-- were taken and seeds that were shown. Whoever notices writes the cut down; bets stop at all nodes until a person has run
-- `getaway restored`, which begins the next history.

CREATE TABLE histories (
    history_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    begun_at_ms bigint NOT NULL DEFAULT database_ms(),
    -- Where its newest commits were written; null where the server does not tell this role.
    system_identifier bigint,
    timeline text,
    cut_at_ms bigint,
    cut_reason text,
    cut_by text,
    restored_at_ms bigint,
    restored_by text,
    restored_since_ms bigint,
    CHECK (num_nulls(cut_at_ms, cut_reason, cut_by) IN (0, 3)),
    CHECK (num_nulls(restored_at_ms, restored_by, restored_since_ms) IN (0, 3))
);
CREATE UNIQUE INDEX histories_present ON histories ((restored_at_ms IS NULL)) WHERE restored_at_ms IS NULL;

-- Whether the commit of the last heartbeat waited for a standby: what is promoted then has all that was committed before.
ALTER TABLE nodes ADD is_synchronous boolean;

CREATE FUNCTION database_place(OUT system_identifier bigint, OUT timeline text, OUT is_synchronous boolean)
LANGUAGE plpgsql AS $$
BEGIN
    is_synchronous := current_setting('synchronous_standby_names') <> ''
        AND current_setting('synchronous_commit') NOT IN ('off', 'local');
    BEGIN
        SELECT c.system_identifier INTO system_identifier FROM pg_control_system() c;
    EXCEPTION WHEN insufficient_privilege THEN
        system_identifier := NULL;
    END;
    BEGIN
        timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
    EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state THEN
        timeline := NULL;
    END;
END $$;
