// The people and the dog. A figure is 1 high and stands on y = 0, facing right; its painters take a pose of plain numbers.

import { along, disc, ellipse, rect, shape, stroke, tone } from "./brush.js";

const THIEF = {
  suit: "#171c3d", suitBack: "#0e1229", shirt: "#f1f3ff", stripe: "#1b2145", skin: "#f0c49a", mask: "#0b0e20", hat: "#1d2450", scarf: "#ff4a5f", sack: "#b98a52",
};
const GUARD = { suit: "#3a58b8", suitBack: "#27408c", shirt: "#3f60c8", skin: "#e9b98c", cap: "#22377c", belt: "#10142c" };
const RIM = 0.03;

// Where an arm or a leg bends and ends: angles from straight down, forward positive.
function joint(x, y, upper, lower, upperLength, lowerLength) {
  const midX = x + Math.sin(upper) * upperLength;
  const midY = y + Math.cos(upper) * upperLength;
  return [x, y, midX, midY, midX + Math.sin(lower) * lowerLength, midY + Math.cos(lower) * lowerLength];
}

/** A pose in the middle of a run; `phase` in radians, `effort` 0 (walking) to 1. */
export function runningPose(phase, effort = 1) {
  const leg = (turn) => {
    const thigh = 0.18 + (0.5 + 0.4 * effort) * Math.sin(turn);
    return [thigh, thigh - 0.15 - (0.6 + 0.6 * effort) * Math.max(0, Math.cos(turn))];
  };
  return {
    lean: 0.12 + 0.13 * effort,
    bob: -0.035 * Math.abs(Math.cos(phase)) * (0.5 + effort),
    legs: [leg(phase), leg(phase + Math.PI)],
    arm: [-0.75 * Math.sin(phase) + 0.1, -0.75 * Math.sin(phase) + 1.5],
    flow: phase,
  };
}

export const POSES = {
  standing: { lean: 0.02, bob: 0, legs: [[0.12, 0.06], [-0.1, -0.14]], arm: [0.25, 0.6], flow: 0 },
  hanging: { lean: 0.05, bob: 0, legs: [[0.5, -0.45], [0.15, -0.7]], arm: [2.75, 3.0], flow: 0.6 },
  crouching: { lean: 0.35, bob: 0.16, legs: [[1.45, -0.35], [1.0, -0.9]], arm: [0.7, 1.0], flow: 0.3 },
  caught: { lean: -0.06, bob: 0, legs: [[0.2, 0.1], [-0.2, -0.22]], arm: [1.9, 2.95], otherArm: [-1.9, -2.95], flow: 0.2 },
  leaping: { lean: 0.32, bob: 0, legs: [[1.25, 0.35], [-0.5, -1.3]], arm: [2.5, 2.8], flow: 1.2 },
};

/** Between two poses, `part` of the way. */
export function blendPoses(from, to, part) {
  const mix = (a, b) => a + (b - a) * part;
  const pair = (a, b) => [mix(a[0], b[0]), mix(a[1], b[1])];
  return {
    lean: mix(from.lean, to.lean),
    bob: mix(from.bob, to.bob),
    legs: [pair(from.legs[0], to.legs[0]), pair(from.legs[1], to.legs[1])],
    arm: pair(from.arm, to.arm),
    otherArm: to.otherArm && part > 0.5 ? to.otherArm : from.otherArm,
    flow: mix(from.flow, to.flow),
  };
}

/** The thief; `sack` is its fullness 0 to 1 or null without one, `rim` the colour of the light on his edges. */
export function drawThief(c, pose, { sack, rim, shake = 0 }) {
  c.save();
  c.translate(-0.012, -0.014);
  thiefBody(c, pose, sack, shake, rim);
  c.restore();
  thiefBody(c, pose, sack, shake, null);
}

function thiefBody(c, pose, sack, shake, rim) {
  const grow = rim === null ? 0 : RIM;
  const of = (name) => rim ?? THIEF[name];
  const [hipY, hipX] = [-0.4 + pose.bob, 0];
  const [neckX, neckY] = [hipX + Math.sin(pose.lean) * 0.31, hipY - Math.cos(pose.lean) * 0.31];
  const [headX, headY] = [neckX + Math.sin(pose.lean) * 0.1 + 0.02, neckY - 0.135];
  drawScarf(c, of("scarf"), neckX, neckY, pose.flow, grow);
  if (sack !== null) drawSack(c, neckX, neckY, sack, shake, rim);
  const back = pose.otherArm ?? [-0.5, 1.9];
  stroke(c, of("suitBack"), 0.085 + grow, ...joint(neckX - 0.03, neckY + 0.04, ...back, 0.17, 0.17));
  if (pose.otherArm) disc(c, of("skin"), ...joint(neckX - 0.03, neckY + 0.04, ...back, 0.17, 0.17).slice(4), 0.046 + grow / 2);
  drawLeg(c, of("suitBack"), of("mask"), hipX - 0.02, hipY, pose.legs[1], grow);
  drawLeg(c, of("suit"), of("mask"), hipX + 0.02, hipY, pose.legs[0], grow);
  stroke(c, of("shirt"), 0.2 + grow, hipX, hipY - 0.02, neckX, neckY + 0.05);
  if (rim === null) drawStripes(c, hipX, hipY, neckX, neckY);
  drawThiefHead(c, headX, headY, of, grow, rim !== null);
  const arm = joint(neckX + 0.02, neckY + 0.05, ...pose.arm, 0.17, 0.17);
  stroke(c, of("suit"), 0.085 + grow, ...arm);
  disc(c, of("skin"), arm[4], arm[5], 0.046 + grow / 2);
  if (sack !== null && !pose.otherArm) disc(c, of("skin"), neckX - 0.1, neckY + 0.07, 0.04 + grow / 2);
}

function drawLeg(c, color, shoe, x, y, [thigh, shin], grow) {
  const leg = joint(x, y, thigh, shin, 0.2, 0.19);
  stroke(c, color, 0.105 + grow, ...leg);
  const toe = shin * 0.6 + Math.PI / 2;
  stroke(c, shoe, 0.075 + grow, leg[4], leg[5], leg[4] + Math.sin(toe) * 0.075, leg[5] + Math.cos(toe) * 0.075);
}

function drawStripes(c, hipX, hipY, neckX, neckY) {
  for (const part of [0.05, 0.36, 0.67, 0.98]) {
    const [x, y] = [hipX + (neckX - hipX) * part, hipY - 0.01 + (neckY + 0.04 - hipY) * part];
    const lean = Math.atan2(neckX - hipX, hipY - neckY);
    const [dx, dy] = [Math.cos(lean) * 0.085, Math.sin(lean) * 0.085];
    stroke(c, THIEF.stripe, 0.036, x - dx, y - dy, x + dx, y + dy);
  }
}

function drawThiefHead(c, x, y, of, grow, isRim) {
  disc(c, of("skin"), x, y, 0.135 + grow / 2);
  c.fillStyle = of("hat");
  c.beginPath();
  c.ellipse(x - 0.006, y - 0.025, 0.142 + grow / 2, 0.15 + grow / 2, 0, Math.PI, 0);
  c.fill();
  if (isRim) return;
  stroke(c, tone(THIEF.hat, 0.22), 0.04, x - 0.125, y - 0.035, x + 0.12, y - 0.035);
  disc(c, tone(THIEF.hat, 0.22), x - 0.02, y - 0.178, 0.03);
  shape(c, THIEF.mask, x - 0.135, y - 0.02, x + 0.134, y - 0.02, x + 0.125, y + 0.055, x + 0.04, y + 0.045, x - 0.05, y + 0.055, x - 0.13, y + 0.04);
  for (const eye of [0.02, 0.095]) {
    ellipse(c, "#ffffff", x + eye, y + 0.015, 0.026, 0.023);
    disc(c, "#0b0e20", x + eye + 0.008, y + 0.017, 0.011);
  }
  stroke(c, "#8a4a35", 0.012, x + 0.04, y + 0.093, x + 0.09, y + 0.085);
}

function drawScarf(c, color, x, y, flow, grow) {
  stroke(c, color, 0.075 + grow, x - 0.06, y + 0.005, x + 0.075, y + 0.005);
  const wave = (part) => Math.sin(flow * 1 - part * 2.4) * 0.035 * part;
  const points = [];
  for (let part = 0; part <= 4; part += 1) points.push(x - 0.06 - part * 0.062, y + 0.012 - part * 0.006 + wave(part / 1.6));
  stroke(c, color, 0.05 + grow, ...points);
}

/** The sack on the back, larger the fuller it is. */
function drawSack(c, neckX, neckY, fullness, shake, rim) {
  const size = 0.13 + 0.14 * fullness;
  const [x, y] = [neckX - 0.14 - size * 0.82, neckY + 0.1 + size * 0.55 + shake];
  drawSackAt(c, x, y, size, neckX - 0.09, neckY + 0.07, rim);
}

/** A sack with its middle at (x, y) whose neck points to (tieX, tieY). */
export function drawSackAt(c, x, y, size, tieX, tieY, rim = null) {
  const grow = rim === null ? 0 : RIM / 2;
  const fill = rim ?? along(c, x - size, y - size, x + size, y + size, "#8a6238", "#d9ab6c", "#8a6238", "#5c3f24");
  stroke(c, rim ?? "#8a6238", size * 0.42 + grow * 2, x + (tieX - x) * 0.35, y + (tieY - y) * 0.5, tieX, tieY);
  ellipse(c, fill, x, y, size * 1.02 + grow, size * 0.96 + grow);
  if (rim !== null) return;
  stroke(c, "#5c3f24", size * 0.1, x + (tieX - x) * 0.72 - size * 0.14, y + (tieY - y) * 0.72 - size * 0.2, x + (tieX - x) * 0.72 + size * 0.18, y + (tieY - y) * 0.72 + size * 0.1);
  disc(c, "#ffc94a", x, y + size * 0.06, size * 0.36);
  disc(c, "#d9951f", x, y + size * 0.06, size * 0.25);
  disc(c, "#ffdf86", x - size * 0.03, y + size * 0.03, size * 0.17);
}

/** A guard with a torch in the hand; `reach` is the angle of the torch's arm. Gives where the torch is: [x, y]. */
export function drawGuard(c, pose, { rim, reach = 1.35, moustache = false, skin = GUARD.skin }) {
  const [hipY, lean] = [-0.42 + pose.bob, pose.lean * 0.7];
  const [neckX, neckY] = [Math.sin(lean) * 0.3, hipY - Math.cos(lean) * 0.3];
  for (const tint of [rim, null]) {
    const grow = tint === null ? 0 : RIM;
    const of = (name) => tint ?? (name === "skin" ? skin : GUARD[name]);
    stroke(c, of("suitBack"), 0.09 + grow, ...joint(neckX - 0.05, neckY + 0.05, ...pose.arm, 0.16, 0.15));
    drawLeg(c, of("suitBack"), of("belt"), -0.025, hipY, pose.legs[1], grow);
    drawLeg(c, of("suit"), of("belt"), 0.03, hipY, pose.legs[0], grow);
    stroke(c, of("shirt"), 0.25 + grow, 0, hipY - 0.03, neckX, neckY + 0.08);
    drawGuardHead(c, neckX + 0.02, neckY - 0.115, of, grow, tint !== null, moustache);
    if (tint !== null) continue;
    stroke(c, GUARD.belt, 0.05, -0.11, hipY + 0.0, 0.12, hipY + 0.0);
    rect(c, "#ffd166", -0.02, hipY - 0.022, 0.05, 0.044);
    disc(c, "#ffd166", neckX + 0.07, neckY + 0.1, 0.022);
  }
  const arm = joint(neckX + 0.03, neckY + 0.06, reach - 0.25, reach, 0.15, 0.15);
  stroke(c, GUARD.suit, 0.085, ...arm);
  disc(c, skin, arm[4], arm[5], 0.045);
  const [tipX, tipY] = [arm[4] + Math.sin(reach) * 0.1, arm[5] + Math.cos(reach) * 0.1];
  stroke(c, "#20253f", 0.045, arm[4], arm[5], tipX, tipY);
  disc(c, "#fff6d0", tipX, tipY, 0.034);
  return [tipX, tipY];
}

function drawGuardHead(c, x, y, of, grow, isRim, moustache) {
  disc(c, of("skin"), x, y, 0.115 + grow / 2);
  shape(c, of("cap"), x - 0.13 - grow, y - 0.05, x - 0.16 - grow, y - 0.14 - grow, x + 0.02, y - 0.19 - grow, x + 0.16 + grow, y - 0.13 - grow, x + 0.12, y - 0.05);
  stroke(c, of("belt"), 0.035 + grow / 2, x - 0.11, y - 0.05, x + 0.19, y - 0.042);
  if (isRim) return;
  disc(c, "#ffd166", x + 0.04, y - 0.115, 0.026);
  disc(c, "#10142c", x + 0.065, y + 0.002, 0.016);
  if (moustache) stroke(c, "#4a2f1d", 0.032, x + 0.03, y + 0.055, x + 0.115, y + 0.05);
  else stroke(c, "#8a4a35", 0.012, x + 0.05, y + 0.06, x + 0.1, y + 0.055);
}

/** A watchdog, half as high as a man; `phase` in radians while it runs, null when it stands and barks. */
export function drawDog(c, phase, rim) {
  const coat = "#4a3a36";
  for (const tint of [rim, null]) {
    const grow = tint === null ? 0 : RIM * 0.8;
    const color = tint ?? coat;
    const swing = (turn) => (phase === null ? 0.05 : 0.16 * Math.sin(phase + turn));
    for (const [x, turn] of [[-0.17, 0], [-0.13, 2.4], [0.13, 3.4], [0.17, 1]]) stroke(c, color, 0.055 + grow, x, -0.22, x + swing(turn), -0.1, x + swing(turn) * 1.6, -0.02);
    stroke(c, color, 0.16 + grow, -0.15, -0.28, 0.14, -0.3);
    stroke(c, color, 0.04 + grow, -0.2, -0.32, -0.31, -0.42);
    stroke(c, color, 0.12 + grow, 0.16, -0.33, 0.25, -0.44);
    stroke(c, color, 0.07 + grow, 0.27, -0.45, 0.37, -0.42);
    shape(c, color, 0.17 - grow, -0.46, 0.2, -0.58 - grow, 0.26 + grow, -0.48);
    if (tint !== null) continue;
    disc(c, "#ffe9a0", 0.29, -0.475, 0.014);
    disc(c, "#0b0e20", 0.39, -0.43, 0.02);
    stroke(c, "#ff4a5f", 0.03, 0.15, -0.4, 0.22, -0.36);
  }
}
