// The replay of a finished round: its flight in its own time, or quicker if it was a long one.

import { crashesAtMs, hundredthsAt, reachesAtMs } from "./growth.js";
import { isProfit } from "./records.js";
import { USUAL_RATE_PER_MS } from "./round_link.js";

/** The longest replay, its end included. */
export const REPLAY_MS_MAX = 20_000;
const END_MS = 2_000; // how long the end is shown before it is over
const AT_REST_MS = 1e9;

/** Whether a round has a flight to show: a void or refunded one has not. */
export function canReplay(round) {
  if (round.status !== "settled") return false;
  return round.result === "crash" ? round.crashHundredths !== null : round.realizedHundredths >= 100;
}

/** How long the flight lasted, in milliseconds: until the guards came, or until it reached what was cashed out. */
export function flightMs(round) {
  const ratePerMs = round.ratePerMs ?? USUAL_RATE_PER_MS;
  if (round.result === "crash") return crashesAtMs(ratePerMs, round.crashHundredths);
  return reachesAtMs(ratePerMs, round.realizedHundredths);
}

/** How many times as fast as it was a round is replayed: 1 for most. */
export function replaySpeed(round) {
  return Math.max(1, flightMs(round) / (REPLAY_MS_MAX - END_MS));
}

/**
 * What the scene shows `elapsedMs` after the flight's start. The round is a settled record of the page, with the seeds
 * of its scenery and optionally its own `ratePerMs`. Past the end the flight stands still and `sinceEndMs` grows.
 */
export function replayModel(round, elapsedMs) {
  const ratePerMs = round.ratePerMs ?? USUAL_RATE_PER_MS;
  const endMs = flightMs(round);
  const isOver = elapsedMs >= endMs;
  const isCaught = round.result === "crash";
  const endHundredths = isCaught ? round.crashHundredths : round.realizedHundredths;
  return {
    kind: isOver ? (isCaught ? "lost" : "won") : "flying",
    elapsedMs: Math.max(0, Math.min(elapsedMs, endMs)),
    sinceEndMs: isOver ? elapsedMs - endMs : 0,
    hundredths: isOver ? endHundredths : Math.min(endHundredths, hundredthsAt(ratePerMs, elapsedMs)),
    ratePerMs,
    mapSeed: round.mapSeed ?? null,
    lootSeed: round.lootSeed ?? null,
    guardSeed: isOver ? (round.guardSeed ?? null) : null,
    isProfit: isOver && isProfit(round),
  };
}

/** The picture that a round left behind, long after its end. */
export function restingModel(round) {
  return replayModel(round, flightMs(round) + AT_REST_MS);
}

/**
 * Plays a settled round (`canReplay`). `onFrame(model)` gets `replayModel` for every frame of the screen, `onEnd()`
 * is called once, when the end has been shown for a while; after `stop` neither is. `now` gives milliseconds.
 */
export class Replay {
  constructor({ round, ratePerMs = round.ratePerMs, onFrame, onEnd, now, requestFrame }) {
    this.round = { ...round, ratePerMs: ratePerMs ?? USUAL_RATE_PER_MS };
    this.onFrame = onFrame;
    this.onEnd = onEnd;
    this.now = now ?? (() => globalThis.performance.now());
    this.requestFrame = requestFrame ?? ((callback) => globalThis.requestAnimationFrame(callback));
    this.speed = replaySpeed(this.round);
    this.flightMs = flightMs(this.round);
    this.startedAtMs = null;
  }

  get isPlaying() {
    return this.startedAtMs !== null;
  }

  /** From the beginning, also in the middle of a replay. */
  start() {
    const startedAtMs = this.now();
    this.startedAtMs = startedAtMs;
    this.run = Symbol("run");
    this.showFrame(this.run);
  }

  stop() {
    this.startedAtMs = null;
    this.run = null;
  }

  // A frame that was asked for before a stop or another start belongs to nobody.
  showFrame(run) {
    if (run !== this.run) return;
    const playedMs = this.now() - this.startedAtMs;
    const sinceEndMs = playedMs - this.flightMs / this.speed;
    // The end is never sped up: it is about the picture, not about the multiplier.
    this.onFrame(replayModel(this.round, sinceEndMs < 0 ? playedMs * this.speed : this.flightMs + sinceEndMs));
    if (run !== this.run) return;
    if (sinceEndMs < END_MS) {
      this.requestFrame(() => this.showFrame(run));
      return;
    }
    this.stop();
    this.onEnd();
  }
}
