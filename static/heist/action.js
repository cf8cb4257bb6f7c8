// The heist itself: loot on the way and into the sack, the thief on the rope and on the run, the guard on his round.
// All contexts are in storeys of the building (see `useStoreys`), unless a name says pixels.

import { along, disc, rect, shape, stroke } from "./brush.js";
import { floorAt } from "./building.js";
import { POSES, blendPoses, drawGuard, drawThief, runningPose } from "./figures.js";
import { findOf, findsBetween, lootOf, lootTaken } from "./loot.js";
import { DROP_MS, clamp, ease, easeOut, heatAt, progressAt } from "./motion.js";
import { ROOF_TOP } from "./roof.js";
import { PIECE_SIZE, drawStand } from "./treasures.js";

/** How tall the thief is, in storeys. */
export const TALL = 0.52;

const REACH = 0.17; // a piece is this far ahead of him when he takes it
const FLIGHT_MS = 420; // from its place into the sack
const HANG_Y = -0.3;
const STRIDE = 0.66; // storeys a pair of steps
const RIM_WARM = "#ffcf7d";
export const RIM_MOON = "#9db2ff";

/** How full the sack is, 0 to 1, after so many pieces. */
export function fullnessOf(taken) {
  return taken / (taken + 34);
}

/** A figure at (x, y) of the building, `tall` storeys high. `paint` finds it 1 high, with its feet at (0, 0). */
export function standAt(c, x, y, tall, facing, paint) {
  c.save();
  c.translate(x, y);
  c.scale(tall * facing, tall);
  const result = paint();
  c.restore();
  return result;
}

/** A soft light; `layers` keeps its picture. */
export function shineAt(c, layers, rgb, x, y, radius, alpha) {
  c.globalCompositeOperation = "lighter";
  c.globalAlpha = clamp(alpha);
  c.drawImage(layers.light(rgb), x - radius, y - radius, radius * 2, radius * 2);
  c.globalAlpha = 1;
  c.globalCompositeOperation = "source-over";
}

function shadowAt(c, layers, x, y, width, alpha) {
  c.globalAlpha = alpha;
  c.drawImage(layers.light("0 0 8"), x - width, y - width * 0.2, width * 2, width * 0.4);
  c.globalAlpha = 1;
}

/** The loot: what lies ahead, and what flies into the sack. `sackAt` is where that is. */
export function drawLoot(c, { layers, building, view, times, lootSeed, sackAt }) {
  const { motionMs } = times;
  const loot = lootOf(lootSeed);
  const aheadMs = ((view.width / view.unit) * 1000) / 1.1;
  const [first, end] = findsBetween(motionMs - aheadMs, motionMs + aheadMs);
  const left = view.cameraX - 0.4;
  const right = view.cameraX + view.width / view.unit + 0.4;
  for (let index = first; index < end; index += 1) {
    const find = findOf(loot, index);
    for (let piece = 0; piece < find.count; piece += 1) {
      const takenMs = find.atMs + piece * find.gapMs;
      const x = building.ropeX + progressAt(takenMs) + REACH;
      if (x > left && x < right) drawPiece(c, { layers, building, find, piece, takenMs, x, motionMs, sackAt });
    }
  }
}

function drawPiece(c, { layers, building, find, piece, takenMs, x, motionMs, sackAt }) {
  const floor = floorAt(building, x);
  const lift = liftOf(find, piece);
  const age = motionMs - takenMs;
  c.save();
  c.translate(x, floor);
  drawStand(c, find.kind, lift);
  c.restore();
  if (age > FLIGHT_MS + 200) return;
  const picture = layers.treasure(find.kind, find.color);
  if (age < 0) {
    const bounce = find.kind === "coin" ? Math.sin(motionMs / 300 + piece * 0.8) * 0.015 : 0;
    const turn = find.kind === "coin" ? 0.25 + 0.75 * Math.abs(Math.cos(motionMs / 420 + piece * 0.35)) : 1;
    place(c, picture, x, floor - lift + bounce, PIECE_SIZE * turn, PIECE_SIZE);
    glint(c, layers, x, floor - lift, motionMs / 1000 + piece * 0.13 + x);
    return;
  }
  const part = easeOut(age, 0, FLIGHT_MS);
  const [toX, toY] = sackAt;
  const size = PIECE_SIZE * (1 - 0.6 * part);
  if (part < 1) place(c, picture, x + (toX - x) * part, floor - lift + (toY - floor + lift) * part - 0.3 * Math.sin(part * Math.PI), size, size);
  burst(c, layers, x, floor - lift, age);
}

function liftOf(find, piece) {
  if (find.kind === "bars") return 0.1;
  if (find.kind === "painting") return 0.42;
  return find.kind === "coin" ? find.lift - 0.12 + 0.2 * Math.sin((Math.PI * (piece + 0.5)) / find.count) : find.lift;
}

function place(c, picture, x, y, width, height) {
  c.drawImage(picture, x - width / 2, y - height / 2, width, height);
}

function glint(c, layers, x, y, turn) {
  const bright = Math.max(0, Math.sin(turn * 2.6)) ** 10;
  if (bright < 0.05) return;
  c.globalAlpha = bright;
  place(c, layers.star(), x + 0.045, y - 0.05, 0.16 * bright, 0.16 * bright);
  c.globalAlpha = 1;
}

function burst(c, layers, x, y, age) {
  const part = clamp(age / 600);
  if (part >= 1) return;
  c.globalAlpha = 1 - part;
  for (let ray = 0; ray < 6; ray += 1) {
    const turn = ray * 1.047 + x;
    const out = 0.05 + 0.2 * easeOut(part);
    place(c, layers.star(), x + Math.cos(turn) * out, y + Math.sin(turn) * out * 0.8, 0.1 * (1 - part), 0.1 * (1 - part));
  }
  c.globalAlpha = 1;
}

/** Where the sack of the running thief is. */
export function sackAtOf(building, view) {
  return [view.thiefX - 0.17, floorAt(building, view.thiefX) - 0.35];
}

/** The thief in flight. */
export function drawRunner(c, { layers, building, view, times, lootSeed, isReduced }) {
  const { motionMs, elapsedMs } = times;
  const x = view.thiefX;
  const floor = floorAt(building, x);
  const heat = heatAt(elapsedMs);
  const drop = ease(motionMs, 0, DROP_MS);
  const y = floor + HANG_Y * (1 - drop * drop);
  const phase = isReduced ? 0.9 : ((x - building.ropeX) / STRIDE) * Math.PI * 2;
  const pose = blendPoses(POSES.hanging, runningPose(phase, clamp(motionMs / 900) * (0.75 + 0.25 * heat)), ease(motionMs, DROP_MS * 0.6, DROP_MS + 200));
  if (motionMs < 4_000) drawRope(c, building, HANG_Y - 0.42 + (1 - ease(motionMs, 900, 3_000)) * 0.1, 0);
  shineAt(c, layers, "255 190 90", x, floor - 0.28, 0.55 + 0.15 * heat, 0.2 + 0.34 * heat);
  if (!isReduced) drawStreaks(c, x, floor, motionMs, heat);
  shadowAt(c, layers, x, floor + 0.005, 0.26, 0.85 * drop);
  drawDust(c, layers, building, motionMs, heat, isReduced);
  const fullness = fullnessOf(lootTaken(lootSeed, elapsedMs));
  standAt(c, x, y, TALL, 1, () => drawThief(c, pose, { sack: fullness, rim: RIM_WARM, shake: isReduced ? 0 : 0.018 * Math.cos(phase * 2) }));
}

// Gold that falls out of the sack as he runs: more, the longer he does. Each grain is of a moment of the flight.
function drawDust(c, layers, building, motionMs, heat, isReduced) {
  if (isReduced) return;
  const every = 150 - 105 * heat;
  const star = layers.star();
  for (let step = 1; step <= 14; step += 1) {
    const bornMs = (Math.floor(motionMs / every) - step) * every;
    if (bornMs < 500) continue;
    const age = (motionMs - bornMs) / (15 * every);
    const grain = (bornMs * 0.618) % 1;
    const x = building.ropeX + progressAt(bornMs) - 0.18;
    const size = (0.03 + 0.04 * grain) * (1 - age) + 0.02;
    c.globalAlpha = clamp(1 - age) * (0.4 + 0.6 * heat);
    place(c, star, x, floorAt(building, x) - 0.4 + 0.2 * grain + age * age * 0.28, size, size);
  }
  c.globalAlpha = 1;
}

// The air behind him, once he is quick.
function drawStreaks(c, x, floor, motionMs, heat) {
  for (let streak = 0; streak < 5; streak += 1) {
    const turn = (motionMs / 520 + streak * 0.37) % 1;
    const y = floor - 0.1 - 0.095 * streak;
    const end = x - 0.2 - 0.5 * turn;
    const length = 0.22 + 0.4 * heat;
    const light = along(c, end - length, 0, end, 0, "rgb(255 220 150 / 0)", `rgb(255 226 170 / ${0.55 * heat * Math.sin(turn * Math.PI)})`);
    rect(c, light, end - length, y, length, 0.011);
  }
}

/** The rope through the skylight, down to `endY`. */
export function drawRope(c, building, endY, swing) {
  const x = building.ropeX;
  stroke(c, "#d8b98a", 0.014, x + 0.02, ROOF_TOP - 0.02, x + 0.02 + swing * 0.5, (ROOF_TOP + endY) / 2, x + 0.02 + swing, endY);
}

/** The open skylight over the rope's end, with the moon coming in. */
export function drawSkylight(c, x, alpha = 1) {
  c.globalAlpha = alpha;
  shape(c, along(c, 0, ROOF_TOP, 0, -0.2, "rgb(170 190 255 / 0.34)", "rgb(150 175 255 / 0)"), x - 0.17, ROOF_TOP + 0.01, x + 0.17, ROOF_TOP + 0.01, x + 0.42, 0, x - 0.3, 0);
  rect(c, "#2a3270", x - 0.18, ROOF_TOP, 0.36, 0.11);
  rect(c, along(c, 0, ROOF_TOP, 0, -0.99, "#8296ee", "#39459c"), x - 0.16, ROOF_TOP, 0.32, 0.11);
  stroke(c, "#0c1030", 0.02, x + 0.17, ROOF_TOP, x + 0.3, ROOF_TOP - 0.26);
  shape(c, "#a9bcff33", x + 0.17, ROOF_TOP, x + 0.3, ROOF_TOP - 0.26, x + 0.34, ROOF_TOP - 0.24, x + 0.2, ROOF_TOP);
  c.globalAlpha = 1;
}

/** Waiting for the wallet: he hangs on the rope, ready to drop. */
export function drawReady(c, { layers, building, view, times, isReduced }) {
  const swing = isReduced ? 0 : Math.sin(times.motionMs / 700) * 0.03;
  drawRope(c, building, HANG_Y - 0.3, swing);
  shadowAt(c, layers, view.thiefX, 0.005, 0.2, 0.5);
  shineAt(c, layers, "150 175 255", view.thiefX, HANG_Y - 0.2, 0.6, 0.3);
  c.save();
  c.translate(building.ropeX + swing, HANG_Y);
  c.rotate(-swing * 1.4);
  c.translate(-0.045, 0);
  c.scale(TALL, TALL);
  drawThief(c, { ...POSES.hanging, flow: times.motionMs / 400 }, { sack: 0, rim: RIM_MOON });
  c.restore();
}

/** Nobody plays: a guard goes his round below, the thief sits on the roof and watches. */
export function drawIdle(c, { layers, building, times }) {
  const turn = times.motionMs / 7_000;
  const [x, facing] = [building.ropeX + 1.35 + 0.95 * Math.sin(turn), Math.cos(turn) >= 0 ? 1 : -1];
  const floor = floorAt(building, x);
  const pose = runningPose(x * 11 * facing, 0.05 * clamp(Math.abs(Math.cos(turn)) * 6));
  const blend = clamp(Math.abs(Math.cos(turn)) * 3);
  shadowAt(c, layers, x, floor + 0.005, 0.24, 0.8);
  drawBeam(c, x + facing * 0.17, floor - 0.28, x + facing * 1.2, floor - 0.02, 0.34, 0.5);
  standAt(c, x, floor, TALL * 1.04, facing, () => drawGuard(c, blendPoses(POSES.standing, { ...pose, lean: 0.03 }, blend), { rim: "#6f86e8", reach: 1.2, moustache: true }));
  drawRope(c, building, ROOF_TOP + 0.16, 0);
  standAt(c, building.ropeX - 0.36, ROOF_TOP, TALL * 0.92, 1, () => drawThief(c, { ...POSES.crouching, flow: times.motionMs / 600 }, { sack: 0, rim: RIM_MOON }));
}

/** A torch's beam from one place to another, `spread` storeys wide there. */
export function drawBeam(c, fromX, fromY, toX, toY, spread, alpha) {
  const [dx, dy] = [toX - fromX, toY - fromY];
  const length = Math.hypot(dx, dy) || 1;
  const [sideX, sideY] = [(-dy / length) * spread, (dx / length) * spread];
  c.globalCompositeOperation = "lighter";
  const light = along(c, fromX, fromY, toX, toY, `rgb(255 240 190 / ${alpha})`, `rgb(255 230 160 / ${alpha * 0.35})`, "rgb(255 225 150 / 0)");
  shape(c, light, fromX, fromY, toX + sideX, toY + sideY, toX - sideX, toY - sideY);
  disc(c, `rgb(255 246 210 / ${alpha})`, fromX, fromY, 0.03);
  c.globalCompositeOperation = "source-over";
}
