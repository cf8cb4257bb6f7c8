-- What operators are told of a day, added up when a round is settled, in the same transaction: rounds pile up, and a
-- month of them can't be read for each question. A lane is the node that settled: a node commits one group after the
-- other, so that none waits for another's row. rounds_revenue has gone: it cost each settlement an entry.

CREATE TABLE revenue_days (
    operator_id uuid NOT NULL REFERENCES operators,
    settled_day date NOT NULL,
    currency text NOT NULL,
    rev_share_bps integer NOT NULL,
    lane text NOT NULL,
    stakes_minor numeric NOT NULL CHECK (stakes_minor > 0),
    payouts_minor numeric NOT NULL CHECK (payouts_minor >= 0),
    rounds bigint NOT NULL CHECK (rounds > 0),
    PRIMARY KEY (operator_id, settled_day, currency, rev_share_bps, lane)
) WITH (fillfactor = 50);

INSERT INTO revenue_days
SELECT operator_id, settled_day, currency, rev_share_bps, 'before', sum(amount_minor), sum(payout_minor), count(*)
FROM rounds WHERE status = 'settled' GROUP BY operator_id, settled_day, currency, rev_share_bps;

DROP INDEX rounds_revenue;
