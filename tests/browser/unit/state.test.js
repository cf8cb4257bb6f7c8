import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { actionOf, initialState, keptPromise, reduce } from "../../../static/state.js";
import { hasWords, say, useWords } from "../../../static/words.js";

const LIMITS = {
  min_bet_minor: 10,
  max_bet_minor: 100_000,
  bet_step_minor: 10,
  max_payout_minor: 5_000_000,
  min_cashout: 1.01,
  max_win_multiplier: 2000,
};
const NEXT = { server_seed_hash: "hash-1", client_seed: "lucky", nonce: 1 };
const LATER = { server_seed_hash: "hash-2", client_seed: "lucky", nonce: 2 };

const frame = (type, fields = {}) => ({ type: "frame", frame: { type, ...fields } });
const play = (state, ...events) => events.reduce(reduce, state);
const open = { type: "status", status: "open", retryMs: null };
const lost = { type: "status", status: "lost", retryMs: 500 };
const closed = { type: "status", status: "closed", retryMs: null };
const connecting = { type: "status", status: "connecting", retryMs: null };
const asked = (what, id) => ({ type: "asked", what, id, amountMinor: 1000, autoHundredths: null, clientSeed: "drawn" });

function welcome(fields = {}) {
  return frame("welcome", {
    session_id: "s",
    player: "p",
    currency: "USD",
    balance_minor: 100_000,
    limits: LIMITS,
    rtp_target: 96,
    growth: { rate_per_ms: 0.00006 },
    tick_ms: 100,
    next: NEXT,
    round: null,
    history: [],
    server_time: 10_000,
    expires_at: 1_000_000,
    ...fields,
  });
}

const started = (fields = {}) =>
  frame("round_started", {
    round_id: "r1",
    amount_minor: 1000,
    auto_cashout: null,
    balance_minor: 99_000,
    started_at: 9_000,
    ...NEXT,
    map_seed: "a",
    loot_seed: "b",
    ...fields,
  });

const ended = (fields = {}) =>
  frame("round_ended", {
    round_id: "r1",
    status: "settled",
    result: "cashout",
    reason: null,
    realized_multiplier: 1.5,
    payout_minor: 1500,
    crash_point: 3.21,
    server_seed: "seed-1",
    ...NEXT,
    guard_seed: "g",
    balance_minor: 99_000,
    next: LATER,
    ...fields,
  });

const entry = (round_id, fields = {}) => ({ ...ended({ round_id, ...fields }).frame, amount_minor: 1000, currency: "USD", rtp_target: 96, max_win_multiplier: 2000 });

const ready = () => play(initialState(), connecting, open, welcome());
const betting = () => play(ready(), asked("bet", "bet-1"), frame("bet_pending", { id: "bet-1", round_id: "r1", amount_minor: 1000 }));
const flying = () => play(betting(), started({ id: "bet-1" }));

test("a welcome opens the table", () => {
  assert.equal(actionOf(initialState(), 1000, null).state, "disabled");
  const state = ready();
  assert.equal(state.balanceMinor, 100_000);
  assert.deepEqual(state.next, { serverSeedHash: "hash-1", nonce: 1 });
  assert.deepEqual(actionOf(state, 1000, null), { state: "bet", hint: null });
});

test("a round from bet to cash-out", () => {
  let state = reduce(ready(), asked("bet", "bet-1"));
  assert.equal(actionOf(state, 1000, null).state, "pending");
  state = betting();
  assert.equal(state.notice.key, "bet.pending");
  assert.equal(actionOf(state, 1000, null).state, "pending");
  state = flying();
  assert.equal(state.balanceMinor, 99_000);
  assert.equal(actionOf(state, 1000, null).state, "flying");
  state = reduce(state, asked("cashout", "cashout-2"));
  assert.equal(actionOf(state, 1000, null).state, "waiting");
  state = play(state, ended({ id: "cashout-2" }), frame("balance", { balance_minor: 99_000, pending_minor: 1500 }));
  assert.equal(state.notice.key, "result.cashout");
  assert.equal(state.notice.values.payoutMinor, 1500);
  assert.equal(state.pendingMinor, 1500);
  assert.equal(state.next.serverSeedHash, "hash-2");
  assert.equal(state.history[0].amountMinor, 1000);
  assert.equal(state.history[0].rtpBps, 9600);
  assert.equal(actionOf(state, 1000, null).state, "bet");
  state = reduce(state, frame("balance", { balance_minor: 100_500, pending_minor: 0 }));
  assert.equal(state.balanceMinor, 100_500);
  assert.equal(state.notice.key, "result.cashout");
});

test("a crash is told once, also when a cash-out crossed with it", () => {
  const crash = { result: "crash", payout_minor: 0, realized_multiplier: 0 };
  const before = play(flying(), asked("cashout", "cashout-2"), ended(crash));
  assert.equal(before.notice.key, "result.crash");
  const after = reduce(before, frame("error", { code: "too_late", id: "cashout-2" }));
  assert.equal(after.notice.key, "result.crash_late");
  assert.equal(after.notice.values.crashHundredths, 321);
});

test("a cash-out that crossed with the automatic one does not spoil the win", () => {
  const state = play(flying(), asked("cashout", "cashout-2"), ended(), frame("error", { code: "no_such_round", id: "cashout-2" }));
  assert.equal(state.notice.key, "result.cashout");
});

test("a cash-out that was too early leaves the round flying", () => {
  const state = play(flying(), asked("cashout", "cashout-2"), frame("error", { code: "too_early", id: "cashout-2" }));
  assert.equal(state.notice.key, "error.too_early");
  assert.equal(actionOf(state, 1000, null).state, "flying");
});

test("a refused bet gives the table back", () => {
  const state = play(ready(), asked("bet", "bet-1"), frame("error", { code: "wallet_pending", id: "bet-1" }));
  assert.equal(state.round, null);
  assert.equal(state.notice.key, "error.wallet_pending");
  assert.equal(actionOf(state, 1000, null).state, "bet");
});

test("a void round is told once: the error that follows it says the same", () => {
  const voided = { status: "void", result: null, reason: "bet_declined", payout_minor: 0, realized_multiplier: 0 };
  const state = play(betting(), ended(voided));
  assert.equal(state.notice.key, "void.bet_declined");
  const after = reduce(state, frame("error", { code: "bet_declined", id: "bet-1" }));
  assert.equal(after.notice.serial, state.notice.serial);
  assert.equal(after.history.length, 1);
  const another = reduce(after, frame("error", { code: "bet_declined", id: "bet-9" }));
  assert.notEqual(another.notice.serial, state.notice.serial);
});

test("a void round that is resumed is told once, though its error has no id", () => {
  const voided = { status: "void", result: null, reason: "wallet_unavailable", payout_minor: 0, realized_multiplier: 0 };
  const resumed = play(betting(), lost, connecting, open, welcome({ next: LATER }), frame("bet_pending", { round_id: "r1", amount_minor: 1000 }));
  assert.equal(actionOf(resumed, 1000, null).state, "pending");
  const state = play(resumed, ended(voided), frame("error", { code: "wallet_unavailable" }));
  assert.equal(state.notice.key, "void.wallet_unavailable");
  assert.equal(state.history[0].amountMinor, 1000);
});

test("the end of another round leaves the flight and its button as they are", () => {
  const state = play(flying(), ended({ round_id: "r0", payout_minor: 7_000 }));
  assert.equal(state.round.roundId, "r1");
  assert.equal(state.notice.key, "round.flying");
  assert.equal(state.history[0].roundId, "r0");
  assert.equal(actionOf(state, 1000, null).state, "flying");
});

test("a refunded round says so", () => {
  const state = play(flying(), ended({ status: "refunded", result: null, reason: "interrupted", payout_minor: 0 }));
  assert.equal(state.notice.key, "refunded.interrupted");
  assert.equal(state.notice.values.amountMinor, 1000);
});

const broken = { status: "refunded", result: null, reason: "interrupted", payout_minor: 0, realized_multiplier: 0 };
const unclear = { ...broken, status: "void", reason: "wallet_unavailable" };
const stakeOf = (state) => state.notice.values.stake;
const balance = (pending_minor) => frame("balance", { balance_minor: 99_000, pending_minor });

test("a stake that is on its way back is back once nothing is owed any more", () => {
  const state = play(flying(), ended({ ...broken, pending_minor: 1000 }));
  assert.equal(stakeOf(state), "stake.coming");
  assert.equal(state.pendingMinor, 1000);
  assert.equal(stakeOf(play(state, balance(1000))), "stake.coming");
  const back = play(state, balance(1000), balance(0));
  assert.equal(back.notice.key, "refunded.interrupted");
  assert.equal(stakeOf(back), "stake.back");
  assert.notEqual(back.notice.serial, state.notice.serial);
  assert.equal(play(back, balance(0)).notice.serial, back.notice.serial);
});

test("a bet that may have been taken is told from one that was never sent", () => {
  const state = play(betting(), ended({ ...unclear, pending_minor: 1000 }));
  assert.equal(state.notice.key, "void.wallet_unavailable");
  assert.equal(stakeOf(state), "stake.coming_if_taken");
  assert.equal(stakeOf(play(state, balance(0))), "stake.back_if_taken");
  const kept = play(betting(), ended({ ...unclear, pending_minor: 0 }));
  assert.equal(kept.notice.key, "void.not_sent");
  assert.equal(stakeOf(kept), "stake.kept");
  assert.equal(stakeOf(play(betting(), ended({ ...unclear, reason: "interrupted", pending_minor: 0 }))), "stake.kept");
  assert.equal(stakeOf(play(betting(), ended({ ...unclear, reason: "bet_declined", pending_minor: 0 }))), null);
  // A server of the version before does not say what is owed.
  assert.equal(stakeOf(play(betting(), ended(unclear))), "stake.coming_if_taken");
});

test("what became of a stake while the connection was lost is told by what is owed", () => {
  const after = (fields, pending_minor) =>
    stakeOf(play(flying(), lost, connecting, open, welcome({ next: LATER, history: [entry("r1", fields)], pending_minor })));
  assert.equal(after(broken, 1000), "stake.coming");
  assert.equal(after(broken, 0), "stake.back");
  assert.equal(after(unclear, 1000), "stake.coming_if_taken");
  assert.equal(after(unclear, 0), "stake.back_if_taken");
});

test("a bet that was sent and never answered is resolved by the welcome", () => {
  const cut = play(ready(), asked("bet", "bet-1"), lost, connecting, open);
  assert.equal(play(cut, welcome()).notice.key, "bet.never_arrived");
  const flew = play(cut, welcome({ round: { ...started().frame, status: "flying" } }));
  assert.equal(flew.notice.key, "connection.resumed");
  assert.equal(flew.round.knownMs, 1000);
  assert.equal(actionOf(flew, 1000, null).state, "flying");
  const over = play(cut, welcome({ next: LATER, history: [entry("r1")] }));
  assert.equal(over.notice.key, "result.cashout");
});

test("a bet that is still asked for goes on waiting after the welcome", () => {
  const round = { ...started().frame, status: "betting", started_at: null, map_seed: null, loot_seed: null };
  const state = play(betting(), lost, connecting, open, welcome({ round }));
  assert.equal(actionOf(state, 1000, null).state, "pending");
  assert.equal(play(state, started()).round.phase, "flying");
});

test("a round that ended while the connection was lost is told from the history", () => {
  const crash = { result: "crash", payout_minor: 0, realized_multiplier: 0 };
  const state = play(flying(), lost, connecting, open, welcome({ next: LATER, history: [entry("r1", crash)] }));
  assert.equal(state.notice.key, "result.crash");
  assert.equal(state.last.roundId, "r1");
  assert.equal(state.round, null);
});

test("while the connection is lost a round waits and a table is closed", () => {
  assert.equal(actionOf(play(flying(), lost), 1000, null).state, "waiting");
  assert.equal(actionOf(play(ready(), lost), 1000, null).state, "disabled");
  assert.equal(play(ready(), lost).notice.key, "connection.lost");
});

test("a cash-out without an answer may be pressed again after the welcome", () => {
  const state = play(flying(), asked("cashout", "cashout-2"), lost, connecting, open, welcome({ round: { ...started().frame, status: "flying" } }));
  assert.equal(actionOf(state, 1000, null).state, "flying");
});

test("a welcome without history leaves what is shown, and one with the newest alone says what became of a round", () => {
  const shown = play(initialState(), open, welcome({ history: [entry("a"), entry("b")] }));
  const { history: _, ...bare } = welcome({ next: LATER }).frame;
  const back = play(shown, lost, connecting, open, { type: "frame", frame: bare });
  assert.deepEqual(back.history, shown.history);
  assert.equal(back.hasMore, shown.hasMore);
  const known = play(shown, lost, connecting, open, welcome({ next: LATER, history: [entry("a")] }));
  assert.deepEqual(known.history.map((round) => round.roundId), ["a", "b"]);
  const unknown = play(shown, lost, connecting, open, welcome({ next: LATER, history: [entry("new")] }));
  assert.deepEqual(unknown.history.map((round) => round.roundId), ["new"]);
  assert.equal(unknown.hasMore, true, "the rest can be asked for");
});

test("history pages follow each other without doubles and without gaps", () => {
  const page = (from, to) => Array.from({ length: to - from }, (_, index) => entry(`r${from + index}`));
  let state = play(initialState(), open, welcome({ history: page(0, 20) }));
  assert.ok(state.hasMore);
  state = play(state, asked("history", "history-1"), frame("history", { id: "history-1", rounds: page(19, 39), more: false }));
  assert.equal(state.history.length, 39);
  assert.ok(!state.hasMore);
  assert.equal(state.asked.history, null);
  const touching = play(state, welcome({ history: [entry("new"), ...page(0, 19)] }));
  assert.equal(touching.history.length, 40);
  const gap = play(state, welcome({ history: page(100, 120) }));
  assert.equal(gap.history.length, 20);
  assert.ok(gap.hasMore);
});

test("the page remembers which commitments it has shown", () => {
  assert.deepEqual(play(flying(), ended()).shownHashes, ["hash-1", "hash-2"]);
});

test("a round must be the one that was promised when the page bet", () => {
  const bet = (state) => play(state, asked("bet", "bet-1"));
  const finished = { roundId: "r-9", serverSeedHash: "hash-1", clientSeed: "seed", nonce: 1 };
  const pending = play(bet(ready()), frame("bet_pending", { id: "bet-1", round_id: "r-9", amount_minor: 100 }));
  const promise = pending.promises[0];
  assert.equal(promise.clientSeed, "drawn", "what the bet carried, and not what the server has");
  const same = { ...finished, serverSeedHash: promise.serverSeedHash, clientSeed: promise.clientSeed, nonce: promise.nonce };
  assert.equal(keptPromise(pending, same), true);
  for (const other of [{ serverSeedHash: "hash-2" }, { clientSeed: "another" }, { nonce: 77 }]) {
    assert.equal(keptPromise(pending, { ...same, ...other }), false);
  }
  assert.equal(keptPromise(pending, { ...same, roundId: "r-1", serverSeedHash: "never shown" }), null);
  const elsewhere = play(bet(ready()), frame("bet_pending", { id: "bet-0", round_id: "r-8", amount_minor: 100 }));
  assert.equal(keptPromise(elsewhere, { ...same, roundId: "r-8", serverSeedHash: "never shown" }), null, "it answers another bet");
  const foreign = play(bet(ready()), frame("bet_pending", { round_id: "r-9", amount_minor: 100 }));
  assert.equal(keptPromise(foreign, { ...same, serverSeedHash: "never shown" }), null);
});

test("a flight goes no higher than the largest multiplier, the largest payout and its automatic cash-out allow", () => {
  const cap = (fields) => play(betting(), started({ id: "bet-1", ...fields })).round.capHundredths;
  assert.equal(cap({ amount_minor: 10 }), 200_000);
  assert.equal(cap({ amount_minor: 100_000 }), 5_000, "5,000,000 is the largest payout");
  assert.equal(cap({ amount_minor: 100_000, auto_cashout: 60 }), 5_000);
  assert.equal(cap({ amount_minor: 100_000, auto_cashout: 1.5 }), 150);
});

test("a frame that was dropped unread leaves nothing waiting", () => {
  const cashing = play(flying(), asked("cashout", "cashout-1"), frame("error", { code: "rate_limited" }));
  assert.equal(cashing.round.cashing, false);
  assert.equal(cashing.asked.cashout, null);
  for (const code of ["rate_limited", "bad_message"]) {
    const refused = play(ready(), asked("bet", "bet-1"), frame("error", { code }));
    assert.deepEqual([refused.round, refused.asked.bet], [null, null]);
  }
  assert.equal(play(ready(), asked("bet", "bet-1"), frame("error", { code: "internal" })).round.phase, "asking");
});

test("a cash-out that came too late waits for the end", () => {
  const late = play(flying(), asked("cashout", "cashout-1"), frame("error", { code: "too_late", id: "cashout-1" }));
  assert.equal(late.round.cashing, true);
});

test("stakes and automatic cash-outs that cannot be bet disable the button and say why", () => {
  const hint = (stake, auto) => actionOf(ready(), stake, auto);
  assert.deepEqual(hint(null, null), { state: "disabled", hint: "hint.bad_stake" });
  assert.deepEqual(hint(5, null), { state: "disabled", hint: "error.stake_too_low" });
  assert.deepEqual(hint(15, null), { state: "disabled", hint: "error.stake_step" });
  assert.deepEqual(hint(1000, undefined), { state: "disabled", hint: "error.bad_auto_cashout" });
  assert.deepEqual(hint(1000, 100), { state: "disabled", hint: "error.bad_auto_cashout" });
  const poor = play(ready(), frame("balance", { balance_minor: 10, pending_minor: 0 }));
  assert.deepEqual(actionOf(poor, 1000, null), { state: "bet", hint: "hint.low_balance" });
});

test("an expired session closes the table but not a flight", () => {
  const expired = frame("error", { code: "session_expired", id: "bet-1" });
  assert.equal(actionOf(play(ready(), asked("bet", "bet-1"), expired), 1000, null).state, "disabled");
  assert.equal(actionOf(play(flying(), frame("error", { code: "session_expired" })), 1000, null).state, "flying");
});

test("the end of a session is the last word", () => {
  for (const reason of ["expired", "replaced", "operator_suspended", "shutdown"]) {
    const state = play(ready(), frame("session_ended", { reason }), { type: "status", status: "closed", retryMs: null });
    assert.equal(state.notice.key, `ended.${reason}`);
    assert.equal(actionOf(state, 1000, null).state, "disabled");
    assert.equal(play(state, connecting, open, welcome()).over, null);
  }
});

test("a server that restarts is what has happened until another one answers", () => {
  const state = play(ready(), frame("session_ended", { reason: "shutdown" }), lost, connecting, lost, connecting);
  assert.equal(state.over, "shutdown");
  assert.equal(play(ready(), frame("session_ended", { reason: "replaced" }), closed, connecting).over, null);
});

test("a lobby that pauses betting leaves a flight alone", () => {
  const paused = { type: "paused", isPaused: true };
  assert.deepEqual(actionOf(play(ready(), paused), 1000, null), { state: "disabled", hint: "hint.paused" });
  assert.equal(actionOf(play(flying(), paused), 1000, null).state, "flying");
  assert.equal(actionOf(play(ready(), paused, { type: "paused", isPaused: false }), 1000, null).state, "bet");
});

test("a lobby that closes the game ends it", () => {
  const state = play(ready(), closed, { type: "closed" });
  assert.deepEqual([state.over, state.notice.key], ["closed", "ended.closed"]);
});

test("the session's result is the server's sum, not one of the page", () => {
  const totals = (rounds, staked_minor, paid_minor) => ({ totals: { started_at: 5, rounds, staked_minor, paid_minor } });
  let state = play(initialState(), open, welcome(totals(3, 3000, 1000)));
  assert.deepEqual(state.totals, { startedAtMs: 5, rounds: 3, netMinor: -2000 });
  state = play(state, started(), ended(totals(4, 4000, 2500)));
  assert.deepEqual(state.totals, { startedAtMs: 5, rounds: 4, netMinor: -1500 });
  assert.deepEqual(play(state, started({ round_id: "r2" }), ended({ round_id: "r2" })).totals, state.totals);
  assert.equal(ready().totals, null);
});

test("no more than the stake back is told without a celebration", () => {
  const tone = (fields) => play(flying(), ended(fields)).notice;
  const even = tone({ realized_multiplier: 1.01, payout_minor: 1000 });
  assert.deepEqual([even.key, even.tone], ["result.cashout_even", "info"]);
  assert.deepEqual([tone({ payout_minor: 1001 }).key, tone({ payout_minor: 1001 }).tone], ["result.cashout", "win"]);
  assert.deepEqual([tone({ result: "max_win" }).key, tone({ result: "max_win" }).tone], ["result.max_win", "win"]);
});

test("rounds that are played on and on do not pile up, and those let go can be loaded again", () => {
  let state = ready();
  for (let number = 0; number < 130; number += 1) {
    state = play(state, started({ round_id: `p${number}` }), ended({ round_id: `p${number}` }));
    assert.equal(state.hasMore, number >= 100);
  }
  assert.equal(state.history.length, 100);
  assert.deepEqual([state.history[0].roundId, state.history.at(-1).roundId], ["p129", "p30"]);
  assert.ok(state.shownHashes.length <= 200);
});

test("unknown frames and fields change nothing", () => {
  const state = ready();
  assert.equal(reduce(state, frame("fireworks", { a: 1 })), state);
  assert.equal(reduce(state, { type: "nothing" }), state);
});

test("everything that the protocol can say has words of its own", () => {
  const codes = (
    "bad_message unauthorized stake_too_low stake_too_high stake_step bad_auto_cashout bad_client_seed insufficient_funds bet_declined " +
    "wallet_unavailable wallet_pending round_in_progress no_such_round too_early too_late rate_limited session_expired draining"
  ).split(" ");
  useWords(JSON.parse(readFileSync(new URL("../../../static/messages/en.json", import.meta.url), "utf8")), "en");
  for (const code of codes) assert.ok(hasWords(`error.${code}`), code);
  for (const reason of ["expired", "replaced", "operator_suspended", "shutdown"]) assert.ok(hasWords(`ended.${reason}`), reason);
  for (const reason of ["insufficient_funds", "bet_declined", "wallet_unavailable", "interrupted"]) assert.ok(hasWords(`void.${reason}`), reason);
  for (const result of ["cashout", "max_win", "crash"]) assert.ok(hasWords(`result.${result}`), result);
  for (const reason of ["interrupted", "shutdown", "late_start"]) assert.ok(hasWords(`refunded.${reason}`), reason);
  const values = { amountMinor: "$1", min: "a", max: "b", step: "c", minCashout: "d", maxCashout: "e" };
  for (const key of ["void.new_reason", "refunded.new_reason", "ended.new_reason", "error.new_code", ...codes.map((code) => `error.${code}`)]) {
    assert.match(say(key, values), /\.$/);
    assert.doesNotMatch(say(key, values), /undefined|null/);
  }
});
