import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { BUILDING_KINDS, ITEM_WIDTHS, WAYS_OUT, buildingOf, floorAt, roomIndexAt, roomOf, roomsKept, spanOf, themesOf } from "../../../static/heist/building.js";
import { guardsOf } from "../../../static/heist/guards.js";
import { LOOT_KINDS, findOf, findsBetween, lootOf, lootTaken } from "../../../static/heist/loot.js";
import { heatAt, progressAt } from "../../../static/heist/motion.js";
import { Cache, generatorOf, randomOf, shuffled, wordsOf } from "../../../static/heist/random.js";

const HEIST = new URL("../../../static/heist/", import.meta.url);

function seedOf(number) {
  const random = randomOf([number, 1, 2, 3, 4, 5, 6, 7]);
  return Array.from({ length: 64 }, () => Math.floor(random() * 16).toString(16)).join("");
}

const SEEDS = Array.from({ length: 40 }, (_, number) => seedOf(number));

function changed(seed, at) {
  const other = seed[at] === "0" ? "1" : "0";
  return seed.slice(0, at) + other + seed.slice(at + 1);
}

test("the generator gives the same row for the same seed, and every digit of the seed counts", () => {
  const row = (seed) => Array.from({ length: 8 }, generatorOf(seed)).join();
  const rows = new Set([row(SEEDS[0])]);
  assert.equal(row(SEEDS[0]), row(SEEDS[0]));
  for (let at = 0; at < 64; at += 1) rows.add(row(changed(SEEDS[0], at)));
  assert.equal(rows.size, 65);
  assert.equal(row(null), row(null));
});

test("the generator's numbers are even over [0, 1)", () => {
  const random = generatorOf(SEEDS[1]);
  const counts = new Array(16).fill(0);
  for (let draw = 0; draw < 16_000; draw += 1) {
    const value = random();
    assert.ok(value >= 0 && value < 1);
    counts[Math.floor(value * 16)] += 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, String(count));
});

test("topics and indexes give rows of their own", () => {
  const words = wordsOf(SEEDS[2]);
  const rows = new Set();
  for (let topic = 0; topic < 12; topic += 1) for (let index = -50; index < 50; index += 1) rows.add(randomOf(words, topic, index)());
  assert.equal(rows.size, 1_200);
});

test("a shuffle keeps every entry and its source", () => {
  const source = [1, 2, 3, 4, 5, 6];
  const mixed = shuffled(generatorOf(SEEDS[3]), source);
  assert.deepEqual([...mixed].sort(), source);
  assert.deepEqual(source, [1, 2, 3, 4, 5, 6]);
});

test("a cache forgets what was unused for longest", () => {
  const cache = new Cache(2);
  for (const key of ["a", "b", "a", "c"]) cache.get(key, () => key);
  assert.deepEqual([cache.has("a"), cache.has("b"), cache.has("c"), cache.size], [true, false, true, 2]);
});

test("a building and its rooms are the same for the same seed, and others for another", () => {
  const tell = (seed) => JSON.stringify([buildingOf(seed), ...[-3, 0, 1, 8].map((index) => roomOf(buildingOf(seed), index))]);
  assert.equal(new Set(SEEDS.map(tell)).size, SEEDS.length);
  const before = tell(SEEDS[5]);
  for (let index = 0; index < 200; index += 1) roomOf(buildingOf(SEEDS[6]), index);
  assert.equal(tell(SEEDS[5]), before);
  assert.notEqual(tell(null), before);
});

test("all kinds of buildings, ways out and themes come up", () => {
  const buildings = SEEDS.map(buildingOf);
  assert.deepEqual(new Set(buildings.map((building) => building.kind)), new Set(BUILDING_KINDS));
  assert.deepEqual(new Set(buildings.map((building) => building.wayOut)), new Set(WAYS_OUT));
  for (const kind of BUILDING_KINDS) {
    const building = buildings.find((one) => one.kind === kind);
    const seen = new Set(Array.from({ length: 60 }, (_, index) => roomOf(building, index).theme));
    assert.deepEqual(seen, new Set(themesOf(kind)));
  }
});

test("rooms stand side by side, and what is in them stands inside, apart from each other", () => {
  for (const seed of SEEDS.slice(0, 12)) {
    const building = buildingOf(seed);
    for (let index = -4; index < 40; index += 1) {
      const room = roomOf(building, index);
      assert.ok(Math.abs(room.x + room.width - spanOf(building, index + 1).x) < 1e-9);
      assert.ok(room.width >= 2 && room.width <= 3.4);
      assert.ok(Math.abs(room.y) <= 0.2 && Math.abs(room.drop) <= 0.2);
      let free = 0;
      for (const item of room.items) {
        assert.ok(item.x - item.width / 2 >= free - 1e-9, `${item.kind} in ${index}`);
        assert.equal(item.width, ITEM_WIDTHS[item.kind]);
        free = item.x + item.width / 2;
      }
      assert.ok(free <= room.width && room.items.length > 0);
      for (const lamp of room.lamps) assert.ok(lamp.x > 0 && lamp.x < room.width && lamp.strength > 0);
    }
  }
});

test("the floor has no gap: one meets the next at every door, and the start is level", () => {
  for (const seed of SEEDS.slice(0, 12)) {
    const building = buildingOf(seed);
    assert.equal(floorAt(building, building.ropeX), 0);
    for (let x = -9; x < 90; x += 0.01) {
      assert.ok(Math.abs(floorAt(building, x + 0.01) - floorAt(building, x)) < 0.0051, String(x));
      const room = roomOf(building, roomIndexAt(building, x));
      assert.ok(room.x <= x + 1e-9 && x < room.x + room.width + 1e-9);
    }
  }
});

test("500 rooms leave no more behind than is kept", () => {
  const building = buildingOf(SEEDS[0]);
  for (let index = 0; index < 500; index += 1) assert.ok(roomOf(building, index).items.length > 0);
  const { size, limit } = roomsKept();
  assert.equal(size, limit);
});

test("the loot is the same for the same seed, in range and in order", () => {
  for (const seed of [...SEEDS, null]) {
    const loot = lootOf(seed);
    let free = 0;
    for (let index = 0; index < 120; index += 1) {
      const find = findOf(loot, index);
      assert.ok(find.atMs >= free && find.count >= 1 && find.count <= 6 && find.lift > 0.3 && find.lift < 0.6);
      assert.ok(LOOT_KINDS.includes(find.kind) && /^#[0-9a-f]{6}$/.test(find.color));
      free = find.atMs + (find.count - 1) * find.gapMs;
    }
  }
  const tell = (seed) => JSON.stringify(Array.from({ length: 30 }, (_, index) => findOf(lootOf(seed), index)));
  assert.equal(new Set(SEEDS.map(tell)).size, SEEDS.length);
  assert.equal(tell(SEEDS[0]), tell(SEEDS[0]));
  const kinds = new Set(SEEDS.flatMap((seed) => Array.from({ length: 30 }, (_, index) => findOf(lootOf(seed), index).kind)));
  assert.deepEqual(kinds, new Set(LOOT_KINDS));
});

test("loot taken counts every piece once, at its moment, and never falls", () => {
  for (const seed of SEEDS.slice(0, 6)) {
    const moments = [];
    for (let index = 0; index < 100; index += 1) {
      const find = findOf(lootOf(seed), index);
      for (let piece = 0; piece < find.count; piece += 1) moments.push(find.atMs + piece * find.gapMs);
    }
    let before = 0;
    for (let elapsedMs = 0; elapsedMs < 120_000; elapsedMs += 37) {
      const taken = lootTaken(seed, elapsedMs);
      assert.ok(taken >= before);
      assert.equal(taken, moments.filter((moment) => moment <= elapsedMs).length, String(elapsedMs));
      before = taken;
    }
    assert.ok(before > 150);
  }
  assert.deepEqual([lootTaken(SEEDS[0], 0), lootTaken(SEEDS[0], -5), lootTaken(null, Number.NaN)], [0, 0, 0]);
  assert.equal(lootTaken(SEEDS[0], 1e12), lootTaken(SEEDS[0], 1e13));
});

test("the finds between two times are all that begin between them", () => {
  const loot = lootOf(SEEDS[4]);
  for (const [fromMs, toMs] of [[0, 5_000], [9_000, 12_345], [60_000, 61_000]]) {
    const [first, end] = findsBetween(fromMs, toMs);
    for (let index = 0; index < 100; index += 1) {
      const { atMs } = findOf(loot, index);
      if (atMs >= fromMs && atMs <= toMs) assert.ok(index >= first && index < end);
    }
    assert.ok(end - first < (toMs - fromMs) / 1_000 + 5);
  }
});

test("guards are the same for the same seed, on both sides, and there in time", () => {
  const all = SEEDS.map(guardsOf);
  assert.deepEqual(guardsOf(SEEDS[0]), all[0]);
  assert.equal(new Set(all.map((one) => JSON.stringify(one))).size, SEEDS.length);
  for (const { guards, dog } of all) {
    assert.ok(guards.length >= 3 && guards.length <= 5);
    assert.deepEqual(new Set(guards.map((guard) => guard.side)), new Set([-1, 1]));
    for (const guard of [...guards, ...(dog ? [dog] : [])]) {
      assert.ok(guard.distance >= 0.3 && guard.distance <= 1.5 && guard.arriveMs >= 400 && guard.arriveMs <= 1_000);
    }
  }
  assert.ok(all.some((one) => one.dog) && all.some((one) => one.dog === null));
});

test("the thief only goes forward, and ever faster", () => {
  let speed = 0;
  for (let elapsedMs = 0; elapsedMs < 120_000; elapsedMs += 100) {
    const next = progressAt(elapsedMs + 100) - progressAt(elapsedMs);
    assert.ok(next > speed);
    speed = next;
    assert.ok(heatAt(elapsedMs) >= 0 && heatAt(elapsedMs) < 1);
  }
  assert.equal(progressAt(0), 0);
});

test("the heist's modules are plain and small, and know no clock and no chance of their own", () => {
  for (const name of readdirSync(HEIST)) {
    const text = readFileSync(new URL(name, HEIST), "utf8");
    assert.doesNotMatch(text, /https?:\/\/|Math\.random|Date|performance|innerHTML|eval\(|new Function|shadowBlur|\.filter =/, name);
    assert.ok(text.split("\n").length <= 400, `${name} is too long`);
  }
});
