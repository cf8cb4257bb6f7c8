// Who comes at the crash, from the round's guard seed, which is revealed with it.

import { TOPICS, between, pick, randomOf, wordsOf } from "./random.js";

const GUARDS_MIN = 3;
const GUARDS_MORE = 3;
const DOG_SHARE = 0.4;
const SKINS = ["#e9b98c", "#c98f62", "#8f5f3e", "#f2cba4"];

/**
 * The guards of a round: { guards, dog }, plain data. A guard is { side (-1 left, 1 right), distance (storeys from the thief),
 * arriveMs (after the end), size, moustache, skin, reach (radians from straight down) }; the dog is { side, distance, arriveMs } or null.
 */
export function guardsOf(guardSeed) {
  const random = randomOf(wordsOf(guardSeed), TOPICS.guards);
  const count = GUARDS_MIN + Math.floor(random() * GUARDS_MORE);
  const firstSide = random() < 0.5 ? -1 : 1;
  const guards = Array.from({ length: count }, (_, place) => ({
    side: place % 2 === 0 ? firstSide : -firstSide,
    distance: 0.6 + 0.34 * Math.floor(place / 2) + between(random, 0, 0.1),
    arriveMs: between(random, 620, 800) + 90 * Math.floor(place / 2),
    size: between(random, 0.95, 1.12),
    moustache: random() < 0.5,
    skin: pick(random, SKINS),
    reach: between(random, 1.35, 1.8),
  }));
  const dog = random() < DOG_SHARE ? { side: -firstSide, distance: between(random, 0.36, 0.42), arriveMs: between(random, 480, 640) } : null;
  return { guards, dog };
}
