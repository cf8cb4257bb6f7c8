import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { checksOf, sceneryOf, verdictOf, verifyRound } from "../../../static/fairness.js";
import { finishedRound } from "../../../static/records.js";
import { USUAL_RATE_PER_MS, readRound, readValues, roundLink } from "../../../static/round_link.js";

// A browser always has it; Node only from version 20 on.
globalThis.crypto ??= webcrypto;

const { rounds: VECTORS } = JSON.parse(readFileSync(process.env.GETAWAY_VECTORS, "utf8"));
const ORIGIN = "https://game.example.com";
const ROUND_ID = "72d12010-1848-407d-94b8-2c6d1645bd19";

function historyEntry(vector, changes = {}) {
  const crash = vector.crash_hundredths / 100;
  return {
    round_id: ROUND_ID,
    status: "settled",
    result: "cashout",
    reason: null,
    amount_minor: 1_015,
    currency: "USD",
    auto_cashout: null,
    realized_multiplier: crash,
    payout_minor: Math.floor((1_015 * vector.crash_hundredths) / 100),
    crash_point: crash,
    server_seed: vector.server_seed,
    server_seed_hash: vector.server_seed_hash,
    client_seed: vector.client_seed,
    nonce: vector.nonce,
    rtp_target: vector.rtp_bps / 100,
    max_win_multiplier: vector.max_win_multiplier,
    map_seed: vector.map_seed,
    loot_seed: vector.loot_seed,
    guard_seed: vector.guard_seed,
    started_at: 1_782_864_000_120,
    settled_at: 1_782_864_015_391,
    ...changes,
  };
}

function operatorAnswer(vector, changes = {}) {
  const { round_id, reason, auto_cashout, crash_point, map_seed, loot_seed, guard_seed, ...entry } = historyEntry(vector);
  return {
    ok: true,
    session_id: ROUND_ID,
    operator_player_id: "player-42",
    algorithm: "hmac-sha256-v1",
    ...entry,
    outcome: { crashPoint: crash_point, mapSeed: map_seed, lootSeed: loot_seed, guardSeed: guard_seed },
    started_at: "2026-07-01T00:00:00.120Z",
    settled_at: "2026-07-01T00:00:15.391Z",
    transactions: [{ operator_tx_id: `bet-${round_id}`, kind: "bet", amount_minor: 1_015, attempts: 1, status: "acknowledged" }],
    ...changes,
  };
}

function read(document) {
  const { round, error } = readRound(JSON.stringify(document));
  assert.equal(error, null);
  return round;
}

const errorOf = (text) => {
  const { round, error } = readRound(text);
  assert.equal(round, null, `read: ${String(text).slice(0, 200)}`);
  return error;
};

test("a history entry reads as the page's own record of it, and checks", async () => {
  for (const vector of VECTORS) {
    const entry = historyEntry(vector);
    const round = read(entry);
    const { reason, ...record } = finishedRound(entry);
    assert.deepEqual(round, { ...record, ratePerMs: USUAL_RATE_PER_MS, assumed: [] });
    const found = await verifyRound(round);
    assert.equal(found.crash, vector.crash_hundredths);
    assert.deepEqual(found.scenery, { mapSeed: vector.map_seed, lootSeed: vector.loot_seed, guardSeed: vector.guard_seed });
    assert.deepEqual(await sceneryOf(round), found.scenery);
    assert.deepEqual(checksOf(found).map(({ tone }) => tone), ["ok", "ok", "ok", "ok"]);
    assert.deepEqual(verdictOf(found), { key: "details.crashOk", tone: "ok", values: { crash: vector.crash_hundredths } });
  }
});

test("a frame of the round's end reads the same", () => {
  const frame = { type: "round_ended", ...historyEntry(VECTORS[0]), balance_minor: 5, next: { nonce: 2 } };
  assert.deepEqual(read(frame), read(historyEntry(VECTORS[0])));
});

test("the operator's answer reads the same, but for the id that it does not repeat", () => {
  for (const vector of VECTORS) {
    assert.deepEqual(read(operatorAnswer(vector)), { ...read(historyEntry(vector)), roundId: null });
  }
});

test("ninety-six in JSON is a percentage", () => {
  assert.equal(read(operatorAnswer(VECTORS[0], { rtp_target: 96 })).rtpBps, 9_600);
  assert.equal(read(operatorAnswer(VECTORS[0], { rtp_target: 97.25 })).rtpBps, 9_725);
  assert.equal(read(operatorAnswer(VECTORS[0], { rtp_target: 0.01 })).rtpBps, 1);
  assert.equal(read(operatorAnswer(VECTORS[0], { rtp_target: 100 })).rtpBps, 10_000);
});

test("seeds alone are enough, and what is assumed is said", async () => {
  const { server_seed, client_seed, nonce, crash_hundredths, rtp_bps } = VECTORS[0];
  assert.equal(rtp_bps, 9_600);
  const round = read({ server_seed, client_seed, nonce });
  assert.deepEqual(round.assumed, ["rtpBps", "maxWinMultiplier"]);
  assert.deepEqual([round.rtpBps, round.maxWinMultiplier, round.ratePerMs], [9_600, 2_000, 0.00006]);
  const unknown = ["serverSeedHash", "crashHundredths", "realizedHundredths", "status", "result", "amountMinor", "payoutMinor"];
  for (const name of [...unknown, "currency", "roundId", "startedAtMs", "settledAtMs"]) assert.equal(round[name], null, name);
  const found = await verifyRound(round);
  assert.equal(found.crash, crash_hundredths);
  assert.deepEqual(checksOf(found), []);
  assert.deepEqual(verdictOf(found), { key: "details.crashOk", tone: "none", values: { crash: crash_hundredths } });
});

test("a link holds the whole round and nothing outside its fragment", () => {
  for (const vector of VECTORS) {
    const entry = historyEntry(vector);
    const link = new URL(roundLink(ORIGIN, finishedRound(entry)));
    assert.deepEqual([link.origin, link.pathname, link.search], [ORIGIN, "/verify", ""]);
    for (const text of [link.href, ` ${link.href}\n`, link.hash, link.hash.slice(1), link.href.replace("/verify", "/verify?lang=de")]) {
      assert.deepEqual(readRound(text), { round: read(entry), error: null });
    }
    assert.equal(roundLink(ORIGIN, read(entry)), link.href);
  }
});

test("a link that a mail has broken into lines still reads", () => {
  const link = roundLink(ORIGIN, read(historyEntry(VECTORS[0])));
  const broken = link.match(/.{1,70}/g).join("\r\n ");
  assert.deepEqual(readRound(broken).round, read(historyEntry(VECTORS[0])));
});

test("a link leaves out what is not known or only assumed, and keeps an unusual rate", () => {
  const { server_seed, client_seed, nonce } = VECTORS[0];
  const bare = read({ server_seed, client_seed, nonce });
  assert.equal(roundLink(ORIGIN, bare), `${ORIGIN}/verify#server_seed=${server_seed}&client_seed=${client_seed}&nonce=${nonce}`);
  const half = read({ server_seed, client_seed, nonce, rtp_target: 95 });
  assert.deepEqual(half.assumed, ["maxWinMultiplier"]);
  assert.deepEqual(readRound(roundLink(ORIGIN, half)).round, half);
  for (const ratePerMs of [0.000001, 0.00001234, 0.01]) {
    assert.equal(readRound(roundLink(ORIGIN, { ...bare, ratePerMs })).round.ratePerMs, ratePerMs);
  }
});

test("void and refunded rounds read and check, without a payout to judge", async () => {
  for (const status of ["void", "refunded"]) {
    const round = read(historyEntry(VECTORS[1], { status, result: null, realized_multiplier: 0, payout_minor: 0, started_at: null }));
    assert.deepEqual([round.status, round.result, round.startedAtMs], [status, null, null]);
    const found = await verifyRound(round);
    assert.equal(found.payoutMatches, null);
    assert.equal(verdictOf(found).tone, "ok");
  }
});

test("whatever is not as it was is found", async () => {
  const entry = historyEntry(VECTORS[0]);
  const verdict = async (changes) => verdictOf(await verifyRound(read({ ...entry, ...changes }))).key;
  assert.equal(await verdict({}), "details.crashOk");
  assert.equal(await verdict({ server_seed: VECTORS[1].server_seed }), "details.hashBad");
  assert.equal(await verdict({ server_seed_hash: VECTORS[1].server_seed_hash }), "details.hashBad");
  assert.equal(await verdict({ client_seed: `${entry.client_seed}x` }), "details.crashBad");
  assert.equal(await verdict({ nonce: entry.nonce + 1 }), "details.crashBad");
  assert.equal(await verdict({ crash_point: entry.crash_point + 0.01 }), "details.crashBad");
  const beyond = { realized_multiplier: 3, payout_minor: 3_045 };
  assert.equal(await verdict(beyond), "details.crashBad");
  assert.equal(await verdict({ ...beyond, crash_point: null }), "details.crashBad");
  assert.equal(await verdict({ guard_seed: VECTORS[1].guard_seed }), "verify.sceneryBad");
  assert.equal(await verdict({ payout_minor: entry.payout_minor - 1 }), "details.payoutBad");
  assert.equal(await verdict({ payout_minor: entry.payout_minor + 1 }), "details.payoutBad");
  assert.equal(await verdict({ result: "crash", realized_multiplier: 0 }), "details.payoutBad");
  assert.equal(await verdict({ result: "crash", realized_multiplier: 0, payout_minor: 0 }), "details.crashOk");
});

test("a round that still flies is told from one that can't be read", () => {
  for (const status of ["betting", "flying"]) {
    const text = JSON.stringify(operatorAnswer(VECTORS[0], { status, server_seed: null, outcome: null, realized_multiplier: null }));
    assert.deepEqual(errorOf(text), { key: "verify.notEnded", field: "serverSeed", wireName: "server_seed" });
  }
});

const BAD_FIELDS = {
  server_seed: [null, "", "a".repeat(63), "A".repeat(64), `${"a".repeat(64)}\n`, "g".repeat(64), 5, {}, [["a".repeat(64)]]],
  server_seed_hash: ["", "0".repeat(65), 1, []],
  client_seed: [null, "", "a b", "ä", "x".repeat(65), "a\n", 7, "a:1"],
  nonce: [null, 0, -1, 1.5, "1", 2 ** 53, [1], true],
  rtp_target: [0, 100.01, 9_600, 96.005, -96, "96", {}],
  max_win_multiplier: [1, 2.5, 2 ** 31, "2000"],
  crash_point: [0.99, 1.005, "1.07", 1e300, {}],
  realized_multiplier: [-1, 1.005, "2"],
  status: ["", "won", 1, {}],
  result: ["", "win", []],
  amount_minor: [-1, 0.5, "10", 1e300],
  payout_minor: [-1, 0.5, 2 ** 53],
  currency: ["", "usd", "DOLLAR", 5],
  round_id: ["", "1", 5, "<b>"],
  started_at: ["yesterday", -1, 1.5, 1e300, "2026-99-99T99:99:99Z"],
  settled_at: [{}, "2026-07-01", "<img>"],
  map_seed: ["x"],
  loot_seed: [{}],
  guard_seed: [64],
};

test("each field that can't be is named", () => {
  const entry = historyEntry(VECTORS[0]);
  for (const [wireName, values] of Object.entries(BAD_FIELDS)) {
    for (const value of values) {
      const error = errorOf(JSON.stringify({ ...entry, [wireName]: value }));
      assert.deepEqual([error.key, error.wireName], ["verify.badInput", wireName], `${wireName}: ${JSON.stringify(value)}`);
    }
  }
  for (const outcome of [{ crashPoint: "1" }, { crashPoint: 1.07, mapSeed: "?" }, { guardSeed: [] }]) {
    assert.equal(errorOf(JSON.stringify(operatorAnswer(VECTORS[0], { outcome }))).key, "verify.badInput");
  }
  assert.equal(errorOf('{"server_seed": 1e999}').field, "serverSeed");
  assert.equal(errorOf(JSON.stringify(entry).replace(/"nonce":\d+/, '"nonce":1e999')).field, "nonce");
});

test("links are read as strictly", () => {
  const link = roundLink(ORIGIN, read(historyEntry(VECTORS[0])));
  const changed = (name, text) => link.replace(new RegExp(`([#&]${name}=)[^&]*`), `$1${text}`);
  const bad = [
    ["nonce", "1.0"], ["nonce", "01"], ["nonce", "-1"], ["nonce", "1e3"], ["nonce", "0"], ["nonce", ""], ["nonce", "9".repeat(400)],
    ["rtp_bps", "96.5"], ["rtp_bps", "10001"], ["server_seed", "x"], ["client_seed", "a%20b"], ["currency", "%3Cb%3E"],
    ["crash_hundredths", "99"], ["status", "flying"], ["started_at", "2026-07-01T00:00:00Z"],
  ];
  for (const [name, text] of bad) assert.equal(errorOf(changed(name, text)).key, "verify.badInput", `${name}=${text}`);
  assert.equal(errorOf(`${link}&nonce=2`).field, "nonce");
  for (const rate of ["0", "1", "-1", "1e-300", "NaN", "Infinity", "0x1", ""]) {
    assert.equal(errorOf(`${link}&rate_per_ms=${rate}`).field, "ratePerMs", rate);
  }
  assert.deepEqual(readRound(`${link}&more=1&__proto__=2`).round, read(historyEntry(VECTORS[0])));
});

test("anything else is an error and never an exception", () => {
  const nested = `{"server_seed": ${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
  assert.deepEqual([nested.length < 65_536, errorOf(nested).field], [true, "serverSeed"]);
  const unreadable = [
    "", " ", "#", "{", "{}", "null", "[]", "[{}]", '"server_seed"', "5", "hello", "https://game.example.com/verify", "\0", "{\"a\":1}",
    '{"ok": false, "error": {"code": "not_found"}}', '{"__proto__": {"server_seed": "a"}}', "%", "#%", "\ud800",
    "{".repeat(60_000), "a=".repeat(32_767), `{"server_seed": "${"a".repeat(100_000)}"}`, `#server_seed=${"a".repeat(1e6)}`,
    null, undefined, 5, {}, [], Symbol("round"), () => "",
  ];
  for (const text of unreadable) {
    const { round, error } = readRound(text);
    assert.equal(round, null);
    assert.ok(["verify.unreadable", "verify.badInput"].includes(error.key));
  }
  for (const text of ["{}", "hello", null, '{"__proto__": {"server_seed": "a"}}']) assert.equal(errorOf(text).field, null);
});

test("single values are judged by the same rules", () => {
  const { server_seed: serverSeed, client_seed: clientSeed, nonce } = VECTORS[0];
  const { round } = readValues({ serverSeed, clientSeed, nonce });
  assert.deepEqual(round, read({ server_seed: serverSeed, client_seed: clientSeed, nonce }));
  assert.equal(readValues({ serverSeed, clientSeed, nonce: "1" }).error.field, "nonce");
  assert.equal(readValues({ serverSeed, clientSeed, nonce, rtpBps: NaN }).error.field, "rtpBps");
  assert.equal(readValues({ clientSeed, nonce }).error.field, "serverSeed");
  assert.equal(readValues({ ...round, mapSeed: undefined }).error, null);
});
