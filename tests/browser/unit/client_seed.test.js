import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";

import { ClientSeed } from "../../../static/client_seed.js";
import { isClientSeed, isHonestlyDiscarded, randomClientSeed } from "../../../static/fairness.js";

globalThis.crypto ??= webcrypto;

function counting() {
  const drawn = [];
  const seed = new ClientSeed(() => {
    drawn.push(`drawn-${drawn.length + 1}`);
    return drawn.at(-1);
  });
  return { seed, drawn };
}

test("nothing is drawn before a hash is shown, and then once for it", () => {
  const { seed, drawn } = counting();
  assert.deepEqual(drawn, []);
  seed.promised("hash-1");
  seed.promised("hash-1");
  assert.deepEqual(drawn, ["drawn-1"]);
  assert.equal(seed.text, "drawn-1");
  seed.promised("hash-2");
  assert.equal(seed.text, "drawn-2");
});

test("a seed that has left the page is not used again, under the same hash neither", () => {
  const { seed } = counting();
  seed.promised("hash-1");
  const sent = [seed.take(), seed.take()];
  seed.promised("hash-2");
  sent.push(seed.take());
  assert.equal(new Set(sent).size, 3);
});

test("one of the player's own goes with every bet until they want drawn ones again", () => {
  const { seed } = counting();
  seed.promised("hash-1");
  seed.choose("mine");
  assert.deepEqual([seed.take(), seed.take()], ["mine", "mine"]);
  seed.promised("hash-2");
  assert.equal(seed.text, "mine");
  seed.drawForEachBet();
  const drawn = [seed.take(), seed.take()];
  assert.ok(!drawn.includes("mine") && drawn[0] !== drawn[1]);
});

test("draws come from the browser's generator, and are client seeds", () => {
  const seed = new ClientSeed();
  const drawn = Array.from({ length: 200 }, (_, number) => {
    seed.promised(`hash-${number}`);
    return seed.take();
  });
  assert.ok(drawn.every(isClientSeed));
  assert.equal(new Set(drawn).size, drawn.length);
  const before = globalThis.crypto.getRandomValues;
  const asked = [];
  Object.defineProperty(globalThis.crypto, "getRandomValues", { configurable: true, value: (bytes) => asked.push(bytes) && bytes.fill(3) });
  seed.drawForEachBet();
  Object.defineProperty(globalThis.crypto, "getRandomValues", { configurable: true, value: before });
  assert.equal(asked.length, 1);
  assert.equal(seed.text, "D".repeat(16));
});

test("every character of a drawn seed has six random bits", () => {
  const drawn = [0, 16, 32, 48].map((first) => randomClientSeed((bytes) => bytes.map((_, index) => first + index)));
  assert.equal(new Set(drawn.join("")).size, 64);
  assert.equal(randomClientSeed((bytes) => bytes.map((_, index) => 192 + index)), drawn[0], "a byte has four turns through all");
});

test("a promise that is discarded is checked", async () => {
  const discarded = {
    server_seed: "b5ad45dc932b245a2f88f729ce30a4a098c868bd549de8bf8d8641b37a5e8501",
    server_seed_hash: "",
    nonce: 1,
  };
  discarded.server_seed_hash = Buffer.from(await globalThis.crypto.subtle.digest("SHA-256", Buffer.from(discarded.server_seed))).toString("hex");
  assert.equal(await isHonestlyDiscarded(discarded), true);
  assert.equal(await isHonestlyDiscarded({ ...discarded, server_seed: "0".repeat(64) }), false);
});
