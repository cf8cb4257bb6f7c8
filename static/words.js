// Every text of the page, in one place for translation. A value is a text or a function of values that are texts.

const RESULTS = {
  "result.cashout": ({ hundredths, payoutMinor }) => `Got away! ${payoutMinor} at ${hundredths}.`,
  "result.max_win": ({ hundredths, payoutMinor }) => `The vault is empty: the highest win, ${payoutMinor} at ${hundredths}!`,
  "result.crash": ({ crashHundredths }) => `Caught! The guards closed in at ${crashHundredths}.`,
  "result.crash_late": ({ crashHundredths }) => `Too late: the guards had closed in at ${crashHundredths} before your cash-out arrived.`,
};

const ROUND = {
  "bet.asking": "Placing your bet…",
  "bet.pending": "Asking your casino's wallet for the stake…",
  "bet.never_arrived": "The connection broke before your bet was confirmed. No round has started; if one still does, you will see it here.",
  "round.betting": "Asking your casino's wallet for the stake…",
  "round.flying": "The heist is on. Get out before the guards close in.",
};

const ERRORS = {
  "error.bad_message": "The game sent something the server did not understand. Please try again.",
  "error.unauthorized": "This game link is not valid. Please open the game again from your casino.",
  "error.stake_too_low": ({ min }) => `The smallest stake is ${min}.`,
  "error.stake_too_high": ({ max }) => `The largest stake is ${max}.`,
  "error.stake_step": ({ step }) => `The stake must be a whole multiple of ${step}.`,
  "error.bad_auto_cashout": ({ minCashout, maxCashout }) =>
    `Auto cash-out must be between ${minCashout} and ${maxCashout}, with at most two decimals.`,
  "error.bad_client_seed": "A client seed is 1 to 64 letters, digits, “_” or “-”.",
  "error.insufficient_funds": "Your casino says that your balance does not cover this stake.",
  "error.bet_declined": "Your casino declined this bet. Nothing was staked.",
  "error.wallet_unavailable": "Your casino's wallet cannot be reached. Please try again in a moment.",
  "error.wallet_pending": "Your last win or refund is still on its way to your casino. You can bet again once it has arrived.",
  "error.round_in_progress": "A round is already running.",
  "error.no_such_round": "That round is over already.",
  "error.too_early": ({ minCashout }) => `Too early: the lowest cash-out is ${minCashout}. You are still in.`,
  "error.too_late": "Too late: the guards were faster.",
  "error.rate_limited": "Too many clicks at once. Wait a moment and try again.",
  "error.session_expired": "Your session has expired. Please open the game again from your casino.",
  "error.draining": "The table is closing for maintenance and takes no new bets. It reopens shortly.",
};

const VOIDED = {
  "void.insufficient_funds": "Your casino says that your balance does not cover this stake. The round is void.",
  "void.bet_declined": "Your casino declined this bet. The round is void and nothing was staked.",
  "void.wallet_unavailable":
    "Your casino's wallet gave no clear answer, so the round is void. If your stake was taken, it is on its way back.",
  "void.interrupted": "A fault on our side stopped the round before it began. It is void; if your stake was taken, it is on its way back.",
  "void.draining": "The table closed for maintenance before the round began. The round is void; any stake goes back.",
};

const VOID_OTHER = "The round is void. If your stake was taken, it is on its way back.";
const REFUND_OTHER = ({ amountMinor }) =>
  `A fault on our side interrupted the round. Your stake of ${amountMinor} is on its way back.`;
const REFUNDED = {
  "refunded.interrupted": REFUND_OTHER,
  "refunded.shutdown": ({ amountMinor }) => `The server had to stop during the round. Your stake of ${amountMinor} is on its way back.`,
  "refunded.draining": ({ amountMinor }) => `The table closed during the round. Your stake of ${amountMinor} is on its way back.`,
};

const ENDED = {
  "ended.expired": "Your session has expired. Please open the game again from your casino.",
  "ended.replaced": "The game was opened in another window, so it has stopped here.",
  "ended.operator_suspended": "Your casino has paused this game. Open bets are settled; no new ones are taken.",
  "ended.shutdown": "The game server is restarting. Reconnecting shortly…",
};
const ENDED_OTHER = "The session has ended. Please open the game again from your casino.";

const CONNECTION = {
  "connection.connecting": "Connecting…",
  "connection.lost": "Connection lost. Reconnecting…",
  "connection.retry": ({ seconds }) => `Connection lost. Trying again in ${seconds} s…`,
  "connection.reconnecting": "Reconnecting…",
  "connection.back": "You are connected again.",
  "connection.resumed": "You are connected again. Your round goes on.",
  "connection.stalled": "No news from the server. Your round goes on there.",
  "connection.no_token": "This address has no game session. Please open the game from your casino.",
};

const OTHER = {
  "seed.saved": "Your client seed is set for the next round.",
  "balance.delivered": "Your casino has confirmed the payout. You can bet again.",
  "hint.bad_stake": "That is not an amount in this currency.",
  "hint.low_balance": "Your balance looks too low for this stake.",
  "hint.ready": "Place your bet. The longer the thief collects, the higher the multiplier.",
};

const TEXTS = { ...RESULTS, ...ROUND, ...ERRORS, ...VOIDED, ...REFUNDED, ...ENDED, ...CONNECTION, ...OTHER };

// Reasons that a later server may add still read as sentences.
function fallback(key, values) {
  if (key.startsWith("void.")) return VOID_OTHER;
  if (key.startsWith("refunded.")) return REFUND_OTHER(values);
  if (key.startsWith("ended.")) return ENDED_OTHER;
  return values.message || "Something went wrong. Please try again.";
}

/** The text for a key; `values` are texts already (money and multipliers formatted). */
export function say(key, values = {}) {
  const text = TEXTS[key];
  if (text === undefined) return fallback(key, values);
  return typeof text === "function" ? text(values) : text;
}

/** Whether a key has a text of its own. */
export function hasWords(key) {
  return key in TEXTS;
}

/** Labels of the page itself, set once at the start by their element's data-word. */
export const LABELS = {
  balance: "Balance",
  pending: "on its way",
  stake: "Stake",
  auto: "Auto cash-out",
  autoOff: "off",
  autoNone: "Off",
  half: "½",
  halfName: "Half the stake",
  double: "2×",
  doubleName: "Double the stake",
  min: "Min",
  minName: "Smallest stake",
  max: "Max",
  maxName: "Largest stake",
  fairness: "Provably fair",
  commitment: "Next round's seed hash",
  commitmentNow: "This round's seed hash",
  clientSeed: "Your client seed",
  randomize: "Random",
  nonce: "Next round no.",
  nonceNow: "Round no.",
  history: "Rounds",
  noHistory: "No rounds yet",
  loadMore: "More",
  loading: "Loading…",
  continueHere: "Continue here",
  reconnectNow: "Reconnect now",
  close: "Close",
  details: "Round details",
  check: "Check in this page",
  elsewhere: "Check it yourself",
  elsewhereHelp:
    "Run these lines in a shell: the first must print the seed hash, the second the digest; put its first 13 hex " +
    "digits into the third to get the crash point in hundredths (at least 100, at most the largest multiplier).",
};

/** What is written on the big button; `amount` is a text. */
export const ACTION = {
  bet: ({ amount }) => ({ main: "BET", sub: amount }),
  pending: () => ({ main: "BET PLACED", sub: "waiting for your casino…" }),
  flying: ({ amount }) => ({ main: "CASH OUT", sub: amount }),
  early: ({ minCashout }) => ({ main: "CASH OUT", sub: `from ${minCashout}` }),
  cashing: () => ({ main: "CASHING OUT…", sub: "waiting for the server" }),
  offline: () => ({ main: "RECONNECTING…", sub: "your round goes on at the server" }),
  disabled: ({ amount }) => ({ main: "BET", sub: amount }),
  over: () => ({ main: "CLOSED", sub: "" }),
};

/** What stands under the multiplier. */
export const STAGE = {
  idle: "Next heist is yours",
  betting: "Waiting for the wallet…",
  flying: "",
  autoAt: ({ multiplier }) => `auto cash-out at ${multiplier}`,
  cashout: ({ amount }) => `+${amount}`,
  max_win: ({ amount }) => `Highest win: +${amount}`,
  crash: "Caught!",
  void: "Round void",
  refunded: "Stake refunded",
};

/** Lines of the details sheet. */
export const DETAILS = {
  roundId: "Round",
  outcome: "Outcome",
  stake: "Stake",
  auto: "Auto cash-out",
  payout: "Payout",
  time: "Settled",
  crash: "Crash point",
  serverSeed: "Server seed",
  serverSeedHash: "Seed hash",
  clientSeed: "Client seed",
  nonce: "Nonce",
  terms: "Return to player",
  termsText: ({ rtp, max }) => `${rtp} %, at most ${max}`,
  crashDigest: "Crash digest",
  outcomes: {
    cashout: ({ multiplier }) => `Cashed out at ${multiplier}`,
    max_win: ({ multiplier }) => `Highest win at ${multiplier}`,
    crash: ({ crash }) => `Caught at ${crash}`,
    void: "Void: no bet was placed",
    refunded: "Stake refunded",
  },
  checking: "Checking…",
  hashOk: "The server seed matches its hash.",
  hashBad: "The server seed does NOT match its hash.",
  crashOk: ({ crash }) => `The seeds give exactly this crash point: ${crash}.`,
  crashBad: ({ crash }) => `The seeds give another crash point: ${crash}.`,
  shownOk: "This page showed you the hash before you bet.",
  shownUnknown: "This page was not open before the bet, so it did not see the hash then.",
  insecure: "Your browser computes digests on secure pages only. Use the lines below.",
};

/** The clock in the header. */
export const CLOCK = {
  played: ({ time }) => `${time} played`,
  left: ({ time }) => `${time} left`,
};
