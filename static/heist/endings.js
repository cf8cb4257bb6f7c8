// How a flight ends: the guards close in, or the thief gets away over the roofs. Each takes about 1.2 s and then rests.

import { RIM_MOON, TALL, drawBeam, drawSkylight, fullnessOf, shineAt, standAt } from "./action.js";
import { along, disc, ellipse, shape, stroke } from "./brush.js";
import { floorAt } from "./building.js";
import { POSES, blendPoses, drawDog, drawGuard, drawSackAt, drawThief, runningPose } from "./figures.js";
import { guardsOf } from "./guards.js";
import { lootTaken } from "./loot.js";
import { clamp, ease, easeOut, progressAt } from "./motion.js";
import { TOPICS, between, randomOf, wordsOf } from "./random.js";
import { ROOF_TOP } from "./roof.js";

const REST_MS = 1_500;
const SPILL = 16;
const SPARKS = 64;
const RIM_ALARM = "#ff8f9a";

/** Caught: he stops, drops the sack, the guards run in with their torches. */
export function drawCaught(c, { layers, building, view, times, lootSeed, guardSeed }) {
  const at = Math.min(times.sinceEndMs, REST_MS);
  const x = view.thiefX;
  const floor = floorAt(building, x);
  const { guards, dog } = guardsOf(guardSeed);
  const spot = ease(at, 250, 900);
  shineAt(c, layers, "255 236 180", x, floor - 0.26, 0.7, 0.6 * spot);
  for (const guard of [...guards].reverse()) drawComing(c, { building, view, guard, at, x, floor });
  dropSack(c, { layers, building, x, at, lootSeed, elapsedMs: times.elapsedMs });
  const stop = ease(at, 60, 420);
  const run = runningPose(((progressAt(times.motionMs)) / 0.66) * Math.PI * 2, 1);
  const hop = 0.05 * Math.sin(Math.PI * clamp((at - 60) / 380));
  standAt(c, x, floor - hop, TALL, 1, () => drawThief(c, blendPoses(run, POSES.caught, stop), { sack: null, rim: RIM_ALARM }));
  if (dog !== null) drawRunningDog(c, { building, dog, at, x, view });
}

function comingX(x, one, at, view) {
  const away = Math.max(view.width / view.unit, 2.6) * 0.62 + one.distance;
  return x + one.side * (one.distance + away * (1 - easeOut(at, 60, one.arriveMs + 250)));
}

function drawComing(c, { building, view, guard, at, x, floor }) {
  const guardX = comingX(x, guard, at, view);
  const y = floorAt(building, guardX);
  const stop = ease(at, guard.arriveMs, guard.arriveMs + 260);
  const pose = blendPoses(runningPose(guardX * 9 * -guard.side, 0.9), { ...POSES.standing, lean: 0.12 }, stop);
  const tall = TALL * 1.04 * guard.size;
  const reach = guard.reach;
  const tip = standAt(c, guardX, y, tall, -guard.side, () => drawGuard(c, pose, { rim: RIM_ALARM, reach, moustache: guard.moustache, skin: guard.skin }));
  const [tipX, tipY] = [guardX - guard.side * tip[0] * tall, y + tip[1] * tall];
  const search = (1 - stop) * Math.sin(at / 190 + guard.distance * 9) * 0.3;
  drawBeam(c, tipX, tipY, tipX + (x - tipX) * (1 - stop) * 0.4 + (stop * (x - tipX)) - guard.side * 0.3, floor - 0.26 + search, 0.22, 0.5);
}

function drawRunningDog(c, { building, dog, at, x, view }) {
  const dogX = comingX(x, dog, at, view);
  const hasCome = at > dog.arriveMs + 240;
  standAt(c, dogX, floorAt(building, dogX) + 0.03, TALL * 0.95, -dog.side, () => drawDog(c, hasCome ? null : dogX * 14, RIM_ALARM));
}

function dropSack(c, { layers, building, x, at, lootSeed, elapsedMs }) {
  const taken = lootTaken(lootSeed, elapsedMs);
  const size = 0.085 + 0.075 * fullnessOf(taken);
  const fall = clamp((at - 80) / 300);
  const sackX = x - 0.2 - 0.08 * fall;
  const floor = floorAt(building, sackX);
  const y = floor - size * 0.85 - 0.3 * (1 - fall * fall);
  const random = randomOf(wordsOf(lootSeed), TOPICS.sparks, taken);
  for (let coin = 0; coin < Math.min(SPILL, taken + 3); coin += 1) {
    const [far, up, wait] = [between(random, -0.62, 0.5), between(random, 0.12, 0.42), between(random, 330, 480)];
    const part = clamp((at - wait) / 620);
    if (part <= 0) continue;
    const coinX = sackX + 0.05 + far * part;
    const coinY = floorAt(building, coinX) - 0.02 - up * 4 * part * (1 - part) - 0.12 * (1 - part) + 0.05 * random();
    c.save();
    c.translate(coinX, coinY);
    c.scale(1, part < 1 ? Math.abs(Math.cos(part * 9 + coin)) * 0.7 + 0.3 : 0.42);
    c.drawImage(layers.treasure("coin", "#ffc94a"), -0.075, -0.075, 0.15, 0.15);
    c.restore();
  }
  drawSackAt(c, sackX, y, size, sackX + size * (0.4 + 0.8 * fall), y - size * (1.25 - 0.5 * fall));
}

/** The alarm over everything, in pixels: red from below and from the sides, breathing once and then steady. */
export function drawAlarm(c, layers, sinceEndMs) {
  const at = Math.min(sinceEndMs, REST_MS);
  const breath = ease(at, 0, 220) * (0.72 + 0.28 * Math.cos(((at - 220) / 640) * Math.PI) * (at > 220 ? 1 : 0) + (at <= 220 ? 0.28 : 0));
  c.globalAlpha = clamp(breath * 0.85);
  layers.drawBand(c, "alarm", 0.22, 1, "#60061600", "#d0103448", "#d0103448", "#c0103040", "#5a061670");
  c.globalAlpha = 1;
}

/** Away: up the rope through the skylight, and off over the roofs. */
export function drawAway(c, { layers, building, view, times, lootSeed, isProfit }) {
  const at = Math.min(times.sinceEndMs, REST_MS);
  const startX = view.thiefX;
  const floor = floorAt(building, startX);
  const climb = ease(at, 40, 560);
  const leave = ease(at, 480, 1_250);
  const hand = handOf(view, floor, leave);
  const y = floor + (ROOF_TOP - 0.3) * climb + (hand.y - floor - ROOF_TOP + 0.3) * leave;
  drawSkylight(c, startX, ease(at, 0, 200));
  const [x, roofY] = [startX, floor + ROOF_TOP];
  if (leave < 0.35) stroke(c, "#d8b98a", 0.014, x + 0.03, roofY - 1.4, x + 0.03, y - TALL * 0.8);
  const fullness = fullnessOf(lootTaken(lootSeed, times.elapsedMs));
  shineAt(c, layers, isProfit ? "255 200 90" : "150 175 255", x, y - 0.3, 0.95, (isProfit ? 0.62 : 0.3) * ease(at, 300, 1_100));
  WAYS[building.wayOut](c, { view, x, y, leave, at });
  if (isProfit) drawGold(c, { layers, x, y, at, lootSeed });
  const pose = blendPoses(blendPoses(runningPose(1, 1), POSES.hanging, ease(at, 0, 160)), { ...POSES.leaping, arm: [2.9, 3.05] }, leave);
  standAt(c, x, y, TALL * 1.06, 1, () => drawThief(c, { ...pose, flow: at / 260 }, { sack: fullness, rim: isProfit ? "#ffd68a" : RIM_MOON }));
}

// Where he comes to rest, from the eye's place: in the lower half, clear of the number above.
function handOf(view, floor, leave) {
  const restY = (view.height * 0.8 - view.originY) / view.unit;
  return { y: restY - 0.1 * Math.sin(leave * Math.PI) };
}

const WAYS = {
  zipline(c, { view, x, y, leave }) {
    if (leave <= 0) return;
    const top = y - TALL * 1.1;
    const [left, right] = [view.cameraX - 0.1, view.cameraX + view.width / view.unit + 0.1];
    c.globalAlpha = leave;
    stroke(c, "#c9d3ff", 0.012, left, top - 0.16 * (x - left) - 0.02, x + 0.03, top, right, top + 0.12 * (right - x));
    disc(c, "#ffd68a", x + 0.03, top - 0.01, 0.035);
    disc(c, "#20264e", x + 0.03, top - 0.01, 0.016);
    stroke(c, "#ffd68a", 0.016, x + 0.03, top, x + 0.04, top + 0.08);
    c.globalAlpha = 1;
  },
  glider(c, { x, y, leave }) {
    const open = ease(leave, 0.05, 0.6);
    if (open <= 0) return;
    const top = y - TALL * 1.06;
    c.save();
    c.translate(x + 0.04, top);
    c.rotate(-0.12);
    c.scale(open, open);
    shape(c, along(c, -0.6, 0, 0.6, 0, "#7a1840", "#e8475f", "#ffb04a"), -0.66, 0.06, 0.02, -0.26, 0.6, -0.02, 0.3, -0.03, 0, 0.0, -0.3, 0.02);
    shape(c, "#5a1034", -0.66, 0.06, 0.02, -0.26, -0.3, 0.02);
    stroke(c, "#ffe9c0", 0.012, -0.66, 0.06, 0.02, -0.26, 0.6, -0.02);
    for (const bar of [-0.3, 0.3]) stroke(c, "#d7dcf5", 0.01, bar, 0, 0, 0.1);
    stroke(c, "#d7dcf5", 0.018, -0.1, 0.1, 0.12, 0.1);
    c.restore();
  },
  helicopter(c, { x, y, leave, at }) {
    if (leave <= 0) return;
    const top = y - TALL * 1.12;
    c.globalAlpha = ease(leave, 0, 0.4);
    const body = top - 0.2 - 0.5 * (1 - leave);
    for (const side of [-0.035, 0.055]) stroke(c, "#d8b98a", 0.01, x + side, body + 0.1, x + side, y - 0.1);
    for (let rung = body + 0.14; rung < y - 0.1; rung += 0.07) stroke(c, "#d8b98a", 0.01, x - 0.035, rung, x + 0.055, rung);
    ellipse(c, along(c, 0, body - 0.1, 0, body + 0.1, "#4a5cc0", "#141a44"), x, body, 0.24, 0.105);
    stroke(c, "#1c2358", 0.045, x - 0.2, body - 0.02, x - 0.52, body - 0.06);
    stroke(c, "#1c2358", 0.03, x - 0.52, body - 0.14, x - 0.52, body + 0.02);
    ellipse(c, "#bcd0ff", x + 0.14, body - 0.01, 0.085, 0.065, -1.7, 1.5);
    stroke(c, "#0c1030", 0.02, x - 0.14, body + 0.13, x + 0.18, body + 0.13);
    const blade = 0.2 + 0.25 * Math.abs(Math.cos(at / 50));
    stroke(c, "#8fa2ee", 0.014, x - blade, body - 0.15, x + blade, body - 0.15);
    c.globalAlpha = 1;
  },
};

// Gold in the air: thrown up with the leap, and some of it stays as glitter.
function drawGold(c, { layers, x, y, at, lootSeed }) {
  const random = randomOf(wordsOf(lootSeed), TOPICS.sparks, 7);
  const [star, coin] = [layers.star(), layers.treasure("coin", "#ffc94a")];
  for (let spark = 0; spark < SPARKS; spark += 1) {
    const [turn, speed, weight, wait] = [random() * Math.PI * 2, random(), random(), 420 + 300 * random()];
    const age = clamp((at - wait) / 900);
    if (age <= 0) continue;
    const out = (0.18 + 0.85 * speed) * easeOut(age);
    const isCoin = weight > 0.72;
    const size = isCoin ? 0.13 : 0.05 + 0.1 * weight;
    c.globalAlpha = clamp(isCoin ? 1.25 - age * 0.5 : 1 - age * (0.35 + 0.5 * speed));
    const [sparkX, sparkY] = [x + Math.cos(turn) * out * 1.15, y - 0.3 + Math.sin(turn) * out * 0.55 + 0.16 * age * age];
    c.drawImage(isCoin ? coin : star, sparkX - size / 2, sparkY - size / 2, size * (isCoin ? 0.4 + 0.6 * Math.abs(Math.cos(turn + age * 5)) : 1), size);
  }
  c.globalAlpha = 1;
}

