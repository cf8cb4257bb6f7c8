import assert from "node:assert/strict";
import { test } from "node:test";

import { LobbyLine } from "../../../static/lobby_line.js";
import { initialState } from "../../../static/state.js";

globalThis.parent = globalThis; // no frame is around it: what the line says is noted here instead

function lineOf() {
  const line = new LobbyLine([]);
  const said = [];
  line.bridge = { post: (type, fields) => said.push([type, fields]) };
  return { line, said };
}

const SESSION = { sessionId: "s-1", currency: "EUR" };
const ROUND = { phase: "flying", roundId: "r-1", amountMinor: 250 };
const LAST = { roundId: "r-1", status: "settled", result: "cashout", amountMinor: 250, payoutMinor: 505, realizedHundredths: 202 };
const START = initialState();
const READY = { ...START, session: SESSION, balanceMinor: 1_000, pendingMinor: 0 };

function toldOf(before, state) {
  const { line, said } = lineOf();
  line.follow(before, state, "de");
  return said;
}

test("a session that begins is told with its balance, and again when the game is back", () => {
  const all = [
    ["ready", { session_id: "s-1", currency: "EUR", lang: "de" }],
    ["balance", { balance_minor: 1_000, pending_minor: 0, currency: "EUR" }],
  ];
  assert.deepEqual(toldOf(START, READY), all);
  assert.deepEqual(toldOf({ ...READY, over: "replaced" }, READY), all);
  assert.deepEqual(toldOf(READY, READY), []);
});

test("money that moves or is owed is told", () => {
  assert.deepEqual(toldOf(READY, { ...READY, balanceMinor: 750 }), [["balance", { balance_minor: 750, pending_minor: 0, currency: "EUR" }]]);
  assert.deepEqual(toldOf(READY, { ...READY, pendingMinor: 505 }), [["balance", { balance_minor: 1_000, pending_minor: 505, currency: "EUR" }]]);
});

test("a round is told when it flies, and when it has ended, each once", () => {
  assert.deepEqual(toldOf(READY, { ...READY, round: { ...ROUND, phase: "betting" } }), [], "its stake may be refused");
  const flying = { ...READY, round: ROUND };
  assert.deepEqual(toldOf(READY, flying), [["round_started", { round_id: "r-1", amount_minor: 250 }]]);
  assert.deepEqual(toldOf(flying, { ...flying }), []);
  const ended = { ...READY, last: LAST };
  const end = { round_id: "r-1", status: "settled", result: "cashout", amount_minor: 250, payout_minor: 505, realized_multiplier: 2.02 };
  assert.deepEqual(toldOf(flying, ended), [["round_ended", end]]);
  assert.deepEqual(toldOf(ended, { ...ended, last: { ...LAST } }), []);
});

test("an end of the session is told once, and a restart is none: the game comes back by itself", () => {
  for (const reason of ["expired", "replaced", "operator_suspended", "closed"]) {
    const over = { ...READY, over: reason };
    assert.deepEqual(toldOf(READY, over), [["session_ended", { reason }]]);
    assert.deepEqual(toldOf(over, { ...over }), []);
  }
  assert.deepEqual(toldOf(READY, { ...READY, over: "shutdown" }), []);
});

test("what a lobby says before the game can hear is obeyed in order, but for the oldest of too much", () => {
  const { line } = lineOf();
  const obeyed = [];
  line.hear({ type: "close" });
  line.hear({ type: "hello" });
  for (const muted of [true, false, true, false, true]) line.hear({ type: "mute", muted });
  line.hear({ type: "pause" });
  line.hear({ type: "resume" });
  line.obey({
    setPaused: (isPaused) => obeyed.push(isPaused ? "pause" : "resume"),
    setMuted: (isMuted) => obeyed.push(isMuted),
    close: () => obeyed.push("close"),
    greet: () => obeyed.push("greet"),
  });
  assert.deepEqual(obeyed, ["greet", true, false, true, false, true, "pause", "resume"]);
  line.hear({ type: "close" });
  assert.equal(obeyed.at(-1), "close");
});

test("a lobby that never said hello is not asked to take over", () => {
  const { line, said } = lineOf();
  assert.equal(line.leave(), false);
  line.hear({ type: "hello" });
  assert.equal(line.leave(), true);
  assert.deepEqual(said, [["open_lobby", {}]]);
});

test("who asks again is told all, but nothing of a session that is not there or over", () => {
  const { line, said } = lineOf();
  line.tellAll(START, "de");
  line.tellAll({ ...READY, over: "expired" }, "de");
  assert.deepEqual(said, []);
  line.tellAll(READY, "de");
  assert.deepEqual(said.map(([type]) => type), ["ready", "balance"]);
});
