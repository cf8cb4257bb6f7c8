import assert from "node:assert/strict";
import { test } from "node:test";

import { crashesAtMs, hundredthsAt, reachesAtMs } from "../../../static/growth.js";
import { REPLAY_MS_MAX, Replay, canReplay, flightMs, replayModel, replaySpeed, restingModel } from "../../../static/player.js";

const RATE = 0.00006;
const SEEDS = { mapSeed: "a".repeat(64), lootSeed: "b".repeat(64), guardSeed: "c".repeat(64) };
const crashed = (crashHundredths) => ({
  status: "settled", result: "crash", crashHundredths, realizedHundredths: 0, amountMinor: 100, payoutMinor: 0, ...SEEDS,
});
const won = (realizedHundredths, result = "cashout") => ({
  status: "settled", result, crashHundredths: realizedHundredths + 50, realizedHundredths, amountMinor: 100, payoutMinor: realizedHundredths, ...SEEDS,
});

// A clock and a screen that move only when told.
function screen(round, options = {}) {
  const shown = { frames: [], ends: 0, nowMs: 5_000, waiting: [] };
  shown.replay = new Replay({
    round,
    onFrame: (model) => shown.frames.push(model),
    onEnd: () => (shown.ends += 1),
    now: () => shown.nowMs,
    requestFrame: (callback) => shown.waiting.push(callback),
    ...options,
  });
  shown.pass = (ms) => {
    shown.nowMs += ms;
    for (const callback of shown.waiting.splice(0)) callback(0);
  };
  return shown;
}

test("a crash flies along the curve and is lost at its crash point, in the first millisecond beyond it", () => {
  for (const crash of [100, 101, 107, 250, 4_870]) {
    const round = crashed(crash);
    const endMs = crashesAtMs(RATE, crash);
    assert.equal(flightMs(round), endMs);
    for (const elapsedMs of [0, 1, Math.floor(endMs / 2), endMs - 1]) {
      const model = replayModel(round, elapsedMs);
      assert.deepEqual([model.kind, model.elapsedMs, model.sinceEndMs], ["flying", elapsedMs, 0]);
      assert.equal(model.hundredths, hundredthsAt(RATE, elapsedMs));
      assert.ok(model.hundredths <= crash);
      assert.deepEqual([model.guardSeed, model.isProfit], [null, false]);
    }
    const end = replayModel(round, endMs + 250);
    assert.deepEqual([end.kind, end.hundredths, end.elapsedMs, end.sinceEndMs, end.isProfit], ["lost", crash, endMs, 250, false]);
    assert.deepEqual([end.mapSeed, end.lootSeed, end.guardSeed], [SEEDS.mapSeed, SEEDS.lootSeed, SEEDS.guardSeed]);
  }
});

test("a cash-out is won when the curve reaches it, also the highest win", () => {
  for (const round of [won(101), won(250), won(200_000, "max_win")]) {
    const endMs = reachesAtMs(RATE, round.realizedHundredths);
    assert.equal(replayModel(round, endMs - 1).kind, "flying");
    assert.ok(replayModel(round, endMs - 1).hundredths < round.realizedHundredths);
    const end = replayModel(round, endMs);
    assert.deepEqual([end.kind, end.hundredths, end.sinceEndMs, end.isProfit], ["won", round.realizedHundredths, 0, true]);
  }
  const even = { ...won(101), amountMinor: 10, payoutMinor: 10 };
  assert.equal(restingModel(even).isProfit, false);
  assert.ok(restingModel(even).sinceEndMs > 60_000);
});

test("a round's own rate counts, and a scene needs no seeds", () => {
  const { mapSeed, lootSeed, guardSeed, ...bare } = { ...crashed(200), ratePerMs: 0.001 };
  assert.equal(flightMs(bare), crashesAtMs(0.001, 200));
  const model = replayModel(bare, 100);
  assert.deepEqual([model.ratePerMs, model.mapSeed, model.lootSeed, model.guardSeed], [0.001, null, null, null]);
  assert.equal(screen(crashed(200), { ratePerMs: 0.002 }).replay.flightMs, crashesAtMs(0.002, 200));
});

test("only settled rounds have a flight to show", () => {
  assert.ok(canReplay(crashed(100)) && canReplay(won(150)) && canReplay(won(200_000, "max_win")));
  for (const status of ["void", "refunded", "flying", null]) assert.ok(!canReplay({ ...crashed(150), status }));
  assert.ok(!canReplay({ ...won(150), realizedHundredths: null }));
  assert.ok(!canReplay({ ...crashed(150), crashHundredths: null }));
});

test("a short flight keeps its own time, a long one is sped up to fit", () => {
  assert.equal(replaySpeed(crashed(150)), 1);
  assert.equal(replaySpeed(won(290)), 1);
  const speed = replaySpeed(crashed(100_000));
  assert.ok(speed > 6 && speed < 7);
  for (const round of [crashed(199_999), won(200_000, "max_win"), { ...won(1_000), ratePerMs: 0.000001 }]) {
    const shown = screen(round);
    shown.replay.start();
    shown.pass(REPLAY_MS_MAX - 1);
    assert.equal(shown.ends, 0);
    shown.pass(1);
    assert.equal(shown.ends, 1);
  }
});

test("a replay shows every frame of the screen until the end has been seen, and ends once", () => {
  const shown = screen(won(150));
  const endMs = flightMs(won(150));
  assert.equal(shown.replay.isPlaying, false);
  shown.replay.start();
  assert.ok(shown.replay.isPlaying);
  assert.deepEqual([shown.frames.length, shown.frames[0].hundredths, shown.frames[0].elapsedMs], [1, 100, 0]);
  shown.pass(1_000);
  assert.equal(shown.frames.at(-1).elapsedMs, 1_000);
  shown.pass(endMs - 1_000);
  assert.deepEqual([shown.frames.at(-1).kind, shown.frames.at(-1).sinceEndMs, shown.ends], ["won", 0, 0]);
  shown.pass(1_999);
  assert.deepEqual([shown.frames.at(-1).sinceEndMs, shown.ends], [1_999, 0]);
  shown.pass(1);
  assert.deepEqual([shown.ends, shown.replay.isPlaying, shown.waiting.length], [1, false, 0]);
  shown.pass(1_000);
  assert.equal(shown.ends, 1);
});

test("the end of a sped-up flight is shown in its own time", () => {
  const shown = screen(crashed(100_000));
  shown.replay.start();
  shown.pass(9_000);
  const halfway = shown.frames.at(-1);
  assert.ok(Math.abs(halfway.elapsedMs - flightMs(crashed(100_000)) / 2) < 1);
  shown.pass(9_500);
  assert.deepEqual([shown.frames.at(-1).kind, Math.round(shown.frames.at(-1).sinceEndMs)], ["lost", 500]);
});

test("after a stop nothing is shown, and a second start begins anew without the first one's frames", () => {
  const shown = screen(won(150));
  shown.replay.start();
  shown.replay.stop();
  shown.pass(100);
  assert.deepEqual([shown.frames.length, shown.ends], [1, 0]);
  shown.replay.start();
  shown.pass(3_000);
  shown.replay.start();
  const before = shown.frames.length;
  shown.pass(500);
  assert.deepEqual([shown.frames.length, shown.frames.at(-1).elapsedMs, shown.waiting.length], [before + 1, 500, 1]);
  const stopping = screen(won(150), { onFrame: () => stopping.replay.stop() });
  stopping.replay.start();
  assert.deepEqual([stopping.waiting.length, stopping.ends], [0, 0]);
});
