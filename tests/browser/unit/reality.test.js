import assert from "node:assert/strict";
import { test } from "node:test";

import { RealityCheck } from "../../../static/reality.js";
import { launchData } from "../../../static/launch.js";

const MINUTE_MS = 60_000;

test("a reminder is due when an interval has passed, once, and never while a round lives", () => {
  const check = new RealityCheck(30 * MINUTE_MS);
  assert.ok(!check.isDue(0, false) && !check.isDue(30 * MINUTE_MS - 1, false));
  assert.ok(check.isDue(30 * MINUTE_MS, false));
  assert.ok(!check.isDue(30 * MINUTE_MS, true));
  check.seen(31 * MINUTE_MS);
  assert.ok(!check.isDue(31 * MINUTE_MS, false) && !check.isDue(60 * MINUTE_MS - 1, false));
  assert.ok(check.isDue(60 * MINUTE_MS, false));
});

test("intervals that passed together are one reminder, also for a page that was loaded again", () => {
  const check = new RealityCheck(MINUTE_MS);
  assert.ok(check.isDue(125 * MINUTE_MS, false));
  check.seen(125 * MINUTE_MS);
  assert.ok(!check.isDue(125.9 * MINUTE_MS, false));
  assert.ok(check.isDue(126 * MINUTE_MS, false));
});

test("nobody is reminded who is not to be, or before the time is known", () => {
  assert.ok(!new RealityCheck(null).isDue(1e12, false));
  assert.ok(!new RealityCheck(MINUTE_MS).isDue(null, false));
});

test("what a launch says, and what it leaves out", () => {
  assert.deepEqual(launchData("{}"), { lang: null, lobbyUrl: null, realityCheckMs: null, frameOrigins: [] });
  const nulls = { lang: null, lobby_url: null, reality_check_minutes: null, frame_origins: [] };
  assert.deepEqual(launchData(JSON.stringify(nulls)), launchData("{}"));
  const said = { lang: "pt-BR", lobby_url: "/lobby", reality_check_minutes: 60, frame_origins: ["a", "b"] };
  assert.deepEqual(launchData(JSON.stringify(said)), { lang: "pt-BR", lobbyUrl: "/lobby", realityCheckMs: 3_600_000, frameOrigins: ["a", "b"] });
});
