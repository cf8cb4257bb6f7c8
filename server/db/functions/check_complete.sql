-- version: 1
--
-- For a trigger on rounds at the commit: nothing that is owed is left out. A round and its bet, an end and its win or refund,
-- are committed together.

CREATE OR REPLACE FUNCTION check_complete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bet_status text;
    owes_kind text;
BEGIN
    SELECT status INTO bet_status FROM transactions
    WHERE operator_id = NEW.operator_id AND round_id = NEW.round_id AND kind = 'bet';
    SELECT kind INTO owes_kind FROM transactions
    WHERE operator_id = NEW.operator_id AND round_id = NEW.round_id AND kind <> 'bet';
    IF (CASE NEW.status
        WHEN 'betting' THEN bet_status IS NOT NULL
        WHEN 'flying' THEN bet_status = 'acknowledged'
        WHEN 'settled' THEN (owes_kind IS NOT NULL) = (NEW.payout_minor > 0)
        WHEN 'void' THEN bet_status = CASE WHEN owes_kind IS NULL THEN 'declined' ELSE 'unknown' END
        ELSE owes_kind = 'refund' END)
    THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'a % round lacks a transaction, or has one too many', NEW.status
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
