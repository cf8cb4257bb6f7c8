// Checks a finished round in the page with nothing but WebCrypto and whole numbers (algorithm hmac-sha256-v1).

import { payoutMinor } from "./money.js";

const SPAN = 1n << 52n;
const encoder = new TextEncoder();

/** Whether the text is a client seed: 1 to 64 of A-Z a-z 0-9 _ -. */
export function isClientSeed(text) {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** A fresh client seed of 16 characters, 96 random bits. `random` fills a byte array, as crypto.getRandomValues does. */
export function randomClientSeed(random = (bytes) => globalThis.crypto.getRandomValues(bytes)) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return Array.from(random(new Uint8Array(16)), (byte) => alphabet[byte % 64]).join("");
}

/** Whether this page may compute digests: browsers allow it on https and on localhost only. */
export function canVerify() {
  return globalThis.crypto?.subtle !== undefined;
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 over the seed's ASCII characters, lower-case hex: the commitment shown before the bet. */
export async function commitmentOf(serverSeed) {
  return hex(await globalThis.crypto.subtle.digest("SHA-256", encoder.encode(serverSeed)));
}

/** Whether a promise that was never played (`welcome.discarded`) was one; also true where the page can't compute it. */
export async function isHonestlyDiscarded({ server_seed: serverSeed, server_seed_hash: hash }) {
  return !canVerify() || (await commitmentOf(String(serverSeed))) === hash;
}

/** One outcome of a round as 64 hex characters; the topic is crash, map, loot or guard. */
export async function outcomeDigest(serverSeed, clientSeed, nonce, topic) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await globalThis.crypto.subtle.importKey("raw", encoder.encode(serverSeed), algorithm, false, ["sign"]);
  return hex(await globalThis.crypto.subtle.sign("HMAC", key, encoder.encode(`${clientSeed}:${nonce}:${topic}`)));
}

/** The crash point in hundredths that a crash digest stands for under the round's terms. */
export function crashHundredths(crashDigest, rtpBps, maxWinMultiplier) {
  const drawn = BigInt(`0x${crashDigest.slice(0, 13)}`);
  const exact = (BigInt(rtpBps) * SPAN) / (100n * (SPAN - drawn));
  const cap = 100n * BigInt(maxWinMultiplier);
  return Number(exact < 100n ? 100n : exact > cap ? cap : exact);
}

/** What the seeds decide about a round but for its end: the 64-character seeds of building, loot and guards. */
export async function sceneryOf({ serverSeed, clientSeed, nonce }) {
  const seedOf = (topic) => outcomeDigest(serverSeed, clientSeed, nonce, topic);
  const [mapSeed, lootSeed, guardSeed] = await Promise.all([seedOf("map"), seedOf("loot"), seedOf("guard")]);
  return { mapSeed, lootSeed, guardSeed };
}

/**
 * Recompute a finished round. Gives what the seeds decide: { hash, digest, crash (hundredths), scenery }, and whether
 * the round said the same, null where it said nothing: hashMatches, crashMatches, sceneryMatches, payoutMatches.
 */
export async function verifyRound(round) {
  const hash = await commitmentOf(round.serverSeed);
  const digest = await outcomeDigest(round.serverSeed, round.clientSeed, round.nonce, "crash");
  const crash = crashHundredths(digest, round.rtpBps, round.maxWinMultiplier);
  const scenery = await sceneryOf(round);
  return {
    hash,
    hashMatches: agrees(round.serverSeedHash, hash),
    digest,
    crash,
    crashMatches: reachedBeyond(round, crash) ? false : agrees(round.crashHundredths, crash),
    scenery,
    sceneryMatches: allAgree(Object.entries(scenery).map(([name, seed]) => agrees(round[name], seed))),
    payoutMatches: payoutAgrees(round, crash),
  };
}

function agrees(said, computed) {
  return said === null || said === undefined ? null : said === computed;
}

// A round that was cashed out above the crash point had another one.
function reachedBeyond({ status, result, realizedHundredths }, crash) {
  return status === "settled" && result !== "crash" && realizedHundredths > crash;
}

function allAgree(answers) {
  const known = answers.filter((answer) => answer !== null);
  return known.length === 0 ? null : known.every((answer) => answer);
}

// A settled round pays the stake times what was realized, rounded down; a caught thief realizes nothing.
// An automatic cash-out at or below the crash point is reached: such a round is not lost, and realizes no more than it.
function payoutAgrees({ status, result, amountMinor, payoutMinor: paidMinor, realizedHundredths, autoHundredths }, crash) {
  const realized = result === "crash" ? 0 : realizedHundredths;
  if (status !== "settled" || [amountMinor, paidMinor, realized].some((value) => value === null || value === undefined)) {
    return null;
  }
  const isAutoReached = (autoHundredths ?? null) !== null && autoHundredths <= crash;
  if (isAutoReached && (result === "crash" || realized > autoHundredths)) return false;
  return paidMinor === payoutMinor(amountMinor, realized);
}

/**
 * What `verifyRound` found as lines to show: { key (of the message), tone ("ok" or "bad"), values: { crash } in
 * hundredths }. What the round did not say makes no line.
 */
export function checksOf(found) {
  const checks = [
    [found.hashMatches, "details.hashOk", "details.hashBad"],
    [found.crashMatches, "details.crashOk", "details.crashBad"],
    [found.sceneryMatches, "verify.sceneryOk", "verify.sceneryBad"],
    [found.payoutMatches, "details.payoutOk", "details.payoutBad"],
  ];
  return checks
    .filter(([matches]) => matches !== null)
    .map(([matches, good, bad]) => ({ key: matches ? good : bad, tone: matches ? "ok" : "bad", values: { crash: found.crash } }));
}

/** The line that says it all: the first check that failed, or else the crash point (tone "none" if it was not promised or claimed). */
export function verdictOf(found) {
  const checks = checksOf(found);
  const isAboutCrash = ({ key }) => key.startsWith("details.crash");
  const unclaimed = { key: "details.crashOk", tone: "none", values: { crash: found.crash } };
  const failed = checks.find(({ tone }) => tone === "bad");
  // Without the hash of before the bet nothing was promised, and anybody finds seeds for any crash point.
  return failed ?? (found.hashMatches === null ? unclaimed : (checks.find(isAboutCrash) ?? unclaimed));
}

/**
 * Lines for bash that check the round with OpenSSL and bc, for anybody who trusts this page as little as the server.
 * Pasted together they print the seed's hash, the crash digest and the crash point in hundredths, a line each.
 */
export function shellLines(round) {
  const { serverSeed, clientSeed, nonce, rtpBps, maxWinMultiplier } = round;
  const cap = 100 * maxWinMultiplier;
  return [
    `printf %s '${serverSeed}' | openssl dgst -sha256 -r | cut -d' ' -f1`,
    `D=$(printf %s '${clientSeed}:${nonce}:crash' | openssl dgst -sha256 -hmac '${serverSeed}' -r | cut -d' ' -f1); printf '%s\\n' "$D"`,
    `C=$(bc <<< "${rtpBps} * 2^52 / (100 * (2^52 - $((16#\${D:0:13}))))"); printf '%s\\n' $((C < 100 ? 100 : C > ${cap} ? ${cap} : C))`,
  ];
}
