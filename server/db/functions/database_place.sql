-- version: 1
--
-- Where the newest commits are written, as far as the server tells this role, and whether a commit waits for a standby.

CREATE OR REPLACE FUNCTION database_place(OUT system_identifier bigint, OUT timeline text, OUT is_synchronous boolean)
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
