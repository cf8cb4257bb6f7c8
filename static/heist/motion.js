// Where the thief is. Lengths are storeys: the inner height of a room is 1. Times are milliseconds.

const SPEED_START = 1.25; // storeys a second
const SPEED_GAIN = 1.0;
const GAIN_SECONDS = 45;
const START_SECONDS = 0.35; // hanging on the rope he has no speed yet

export const DROP_MS = 320; // from the rope to the floor

/** Storeys run after `elapsedMs`. */
export function progressAt(elapsedMs) {
  const seconds = Math.max(0, elapsedMs) / 1000;
  const started = seconds - START_SECONDS * (1 - Math.exp(-seconds / START_SECONDS));
  return SPEED_START * started + SPEED_GAIN * (seconds - GAIN_SECONDS * (1 - Math.exp(-seconds / GAIN_SECONDS)));
}

/** How hot the flight has become, 0 to 1: of time alone. */
export function heatAt(elapsedMs) {
  return 1 - Math.exp(-Math.max(0, elapsedMs) / 32_000);
}

export function clamp(value, low = 0, high = 1) {
  return Math.min(high, Math.max(low, value));
}

/** 0 before `from`, 1 after `to`, smooth between. */
export function ease(value, from = 0, to = 1) {
  const part = clamp((value - from) / (to - from));
  return part * part * (3 - 2 * part);
}

/** As `ease`, quick at first. */
export function easeOut(value, from = 0, to = 1) {
  const left = 1 - clamp((value - from) / (to - from));
  return 1 - left * left * left;
}
