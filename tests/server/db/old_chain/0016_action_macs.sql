-- As 0011, for what a person has noted at the command line: that a call was sent again or booked by other means, and which lost
-- bets are refunded.

ALTER TABLE wallet_actions ADD mac bytea;
ALTER TABLE lost_bets ADD mac bytea;
