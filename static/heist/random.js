// Numbers for the picture from the round's own seeds; scenery only, never an outcome.

const ROUNDS_TO_MIX = 12;
const DEFAULT_SEED = "6e1f0c2ab85d47936e1f0c2ab85d4793c47a90e2135bd8f69d20e7b14c8a53f0";

// Apart by purpose: what one topic draws doesn't move what another one gets.
export const TOPICS = { building: 1, room: 2, pair: 3, level: 4, sky: 5, skyline: 6, find: 7, guards: 8, front: 9, item: 10, sparks: 11 };

/** The eight 32-bit words of a seed of 64 hex characters; null stands for a seed of our own, a short one is filled up. */
export function wordsOf(hexSeed) {
  const text = (hexSeed ?? DEFAULT_SEED).padEnd(64, "5");
  return Array.from({ length: 8 }, (_, word) => Number.parseInt(text.slice(word * 8, word * 8 + 8), 16) >>> 0);
}

/** A generator (sfc32) of numbers in [0, 1) from all 256 bits, a topic and an index: the same ones give the same row. */
export function randomOf(words, topic = 0, index = 0) {
  let [a, b, c, counter] = words;
  const step = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  const mix = (rounds) => {
    for (let round = 0; round < rounds; round += 1) step();
  };
  mix(4);
  a ^= words[4];
  b ^= words[5];
  c ^= words[6];
  counter ^= words[7];
  mix(4);
  a ^= Math.imul(topic + 1, 0x9e3779b1);
  b ^= Math.imul(index ^ 0x5bd1e995, 0x85ebca6b);
  mix(ROUNDS_TO_MIX);
  return () => step() / 4294967296;
}

/** A generator of numbers in [0, 1) from a hex seed alone. */
export function generatorOf(hexSeed) {
  return randomOf(wordsOf(hexSeed));
}

/** One of `list`. */
export function pick(random, list) {
  return list[Math.floor(random() * list.length)];
}

/** A number in [low, high). */
export function between(random, low, high) {
  return low + (high - low) * random();
}

/** The entries of `list` in a random order; `list` stays as it is. */
export function shuffled(random, list) {
  const left = [...list];
  for (let last = left.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [left[last], left[other]] = [left[other], left[last]];
  }
  return left;
}

/** A cache of at most `limit` entries; the one unused for longest goes first. */
export class Cache {
  constructor(limit) {
    this.limit = limit;
    this.entries = new Map();
  }

  get size() {
    return this.entries.size;
  }

  has(key) {
    return this.entries.has(key);
  }

  get(key, make) {
    const value = this.entries.has(key) ? this.entries.get(key) : make();
    this.entries.delete(key);
    this.entries.set(key, value);
    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value);
    return value;
  }

  clear() {
    this.entries.clear();
  }
}
