// Frames of the wire as the records that the page keeps: camelCase, hundredths, minor units, unix milliseconds.

import { hundredthsOf, payoutCapHundredths } from "./money.js";

function optional(value, convert = (present) => present) {
  return value === null || value === undefined ? null : convert(value);
}

/** The session's fixed facts out of `welcome`. */
export function sessionOf(frame) {
  return {
    sessionId: frame.session_id,
    player: frame.player,
    currency: frame.currency,
    limits: frame.limits,
    rtpBps: hundredthsOf(frame.rtp_target),
    ratePerMs: Number(frame.growth.rate_per_ms),
    tickMs: frame.tick_ms,
    expiresAtMs: frame.expires_at,
  };
}

/** What the session's settled rounds add up to, or null where a server does not tell. */
export function totalsOf(totals) {
  return optional(totals, ({ started_at, rounds, staked_minor, paid_minor }) => ({
    startedAtMs: started_at,
    rounds,
    netMinor: paid_minor - staked_minor,
  }));
}

/** Whether a round paid more than was staked: the only kind that is celebrated. */
export function isProfit(round) {
  return round.status === "settled" && round.payoutMinor > round.amountMinor;
}

/** The commitment to the next round. Its client seed comes with the bet, whatever the server has. */
export function commitmentOf(next) {
  return { serverSeedHash: next.server_seed_hash, nonce: next.nonce };
}

/** A live round out of `round_started` or `welcome.round`. `knownMs`: how far it certainly has flown already. */
export function liveRound(frame, session, serverTimeMs = null) {
  const startedAtMs = optional(frame.started_at);
  const autoHundredths = optional(frame.auto_cashout, hundredthsOf);
  return {
    phase: frame.status === "betting" || startedAtMs === null ? "betting" : "flying",
    cashing: false,
    roundId: frame.round_id,
    amountMinor: frame.amount_minor,
    autoHundredths,
    capHundredths: capHundredths(frame.amount_minor, autoHundredths, session.limits),
    startedAtMs,
    knownMs: startedAtMs === null || serverTimeMs === null ? 0 : Math.max(0, serverTimeMs - startedAtMs),
    serverSeedHash: frame.server_seed_hash,
    clientSeed: frame.client_seed,
    nonce: frame.nonce,
    mapSeed: optional(frame.map_seed),
    lootSeed: optional(frame.loot_seed),
  };
}

/** Where a flight cashes out by itself: the automatic cash-out, the largest multiplier or the largest payout. */
export function capHundredths(amountMinor, autoHundredths, limits) {
  const largest = Math.min(100 * limits.max_win_multiplier, payoutCapHundredths(amountMinor, limits.max_payout_minor));
  return autoHundredths === null ? largest : Math.min(largest, autoHundredths);
}

/** A finished round out of a history entry. */
export function finishedRound(entry) {
  return {
    roundId: entry.round_id,
    status: entry.status,
    result: optional(entry.result),
    reason: optional(entry.reason),
    currency: entry.currency,
    amountMinor: entry.amount_minor,
    autoHundredths: optional(entry.auto_cashout, hundredthsOf),
    realizedHundredths: hundredthsOf(entry.realized_multiplier ?? 0),
    payoutMinor: entry.payout_minor ?? 0,
    crashHundredths: optional(entry.crash_point, hundredthsOf),
    serverSeed: entry.server_seed,
    serverSeedHash: entry.server_seed_hash,
    clientSeed: entry.client_seed,
    nonce: entry.nonce,
    rtpBps: hundredthsOf(entry.rtp_target),
    maxWinMultiplier: entry.max_win_multiplier,
    mapSeed: optional(entry.map_seed),
    lootSeed: optional(entry.loot_seed),
    guardSeed: optional(entry.guard_seed),
    startedAtMs: optional(entry.started_at),
    settledAtMs: optional(entry.settled_at),
  };
}

/** The same out of `round_ended`, which leaves out what the round's start and the session have said before. */
export function endedRound(frame, live, session, nowMs) {
  return finishedRound({
    currency: session.currency,
    amount_minor: live?.amountMinor ?? 0,
    auto_cashout: optional(live?.autoHundredths, (hundredths) => hundredths / 100),
    rtp_target: session.rtpBps / 100,
    max_win_multiplier: session.limits.max_win_multiplier,
    map_seed: live?.mapSeed,
    loot_seed: live?.lootSeed,
    started_at: live?.startedAtMs,
    settled_at: nowMs,
    ...frame,
  });
}
