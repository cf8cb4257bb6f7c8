// The city at night behind the flight: drawn once for a seed and a size, then copied for every frame.

const PALETTE = {
  skyTop: "#060a1a",
  skyLow: "#25306a",
  moon: "#f4efd8",
  far: "#182148",
  near: "#0e1531",
  window: "#ffcf6b",
  star: "#dfe6ff",
};

/** A small reproducible generator of numbers in [0, 1) from a hex seed; scenery only, never an outcome. */
export function generatorOf(hexSeed) {
  let state = Number.parseInt((hexSeed ?? "").slice(0, 8) || "9e3779b9", 16) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Paints sky and moon, and two skylines wider than the view so that they can glide. Sizes in CSS pixels. */
export class Scenery {
  constructor(createCanvas) {
    this.createCanvas = createCanvas;
    this.key = null;
  }

  /** Redraws only when seed or size have changed. */
  prepare(seed, width, height, scale) {
    const key = `${seed}|${width}|${height}|${scale}`;
    if (key === this.key) return;
    this.key = key;
    const random = generatorOf(seed);
    this.sky = this.layer(width, height, scale, (context) => paintSky(context, width, height, random));
    const far = { base: 0.62, low: 0.1, high: 0.3, color: PALETTE.far, lit: 0.16 };
    const near = { base: 0.82, low: 0.06, high: 0.24, color: PALETTE.near, lit: 0.1 };
    this.layerWidth = width * 2;
    this.far = this.layer(this.layerWidth, height, scale, (context) => paintSkyline(context, this.layerWidth, height, random, far));
    this.near = this.layer(this.layerWidth, height, scale, (context) => paintSkyline(context, this.layerWidth, height, random, near));
  }

  layer(width, height, scale, paint) {
    const canvas = this.createCanvas();
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    paint(context);
    return canvas;
  }

  /** Copies the city into `context`, glided by `shift` CSS pixels. */
  draw(context, width, height, shift) {
    context.drawImage(this.sky, 0, 0, width, height);
    this.glide(context, this.far, height, shift * 0.3);
    this.glide(context, this.near, height, shift);
  }

  glide(context, layer, height, shift) {
    const offset = -(shift % this.layerWidth);
    context.drawImage(layer, offset, 0, this.layerWidth, height);
    context.drawImage(layer, offset + this.layerWidth, 0, this.layerWidth, height);
  }
}

function paintSky(context, width, height, random) {
  const gradient = context.createLinearGradient(0, 0, 0, height);
  gradient.addColorStop(0, PALETTE.skyTop);
  gradient.addColorStop(1, PALETTE.skyLow);
  context.fillStyle = gradient;
  context.fillRect(0, 0, width, height);
  context.fillStyle = PALETTE.star;
  for (let star = 0; star < 70; star += 1) {
    context.globalAlpha = 0.15 + 0.6 * random();
    const size = 0.6 + random();
    context.fillRect(random() * width, random() * height * 0.6, size, size);
  }
  context.globalAlpha = 1;
  const radius = Math.min(width, height) * 0.07;
  const [x, y] = [width * (0.08 + 0.1 * random()), height * (0.16 + 0.1 * random())];
  const glow = context.createRadialGradient(x, y, radius * 0.8, x, y, radius * 4);
  glow.addColorStop(0, "rgb(244 239 216 / 0.25)");
  glow.addColorStop(1, "rgb(244 239 216 / 0)");
  context.fillStyle = glow;
  context.fillRect(0, 0, width, height);
  context.fillStyle = PALETTE.moon;
  disc(context, x, y, radius);
}

function paintSkyline(context, width, height, random, { base, low, high, color, lit }) {
  let x = 0;
  while (x < width) {
    const wide = Math.min(height, 640) * (0.1 + 0.14 * random());
    const tall = height * (low + (high - low) * random());
    const top = height * base - tall;
    context.fillStyle = color;
    context.fillRect(x, top, Math.min(wide, width - x) + 0.5, height - top);
    if (random() < 0.4) context.fillRect(x + wide * 0.45, top - height * 0.05, 2, height * 0.05);
    paintWindows(context, x, top, Math.min(wide, width - x), height, random, lit);
    x += wide + (random() < 0.3 ? height * 0.04 * random() : 0);
  }
}

function paintWindows(context, left, top, wide, height, random, lit) {
  const pitch = Math.min(17, Math.max(7, height * 0.034));
  context.fillStyle = PALETTE.window;
  for (let y = top + pitch; y < height; y += pitch) {
    for (let x = left + pitch * 0.6; x < left + wide - pitch * 0.6; x += pitch) {
      if (random() > lit) continue;
      context.globalAlpha = 0.25 + 0.5 * random();
      context.fillRect(x, y, pitch * 0.36, pitch * 0.46);
    }
  }
  context.globalAlpha = 1;
}

/** A filled circle. */
export function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, Math.PI * 2);
  context.fill();
}
