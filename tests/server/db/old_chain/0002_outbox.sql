-- The outbox: which undelivered call is due, and which node is sending it just now. A claim is no ownership: it ends at
-- next_attempt_at_ms whatever its node does.

ALTER TABLE transactions
    ADD COLUMN claim_node text,
    ADD COLUMN claim_epoch bigint,
    ADD CONSTRAINT claims_are_of_pending_calls CHECK (
        (claim_node IS NULL) = (claim_epoch IS NULL)
        AND (claim_node IS NULL OR status = 'pending' AND kind <> 'bet'));

CREATE INDEX transactions_due ON transactions (operator_id, next_attempt_at_ms, operator_tx_id)
    WHERE status = 'pending' AND kind <> 'bet';
CREATE INDEX transactions_claimed ON transactions (claim_node, claim_epoch) WHERE claim_node IS NOT NULL;
CREATE INDEX transactions_parked ON transactions (operator_id) WHERE status = 'parked';

-- When the node that played a round was last alive, noted by the node that takes the round over: another taker, should
-- this one die, too, must not take its own predecessor's last sign of life for the player's.
ALTER TABLE rounds ADD COLUMN interrupted_at_ms bigint CHECK (interrupted_at_ms >= 0);
CREATE TRIGGER interruptions_never_change BEFORE UPDATE ON rounds FOR EACH ROW
    WHEN (OLD.interrupted_at_ms IS NOT NULL AND OLD.interrupted_at_ms IS DISTINCT FROM NEW.interrupted_at_ms)
    EXECUTE FUNCTION refuse_change('a round was interrupted once');
