import assert from "node:assert/strict";
import { test } from "node:test";

import { reachesAtMs } from "../../../static/growth.js";
import { isMoving, sceneKind, sceneModel, stageHundredths } from "../../../static/stage.js";

const RATE = 0.00006;
const SEEDS = { mapSeed: "m", lootSeed: "l", guardSeed: "g" };
const session = { ratePerMs: RATE };
const settled = (fields) => ({ session, round: null, last: { status: "settled", amountMinor: 100, ...SEEDS, ...fields } });
const crashed = settled({ result: "crash", crashHundredths: 321, realizedHundredths: 0, payoutMinor: 0 });
const won = settled({ result: "cashout", crashHundredths: 321, realizedHundredths: 150, payoutMinor: 150 });
const even = settled({ result: "cashout", crashHundredths: 321, realizedHundredths: 101, payoutMinor: 100 });
const idle = { session: null, round: null, last: null };
const betting = { session, round: { phase: "betting" }, last: null };
const flying = { session, round: { phase: "flying", ...SEEDS }, last: null };
const at = { hundredths: 177, flownMs: 9_000, endedAtMs: 1_000, localMs: 1_400 };

test("the stage follows the state", () => {
  for (const [state, kind, hundredths] of [[idle, "idle", 100], [betting, "betting", 100], [flying, "flying", 177], [won, "won", 150], [crashed, "lost", 321]]) {
    assert.equal(sceneKind(state), kind);
    assert.equal(stageHundredths(state, 177), hundredths);
  }
  for (const status of ["void", "refunded"]) assert.equal(sceneKind({ round: null, last: { status } }), "idle");
  assert.equal(sceneKind({ round: { phase: "asking" }, last: null }), "betting");
});

test("a flight's picture knows how far it has flown and nothing of its end", () => {
  assert.deepEqual(sceneModel(flying, at), {
    kind: "flying", hundredths: 177, ratePerMs: RATE, mapSeed: "m", lootSeed: "l", elapsedMs: 9_000, sinceEndMs: 0, guardSeed: null, isProfit: false,
  });
});

test("before a bet there is a picture too, without seeds", () => {
  const model = sceneModel(idle, at);
  assert.deepEqual([model.kind, model.mapSeed, model.lootSeed, model.guardSeed, model.elapsedMs], ["idle", null, null, null, 1_400]);
  assert.ok(model.ratePerMs > 0);
});

test("an end is shown where the flight ended, for as long as the page has seen it", () => {
  const model = sceneModel(won, at);
  assert.deepEqual([model.kind, model.elapsedMs, model.sinceEndMs, model.guardSeed], ["won", reachesAtMs(RATE, 150), 400, "g"]);
  assert.ok(sceneModel(crashed, at).elapsedMs > reachesAtMs(RATE, 321) - 1);
  assert.equal(sceneModel(won, { ...at, localMs: 999 }).sinceEndMs, 0);
  assert.ok(sceneModel(crashed, { ...at, endedAtMs: null }).sinceEndMs > 1e6);
});

test("only more than the stake is a profit", () => {
  assert.deepEqual([won, even, crashed].map((state) => sceneModel(state, at).isProfit), [true, false, false]);
});

test("what moves by itself: bets and flights always, an end for a while", () => {
  assert.ok(isMoving(sceneModel(betting, at)) && isMoving(sceneModel(flying, at)));
  assert.ok(isMoving(sceneModel(won, at)));
  assert.ok(!isMoving(sceneModel(won, { ...at, localMs: 60_000 })));
  assert.ok(!isMoving(sceneModel(crashed, { ...at, endedAtMs: null })));
  assert.ok(!isMoving(sceneModel(idle, at)));
});
