-- The books: operators, sessions, rounds and their wallet calls. Keys begin with operator_id, the shard key.
-- Times are unix milliseconds, money is minor units, multipliers are hundredths, shares are hundredths of a percent.

CREATE SEQUENCE node_epochs;

-- One row for each life of a node; the newest epoch of a name is the living one.
CREATE TABLE nodes (
    node text NOT NULL,
    epoch bigint NOT NULL DEFAULT nextval('node_epochs'),
    started_at_ms bigint NOT NULL,
    heartbeat_at_ms bigint NOT NULL,
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
    changed_at_ms bigint NOT NULL
);

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
CREATE INDEX rounds_revenue ON rounds (operator_id, settled_day) INCLUDE (currency, rev_share_bps, amount_minor, payout_minor)
    WHERE status = 'settled';

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
    PRIMARY KEY (operator_id, operator_tx_id),
    FOREIGN KEY (operator_id, round_id) REFERENCES rounds,
    CHECK (operator_tx_id = kind || '-' || round_id),
    CHECK (kind = 'bet' OR status IN ('pending', 'acknowledged', 'parked')),
    CHECK (kind <> 'bet' OR status <> 'parked'),
    CHECK ((acknowledged_at_ms IS NOT NULL) = (status = 'acknowledged'))
);
CREATE UNIQUE INDEX transactions_one_bet ON transactions (operator_id, round_id) WHERE kind = 'bet';
CREATE UNIQUE INDEX transactions_win_or_refund ON transactions (operator_id, round_id) WHERE kind <> 'bet';
CREATE INDEX transactions_owed ON transactions (operator_id, session_id, position)
    WHERE status = 'pending' AND kind <> 'bet';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

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

-- A bet takes its round's stake, a win pays what its round says and a refund gives back the stake; nothing else is owed.
CREATE FUNCTION check_owed() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER only_what_is_owed BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION check_owed();

-- Nothing that is owed is left out: a round and its bet, an end and its win or refund, are committed together.
CREATE FUNCTION check_complete() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE CONSTRAINT TRIGGER everything_that_is_owed AFTER INSERT OR UPDATE OF status ON rounds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_complete();
