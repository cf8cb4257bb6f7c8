// Sky, moon and the two skylines behind the building. Each is painted once for a building and a size. CSS pixels.

import { along, disc, ellipse, glow, rect, shape, tone } from "./brush.js";
import { TOPICS, between, randomOf } from "./random.js";

/** Where the moon stands: { x, y, radius }. */
export function moonAt(building, width, height) {
  const { moon } = building;
  const radius = Math.min(width * 0.07, height * 0.095) * moon.size;
  const out = Math.max(radius * 1.25, width * moon.out);
  return { x: moon.isLeft ? out : width - out, y: Math.max(radius * 1.3, height * moon.down), radius };
}

/** The whole sky, opaque. */
export function paintSky(c, width, height, building) {
  const random = randomOf(building.words, TOPICS.sky);
  rect(c, along(c, 0, 0, 0, height, "#050714", "#0a0e26", "#141a48", building.sky, tone(building.sky, 0.16)), 0, 0, width, height);
  const moon = moonAt(building, width, height);
  glow(c, moon.x, moon.y, moon.radius * 6.5, "150 165 255", 0.34);
  paintStars(c, width, height, random);
  paintMoon(c, moon, building.moon.crescent, random);
  for (let cloud = 0; cloud < 7; cloud += 1) {
    paintCloud(c, random() * width, height * between(random, 0.14, 0.6), Math.min(width, height * 1.6) * between(random, 0.14, 0.4), random);
  }
}

function paintStars(c, width, height, random) {
  const count = Math.round(Math.min(260, 60 + (width * height) / 6_000));
  for (let star = 0; star < count; star += 1) {
    const [x, y, weight] = [random() * width, height * 0.66 * random() ** 1.3, random()];
    c.globalAlpha = 0.12 + 0.6 * weight ** 3;
    disc(c, weight > 0.85 ? "#ffe9c4" : "#cfd8ff", x, y, 0.45 + weight * 0.75);
  }
  c.globalAlpha = 1;
}

function paintMoon(c, { x, y, radius }, crescent, random) {
  glow(c, x, y, radius * 2.3, "255 240 205", 0.42);
  c.save();
  c.beginPath();
  c.arc(x, y, radius, 0, Math.PI * 2);
  c.clip();
  const light = c.createRadialGradient(x - radius * 0.35, y - radius * 0.35, radius * 0.1, x, y, radius);
  light.addColorStop(0, "#fffbe9");
  light.addColorStop(0.7, "#f3e6bd");
  light.addColorStop(1, "#cdb98c");
  rect(c, light, x - radius, y - radius, radius * 2, radius * 2);
  for (let sea = 0; sea < 9; sea += 1) {
    const turn = random() * Math.PI * 2;
    const out = radius * 0.85 * Math.sqrt(random());
    c.globalAlpha = 0.16;
    ellipse(c, "#8d7d5e", x + Math.cos(turn) * out, y + Math.sin(turn) * out, radius * between(random, 0.08, 0.3), radius * between(random, 0.07, 0.22));
  }
  c.globalAlpha = crescent ? 0.93 : 0;
  disc(c, "#10153a", x + radius * 0.78, y - radius * 0.24, radius * 1.04);
  c.restore();
}

function paintCloud(c, x, y, size, random) {
  const puffs = 5 + Math.floor(random() * 4);
  for (let puff = 0; puff < puffs; puff += 1) {
    const part = puff / (puffs - 1) - 0.5;
    c.save();
    c.translate(x + part * size * 2, y + between(random, -0.05, 0.05) * size);
    c.scale(1, 0.2);
    glow(c, 0, 0, size * between(random, 0.35, 0.75) * (1.1 - Math.abs(part)), "120 130 215", 0.13);
    c.restore();
  }
}

const SKYLINES = [
  { base: 0.37, spread: 0.14, wide: 0.055, colors: ["#3a3d86", "#262b68"], lit: 0.1, glass: ["#ffd98a", "#9fb4ff"], alpha: 0.45, haze: "#7a62b8cc" },
  { base: 0.56, spread: 0.17, wide: 0.1, colors: ["#191e50", "#0d1233"], lit: 0.2, glass: ["#ffc35c", "#ffe0a0", "#ffb04a"], alpha: 0.8, haze: "#241f5caa" },
];

/** One skyline (0 far, 1 near) on a tile of `width` that fits to itself. */
export function paintSkyline(c, width, height, building, layer) {
  const random = randomOf(building.words, TOPICS.skyline, layer);
  const look = SKYLINES[layer];
  const unit = Math.min(height, width * 0.7);
  for (let x = 0; x < width - unit * 0.02; ) {
    const wide = Math.min(width - x, unit * look.wide * between(random, 0.7, 1.7));
    const top = height * (look.base + look.spread * (random() - 0.35));
    paintHouse(c, { x, top, wide, height, unit, look, random });
    x += wide;
  }
  const haze = along(c, 0, height * look.base, 0, height, "#3a3f9500", look.haze, look.haze);
  c.globalCompositeOperation = "source-atop";
  rect(c, haze, 0, 0, width, height);
  c.globalCompositeOperation = "source-over";
}

function paintHouse(c, { x, top, wide, height, unit, look, random }) {
  const body = along(c, x, 0, x + wide, 0, ...look.colors);
  rect(c, body, x, top, wide + 0.6, height - top);
  paintTop(c, body, x, top, wide, unit, random);
  c.globalAlpha = 0.3;
  rect(c, "#8fa0ff", x, top, wide, Math.max(0.7, unit * 0.0022));
  paintPanes(c, x, top, wide, height, unit, look, random);
  c.globalAlpha = 1;
}

function paintTop(c, body, x, top, wide, unit, random) {
  const kind = Math.floor(random() * 7);
  const mid = x + wide / 2;
  if (kind === 0) shape(c, body, x, top, mid, top - wide * 0.55, x + wide, top);
  else if (kind === 1) {
    ellipse(c, body, mid, top + 1, wide * 0.38, wide * 0.36, Math.PI, 0);
    rect(c, body, mid - unit * 0.002, top - wide * 0.6, unit * 0.004, wide * 0.3);
  } else if (kind === 2) {
    rect(c, body, x + wide * 0.2, top - wide * 0.25, wide * 0.6, wide * 0.26);
    rect(c, body, mid - unit * 0.003, top - wide * 0.8, unit * 0.006, wide * 0.6);
    disc(c, "#ff6070", mid, top - wide * 0.8, unit * 0.004);
  } else if (kind === 3) shape(c, body, x, top + 1, x, top - wide * 0.4, x + wide, top + 1);
  else if (kind === 4) {
    shape(c, body, x + wide * 0.3, top, mid, top - wide * 1.1, x + wide * 0.7, top);
    rect(c, body, x + wide * 0.15, top - wide * 0.16, wide * 0.7, wide * 0.18);
  } else if (kind === 5) rect(c, body, x + wide * 0.55, top - wide * 0.2, wide * 0.22, wide * 0.22);
}

function paintPanes(c, x, top, wide, height, unit, look, random) {
  const pitch = Math.max(4.5, unit * 0.017);
  const columns = Math.max(1, Math.floor(wide / pitch) - 1);
  const left = x + (wide - columns * pitch) / 2;
  for (let y = top + pitch; y < height * 0.98; y += pitch * 1.25) {
    for (let column = 0; column < columns; column += 1) {
      if (random() > look.lit) continue;
      c.globalAlpha = look.alpha * between(random, 0.35, 1);
      rect(c, look.glass[Math.floor(random() * look.glass.length)], left + (column + 0.27) * pitch, y, pitch * 0.46, pitch * 0.6);
    }
  }
}
