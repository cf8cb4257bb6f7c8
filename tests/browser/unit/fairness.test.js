import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  canVerify,
  commitmentOf,
  crashHundredths,
  isClientSeed,
  outcomeDigest,
  randomClientSeed,
  shellLines,
  verdictOf, verifyRound,
} from "../../../static/fairness.js";

// A browser always has it; Node only from version 20 on.
globalThis.crypto ??= webcrypto;

const { rounds } = JSON.parse(readFileSync(process.env.GETAWAY_VECTORS, "utf8"));

function roundOf(vector) {
  return {
    serverSeed: vector.server_seed,
    serverSeedHash: vector.server_seed_hash,
    clientSeed: vector.client_seed,
    nonce: vector.nonce,
    rtpBps: vector.rtp_bps,
    maxWinMultiplier: vector.max_win_multiplier,
    crashHundredths: vector.crash_hundredths,
  };
}

test("every worked example is reproduced", async () => {
  assert.ok(canVerify());
  assert.ok(rounds.length > 20);
  for (const vector of rounds) {
    const { server_seed: seed, client_seed: client, nonce } = vector;
    assert.equal(await commitmentOf(seed), vector.server_seed_hash);
    assert.equal(await outcomeDigest(seed, client, nonce, "map"), vector.map_seed);
    assert.equal(await outcomeDigest(seed, client, nonce, "loot"), vector.loot_seed);
    assert.equal(await outcomeDigest(seed, client, nonce, "guard"), vector.guard_seed);
    const digest = await outcomeDigest(seed, client, nonce, "crash");
    assert.equal(crashHundredths(digest, vector.rtp_bps, vector.max_win_multiplier), vector.crash_hundredths);
    const found = await verifyRound(roundOf(vector));
    assert.ok(found.hashMatches && found.crashMatches);
  }
});

test("a round that was tampered with is found out", async () => {
  const round = roundOf(rounds[0]);
  assert.equal((await verifyRound({ ...round, crashHundredths: round.crashHundredths + 1 })).crashMatches, false);
  assert.equal((await verifyRound({ ...round, serverSeed: rounds[1].server_seed })).hashMatches, false);
});

test("an automatic cash-out that was reached and not kept is found out", async () => {
  const round = { ...roundOf(rounds.find((vector) => vector.crash_hundredths >= 160)), status: "settled", amountMinor: 1000 };
  const lost = { ...round, result: "crash", realizedHundredths: 0, payoutMinor: 0 };
  const won = { ...round, result: "cashout", realizedHundredths: 150, payoutMinor: 1500 };
  const paid = async (fields) => (await verifyRound(fields)).payoutMatches;
  assert.equal(await paid(lost), true);
  assert.equal(await paid({ ...lost, autoHundredths: 150 }), false);
  assert.equal(await paid({ ...lost, autoHundredths: round.crashHundredths + 1 }), true);
  assert.equal(await paid({ ...won, autoHundredths: 150 }), true);
  assert.equal(await paid({ ...won, autoHundredths: 140 }), false);
});

test("nothing is proven by a round without the hash of before the bet", async () => {
  const round = roundOf(rounds[0]);
  assert.equal(verdictOf(await verifyRound(round)).tone, "ok");
  assert.equal(verdictOf(await verifyRound({ ...round, serverSeedHash: null })).tone, "none");
});

test("the crash point stays between 1.00 and the largest multiplier", () => {
  assert.equal(crashHundredths("0".repeat(64), 9600, 2000), 100);
  assert.equal(crashHundredths("f".repeat(64), 9600, 2000), 200_000);
});

test("client seeds are what the server takes", () => {
  for (const good of ["a", "A-z_9", "x".repeat(64)]) assert.ok(isClientSeed(good));
  for (const bad of ["", " ", "a b", "ä", "x".repeat(65), "a\n"]) assert.ok(!isClientSeed(bad));
  const seeds = new Set(Array.from({ length: 50 }, () => randomClientSeed()));
  assert.equal(seeds.size, 50);
  for (const seed of seeds) assert.ok(isClientSeed(seed) && seed.length === 16);
});

const mustRun = process.env.GETAWAY_REQUIRE_PROGRAMS === "1";
const hasTools = ["openssl", "bc", "bash"].every((tool) => {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`]);
    return true;
  } catch {
    return false;
  }
});

test("the shell lines, pasted together, print the hash, the digest and the crash point", { skip: !hasTools && !mustRun && "needs openssl, bc and bash" }, () => {
  // Terms at which the lowest and the largest crash point have to be kept.
  const kept = [{ ...rounds[0], rtp_bps: 1, crash_hundredths: 100 }, { ...rounds[2], max_win_multiplier: 2, crash_hundredths: 200 }];
  for (const vector of [...rounds, ...kept]) {
    const lines = shellLines(roundOf(vector));
    const printed = execFileSync("bash", { input: `${lines.join("\n")}\n`, encoding: "utf8" }).trim().split("\n");
    assert.equal(printed.length, lines.length);
    assert.equal(printed[0], vector.server_seed_hash);
    assert.match(printed[1], /^[0-9a-f]{64}$/);
    assert.equal(Number(printed[2]), vector.crash_hundredths);
  }
});
