// The building, from the round's map seed. Lengths are storeys (the inner height of a room is 1), x to the right, y down.

import { Cache, TOPICS, between, pick, randomOf, shuffled, wordsOf } from "./random.js";

const PITCH = 2.7; // two rooms side by side are 2 * PITCH long, so that a room's place needs no sum over all before it
const SPREAD = 0.5;
const STEP = 0.2; // storeys between one level and the next
const STAIR = 0.52; // how long a stair is
const MARGIN = 0.2; // next to a wall nothing stands
const ROOMS_KEPT = 64;

/** Widths of what may stand in a room. */
export const ITEM_WIDTHS = {
  window: 0.52, tall: 0.5, painting: 0.62, portrait: 0.36, bookcase: 0.62, statue: 0.36, bust: 0.24, vase: 0.24, case: 0.46, column: 0.24,
  vault: 1.04, deposit: 0.9, bars: 0.6, desk: 0.74, clock: 0.3, sofa: 0.74, piano: 0.84, fireplace: 0.68, door: 0.42, skeleton: 1.36,
  sarcophagus: 0.34, plant: 0.26, armour: 0.28, globe: 0.32, teller: 1.0, curtain: 0.3, table: 0.6, mirror: 0.4,
};

const THEMES = {
  museum: [
    { name: "gallery", hero: ["painting"], with: ["painting", "portrait", "portrait", "bust", "painting", "vase"], lamps: "picture", lasers: 0.3 },
    { name: "antiquity", hero: ["statue"], with: ["column", "bust", "statue", "column", "vase", "tall"], lamps: "pendant", lasers: 0.2 },
    { name: "giants", hero: ["skeleton"], with: ["tall", "case", "tall", "plant"], lamps: "pendant", lasers: 0.1 },
    { name: "pharaohs", hero: ["case"], with: ["sarcophagus", "vase", "sarcophagus", "bust", "case"], lamps: "sconce", lasers: 0.6 },
    { name: "armoury", hero: ["case"], with: ["armour", "painting", "armour", "window", "portrait"], lamps: "sconce", lasers: 0.3 },
  ],
  bank: [
    { name: "vault", hero: ["vault"], with: ["deposit", "bars", "column", "bars"], lamps: "pendant", lasers: 0.8 },
    { name: "lobby", hero: ["teller"], with: ["column", "tall", "clock", "column", "plant"], lamps: "chandelier", lasers: 0 },
    { name: "office", hero: ["desk"], with: ["bookcase", "window", "globe", "portrait", "clock"], lamps: "sconce", lasers: 0.1 },
    { name: "deposits", hero: ["deposit"], with: ["deposit", "table", "door", "bars"], lamps: "pendant", lasers: 0.5 },
    { name: "board", hero: ["table"], with: ["painting", "tall", "portrait", "tall", "bust"], lamps: "chandelier", lasers: 0 },
  ],
  palace: [
    { name: "ballroom", hero: ["tall"], with: ["tall", "mirror", "column", "tall", "mirror"], lamps: "chandelier", lasers: 0 },
    { name: "library", hero: ["fireplace"], with: ["bookcase", "bookcase", "globe", "window", "bookcase"], lamps: "chandelier", lasers: 0.1 },
    { name: "salon", hero: ["piano"], with: ["window", "sofa", "painting", "plant", "mirror"], lamps: "chandelier", lasers: 0 },
    { name: "corridor", hero: ["door"], with: ["door", "portrait", "vase", "door", "window", "armour"], lamps: "sconce", lasers: 0.2 },
    { name: "treasury", hero: ["case"], with: ["case", "curtain", "bust", "portrait", "case"], lamps: "picture", lasers: 0.9 },
  ],
};

const LOOKS = {
  museum: { walls: ["#4f8a8b", "#a1433f", "#4a68a8", "#5b8a5c", "#8a6a9e"], floors: ["checker", "parquet"], trims: ["#f2e3bd", "#d9c08a"] },
  bank: { walls: ["#a5875c", "#4f8a6c", "#5f78b0", "#a8643c"], floors: ["checker", "marble"], trims: ["#e8c26a", "#dfe3ee"] },
  palace: { walls: ["#a03a55", "#6b4a9c", "#3f7f86", "#b0793c", "#4f6fb5"], floors: ["parquet", "carpet", "checker"], trims: ["#ffd98a", "#f7ead0"] },
};

export const BUILDING_KINDS = Object.keys(THEMES);
export const WAYS_OUT = ["zipline", "glider", "helicopter"];

const kept = { rooms: new Cache(ROOMS_KEPT) };

/** The building of a map seed: plain data. Rooms are made on demand by `roomOf`. */
export function buildingOf(mapSeed) {
  const words = wordsOf(mapSeed);
  const random = randomOf(words, TOPICS.building);
  const kind = pick(random, BUILDING_KINDS);
  const look = LOOKS[kind];
  return {
    words,
    key: words.join("."),
    kind,
    walls: shuffled(random, look.walls).slice(0, 3),
    floor: pick(random, look.floors),
    trim: pick(random, look.trims),
    stone: pick(random, ["#39427a", "#453f7c", "#33507a", "#4a4070"]),
    sky: pick(random, ["#3d3a8c", "#5a3a86", "#2c4a92", "#6b3f7e"]),
    moon: { isLeft: random() < 0.5, out: between(random, 0.09, 0.17), down: between(random, 0.13, 0.22), size: between(random, 0.9, 1.25), crescent: random() < 0.3 },
    wayOut: pick(random, WAYS_OUT),
    themeShift: Math.floor(random() * 5),
    ropeX: 1.1,
  };
}

/** How many themes the rooms of a kind of building have. */
export function themesOf(kind) {
  return THEMES[kind].map((theme) => theme.name);
}

/** Where room `index` is (any whole number): { x, width }. */
export function spanOf(building, index) {
  const pair = Math.floor(index / 2);
  const more = between(randomOf(building.words, TOPICS.pair, pair), -SPREAD, SPREAD);
  const start = pair * 2 * PITCH;
  return index % 2 === 0 ? { x: start, width: PITCH + more } : { x: start + PITCH + more, width: PITCH - more };
}

/** The room's floor: 0, or a level above or below it. Odd rooms are at 0, so that neighbours differ by one stair at the most. */
function levelOf(building, index) {
  if (index % 2 !== 0 || index === 0) return 0;
  return STEP * (Math.floor(randomOf(building.words, TOPICS.level, index)() * 3) - 1);
}

/** Room `index`: plain data, the same for the same building. */
export function roomOf(building, index) {
  return kept.rooms.get(`${building.key}/${index}`, () => makeRoom(building, index));
}

/** How many rooms are remembered at most, and how many are. */
export function roomsKept() {
  return { limit: ROOMS_KEPT, size: kept.rooms.size };
}

function makeRoom(building, index) {
  const random = randomOf(building.words, TOPICS.room, index);
  const span = spanOf(building, index);
  const y = levelOf(building, index);
  const drop = levelOf(building, index + 1) - y;
  const themes = THEMES[building.kind];
  const turn = Math.abs(index * 2 + building.themeShift + Math.floor(random() * 2));
  const theme = themes[turn % themes.length];
  const inner = { from: MARGIN, to: span.width - MARGIN - (drop === 0 ? 0 : STAIR - 0.1) };
  const items = furnish(random, theme, inner);
  return {
    index,
    ...span,
    y,
    drop,
    stair: drop === 0 ? 0 : STAIR,
    theme: theme.name,
    wall: building.walls[Math.abs(index + Math.floor(random() * 2)) % building.walls.length],
    items,
    lamps: hangLamps(random, theme.lamps, span.width, items),
    lasers: random() < theme.lasers ? layLasers(random, inner) : [],
    roof: raiseRoof(random, span.width),
    isSkylit: index === 0,
  };
}

// Chosen until the room is full; what is left over becomes the gaps.
function furnish(random, theme, { from, to }) {
  const chosen = [pick(random, theme.hero)];
  let free = to - from - ITEM_WIDTHS[chosen[0]];
  for (const kind of [...shuffled(random, theme.with), ...shuffled(random, theme.with)]) {
    if (ITEM_WIDTHS[kind] + 0.16 > free || chosen.length > 5) continue;
    chosen.push(kind);
    free -= ITEM_WIDTHS[kind] + 0.12;
  }
  const gap = (to - from - chosen.reduce((sum, kind) => sum + ITEM_WIDTHS[kind], 0)) / (chosen.length + 1);
  let x = from;
  return shuffled(random, chosen).map((kind) => {
    const width = ITEM_WIDTHS[kind];
    const item = { kind, x: x + gap + width / 2, width, variant: Math.floor(random() * 997) };
    x += gap + width;
    return item;
  });
}

function hangLamps(random, kind, width, items) {
  if (kind === "picture") {
    const lit = items.filter((item) => ["painting", "portrait", "case", "statue"].includes(item.kind));
    return lit.map((item) => ({ kind, x: item.x, y: -0.9, strength: between(random, 0.75, 1) }));
  }
  const count = kind === "chandelier" ? 1 + (width > 2.7 ? 1 : 0) : 2 + Math.floor(random() * 2);
  return Array.from({ length: count }, (_, lamp) => ({
    kind,
    x: (width * (lamp + 0.5)) / count,
    y: kind === "sconce" ? -0.58 : kind === "chandelier" ? -0.72 : -0.76,
    strength: random() < 0.05 ? 0.2 : between(random, 0.8, 1.05),
  }));
}

function layLasers(random, { from, to }) {
  const at = between(random, from + 0.3, to - 0.5);
  return Array.from({ length: 3 + Math.floor(random() * 2) }, (_, beam) => ({
    fromX: at + beam * 0.1,
    toX: at + between(random, 0.2, 0.75),
    phase: random() * Math.PI * 2,
  }));
}

function raiseRoof(random, width) {
  const kinds = ["chimney", "statue", "dormer", "mast", "tank", "balustrade", "dome"];
  const count = 1 + Math.floor(random() * 3);
  return Array.from({ length: count }, (_, place) => ({
    kind: pick(random, kinds),
    x: (width * (place + 0.5)) / count + between(random, -0.15, 0.15),
    size: between(random, 0.75, 1.1),
  }));
}

/** The index of the room at `x`. */
export function roomIndexAt(building, x) {
  const even = Math.floor(x / (2 * PITCH)) * 2;
  return x < spanOf(building, even + 1).x ? even : even + 1;
}

/** The floor at `x`: y of what the thief steps on, stairs included. */
export function floorAt(building, x) {
  const room = roomOf(building, roomIndexAt(building, x));
  if (room.stair === 0) return room.y;
  const part = (x - (room.x + room.width - room.stair)) / room.stair;
  return room.y + room.drop * Math.min(1, Math.max(0, part));
}

/** The floor as a slow eye follows it. */
export function levelAround(building, x) {
  let sum = 0;
  for (let step = -4; step <= 4; step += 1) sum += floorAt(building, x + step * 0.28);
  return sum / 9;
}
