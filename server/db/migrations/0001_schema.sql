-- The books: operators, sessions, rounds and their wallet calls. Keys begin with operator_id, the shard key.
-- Times are unix milliseconds, money is minor units, multipliers are hundredths, shares are hundredths of a percent. A `mac` is
-- a code that only the holder of the master key can make (server/secrets/row_macs.py), so that a row is believed for who wrote it and
-- not for being there.
--
-- The functions are in server/db/functions/.

-- One row for each life of a node; the newest epoch of a name is the living one.
CREATE TABLE nodes (
    node text NOT NULL,
    epoch bigint NOT NULL DEFAULT next_epoch(),
    started_at_ms bigint NOT NULL,
    heartbeat_at_ms bigint NOT NULL,
    -- Up to when the flights of this life had flown at its last heartbeat, in the time of their stored starts. It may be
    -- before heartbeat_at_ms: where a clock has leapt forward, flights have not.
    flown_at_ms bigint,
    -- Which change of the operators the node knows.
    operators_version bigint,
    -- Whether the commit of the last heartbeat waited for a standby: what is promoted then has all that was committed before.
    is_synchronous boolean,
    -- Of a life that is known to be over before its lease is: by its own last word, or because its process is gone, and with
    -- it the connection whose session-level advisory lock, on the epoch, it held.
    ended_at_ms bigint,
    PRIMARY KEY (node, epoch)
);

CREATE TABLE operators (
    operator_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    api_key_sealed bytea NOT NULL,
    hmac_secret_sealed bytea NOT NULL,
    wallet_callback_url text NOT NULL,
    rtp_bps integer NOT NULL CHECK (rtp_bps BETWEEN 1 AND 10000),
    max_win_multiplier integer NOT NULL CHECK (max_win_multiplier >= 2),
    rev_share_bps integer NOT NULL CHECK (rev_share_bps BETWEEN 0 AND 10000),
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    allow_cidrs text[] NOT NULL,
    frame_origins text[] NOT NULL,
    created_at_ms bigint NOT NULL,
    changed_at_ms bigint NOT NULL,
    mac bytea
);

-- Which change of the operators the nodes know: whoever suspends one is told which nodes do not do so yet. One row, so that
-- changes come one after the other: a node that has read a number has all changes up to it.
CREATE TABLE operator_changes (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO operator_changes (version) VALUES (0);

-- By this a server knows that its master key is the one that this database is written with, whatever became of a row.
CREATE TABLE master_key_mark (is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), mark bytea NOT NULL);

-- Which database this is, and whether its history was cut: one row for each history, the one that is not restored the present
-- one.
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

-- An allowed currency; limits are null where the configured ones hold.
CREATE TABLE operator_currencies (
    operator_id uuid NOT NULL REFERENCES operators,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    min_bet_minor bigint CHECK (min_bet_minor >= 1),
    max_bet_minor bigint CHECK (max_bet_minor >= min_bet_minor),
    bet_step_minor bigint CHECK (bet_step_minor >= 1),
    max_payout_minor bigint CHECK (max_payout_minor >= 1),
    PRIMARY KEY (operator_id, currency),
    CHECK (num_nulls(min_bet_minor, max_bet_minor, bet_step_minor, max_payout_minor) IN (0, 4))
);

CREATE TABLE sessions (
    operator_id uuid NOT NULL REFERENCES operators,
    session_id uuid NOT NULL,
    operator_player_id text NOT NULL,
    currency text NOT NULL,
    balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
    -- A wallet may confirm a win or a refund without saying a balance that can be read: then the one it said before stands,
    -- and is not certain.
    balance_is_known boolean NOT NULL DEFAULT true,
    token_digest bytea NOT NULL CHECK (length(token_digest) = 32),
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL CHECK (expires_at_ms > created_at_ms),
    -- The promise for the next round: sealed until that round has ended.
    client_seed text NOT NULL CHECK (client_seed ~ '^[A-Za-z0-9_-]{1,64}$'),
    nonce bigint NOT NULL CHECK (nonce >= 1),
    server_seed_hash text NOT NULL CHECK (server_seed_hash ~ '^[0-9a-f]{64}$'),
    server_seed_sealed bytea NOT NULL,
    owner_node text,
    owner_epoch bigint,
    -- What an operator asks of the player's page at the launch. It is kept with the session: in the page's address the player
    -- could take it away, and any node may be asked for the page.
    lang text CHECK (length(lang) <= 35 AND lang ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$'),
    reality_check_minutes integer CHECK (reality_check_minutes BETWEEN 1 AND 1440),
    lobby_url text CHECK (length(lobby_url) BETWEEN 1 AND 2048),
    mac bytea,
    PRIMARY KEY (operator_id, session_id),
    CHECK ((owner_node IS NULL) = (owner_epoch IS NULL))
);
-- Not unique: 256 random bits, and a unique index would have to contain the shard key.
CREATE INDEX sessions_token ON sessions (token_digest);

CREATE TABLE launch_replays (
    operator_id uuid NOT NULL,
    signature_digest bytea NOT NULL,
    session_id uuid NOT NULL,
    expires_at_ms bigint NOT NULL,
    sealed_token bytea NOT NULL,
    replay_until_ms bigint NOT NULL,
    PRIMARY KEY (operator_id, signature_digest),
    FOREIGN KEY (operator_id, session_id) REFERENCES sessions
);
CREATE INDEX launch_replays_age ON launch_replays (replay_until_ms);

-- Sessions that are open on one living node and asked for by another. A row is there from a hello at the asking node until
-- that node has taken up what it was given, or wants it no more: the table is as short as the list of players who wait.
CREATE TABLE session_requests (
    operator_id uuid NOT NULL,
    session_id uuid NOT NULL,
    to_node text NOT NULL,
    to_epoch bigint NOT NULL,
    asked_at_ms bigint NOT NULL,
    PRIMARY KEY (operator_id, session_id, to_node, to_epoch),
    FOREIGN KEY (operator_id, session_id) REFERENCES sessions
);
CREATE INDEX session_requests_age ON session_requests (asked_at_ms);

CREATE TABLE rounds (
    operator_id uuid NOT NULL,
    round_id uuid NOT NULL,
    session_id uuid NOT NULL,
    operator_player_id text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    auto_cashout_hundredths integer CHECK (auto_cashout_hundredths >= 101),
    client_seed text NOT NULL CHECK (client_seed ~ '^[A-Za-z0-9_-]{1,64}$'),
    nonce bigint NOT NULL CHECK (nonce >= 1),
    server_seed_hash text NOT NULL CHECK (server_seed_hash ~ '^[0-9a-f]{64}$'),
    server_seed_sealed bytea NOT NULL,
    -- The terms as they were at the start: changing an operator's never rewrites history.
    rtp_bps integer NOT NULL CHECK (rtp_bps BETWEEN 1 AND 10000),
    max_win_multiplier integer NOT NULL CHECK (max_win_multiplier >= 2),
    rev_share_bps integer NOT NULL CHECK (rev_share_bps BETWEEN 0 AND 10000),
    max_payout_minor bigint NOT NULL CHECK (max_payout_minor >= 1),
    growth_rate_per_ms numeric NOT NULL CHECK (growth_rate_per_ms > 0),
    status text NOT NULL CHECK (status IN ('betting', 'flying', 'settled', 'void', 'refunded')),
    owner_node text NOT NULL,
    owner_epoch bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    started_at_ms bigint,
    -- When the node that played the round was last alive, noted by the node that takes it over: another taker, should this
    -- one die, too, must not take its own predecessor's last sign of life for the player's.
    interrupted_at_ms bigint CHECK (interrupted_at_ms >= 0),
    settled_at_ms bigint,
    settled_day date GENERATED ALWAYS AS ((to_timestamp(settled_at_ms / 1000) AT TIME ZONE 'UTC')::date) STORED,
    result text CHECK (result IN ('cashout', 'max_win', 'crash')),
    reason text,
    realized_hundredths integer NOT NULL DEFAULT 0 CHECK (realized_hundredths >= 0),
    payout_minor bigint NOT NULL DEFAULT 0 CHECK (payout_minor >= 0),
    -- Revealed by the end, and only by it.
    server_seed text,
    crash_hundredths integer CHECK (crash_hundredths >= 100),
    map_seed text,
    loot_seed text,
    guard_seed text,
    bet_mac bytea,
    start_mac bytea,
    end_mac bytea,
    PRIMARY KEY (operator_id, round_id),
    UNIQUE (operator_id, session_id, nonce),
    FOREIGN KEY (operator_id, session_id) REFERENCES sessions,
    CONSTRAINT reveal_with_the_end CHECK (
        CASE WHEN status IN ('betting', 'flying')
        THEN num_nonnulls(settled_at_ms, server_seed, crash_hundredths, map_seed, loot_seed, guard_seed) = 0
        ELSE num_nulls(settled_at_ms, server_seed, crash_hundredths, map_seed, loot_seed, guard_seed) = 0 END),
    CONSTRAINT seed_as_promised CHECK (
        server_seed IS NULL OR encode(sha256(server_seed::bytea), 'hex') = server_seed_hash),
    CONSTRAINT crash_within_the_terms CHECK (crash_hundredths <= 100 * max_win_multiplier::bigint),
    CONSTRAINT start_of_a_flight CHECK (
        CASE WHEN status IN ('betting', 'void') THEN started_at_ms IS NULL ELSE started_at_ms IS NOT NULL END),
    CONSTRAINT end_and_payout CHECK (
        CASE status
        WHEN 'settled' THEN result IS NOT NULL AND reason IS NULL
            AND (result = 'crash') = (payout_minor = 0) AND (result = 'crash') = (realized_hundredths = 0)
            AND payout_minor = div(amount_minor::numeric * realized_hundredths, 100)
            AND payout_minor <= max_payout_minor
            AND (result = 'crash' OR realized_hundredths BETWEEN 101 AND crash_hundredths)
        ELSE result IS NULL AND payout_minor = 0 AND realized_hundredths = 0
            AND (reason IS NOT NULL) = (status IN ('void', 'refunded')) END)
);
CREATE UNIQUE INDEX rounds_live ON rounds (operator_id, session_id) WHERE status IN ('betting', 'flying');
CREATE INDEX rounds_owned ON rounds (owner_node, owner_epoch) WHERE status IN ('betting', 'flying');
CREATE INDEX rounds_history ON rounds (operator_id, operator_player_id, settled_at_ms DESC, round_id DESC)
    WHERE settled_at_ms IS NOT NULL;

-- What operators are told of a day, added up when a round is settled, in the same transaction: rounds pile up, and a month of
-- them can't be read for each question. A lane is the node that settled: a node commits one group after the other, so that none
-- waits for another's row. It refers to no operator: a new row would wait for whoever has locked the operator's row, and all who
-- share the commit with it. Its operator is there all the same: it is that of rounds, whose sessions refer to it.
CREATE TABLE revenue_days (
    operator_id uuid NOT NULL,
    settled_day date NOT NULL,
    currency text NOT NULL,
    rev_share_bps integer NOT NULL,
    lane text NOT NULL,
    stakes_minor numeric NOT NULL CHECK (stakes_minor > 0),
    payouts_minor numeric NOT NULL CHECK (payouts_minor >= 0),
    rounds bigint NOT NULL CHECK (rounds > 0),
    PRIMARY KEY (operator_id, settled_day, currency, rev_share_bps, lane)
) WITH (fillfactor = 50);

CREATE TABLE transactions (
    operator_id uuid NOT NULL,
    operator_tx_id text NOT NULL,
    round_id uuid NOT NULL,
    session_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('bet', 'win', 'refund')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    body bytea NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'acknowledged', 'declined', 'unknown', 'parked')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    created_at_ms bigint NOT NULL,
    next_attempt_at_ms bigint NOT NULL,
    acknowledged_at_ms bigint,
    last_error text,
    -- Which node is sending it just now. A claim is no ownership: it ends at next_attempt_at_ms whatever its node does.
    claim_node text,
    claim_epoch bigint,
    -- Since when a wallet refuses a win or a refund clearly, without another answer between; and before which moment a call is
    -- not sent again, whatever the wallet answers to others: it asked for that, or the call has had its early chance.
    refused_since_ms bigint,
    not_before_ms bigint,
    mac bytea,
    PRIMARY KEY (operator_id, operator_tx_id),
    FOREIGN KEY (operator_id, round_id) REFERENCES rounds,
    CHECK (operator_tx_id = kind || '-' || round_id),
    CHECK (kind = 'bet' OR status IN ('pending', 'acknowledged', 'parked')),
    CHECK (kind <> 'bet' OR status <> 'parked'),
    CHECK ((acknowledged_at_ms IS NOT NULL) = (status = 'acknowledged')),
    CONSTRAINT claims_are_of_pending_calls CHECK (
        (claim_node IS NULL) = (claim_epoch IS NULL)
        AND (claim_node IS NULL OR status = 'pending' AND kind <> 'bet'))
);
CREATE UNIQUE INDEX transactions_one_bet ON transactions (operator_id, round_id) WHERE kind = 'bet';
CREATE UNIQUE INDEX transactions_win_or_refund ON transactions (operator_id, round_id) WHERE kind <> 'bet';
CREATE INDEX transactions_owed ON transactions (operator_id, session_id, position)
    WHERE status = 'pending' AND kind <> 'bet';
CREATE INDEX transactions_due ON transactions (operator_id, next_attempt_at_ms, operator_tx_id)
    WHERE status = 'pending' AND kind <> 'bet';
CREATE INDEX transactions_claimed ON transactions (claim_node, claim_epoch) WHERE claim_node IS NOT NULL;
CREATE INDEX transactions_parked ON transactions (operator_id) WHERE status = 'parked';

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
    mac bytea,
    FOREIGN KEY (operator_id, operator_tx_id) REFERENCES transactions,
    CHECK (action <> 'resolve' OR reason <> '')
);
CREATE INDEX wallet_actions_of_call ON wallet_actions (operator_id, operator_tx_id);

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
    mac bytea,
    PRIMARY KEY (operator_id, round_id)
);

CREATE TRIGGER rounds_are_never_deleted BEFORE DELETE ON rounds
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rounds are kept');
CREATE TRIGGER rounds_are_never_truncated BEFORE TRUNCATE ON rounds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('rounds are kept');
CREATE TRIGGER rounds_begin_with_a_bet BEFORE INSERT ON rounds FOR EACH ROW
    WHEN (NEW.status <> 'betting') EXECUTE FUNCTION refuse_change('a round begins in betting');
CREATE TRIGGER ended_rounds_never_change BEFORE UPDATE ON rounds FOR EACH ROW
    WHEN (OLD.status IN ('settled', 'void', 'refunded'))
    EXECUTE FUNCTION refuse_change('the round has ended');
CREATE TRIGGER rounds_move_forward BEFORE UPDATE ON rounds FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN
        (('betting', 'flying'), ('betting', 'void'), ('flying', 'settled'), ('flying', 'refunded')))
    EXECUTE FUNCTION refuse_change('a round does not move that way');
CREATE TRIGGER terms_never_change BEFORE UPDATE ON rounds FOR EACH ROW
    WHEN ((OLD.operator_id, OLD.round_id, OLD.session_id, OLD.operator_player_id, OLD.currency, OLD.amount_minor,
           OLD.auto_cashout_hundredths, OLD.client_seed, OLD.nonce, OLD.server_seed_hash, OLD.server_seed_sealed, OLD.rtp_bps, OLD.max_win_multiplier,
           OLD.rev_share_bps, OLD.max_payout_minor, OLD.growth_rate_per_ms, OLD.created_at_ms)
        IS DISTINCT FROM
          (NEW.operator_id, NEW.round_id, NEW.session_id, NEW.operator_player_id, NEW.currency, NEW.amount_minor,
           NEW.auto_cashout_hundredths, NEW.client_seed, NEW.nonce, NEW.server_seed_hash, NEW.server_seed_sealed, NEW.rtp_bps, NEW.max_win_multiplier,
           NEW.rev_share_bps, NEW.max_payout_minor, NEW.growth_rate_per_ms, NEW.created_at_ms)
        OR (OLD.started_at_ms IS NOT NULL AND OLD.started_at_ms <> NEW.started_at_ms))
    EXECUTE FUNCTION refuse_change('a round keeps its stake, its seeds and its terms');
CREATE TRIGGER interruptions_never_change BEFORE UPDATE ON rounds FOR EACH ROW
    WHEN (OLD.interrupted_at_ms IS NOT NULL AND OLD.interrupted_at_ms IS DISTINCT FROM NEW.interrupted_at_ms)
    EXECUTE FUNCTION refuse_change('a round was interrupted once');

CREATE TRIGGER transactions_are_never_deleted BEFORE DELETE ON transactions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('transactions are kept');
CREATE TRIGGER transactions_are_never_truncated BEFORE TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('transactions are kept');
CREATE TRIGGER bodies_never_change BEFORE UPDATE ON transactions FOR EACH ROW
    WHEN ((OLD.operator_id, OLD.operator_tx_id, OLD.round_id, OLD.session_id, OLD.kind, OLD.amount_minor, OLD.body,
           OLD.position, OLD.created_at_ms)
        IS DISTINCT FROM
          (NEW.operator_id, NEW.operator_tx_id, NEW.round_id, NEW.session_id, NEW.kind, NEW.amount_minor, NEW.body,
           NEW.position, NEW.created_at_ms))
    EXECUTE FUNCTION refuse_change('the same transaction id always carries the same bytes');
CREATE TRIGGER transactions_move_forward BEFORE UPDATE ON transactions FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND OLD.status NOT IN ('pending', 'parked'))
    EXECUTE FUNCTION refuse_change('the transaction has ended');

CREATE TRIGGER only_what_is_owed BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION check_owed();

CREATE CONSTRAINT TRIGGER everything_that_is_owed AFTER INSERT OR UPDATE OF status ON rounds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_complete();

CREATE TRIGGER wallet_actions_never_change BEFORE UPDATE OR DELETE ON wallet_actions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('what was done is kept');
CREATE TRIGGER wallet_actions_are_never_truncated BEFORE TRUNCATE ON wallet_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('what was done is kept');
CREATE TRIGGER lost_bets_are_never_deleted BEFORE DELETE ON lost_bets
    FOR EACH ROW EXECUTE FUNCTION refuse_change('they tell who got what back, and why');
CREATE TRIGGER lost_bets_keep_their_bodies BEFORE UPDATE ON lost_bets FOR EACH ROW
    WHEN ((OLD.operator_id, OLD.round_id, OLD.amount_minor, OLD.body) IS DISTINCT FROM
          (NEW.operator_id, NEW.round_id, NEW.amount_minor, NEW.body))
    EXECUTE FUNCTION refuse_change('the same transaction id always carries the same bytes');
