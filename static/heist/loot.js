// The loot on the way, from the round's loot seed. Times are milliseconds of flight.

import { Cache, TOPICS, between, pick, randomOf, wordsOf } from "./random.js";

const FIND_EVERY_MS = 1_300;
const FIRST_FIND_MS = 700;
const COIN_GAP_MS = 95;
const FINDS_MAX = 4_096; // an hour and a half: longer than any flight
const TREASURES = ["gem", "bars", "crown", "painting", "necklace", "vase", "goblet"];
const COLORS = ["#59d8ff", "#ff5d8f", "#5df0a6", "#c58bff", "#ffb04a"];

/** What a find may be: coins come in rows, everything else alone. */
export const LOOT_KINDS = ["coin", ...TREASURES];

const plans = new Cache(4);

/** The plan of a round's loot: plain data; its finds are made on demand by `findOf`. */
export function lootOf(lootSeed) {
  return plans.get(lootSeed, () => ({ words: wordsOf(lootSeed), finds: [], before: [0] }));
}

/** Find `index` (from 0): { kind, atMs, gapMs, count, lift, color }. Piece n of it is taken at atMs + n * gapMs. */
export function findOf(loot, index) {
  while (loot.finds.length <= index) {
    const find = makeFind(loot.words, loot.finds.length);
    loot.before.push(loot.before.at(-1) + find.count);
    loot.finds.push(find);
  }
  return loot.finds[index];
}

function makeFind(words, index) {
  const random = randomOf(words, TOPICS.find, index);
  const isRow = random() < 0.45;
  return {
    kind: isRow ? "coin" : pick(random, TREASURES),
    atMs: FIRST_FIND_MS + FIND_EVERY_MS * (index + 0.35 * random()),
    gapMs: COIN_GAP_MS,
    count: isRow ? 3 + Math.floor(random() * 4) : 1,
    lift: between(random, 0.36, 0.56),
    color: pick(random, COLORS),
  };
}

/** The indexes of the finds that begin between two times: [first, end). */
export function findsBetween(fromMs, toMs) {
  const first = Math.floor((fromMs - FIRST_FIND_MS) / FIND_EVERY_MS) - 1;
  const end = Math.ceil((toMs - FIRST_FIND_MS) / FIND_EVERY_MS);
  return [Math.min(FINDS_MAX, Math.max(0, first)), Math.min(FINDS_MAX, Math.max(0, end))];
}

/** How many pieces are in the sack after `elapsedMs` of flight. */
export function lootTaken(lootSeed, elapsedMs) {
  if (!(elapsedMs > FIRST_FIND_MS)) return 0;
  const loot = lootOf(lootSeed);
  const index = Math.min(FINDS_MAX, Math.floor((elapsedMs - FIRST_FIND_MS) / FIND_EVERY_MS));
  const find = findOf(loot, index);
  const begun = elapsedMs < find.atMs ? 0 : Math.floor((elapsedMs - find.atMs) / find.gapMs) + 1;
  return loot.before[index] + Math.min(find.count, begun);
}
