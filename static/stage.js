// What the stage shows for a state: pure, from the state and the moment.

import { flightMs } from "./player.js";
import { isProfit } from "./records.js";

const AT_REST_MS = 1e9;
const RATE_PER_MS = 0.00006; // of the picture that nobody has bet on yet
const END_MS = 1_800; // how long the end of a round moves

/** idle, betting, flying, won or lost. */
export function sceneKind(state) {
  if (state.round) return state.round.phase === "flying" ? "flying" : "betting";
  if (state.last?.status !== "settled") return "idle";
  return state.last.result === "crash" ? "lost" : "won";
}

/** The multiplier that belongs to the stage, in hundredths; `flyingHundredths` while a round flies. */
export function stageHundredths(state, flyingHundredths) {
  const kind = sceneKind(state);
  if (kind === "flying") return flyingHundredths;
  if (kind === "won") return state.last.realizedHundredths;
  return kind === "lost" ? state.last.crashHundredths : 100;
}

/**
 * The scene's model. `flownMs`: of the flight shown now; `endedAtMs`: when the page saw the last round end (null if it
 * was not there); `localMs`: now, by the same clock.
 */
export function sceneModel(state, { hundredths, flownMs, endedAtMs, localMs }) {
  const kind = sceneKind(state);
  const ratePerMs = state.session?.ratePerMs ?? RATE_PER_MS;
  const round = kind === "won" || kind === "lost" ? state.last : state.round;
  const model = { kind, hundredths, ratePerMs, mapSeed: round?.mapSeed ?? null, lootSeed: round?.lootSeed ?? null };
  if (kind === "flying") return { ...model, elapsedMs: flownMs, sinceEndMs: 0, guardSeed: null, isProfit: false };
  if (kind === "idle" || kind === "betting") {
    return { ...model, elapsedMs: localMs, sinceEndMs: 0, guardSeed: null, isProfit: false };
  }
  return {
    ...model,
    elapsedMs: flightMs({ ...round, ratePerMs }),
    sinceEndMs: endedAtMs === null ? AT_REST_MS : Math.max(0, localMs - endedAtMs),
    guardSeed: round.guardSeed,
    isProfit: isProfit(round),
  };
}

/** Whether the picture of the model is still moving by itself. */
export function isMoving(model) {
  if (model.kind === "flying" || model.kind === "betting") return true;
  return model.kind !== "idle" && model.sinceEndMs < END_MS;
}
