// Checks a finished round in the page with nothing but WebCrypto and whole numbers (algorithm hmac-sha256-v1).

const SPAN = 1n << 52n;
const encoder = new TextEncoder();

/** Whether the text is a client seed: 1 to 64 of A-Z a-z 0-9 _ -. */
export function isClientSeed(text) {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** A fresh client seed of 20 characters. `random` fills a byte array, as crypto.getRandomValues does. */
export function randomClientSeed(random = (bytes) => globalThis.crypto.getRandomValues(bytes)) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return Array.from(random(new Uint8Array(20)), (byte) => alphabet[byte % 64]).join("");
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

/**
 * Recompute a finished round. Returns { hash, hashMatches, digest, crash, crashMatches, commitmentMatches }: the
 * last is whether the revealed hash is the one that this page was shown before the bet (null if it never saw it).
 */
export async function verifyRound(round, shownHash = null) {
  const hash = await commitmentOf(round.serverSeed);
  const digest = await outcomeDigest(round.serverSeed, round.clientSeed, round.nonce, "crash");
  const crash = crashHundredths(digest, round.rtpBps, round.maxWinMultiplier);
  return {
    hash,
    hashMatches: hash === round.serverSeedHash,
    digest,
    crash,
    crashMatches: crash === round.crashHundredths,
    commitmentMatches: shownHash === null ? null : shownHash === hash,
  };
}

/** Shell lines that check the round with OpenSSL and bc, for anybody who trusts this page as little as the server. */
export function shellLines(round) {
  const terms = `${round.rtpBps} * 2^52`;
  return [
    `printf %s '${round.serverSeed}' | openssl dgst -sha256`,
    `printf %s '${round.clientSeed}:${round.nonce}:crash' | openssl dgst -sha256 -hmac '${round.serverSeed}'`,
    `H=$((16#FIRST_13_HEX_DIGITS)); echo "${terms} / (100 * (2^52 - $H))" | bc`,
  ];
}
