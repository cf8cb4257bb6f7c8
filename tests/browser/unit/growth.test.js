import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Flight, ServerClock, crashesAtMs, hundredthsAt, reachesAtMs } from "../../../static/growth.js";

// The server's own curve: [[rate, elapsed_ms, hundredths], ...] and [[rate, hundredths, reaches_ms, crashes_ms], ...].
const { growth: table } = JSON.parse(readFileSync(process.env.GETAWAY_SERVER_FACTS, "utf8"));
const RATE = 0.00006;

test("the curve is the server's to the hundredth", () => {
  assert.ok(table.curve.length > 1000);
  for (const [rate, elapsed, hundredths] of table.curve) assert.equal(hundredthsAt(rate, elapsed), hundredths, `${rate} ${elapsed}`);
});

test("moments are the server's to the millisecond", () => {
  assert.ok(table.moments.length > 100);
  for (const [rate, hundredths, reaches, crashes] of table.moments) {
    assert.equal(reachesAtMs(rate, hundredths), reaches, `${rate} ${hundredths}`);
    assert.equal(crashesAtMs(rate, hundredths), crashes, `${rate} ${hundredths}`);
  }
});

test("before the start the multiplier is 1.00", () => {
  assert.equal(hundredthsAt(RATE, -500), 100);
  assert.equal(hundredthsAt(RATE, 0), 100);
  assert.equal(hundredthsAt(RATE, 11_553), 200);
});

test("the clock is never ahead of the server's, whatever the two ways take", () => {
  const trueOffset = 1_700_000_000_000;
  const clock = new ServerClock();
  assert.equal(clock.nowMs(0), null);
  for (const [sent, up, down] of [[0, 300, 20], [1000, 5, 40], [2000, 10, 8], [3000, 200, 400]]) {
    const received = sent + up + down;
    clock.measure(sent, received, sent + up + trueOffset);
    assert.ok(clock.nowMs(received) <= received + trueOffset);
  }
  assert.equal(clock.nowMs(5000), 5000 + trueOffset - 8);
});

test("a welcome sets the clock until the first pong", () => {
  const clock = new ServerClock();
  clock.restart(100, 1_000_100);
  assert.equal(clock.nowMs(200), 1_000_200);
  clock.measure(200, 210, 1_000_205);
  assert.equal(clock.nowMs(300), 1_000_295);
});

test("what was measured before a sleep is forgotten at the next welcome", () => {
  const clock = new ServerClock();
  for (let at = 0; at < 16; at += 1) clock.measure(at, at + 20, 1_000_000 + at);
  clock.restart(100, 4_600_100);
  clock.measure(100, 125, 4_600_110);
  assert.equal(clock.nowMs(200), 4_600_185);
});

test("old samples are forgotten so that a drifting clock is followed", () => {
  const clock = new ServerClock(4);
  clock.measure(0, 1, 1000);
  for (let at = 10; at < 50; at += 10) clock.measure(at, at + 5, 2000 + at);
  assert.equal(clock.nowMs(15), 2010);
});

test("how the connection is now is the middle of its last three round trips", () => {
  const clock = new ServerClock();
  clock.restart(0, 1000);
  for (const [trip, told] of [[400, 0], [20, 400], [30, 30], [900, 30], [25, 30], [700, 700], [800, 700]]) {
    clock.measure(0, trip, 1000);
    assert.equal(clock.latestRoundTripMs, told, `${trip}`);
  }
});

function flight(fields = {}) {
  return new Flight({ startedAtMs: 1000, ratePerMs: RATE, capHundredths: 200_000, behindMs: 125, stalledMs: 1200, knownMs: 0, localMs: 0, ...fields });
}

test("a flight glides up to the last tick and never past it", () => {
  const one = flight();
  assert.equal(one.elapsedMs(900), 0);
  assert.equal(one.elapsedMs(1225), 0);
  one.tick(100, 10);
  assert.equal(one.elapsedMs(1200), 75);
  assert.equal(one.elapsedMs(5000), 100);
  one.tick(400, 20);
  assert.equal(one.elapsedMs(1425), 300);
  assert.equal(one.elapsedMs(1100), 300);
  assert.equal(one.elapsedMs(5000), 400);
});

test("without a clock the ticks alone count", () => {
  const one = flight();
  assert.equal(one.elapsedMs(null), 0);
  one.tick(400, 10);
  assert.equal(one.elapsedMs(null), 400);
});

test("a resumed flight is where it certainly was", () => {
  const one = flight({ knownMs: 11_553 });
  assert.equal(one.hundredths(null), 200);
  assert.equal(one.hundredths(1000 + 11_600), 200);
});

test("a flight never shows more than it can pay", () => {
  const one = flight({ capHundredths: 150, knownMs: 20_000 });
  assert.equal(one.hundredths(1000 + 20_100), 150);
});

test("a flight without ticks is stalled", () => {
  const one = flight();
  assert.ok(!one.isStalled(1000));
  assert.ok(one.isStalled(1300));
  one.tick(100, 1290);
  assert.ok(!one.isStalled(1300));
});
