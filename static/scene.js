// The stage: the curve, the thief on it, the loot and the guards. It draws what it is given and decides nothing.

import { Scenery, disc, generatorOf } from "./scenery.js";

const SCALE_MAX = 2; // more device pixels than this cost time and show nothing
const SPAN_MS_MIN = 9_000; // the curve's width stands for at least this much flight
const TOP_HUNDREDTHS_MIN = 200;
const GLIDE_PER_MS = 0.02; // CSS pixels
const COINS = 48;

const COLORS = { curve: "#ffc94a", won: "#4fe0a0", lost: "#ff7a85", skin: "#e9c9a0", suit: "#2c3a78", dark: "#060a18", sack: "#c79a5b", guard: "#3f5bb0" };

/** Draws on one canvas. `draw(model)` takes { kind, elapsedMs, hundredths, ratePerMs, mapSeed, lootSeed }. */
export class Scene {
  constructor(canvas, { reducedMotion = () => false } = {}) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scenery = new Scenery(() => canvas.ownerDocument.createElement("canvas"));
    this.reducedMotion = reducedMotion;
    this.coins = { seed: null, list: [] };
  }

  /** Fit the canvas to its box; true if the size has changed. */
  fit() {
    const box = this.canvas.getBoundingClientRect();
    const scale = Math.min(SCALE_MAX, globalThis.devicePixelRatio || 1);
    const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (width === this.canvas.width && height === this.canvas.height && this.scale === scale) return false;
    Object.assign(this, { scale, width: box.width, height: box.height });
    this.canvas.width = width;
    this.canvas.height = height;
    return true;
  }

  draw(model) {
    this.fit();
    if (this.width < 2 || this.height < 2) return;
    const { context, width, height } = this;
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    this.scenery.prepare(model.mapSeed, width, height, this.scale);
    this.scenery.draw(context, width, height, this.reducedMotion() ? 0 : model.elapsedMs * GLIDE_PER_MS);
    const frame = this.frameOf(model);
    this.drawGround(frame);
    if (model.kind === "idle" || model.kind === "betting") this.drawWaiting(frame, model);
    else this.drawFlight(frame, model);
  }

  // Where things are: the flight's start, and how much time and growth the view stands for.
  frameOf(model) {
    const { width, height } = this;
    const unit = Math.max(14, Math.min(height * 0.13, width * 0.07));
    return {
      unit,
      left: unit * 1.6,
      bottom: height - unit * 0.75,
      right: width - unit * 1.7,
      top: Math.max(height * 0.34, unit * 2.2),
      spanMs: Math.max(SPAN_MS_MIN, model.elapsedMs),
      topHundredths: Math.max(TOP_HUNDREDTHS_MIN, 100 + (model.hundredths - 100) * 1.02),
    };
  }

  pointAt(frame, elapsedMs, ratePerMs) {
    const growth = (100 * Math.exp(ratePerMs * elapsedMs) - 100) / (frame.topHundredths - 100);
    return {
      x: frame.left + (elapsedMs / frame.spanMs) * (frame.right - frame.left),
      y: frame.bottom - Math.min(1.02, growth) * (frame.bottom - frame.top),
    };
  }

  drawGround(frame) {
    const { context, width, height } = this;
    context.fillStyle = COLORS.dark;
    context.fillRect(0, frame.bottom + frame.unit * 0.1, width, height);
    context.fillStyle = "#2b376b";
    context.fillRect(0, frame.bottom + frame.unit * 0.1, width, 2);
  }

  drawWaiting(frame, model) {
    this.drawGuards(frame, frame.left - frame.unit, "#8fa8ff22");
    const pose = { running: model.kind === "betting" ? 0.4 : 0, mood: "calm" };
    this.drawThief(frame.left + frame.unit * 1.4, frame.bottom, frame.unit, pose);
  }

  drawFlight(frame, model) {
    const color = model.kind === "won" ? COLORS.won : model.kind === "lost" ? COLORS.lost : COLORS.curve;
    this.drawCurve(frame, model, color);
    this.drawCoins(frame, model);
    const head = this.pointAt(frame, model.elapsedMs, model.ratePerMs);
    const caught = model.kind === "lost";
    if (!caught) this.drawGuards(frame, frame.left - frame.unit, "#8fa8ff22");
    if (model.kind === "won") this.drawGlow(head, frame.unit * 2.6, "79 224 160");
    if (caught) this.drawGlow(head, frame.unit * 3, "255 90 104");
    const running = this.reducedMotion() || model.kind !== "flying" ? 0.4 : model.elapsedMs / 90;
    this.drawThief(head.x, head.y, frame.unit, { running, mood: caught ? "caught" : model.kind === "won" ? "free" : "run" });
    if (caught) {
      this.drawGuard(head.x - frame.unit * 1.15, head.y, frame.unit, 1);
      this.drawGuard(head.x + frame.unit * 1.15, head.y, frame.unit, -1);
    }
  }

  drawCurve(frame, model, color) {
    const { context } = this;
    const steps = 64;
    const points = [];
    for (let step = 0; step <= steps; step += 1) {
      points.push(this.pointAt(frame, (model.elapsedMs * step) / steps, model.ratePerMs));
    }
    const last = points[steps];
    const fill = context.createLinearGradient(0, frame.top, 0, frame.bottom);
    fill.addColorStop(0, `${color}55`);
    fill.addColorStop(1, `${color}00`);
    context.beginPath();
    context.moveTo(frame.left, frame.bottom);
    for (const point of points) context.lineTo(point.x, point.y);
    context.lineTo(last.x, frame.bottom);
    context.closePath();
    context.fillStyle = fill;
    context.fill();
    context.beginPath();
    for (const point of points) context.lineTo(point.x, point.y);
    context.strokeStyle = color;
    context.lineWidth = Math.max(3, frame.unit * 0.12);
    context.lineCap = context.lineJoin = "round";
    context.stroke();
  }

  // The loot lies along the way, at places that the loot seed decides; what the thief has passed is in the sack.
  drawCoins(frame, model) {
    if (this.coins.seed !== model.lootSeed) {
      const random = generatorOf(model.lootSeed);
      let at = 0;
      const list = Array.from({ length: COINS }, () => ({ at: (at += 700 + 2600 * random()), lift: 0.5 + 0.9 * random() }));
      this.coins = { seed: model.lootSeed, list };
    }
    const { context } = this;
    context.fillStyle = COLORS.curve;
    for (const coin of this.coins.list) {
      if (coin.at <= model.elapsedMs || coin.at > frame.spanMs || model.kind !== "flying") continue;
      const point = this.pointAt(frame, coin.at, model.ratePerMs);
      if (point.y < frame.top * 0.9) continue;
      disc(context, point.x, point.y - coin.lift * frame.unit * 0.5, frame.unit * 0.13);
    }
  }

  drawGlow(at, radius, rgb) {
    const { context } = this;
    const glow = context.createRadialGradient(at.x, at.y, 0, at.x, at.y, radius);
    glow.addColorStop(0, `rgb(${rgb} / 0.5)`);
    glow.addColorStop(1, `rgb(${rgb} / 0)`);
    context.fillStyle = glow;
    disc(context, at.x, at.y, radius);
  }

  drawGuards(frame, x, beam) {
    const { context } = this;
    const [y, unit] = [frame.bottom, frame.unit];
    context.fillStyle = beam;
    context.beginPath();
    context.moveTo(x + unit * 0.5, y - unit * 0.75);
    context.lineTo(x + unit * 4.6, y - unit * 1.7);
    context.lineTo(x + unit * 4.6, y - unit * 0.05);
    context.fill();
    this.drawGuard(x, y, unit, 1);
  }

  drawGuard(x, y, unit, facing) {
    const { context } = this;
    context.save();
    context.translate(x, y);
    context.scale(facing * unit, unit);
    limb(context, COLORS.dark, 0.16, [-0.1, -0.5, -0.14, 0]);
    limb(context, COLORS.dark, 0.16, [0.1, -0.5, 0.14, 0]);
    limb(context, COLORS.guard, 0.42, [0, -0.85, 0, -0.55]);
    limb(context, COLORS.guard, 0.14, [0.05, -0.85, 0.42, -0.75]);
    context.fillStyle = "#ffe9a8";
    context.fillRect(0.4, -0.81, 0.16, 0.12);
    context.fillStyle = COLORS.skin;
    disc(context, 0, -1.24, 0.2);
    context.fillStyle = COLORS.dark;
    context.fillRect(-0.23, -1.42, 0.46, 0.12);
    context.fillRect(0.05, -1.34, 0.26, 0.06);
    context.restore();
  }

  drawThief(x, y, unit, { running, mood }) {
    const { context } = this;
    const swing = mood === "run" || mood === "calm" ? Math.sin(running) * 0.28 : 0.14;
    context.save();
    context.translate(x, y - (mood === "run" ? Math.abs(Math.cos(running)) * unit * 0.08 : 0));
    context.scale(unit, unit);
    context.fillStyle = COLORS.sack;
    disc(context, -0.42, -0.82, 0.36);
    limb(context, COLORS.sack, 0.12, [-0.3, -1.1, -0.12, -1.2]);
    limb(context, COLORS.suit, 0.17, [0, -0.48, swing, 0]);
    limb(context, COLORS.suit, 0.17, [0, -0.48, -swing, 0]);
    limb(context, COLORS.suit, 0.38, [0, -0.85, 0, -0.55]);
    const arms = mood === "caught" || mood === "free" ? [0.34, -1.4] : [0.34, -0.72 - swing * 0.4];
    limb(context, COLORS.suit, 0.13, [0.04, -0.9, ...arms]);
    limb(context, COLORS.suit, 0.13, mood === "caught" ? [-0.04, -0.9, -0.34, -1.4] : [-0.04, -0.9, -0.28, -1.06]);
    context.fillStyle = COLORS.skin;
    disc(context, 0.04, -1.24, 0.21);
    context.fillStyle = COLORS.suit;
    context.beginPath();
    context.arc(0.04, -1.28, 0.22, Math.PI, 0);
    context.fill();
    context.fillStyle = COLORS.dark;
    context.fillRect(-0.17, -1.29, 0.43, 0.1);
    context.fillStyle = "#ffffff";
    context.fillRect(0.08, -1.26, 0.05, 0.04);
    context.fillRect(0.18, -1.26, 0.05, 0.04);
    context.restore();
  }
}

function limb(context, color, width, [fromX, fromY, toX, toY]) {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineCap = "round";
  context.stroke();
}
