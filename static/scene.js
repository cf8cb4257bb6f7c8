// The stage: a heist in a building at night. It draws what it is given and decides nothing.

import { drawIdle, drawLoot, drawReady, drawRunner, drawSkylight, sackAtOf } from "./heist/action.js";
import { buildingOf } from "./heist/building.js";
import { drawAlarm, drawAway, drawCaught } from "./heist/endings.js";
import { FRONT_KINDS, Layers } from "./heist/layers.js";
import { ease, heatAt } from "./heist/motion.js";
import { Cache, TOPICS, randomOf } from "./heist/random.js";
import { ROOM_REACH } from "./heist/room.js";
import { divisionOf, roomsIn, timesOf, usePixels, useStoreys, viewOf } from "./heist/view.js";

const SCALE_MAX = 2; // more device pixels than this cost time and show nothing
const PIXELS_MAX = 5_000_000;
const BUILDINGS_KEPT = 4;
const FRONT_SPEED = 1.3; // how much faster than the rooms the foreground passes
const FRONT_PITCH = 1.9;
const CUT_MS = 420; // a flight fades in from the dark: its building may be another one

/**
 * Draws on one canvas, the same picture for the same model and size:
 * `draw({ kind, elapsedMs, sinceEndMs, hundredths, ratePerMs, mapSeed, lootSeed, guardSeed, isProfit })`. `kind` is "idle",
 * "betting", "flying", "won" or "lost", times are milliseconds, seeds 64 hex characters or null.
 */
export class Scene {
  constructor(canvas, { reducedMotion = () => false } = {}) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.reducedMotion = reducedMotion;
    this.layers = new Layers(() => canvas.ownerDocument.createElement("canvas"));
    this.buildings = new Cache(BUILDINGS_KEPT);
  }

  /** Fit the canvas to its box; true if the size has changed. */
  fit() {
    const box = this.canvas.getBoundingClientRect();
    const finest = Math.sqrt(PIXELS_MAX / Math.max(1, box.width * box.height));
    const scale = Math.min(SCALE_MAX, globalThis.devicePixelRatio || 1, finest);
    const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (width === this.canvas.width && height === this.canvas.height && this.scale === scale) return false;
    Object.assign(this, { scale, width: box.width, height: box.height });
    this.canvas.width = width;
    this.canvas.height = height;
    return true;
  }

  draw(model) {
    this.fit();
    if (!(this.width >= 2 && this.height >= 2)) return;
    const isReduced = this.reducedMotion();
    const { layers } = this;
    const building = this.buildings.get(model.mapSeed, () => buildingOf(model.mapSeed));
    const times = timesOf(model, isReduced);
    const view = viewOf(divisionOf(this.width, this.height, this.scale), building, model.kind, times);
    layers.prepare(building, view);
    const scenery = { layers, building, view, times, isReduced, lootSeed: model.lootSeed };
    this.drawBehind(scenery);
    this.drawRooms(scenery);
    useStoreys(this.context, view);
    this.drawAction(model, scenery);
    this.drawFront(scenery, model.kind === "won" ? 1 - ease(times.sinceEndMs, 0, 500) : 1);
    usePixels(this.context);
    this.drawOver(model, scenery);
    if (model.kind === "flying") layers.prepareRoom(view.last + 1);
  }

  drawBehind({ layers, view, times }) {
    const { context: c } = this;
    usePixels(c);
    c.drawImage(layers.sky, 0, 0);
    c.globalAlpha = 0.12 + 0.88 * heatAt(times.elapsedMs);
    layers.drawBand(c, "dawn", 0.2, 0.54, "#ff9a5a00", "#c0508044", "#ff8a5aaa", "#ffc070dd", "#ffc07000");
    c.globalAlpha = 1;
    const sink = view.lift * view.unit;
    layers.drawSkyline(c, 0, view.cameraX * view.unit * 0.05, sink * 0.04);
    layers.drawSkyline(c, 1, view.cameraX * view.unit * 0.13, sink * 0.12);
  }

  drawRooms({ layers, building, view }) {
    const { context: c } = this;
    const { scale, unit } = view;
    const stretch = (unit * scale) / layers.roomScale;
    for (const room of roomsIn(building, view)) {
      const picture = layers.room(room.index);
      const x = Math.round((view.originX + (room.x - ROOM_REACH.side) * unit) * scale);
      const y = Math.round((view.originY + (room.y - ROOM_REACH.up) * unit) * scale);
      if (stretch === 1) c.drawImage(picture, x, y);
      else c.drawImage(picture, x, y, picture.width * stretch, picture.height * stretch);
      const below = y + Math.floor(picture.height * stretch);
      if (below < view.height * scale) {
        c.fillStyle = "#060817";
        c.fillRect(x, below - 1, Math.ceil(room.width * unit * scale) + 1, view.height * scale - below + 2);
      }
    }
  }

  drawAction(model, scenery) {
    const { context: c } = this;
    const { building } = scenery;
    drawLasers(c, scenery);
    drawSkylight(c, building.ropeX);
    if (model.kind === "idle") drawIdle(c, scenery);
    else if (model.kind === "betting") drawReady(c, scenery);
    else if (model.kind === "won") drawAway(c, { ...scenery, isProfit: model.isProfit !== false });
    else {
      drawLoot(c, { ...scenery, sackAt: sackAtOf(building, scenery.view) });
      if (model.kind === "lost") drawCaught(c, { ...scenery, guardSeed: model.guardSeed });
      else drawRunner(c, scenery);
    }
  }

  drawFront({ layers, building, view }, alpha) {
    if (alpha <= 0) return;
    const { context: c } = this;
    const from = view.cameraX * FRONT_SPEED;
    const size = 0.56;
    c.globalAlpha = alpha;
    for (let slot = Math.floor(from / FRONT_PITCH) - 1; slot * FRONT_PITCH < from + view.width / view.unit + 1; slot += 1) {
      const random = randomOf(building.words, TOPICS.front, slot);
      if (random() < 0.35) continue;
      const picture = layers.front(Math.floor(random() * FRONT_KINDS));
      const x = view.cameraX + slot * FRONT_PITCH + random() - from;
      const y = (view.height - view.originY) / view.unit - size * (0.72 + 0.1 * random());
      c.drawImage(picture, x, y, size, size);
    }
    c.globalAlpha = 1;
  }

  drawOver(model, { layers, view, times, isReduced }) {
    const { context: c } = this;
    layers.drawBand(c, "foot", 0.86, 1, "#04061200", "#040612d0");
    if (model.kind === "lost") drawAlarm(c, layers, times.sinceEndMs);
    if (model.kind !== "flying" || isReduced || times.motionMs >= CUT_MS) return;
    c.globalAlpha = 0.8 * (1 - ease(times.motionMs, 0, CUT_MS));
    c.fillStyle = "#050714";
    c.fillRect(0, 0, view.width * view.scale, view.height * view.scale);
    c.globalAlpha = 1;
  }
}

function drawLasers(c, { building, view, times, isReduced }) {
  c.globalCompositeOperation = "lighter";
  for (const room of roomsIn(building, view)) {
    for (const laser of room.lasers) {
      c.globalAlpha = isReduced ? 0.6 : 0.5 + 0.3 * Math.sin(times.motionMs / 600 + laser.phase);
      for (const [color, width] of [["#ff2a4a55", 0.03], ["#ff8090", 0.008]]) {
        c.strokeStyle = color;
        c.lineWidth = width;
        c.beginPath();
        c.moveTo(room.x + laser.fromX, room.y - 0.94);
        c.lineTo(room.x + laser.toX, room.y - 0.1);
        c.stroke();
      }
    }
  }
  c.globalAlpha = 1;
  c.globalCompositeOperation = "source-over";
}
