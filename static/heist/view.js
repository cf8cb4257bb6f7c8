// Where the eye is. Sizes are CSS pixels, places in the building are storeys; `unit` is how many pixels a storey has.

import { levelAround, roomIndexAt, roomOf } from "./building.js";
import { ease, easeOut, progressAt } from "./motion.js";

const KEY_PICTURE_MS = 6_000; // with reduced motion the picture changes this often
const KEY_OFFSET_MS = 900;
const LIFT = 1.16; // storeys that the eye rises with a thief who gets away

/** How a canvas of this size is divided. */
export function divisionOf(width, height, scale) {
  const isLow = height < 240;
  const unit = Math.max(24, Math.min(height * (isLow ? 0.5 : 0.43), width * 0.62));
  const floorY = height > width * 1.15 ? height * 0.83 : height * (isLow ? 0.91 : 0.885);
  return { width, height, scale, unit, floorY, anchorX: width * 0.36 };
}

/**
 * The times of a model in milliseconds: { elapsedMs (of flight), motionMs (of what moves by itself; stands still for those who
 * want no motion), sinceEndMs }.
 */
export function timesOf(model, isReduced) {
  const isOver = model.kind === "won" || model.kind === "lost";
  const sinceEndMs = isOver ? (isReduced ? 1e9 : Math.max(0, model.sinceEndMs ?? 1e9)) : 0;
  const pageMs = Math.max(0, model.elapsedMs ?? 0);
  const isWaiting = model.kind === "idle" || model.kind === "betting";
  const elapsedMs = isWaiting ? 0 : pageMs;
  if (!isReduced) return { elapsedMs, motionMs: pageMs, sinceEndMs };
  const motionMs = isWaiting ? 0 : Math.floor(elapsedMs / KEY_PICTURE_MS) * KEY_PICTURE_MS + KEY_OFFSET_MS;
  return { elapsedMs, motionMs, sinceEndMs };
}

/**
 * What of the building is seen: { thiefX (storeys), originX, originY (pixels: where x = 0, y = 0 of the building are), cameraX,
 * lift (storeys), first, last (rooms) }.
 */
export function viewOf(division, building, kind, times) {
  const { width, unit, floorY, anchorX } = division;
  const { motionMs, sinceEndMs } = times;
  const isFlight = kind === "flying" || kind === "won" || kind === "lost";
  const thiefX = building.ropeX + (isFlight ? progressAt(motionMs) : 0) + (kind === "lost" ? 0.14 * easeOut(sinceEndMs, 0, 320) : 0);
  const drift = kind === "idle" ? 0.45 * Math.sin(motionMs / 15_000) : 0;
  const middle = kind === "lost" ? 0.5 : kind === "won" ? (building.moon.isLeft ? 0.32 : 0.66) : null;
  const screenX = anchorX + (middle === null ? 0 : (width * middle - anchorX) * ease(sinceEndMs, kind === "won" ? 350 : 0, kind === "won" ? 1_250 : 750));
  const cameraX = thiefX + drift - screenX / unit;
  const lift = kind === "won" ? LIFT * ease(sinceEndMs, 60, 760) : 0;
  const originX = -cameraX * unit;
  const originY = floorY - levelAround(building, thiefX + drift) * unit + lift * unit;
  return {
    ...division, thiefX, screenX, originX, originY, cameraX, lift,
    first: roomIndexAt(building, cameraX),
    last: roomIndexAt(building, cameraX + width / unit),
  };
}

/** The context in storeys of the building. */
export function useStoreys(c, view) {
  const size = view.scale * view.unit;
  c.setTransform(size, 0, 0, size, view.scale * view.originX, view.scale * view.originY);
}

/** The context in device pixels. */
export function usePixels(c) {
  c.setTransform(1, 0, 0, 1, 0, 0);
}

/** The rooms that are seen. */
export function roomsIn(building, view) {
  return Array.from({ length: view.last - view.first + 1 }, (_, at) => roomOf(building, view.first + at));
}
