-- version: 1
--
-- For a trigger on transactions: a bet takes its round's stake, a win pays what its round says and a refund gives back the
-- stake; nothing else is owed.

CREATE OR REPLACE FUNCTION check_owed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    played rounds%ROWTYPE;
BEGIN
    SELECT * INTO played FROM rounds WHERE operator_id = NEW.operator_id AND round_id = NEW.round_id;
    IF (NEW.status = 'pending' AND NEW.session_id = played.session_id
        AND NEW.position = 2 * played.nonce + CASE NEW.kind WHEN 'bet' THEN 0 ELSE 1 END
        AND CASE NEW.kind
            WHEN 'bet' THEN played.status = 'betting' AND played.amount_minor = NEW.amount_minor
            WHEN 'win' THEN played.status = 'settled' AND played.payout_minor = NEW.amount_minor
            ELSE played.status IN ('void', 'refunded') AND played.amount_minor = NEW.amount_minor END)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a % of % is not what its round owes', NEW.kind, NEW.amount_minor
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
