-- What people did about calls that could not be delivered. Kept for ever, as they were written.

CREATE TABLE wallet_actions (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operator_id uuid NOT NULL,
    operator_tx_id text NOT NULL,
    action text NOT NULL CHECK (action IN ('retry', 'resolve')),
    by_whom text NOT NULL CHECK (by_whom <> ''),
    reason text,
    at_ms bigint NOT NULL,
    status_before text NOT NULL CHECK (status_before IN ('pending', 'parked')),
    status_after text NOT NULL CHECK (status_after IN ('pending', 'acknowledged')),
    FOREIGN KEY (operator_id, operator_tx_id) REFERENCES transactions,
    CHECK (action <> 'resolve' OR reason <> '')
);
CREATE INDEX wallet_actions_of_call ON wallet_actions (operator_id, operator_tx_id);

CREATE TRIGGER wallet_actions_never_change BEFORE UPDATE OR DELETE ON wallet_actions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('what was done is kept');
CREATE TRIGGER wallet_actions_are_never_truncated BEFORE TRUNCATE ON wallet_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('what was done is kept');
