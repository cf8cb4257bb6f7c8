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
