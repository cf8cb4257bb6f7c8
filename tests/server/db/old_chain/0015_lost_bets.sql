-- Bets that an operator has booked and a restored database does not know: each is refunded by `getaway restored`, which notes
-- here what became of it. There is no round that they could belong to.

CREATE TABLE lost_bets (
    operator_id uuid NOT NULL REFERENCES operators,
    round_id uuid NOT NULL,
    session_id uuid NOT NULL,
    operator_player_id text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    body bytea NOT NULL,
    noted_at_ms bigint NOT NULL DEFAULT database_ms(),
    noted_by text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    acknowledged_at_ms bigint,
    PRIMARY KEY (operator_id, round_id)
);
CREATE TRIGGER lost_bets_are_never_deleted BEFORE DELETE ON lost_bets
    FOR EACH ROW EXECUTE FUNCTION refuse_change('they tell who got what back, and why');
CREATE TRIGGER lost_bets_keep_their_bodies BEFORE UPDATE ON lost_bets FOR EACH ROW
    WHEN ((OLD.operator_id, OLD.round_id, OLD.amount_minor, OLD.body) IS DISTINCT FROM
          (NEW.operator_id, NEW.round_id, NEW.amount_minor, NEW.body))
    EXECUTE FUNCTION refuse_change('the same transaction id always carries the same bytes');
