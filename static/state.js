// What the page knows, as one value, and how frames change it. Pure: no clock, no DOM, no socket.

import { commitmentOf, endedRound, finishedRound, isProfit, liveRound, sessionOf, totalsOf } from "./records.js";
import { autoCashoutError, stakeError } from "./money.js";

const SHOWN_COMMITMENTS_MAX = 200; // the oldest is forgotten; it only proves what this page itself displayed
const WELCOME_HISTORY = 20;
const PLAYED_HISTORY_MAX = 100; // rounds kept while playing goes on; older ones are loaded again at a press

const DECLINED = new Set(["insufficient_funds", "bet_declined"]); // what is said of these says it all
const ARRIVED = { "stake.coming": "stake.back", "stake.coming_if_taken": "stake.back_if_taken" };

/** The state before the first frame. `notice` is the last thing to say: { key, values, tone, serial }. */
export function initialState() {
  return {
    status: "connecting",
    retryMs: null,
    over: null,
    bettingClosed: false,
    isPaused: false,
    session: null,
    totals: null,
    balanceMinor: null,
    pendingMinor: 0,
    next: null,
    shownHashes: [],
    promise: null,
    promises: [],
    round: null,
    last: null,
    history: [],
    hasMore: false,
    asked: { bet: null, cashout: null, history: null },
    voided: null,
    notice: null,
  };
}

function withNotice(state, key, tone = "info", values = {}) {
  const serial = (state.notice?.serial ?? 0) + 1;
  return { ...state, notice: { key, tone, values, serial } };
}

function withNext(state, next) {
  if (!next) return state;
  const commitment = commitmentOf(next);
  const known = state.shownHashes.includes(commitment.serverSeedHash);
  const shownHashes = known
    ? state.shownHashes
    : [...state.shownHashes, commitment.serverSeedHash].slice(-SHOWN_COMMITMENTS_MAX);
  return { ...state, next: commitment, shownHashes };
}

// The round that answers this page's bet must be the one that was promised when the bet was made.
function withPromised(state, frame) {
  if (state.promise === null || !frame.id || frame.id !== state.asked.bet) return state;
  const promises = [...state.promises, { roundId: frame.round_id, ...state.promise }].slice(-SHOWN_COMMITMENTS_MAX);
  return { ...state, promise: null, promises };
}

/**
 * Whether a finished round is what this page had shown before the bet: true or false, or null where the page did not make
 * the bet, or was not there to see what came of it.
 */
export function keptPromise(state, round) {
  const promise = state.promises.find((entry) => entry.roundId === round.roundId);
  if (promise === undefined) return state.shownHashes.includes(round.serverSeedHash) ? true : null;
  return ["serverSeedHash", "clientSeed", "nonce"].every((name) => promise[name] === round[name]);
}

function withAsked(state, what, id) {
  return { ...state, asked: { ...state.asked, [what]: id } };
}

/** The state after an event: { type: "frame" | "status" | "asked" | "notice" | "paused" | "closed", ... }. Unknown frames change nothing. */
export function reduce(state, event) {
  switch (event.type) {
    case "status":
      return onStatus(state, event);
    case "asked":
      return onAsked(state, event);
    case "notice":
      return withNotice(state, event.key, event.tone, event.values);
    case "paused":
      return state.isPaused === event.isPaused ? state : { ...state, isPaused: event.isPaused };
    case "closed":
      return onSessionEnded(state, { reason: "closed" });
    case "frame": {
      const handler = FRAMES[event.frame.type];
      return handler ? handler(state, event.frame, event) : state;
    }
    default:
      return state;
  }
}

function onStatus(state, { status, retryMs }) {
  const asked = status === "open" ? state.asked : initialState().asked;
  const next = { ...state, status, retryMs, asked };
  // A server that restarts has said so: until it answers again that is what has happened.
  if (status === "connecting") return { ...next, over: state.over === "shutdown" ? "shutdown" : null };
  if (status !== "lost" || state.over !== null) return next;
  return state.status === "open" ? withNotice(next, "connection.lost", "bad") : next;
}

function onAsked(state, event) {
  const asked = withAsked(state, event.what, event.id);
  if (event.what === "bet") {
    const round = {
      phase: "asking",
      cashing: false,
      roundId: null,
      amountMinor: event.amountMinor,
      autoHundredths: event.autoHundredths,
      serverSeedHash: state.next?.serverSeedHash ?? null,
      nonce: state.next?.nonce ?? null,
    };
    const promise = state.next && { ...state.next, clientSeed: event.clientSeed };
    return withNotice({ ...asked, round, promise, last: null, voided: null }, "bet.asking");
  }
  if (event.what === "cashout" && state.round) return { ...asked, round: { ...state.round, cashing: true } };
  return asked;
}

const FRAMES = {
  welcome: onWelcome,
  bet_pending: onBetPending,
  round_started: onRoundStarted,
  round_ended: onRoundEnded,
  balance: onBalance,
  history: onHistory,
  error: onError,
  session_ended: onSessionEnded,
};

function onWelcome(state, frame) {
  const session = sessionOf(frame);
  const history = frame.history === undefined ? {} : mergedHistory(state, frame.history.map(finishedRound));
  const known = {
    ...withNext(state, frame.next),
    session,
    totals: totalsOf(frame.totals) ?? state.totals,
    over: null,
    bettingClosed: false,
    balanceMinor: frame.balance_minor,
    pendingMinor: frame.pending_minor ?? 0,
    round: frame.round ? liveRound(frame.round, session, frame.server_time) : null,
    asked: initialState().asked,
    ...history,
  };
  return resumed(state, known);
}

// The newest page, followed by what was loaded before it if the two touch: a gap between them would be a lie.
function mergedHistory(state, entries) {
  const ids = new Set(entries.map((entry) => entry.roundId));
  const touches = state.history.some((entry) => ids.has(entry.roundId));
  const older = touches ? state.history.filter((entry) => !ids.has(entry.roundId)) : [];
  // A page that was welcome before asked for the newest one alone.
  const isPart = state.session !== null && entries.length > 0;
  const hasMore = older.length > 0 ? state.hasMore : isPart || entries.length >= WELCOME_HISTORY;
  return { history: [...entries, ...older], hasMore };
}

// What became, while the connection was lost, of the round or the bet that this page knew.
function resumed(before, state) {
  const flight = before.round;
  if (state.round) {
    const lost = flight !== null || before.session !== null;
    return withNotice({ ...state, last: null }, lost ? "connection.resumed" : `round.${state.round.phase}`);
  }
  if (flight === null) return before.session === null ? state : withNotice(state, "connection.back");
  const ended = state.history.find((entry) =>
    flight.roundId === null ? entry.serverSeedHash === flight.serverSeedHash : entry.roundId === flight.roundId,
  );
  // Of a round that ended unseen nobody says whether its stake had been taken.
  if (ended) return withResult({ ...state, last: { ...ended, wasMissed: true } }, ended, stakeWords(ended, state.pendingMinor, true));
  return withNotice(state, flight.roundId === null ? "bet.never_arrived" : "connection.back", "bad");
}

function onBetPending(before, frame) {
  const state = withPromised(before, frame);
  const round = { ...state.round, phase: "betting", cashing: false, roundId: frame.round_id, amountMinor: frame.amount_minor };
  return withNotice({ ...state, round, last: null }, "bet.pending");
}

function onRoundStarted(state, frame) {
  const started = withAsked(withPromised(state, frame), "bet", null);
  const round = liveRound(frame, state.session);
  return withNotice({ ...started, round, last: null, balanceMinor: frame.balance_minor }, "round.flying");
}

function onRoundEnded(state, frame, event) {
  const isCurrent = state.round === null || state.round.roundId === null || state.round.roundId === frame.round_id;
  const live = isCurrent ? state.round : null;
  const ended = endedRound(frame, live, state.session, event.serverNowMs ?? null);
  const totals = totalsOf(frame.totals) ?? state.totals;
  const pendingMinor = frame.pending_minor ?? state.pendingMinor;
  const next = { ...withNext(state, frame.next), ...historyAfter(state, ended), totals, balanceMinor: frame.balance_minor, pendingMinor };
  if (!isCurrent) return next;
  const voided = ended.status === "void" ? { id: state.asked.bet, code: ended.reason } : null;
  const asked = { ...next.asked, bet: null };
  // A server of the version before does not say what is owed: then all may be.
  const stake = stakeWords(ended, frame.pending_minor ?? ended.amountMinor, frame.pending_minor === undefined);
  return withResult({ ...next, asked, round: null, last: ended, voided }, ended, stake);
}

function historyAfter(state, ended) {
  const history = [ended, ...state.history.filter((entry) => entry.roundId !== ended.roundId)];
  const kept = history.slice(0, PLAYED_HISTORY_MAX);
  return { history: kept, hasMore: state.hasMore || kept.length < history.length };
}

// What is known of the stake of a round that was not played, as a message; null where there is nothing to say of it. While
// anything is owed a refund is under way: no bet is placed before all that was owed has arrived.
function stakeWords(ended, pendingMinor, mayHaveBeenTaken) {
  if (ended.status === "refunded") return pendingMinor > 0 ? "stake.coming" : "stake.back";
  if (ended.status !== "void" || DECLINED.has(ended.reason)) return null;
  if (pendingMinor > 0) return "stake.coming_if_taken";
  return mayHaveBeenTaken ? "stake.back_if_taken" : "stake.kept";
}

function withResult(state, ended, stake) {
  const values = {
    stake,
    hundredths: ended.realizedHundredths,
    payoutMinor: ended.payoutMinor,
    crashHundredths: ended.crashHundredths,
    amountMinor: ended.amountMinor,
  };
  if (ended.status === "void") {
    const wasNotSent = stake === "stake.kept" && ended.reason === "wallet_unavailable";
    return withNotice(state, wasNotSent ? "void.not_sent" : `void.${ended.reason}`, "bad", values);
  }
  if (ended.status === "refunded") return withNotice(state, `refunded.${ended.reason}`, "bad", values);
  if (ended.result === "crash") return withNotice(state, "result.crash", "loss", values);
  if (!isProfit(ended)) return withNotice(state, "result.cashout_even", "info", values);
  return withNotice(state, `result.${ended.result}`, "win", values);
}

function onBalance(state, frame) {
  const delivered = state.pendingMinor > 0 && frame.pending_minor === 0;
  const next = { ...state, balanceMinor: frame.balance_minor, pendingMinor: frame.pending_minor };
  const { notice } = state;
  if (notice?.values.stake in ARRIVED && frame.pending_minor === 0) {
    return withNotice(next, notice.key, notice.tone, { ...notice.values, stake: ARRIVED[notice.values.stake] });
  }
  // The result stays on the screen; only a page that showed nothing else says that the money has arrived.
  return delivered && notice?.key === "error.wallet_pending" ? withNotice(next, "balance.delivered") : next;
}

function onHistory(state, frame) {
  const known = new Set(state.history.map((entry) => entry.roundId));
  const older = frame.rounds.map(finishedRound).filter((entry) => !known.has(entry.roundId));
  return withAsked({ ...state, history: [...state.history, ...older], hasMore: frame.more }, "history", null);
}

function onError(state, frame) {
  const { code, id } = frame;
  const values = { message: frame.message ?? "" };
  const said = (next) => withNotice(next, `error.${code}`, "bad", values);
  if (code === "unauthorized") return said({ ...state, over: "unauthorized" });
  const base = code === "session_expired" ? { ...state, bettingClosed: true } : state;
  if (state.voided?.code === code && state.voided.id === (id ?? null)) return { ...base, voided: null };
  if (id && id === state.asked.bet) {
    const round = state.round?.phase === "asking" ? null : state.round;
    return said({ ...withAsked(base, "bet", null), round });
  }
  if (id && id === state.asked.cashout) return onCashoutError(withAsked(base, "cashout", null), code, said);
  if (id && id === state.asked.history) return said(withAsked(base, "history", null));
  return said(id ? base : withoutAsks(base, code));
}

// A frame that was dropped unread is answered without its id: what was asked may not have been heard, and can be asked again.
function withoutAsks(state, code) {
  if (code !== "rate_limited" && code !== "bad_message") return state;
  const round = state.round?.phase === "asking" ? null : state.round && { ...state.round, cashing: false };
  return { ...state, round, asked: initialState().asked };
}

// A cash-out that crossed with the end of its round: the end has been told already and says more.
function onCashoutError(state, code, said) {
  // The end is on its way: a button that offered money again would promise what is never paid.
  const isOver = code === "too_late" || code === "no_such_round";
  if (state.round !== null) return said({ ...state, round: { ...state.round, cashing: isOver } });
  if (state.last?.result === "crash" && code === "too_late") {
    return withNotice(state, "result.crash_late", "loss", { crashHundredths: state.last.crashHundredths });
  }
  return state;
}

function onSessionEnded(state, frame) {
  return withNotice({ ...state, over: frame.reason }, `ended.${frame.reason}`, "bad");
}

/**
 * What the big button does now: { state, hint }, state one of bet, pending, flying, waiting, disabled. `stakeMinor` is
 * null for a text that is no amount; `autoHundredths` is undefined for one that is no multiplier, null for none.
 */
export function actionOf(state, stakeMinor, autoHundredths) {
  const isOpen = state.status === "open" && state.session !== null && state.over === null;
  if (!isOpen) return { state: state.round ? "waiting" : "disabled", hint: null };
  if (state.round?.phase === "flying") return { state: state.round.cashing ? "waiting" : "flying", hint: null };
  if (state.round) return { state: "pending", hint: null };
  if (state.bettingClosed) return { state: "disabled", hint: "error.session_expired" };
  if (state.isPaused) return { state: "disabled", hint: "hint.paused" };
  const hint = inputError(state.session.limits, stakeMinor, autoHundredths);
  if (hint !== null) return { state: "disabled", hint };
  return { state: "bet", hint: stakeMinor > state.balanceMinor ? "hint.low_balance" : null };
}

function inputError(limits, stakeMinor, autoHundredths) {
  if (stakeMinor === null) return "hint.bad_stake";
  const wrongStake = stakeError(stakeMinor, limits);
  if (wrongStake !== null) return `error.${wrongStake}`;
  if (autoHundredths === undefined || autoCashoutError(autoHundredths, limits)) return "error.bad_auto_cashout";
  return null;
}
