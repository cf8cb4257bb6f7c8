// One room of the building with its roof and what is below it, painted once: walls, things, light, open windows.
// The context is scaled so that a storey is 1; the room's floor is at y = 0 and its left end at x = 0.

import { along, arch, disc, ellipse, glow, rect, shape, stroke, tone, within } from "./brush.js";
import { paintItem } from "./furniture.js";
import { paintRoof } from "./roof.js";
import { TOPICS, randomOf } from "./random.js";

/** How far a painted room reaches: above its floor, below it, and beyond its ends. Storeys. */
export const ROOM_REACH = { up: 1.66, down: 0.95, side: 0.02 };

export const FLOOR_BACK = -0.12; // where the wall meets the floor; the thief runs at 0
export const FLOOR_FRONT = 0.06;
export const CEILING = -1;
export const SLAB = 0.09;

const LIGHTS = { chandelier: [1.2, "255 200 118"], pendant: [1.0, "255 210 140"], sconce: [0.8, "255 186 100"], picture: [0.74, "255 210 140"] };
// What shines by itself: height, radius, colour and strength of its light.
const GLEAMS = { fireplace: [-0.2, 0.62, "255 140 60", 1], bars: [-0.25, 0.4, "255 205 110", 0.5], case: [-0.45, 0.34, "200 225 255", 0.6], desk: [-0.42, 0.36, "190 255 190", 0.5] };
const LIGHT_MAP_PART = 0.3; // light is soft: its map needs fewer pixels

/**
 * The steps in which a room is painted, to be called in this order; a frame has time for one. `createCanvas(width, height)` gives
 * a canvas for the light's map; `scale` is device pixels a storey.
 */
export function roomSteps(c, room, building, createCanvas, scale) {
  const windows = room.items.filter((item) => item.kind === "window" || item.kind === "tall");
  const inside = (paint) => () =>
    within(c, () => {
      interior(c, room);
      paint();
    });
  const [half, rest] = [room.items.slice(0, 3), room.items.slice(3)];
  const furnish = (items) => items.forEach((item) => within(c, () => paintItem(c, item, building, room)));
  return [
    inside(() => paintWall(c, room, building)),
    inside(() => paintFloor(c, room, building)),
    inside(() => furnish(half)),
    inside(() => furnish(rest)),
    inside(() => paintEnds(c, room, building)),
    inside(() => paintLight(c, room, windows, createCanvas, scale)),
    inside(() => paintLamps(c, room, building)),
    () => {
      paintBelow(c, room, building);
      for (const item of windows) openWindow(c, item, building);
      paintStair(c, room, building);
    },
    () => paintRoof(c, room, building),
  ];
}

// Everything inside is cut at the ceiling, and at the stair's lower end.
function interior(c, room) {
  c.beginPath();
  c.rect(-ROOM_REACH.side, CEILING, room.width + 2 * ROOM_REACH.side, -CEILING + FLOOR_FRONT + (room.drop > 0 ? room.drop : 0));
  c.clip();
}

function paintWall(c, room, building) {
  const { width, wall } = room;
  const foot = 0.3;
  rect(c, along(c, 0, CEILING, 0, 0, tone(wall, -0.1), wall, tone(wall, -0.18)), -0.02, CEILING, width + 0.04, 1 + room.stair);
  c.globalAlpha = 0.13;
  for (let x = 0.06; x < width; x += 0.11) {
    if (building.kind === "palace") for (let y = -0.93; y < -0.4; y += 0.11) shape(c, "#fff2d0", x, y, x + 0.022, y + 0.035, x, y + 0.07, x - 0.022, y + 0.035);
    else if (building.kind === "bank") rect(c, "#20160c", x + 0.1, CEILING, 0.006, 0.7);
  }
  c.globalAlpha = 1;
  const panel = tone(wall, -0.38);
  rect(c, panel, -0.02, -foot + FLOOR_BACK, width + 0.04, foot + 0.4);
  const count = Math.max(2, Math.round(width / 0.4));
  for (let field = 0; field < count; field += 1) {
    const x = (width * field) / count + 0.05;
    rect(c, tone(panel, 0.14), x, -foot + FLOOR_BACK + 0.05, width / count - 0.1, foot - 0.11);
    rect(c, tone(panel, -0.18), x + 0.014, -foot + FLOOR_BACK + 0.064, width / count - 0.114, foot - 0.124);
  }
  moulding(c, building.trim, width, -foot + FLOOR_BACK, 0.026);
  moulding(c, building.trim, width, FLOOR_BACK - 0.035, 0.03);
  moulding(c, building.trim, width, CEILING + 0.075, 0.02);
  rect(c, tone(building.trim, -0.25), -0.02, CEILING, width + 0.04, 0.06);
  for (let x = 0.03; x < width; x += 0.075) rect(c, tone(building.trim, -0.5), x, CEILING + 0.018, 0.036, 0.036);
}

function moulding(c, trim, width, y, height) {
  rect(c, along(c, 0, y, 0, y + height, tone(trim, 0.1), tone(trim, -0.3), tone(trim, -0.6)), -0.02, y, width + 0.04, height);
}

function paintFloor(c, room, building) {
  const { width } = room;
  const wood = building.floor === "parquet" ? "#7a4a2c" : building.floor === "carpet" ? "#7d2338" : "#565f86";
  const length = width - room.stair * (room.drop > 0 ? 1 : 0);
  rect(c, along(c, 0, FLOOR_BACK, 0, FLOOR_FRONT, tone(wood, -0.3), tone(wood, 0.12)), -0.02, FLOOR_BACK, length + 0.04, FLOOR_FRONT - FLOOR_BACK);
  const tile = 0.24;
  const lean = (x) => x + (x - width / 2) * 0.09;
  c.globalAlpha = 0.4;
  for (let step = 0; step * tile < length; step += 1) {
    const x = step * tile;
    const mid = FLOOR_BACK + 0.07;
    if (building.floor === "checker" || building.floor === "marble") {
      const half = (from, to) => [from, FLOOR_BACK, to, FLOOR_BACK, (to + lean(to)) / 2, mid, (from + lean(from)) / 2, mid];
      shape(c, "#e9ecff", ...half(x, x + tile / 2));
      const [a, b] = [x + tile / 2, x + tile];
      shape(c, "#e9ecff", (a + lean(a)) / 2, mid, (b + lean(b)) / 2, mid, lean(b), FLOOR_FRONT, lean(a), FLOOR_FRONT);
    } else if (building.floor === "parquet") stroke(c, "#2a1408", 0.006, x, FLOOR_BACK, lean(x), FLOOR_FRONT);
  }
  if (building.floor === "carpet") {
    rect(c, building.trim, 0, FLOOR_BACK + 0.03, length, 0.012);
    rect(c, building.trim, 0, FLOOR_FRONT - 0.04, length, 0.016);
  }
  c.globalAlpha = 1;
}

// The walls between rooms, cut open: a lintel hangs from the ceiling, below it is the way through.
function paintEnds(c, room, building) {
  const stone = tone(building.stone, 0.25);
  for (const [x, side] of [[0, 1], [room.width, -1]]) {
    rect(c, along(c, x, 0, x + side * 0.3, 0, "#05071599", "#05071500"), Math.min(x, x + side * 0.3), CEILING, 0.3, 1.1);
    rect(c, along(c, x, 0, x + side * 0.16, 0, tone(stone, 0.2), tone(stone, -0.2)), Math.min(x, x + side * 0.16), CEILING, 0.16, 1.1);
    for (const flute of [0.03, 0.07, 0.11]) rect(c, tone(stone, -0.32), x + side * flute - 0.006, -0.84, 0.012, 0.62);
    for (const [y, out, tall] of [[-0.93, 0.2, 0.035], [-0.9, 0.18, 0.03], [FLOOR_BACK - 0.05, 0.2, 0.06], [FLOOR_BACK - 0.085, 0.18, 0.035]]) {
      rect(c, along(c, x, 0, x + side * out, 0, tone(building.trim, -0.1), tone(building.trim, -0.5)), Math.min(x, x + side * out), y, out, tall);
    }
  }
}

function paintLight(c, room, windows, createCanvas, scale) {
  const part = scale * LIGHT_MAP_PART;
  const height = 1.06 + Math.max(0, room.drop) + 0.1;
  const map = createCanvas(Math.ceil((room.width + 0.04) * part), Math.ceil(height * part));
  const light = map.getContext("2d");
  light.scale(part, part);
  light.translate(0.02, 1);
  rect(light, along(light, 0, CEILING, 0, 0.1, "#30346f", "#4a4c94", "#3a3d80"), -0.02, CEILING, room.width + 0.04, height);
  light.globalCompositeOperation = "lighter";
  for (const item of windows) moonlight(light, item);
  for (const lamp of room.lamps) shine(light, lamp);
  for (const { kind, x } of room.items) {
    const [y, radius, rgb, strength] = GLEAMS[kind] ?? [];
    if (rgb) glow(light, x, y, radius, rgb, strength);
  }
  c.globalCompositeOperation = "multiply";
  c.drawImage(map, -0.02, CEILING, room.width + 0.04, height);
  c.globalCompositeOperation = "source-over";
}

function moonlight(c, { x, width }) {
  const half = width * 0.4;
  const beam = along(c, x, -0.9, x + 0.4, 0.05, "#5f74ff22", "#8fa4ff88");
  shape(c, beam, x - half, -0.86, x + half, -0.86, x + half + 0.45, 0.08, x - half + 0.25, 0.08);
}

function shine(c, lamp) {
  const [radius, rgb] = LIGHTS[lamp.kind];
  glow(c, lamp.x, lamp.y + 0.08, radius, rgb, 0.8 * lamp.strength);
  glow(c, lamp.x, lamp.y + 0.05, radius * 0.5, rgb, 0.55 * lamp.strength);
  c.save();
  c.translate(lamp.x, -0.02);
  c.scale(1, 0.22);
  glow(c, 0, 0, radius * 0.8, rgb, 0.75 * lamp.strength);
  c.restore();
  if (lamp.kind !== "pendant") return;
  const cone = along(c, 0, lamp.y, 0, 0.06, `rgb(${rgb} / ${0.6 * lamp.strength})`, `rgb(${rgb} / ${0.12 * lamp.strength})`);
  shape(c, cone, lamp.x - 0.06, lamp.y, lamp.x + 0.06, lamp.y, lamp.x + 0.55, 0.08, lamp.x - 0.55, 0.08);
}

function paintLamps(c, room, building) {
  for (const lamp of room.lamps) {
    within(c, () => {
      c.translate(lamp.x, lamp.y);
      FITTINGS[lamp.kind](c, building.trim, lamp.strength > 0.5);
    });
    const bright = 0.5 * lamp.strength;
    c.globalCompositeOperation = "lighter";
    glow(c, lamp.x, lamp.y, lamp.kind === "picture" ? 0.14 : 0.34, "255 196 100", bright);
    if (lamp.kind === "pendant") {
      const air = along(c, 0, lamp.y, 0, 0, `rgb(255 210 140 / ${0.2 * lamp.strength})`, "rgb(255 210 140 / 0)");
      shape(c, air, lamp.x - 0.06, lamp.y + 0.02, lamp.x + 0.06, lamp.y + 0.02, lamp.x + 0.46, 0, lamp.x - 0.46, 0);
    }
    c.globalCompositeOperation = "source-over";
  }
}

const FITTINGS = {
  chandelier(c, trim, isLit) {
    stroke(c, "#6b5836", 0.012, 0, -0.3, 0, -0.05);
    for (const [radius, y] of [[0.2, 0], [0.12, -0.07]]) {
      c.strokeStyle = tone(trim, -0.15);
      c.lineWidth = 0.014;
      c.beginPath();
      c.ellipse(0, y - 0.03, radius, 0.075, 0, 0, Math.PI);
      c.stroke();
      for (const part of [-1, -0.5, 0, 0.5, 1]) {
        const drop = y - 0.03 + Math.sqrt(1 - part * part) * 0.075;
        rect(c, "#fff3d6", part * radius - 0.008, drop - 0.05, 0.016, 0.045);
        disc(c, isLit ? "#fff7df" : "#8d8468", part * radius, drop - 0.06, 0.014);
        shape(c, "#ffe9b0aa", part * radius - 0.008, drop + 0.012, part * radius + 0.008, drop + 0.012, part * radius, drop + 0.05);
      }
    }
  },
  pendant(c, trim, isLit) {
    stroke(c, "#1c1d33", 0.012, 0, -0.26, 0, -0.06);
    shape(c, tone(trim, -0.3), -0.09, 0.02, -0.03, -0.07, 0.03, -0.07, 0.09, 0.02);
    ellipse(c, isLit ? "#fff6da" : "#6d6a66", 0, 0.02, 0.08, 0.016);
  },
  sconce(c, trim, isLit) {
    stroke(c, tone(trim, -0.3), 0.018, 0, 0.1, 0, 0.03);
    for (const x of [-0.05, 0.05]) {
      stroke(c, tone(trim, -0.3), 0.012, 0, 0.06, x, 0.03);
      ellipse(c, isLit ? "#fff2cc" : "#8d8468", x, -0.005, 0.016, 0.034);
    }
  },
  picture(c, trim) {
    stroke(c, tone(trim, -0.2), 0.014, 0, 0, 0, 0.025);
    rect(c, "#fff0c8", -0.09, 0.02, 0.18, 0.018);
  },
};

/** The glass of a window is nothing: what is behind the building shows through it. */
function openWindow(c, item, building) {
  const [width, height, y] = windowSize(item);
  const left = item.x - width / 2;
  c.globalCompositeOperation = "destination-out";
  arch(c, left, y, width, height);
  c.fill();
  c.globalCompositeOperation = "source-over";
  arch(c, left, y, width, height);
  c.fillStyle = along(c, left, y - height, left + width, y, "#8fa6ff38", "#8fa6ff08", "#8fa6ff2a");
  c.fill();
  const frame = tone(building.trim, -0.52);
  c.strokeStyle = frame;
  c.lineWidth = 0.03;
  c.stroke();
  c.lineWidth = 0.012;
  for (const x of [-width / 6, width / 6]) stroke(c, frame, 0.012, item.x + x, y, item.x + x, y - height + 0.03);
  for (let bar = 1; bar < 4; bar += 1) stroke(c, frame, 0.011, left, y - (height * bar) / 4, left + width, y - (height * bar) / 4);
  stroke(c, "#a9b8ff", 0.006, left - 0.016, y, left - 0.016, y - height + width / 2);
  rect(c, tone(frame, 0.2), left - 0.04, y, width + 0.08, 0.03);
}

/** Width, height and lower edge of a window. */
export function windowSize(item) {
  return item.kind === "tall" ? [0.4, 0.72, FLOOR_BACK - 0.05] : [0.42, 0.5, -0.36];
}

function paintStair(c, room, building) {
  if (room.stair === 0) return;
  const steps = 6;
  const run = room.stair / steps;
  const start = room.width - room.stair;
  for (let step = 0; step < steps; step += 1) {
    const y = (room.drop * (step + 1)) / steps;
    const x = start + run * step;
    rect(c, along(c, 0, y, 0, y + 0.3, "#4a4f8c", "#23275a", "#10132f"), x, y - 0.02, run + 0.012, 0.32 + Math.max(0, room.drop));
    rect(c, tone(building.trim, -0.35), x, y - 0.026, run + 0.012, 0.018);
  }
  const rail = (x) => (room.drop * (x - start)) / room.stair - 0.24;
  for (let step = 0; step <= steps; step += 1) {
    const x = start + run * step;
    stroke(c, "#14183c", 0.009, x, rail(x), x, rail(x) + 0.23);
  }
  stroke(c, tone(building.trim, -0.4), 0.02, start, rail(start), room.width, rail(room.width));
}

// The slab, and the storey below it in the dark.
function paintBelow(c, room, building) {
  const random = randomOf(building.words, TOPICS.item, room.index);
  const { width } = room;
  const edge = room.drop > 0 ? width - room.stair : width;
  rect(c, along(c, 0, FLOOR_FRONT, 0, ROOM_REACH.down, "#141838", "#0b0e24", "#070919"), -0.02, FLOOR_FRONT + 0.02, width + 0.04, ROOM_REACH.down);
  rect(c, along(c, 0, FLOOR_FRONT, 0, FLOOR_FRONT + SLAB, tone(building.stone, 0.3), tone(building.stone, -0.35)), -0.02, FLOOR_FRONT, edge + 0.04, SLAB);
  rect(c, tone(building.trim, -0.3), -0.02, FLOOR_FRONT, edge + 0.04, 0.016);
  const bays = Math.max(2, Math.round(width / 0.62));
  for (let bay = 0; bay < bays; bay += 1) {
    const wide = width / bays;
    const x = wide * bay;
    const isLit = random() < 0.4;
    arch(c, x + 0.09, 1.1, wide - 0.18, 0.82);
    c.fillStyle = isLit ? along(c, 0, 0.28, 0, 0.95, "#7a4a22", "#3c2338") : along(c, 0, 0.28, 0, 0.95, "#161b44", "#0a0d25");
    c.fill();
    rect(c, along(c, x - 0.05, 0, x + 0.05, 0, "#262c62", "#141839"), x - 0.05, 0.2, 0.1, 0.8);
  }
}
