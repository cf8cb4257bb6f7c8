// The pieces of loot, each painted once as a small picture: its middle is (0, 0), it fits into a square of side 1.

import { along, disc, ellipse, glow, rect, shape, stroke, tone } from "./brush.js";

/** Side of a piece's picture in storeys, with the light around it. */
export const PIECE_SIZE = 0.3;

/** Pieces that stand on a plinth, on the floor, or on an easel; coins float. */
export const STANDS = { gem: "plinth", crown: "plinth", necklace: "plinth", vase: "plinth", goblet: "plinth", bars: "floor", painting: "easel", coin: "air" };

/** Paints a piece of loot with the light around it. */
export function paintTreasure(c, kind, color) {
  glow(c, 0, 0, 0.5, "255 205 100", 0.5);
  c.scale(0.68, 0.68);
  TREASURES[kind](c, color);
}

const gold = (c, y0, y1) => along(c, -0.4, y0, 0.4, y1, "#fff3b8", "#ffc94a", "#c98a1c", "#ffdf86");

const TREASURES = {
  coin(c) {
    disc(c, "#a86a12", 0, 0.02, 0.36);
    disc(c, gold(c, -0.3, 0.3), 0, 0, 0.34);
    disc(c, "#e2a52c", 0, 0, 0.25);
    disc(c, "#ffd866", -0.015, -0.015, 0.23);
    shape(c, "#b97c17", 0, -0.16, 0.045, -0.05, 0.16, -0.05, 0.07, 0.03, 0.1, 0.15, 0, 0.08, -0.1, 0.15, -0.07, 0.03, -0.16, -0.05, -0.045, -0.05);
  },
  gem(c, color) {
    shape(c, tone(color, -0.3), -0.4, -0.1, -0.22, -0.34, 0.22, -0.34, 0.4, -0.1, 0, 0.4);
    shape(c, color, -0.18, -0.1, 0.18, -0.1, 0, 0.4);
    shape(c, tone(color, 0.45), -0.4, -0.1, -0.22, -0.34, -0.18, -0.1);
    shape(c, tone(color, 0.7), -0.22, -0.34, 0.22, -0.34, 0.18, -0.1, -0.18, -0.1);
    shape(c, tone(color, 0.2), 0.22, -0.34, 0.4, -0.1, 0.18, -0.1);
  },
  bars(c) {
    for (const [x, y] of [[-0.24, 0.28], [0.24, 0.28], [0, 0.02]]) {
      shape(c, "#b57a16", x - 0.24, y + 0.12, x - 0.17, y - 0.12, x + 0.17, y - 0.12, x + 0.24, y + 0.12);
      shape(c, along(c, 0, y - 0.14, 0, y, "#fff6c8", "#ffcf52"), x - 0.17, y - 0.12, x - 0.11, y - 0.2, x + 0.22, y - 0.2, x + 0.17, y - 0.12);
      rect(c, "#ffe08a", x - 0.15, y - 0.08, 0.3, 0.03);
    }
  },
  crown(c, color) {
    shape(c, gold(c, -0.3, 0.3), -0.36, 0.26, -0.42, -0.2, -0.2, 0.02, 0, -0.36, 0.2, 0.02, 0.42, -0.2, 0.36, 0.26);
    rect(c, "#c98a1c", -0.36, 0.16, 0.72, 0.14);
    for (const [x, y] of [[-0.42, -0.22], [0, -0.38], [0.42, -0.22]]) disc(c, "#fff3b8", x, y, 0.065);
    for (const x of [-0.22, 0, 0.22]) disc(c, color, x, 0.23, 0.05);
  },
  painting(c, color) {
    rect(c, gold(c, -0.4, 0.4), -0.42, -0.36, 0.84, 0.72);
    rect(c, along(c, 0, -0.28, 0, 0.28, "#ffd9a0", color, "#2b3a78"), -0.32, -0.26, 0.64, 0.52);
    disc(c, "#fff6d0", 0.12, -0.08, 0.09);
    shape(c, "#1d2450", -0.32, 0.26, -0.1, 0, 0.06, 0.14, 0.2, 0.04, 0.32, 0.26);
  },
  necklace(c, color) {
    rect(c, "#6b1f3c", -0.3, 0.3, 0.6, 0.1);
    for (let bead = 0; bead <= 10; bead += 1) {
      const turn = Math.PI * (0.04 + 0.092 * bead);
      disc(c, "#fff8ea", Math.cos(turn) * 0.34, -0.24 + Math.sin(turn) * 0.36, 0.055);
    }
    shape(c, color, -0.11, 0.14, 0.11, 0.14, 0, 0.36);
    shape(c, tone(color, 0.6), -0.11, 0.14, 0, 0.04, 0.11, 0.14);
  },
  vase(c, color) {
    ellipse(c, along(c, -0.26, 0, 0.26, 0, tone(color, 0.3), color, tone(color, -0.5)), 0, 0.1, 0.26, 0.3);
    rect(c, tone(color, -0.1), -0.1, -0.36, 0.2, 0.22);
    ellipse(c, "#ffd866", 0, -0.36, 0.17, 0.05);
    rect(c, "#ffd866", -0.25, 0.06, 0.5, 0.06);
  },
  goblet(c, color) {
    shape(c, gold(c, -0.3, 0.1), -0.26, -0.36, 0.26, -0.36, 0.18, -0.02, 0.05, 0.08, 0.05, 0.26, 0.2, 0.38, -0.2, 0.38, -0.05, 0.26, -0.05, 0.08, -0.18, -0.02);
    for (const x of [-0.12, 0.02, 0.15]) disc(c, color, x, -0.2, 0.05);
    ellipse(c, "#8a5a10", 0, -0.36, 0.26, 0.045);
  },
};

/** What a piece stood on stays behind; `lift` is the height of the piece's middle in storeys, x = 0 below it. */
export function drawStand(c, kind, lift) {
  if (STANDS[kind] === "plinth") {
    const top = -lift + 0.08;
    rect(c, "#8c2346", -0.085, top, 0.17, 0.035);
    rect(c, "#c9a24a", -0.085, top + 0.028, 0.17, 0.01);
    rect(c, "#656c9c", -0.065, top + 0.038, 0.13, -top - 0.06);
    rect(c, "#8a92c4", -0.065, top + 0.038, 0.035, -top - 0.06);
    rect(c, "#474d7c", -0.085, -0.03, 0.17, 0.03);
  } else if (STANDS[kind] === "easel") {
    stroke(c, "#6b4527", 0.018, -0.1, 0, -0.01, -lift - 0.12, 0.1, 0);
    stroke(c, "#6b4527", 0.02, -0.1, -lift + 0.08, 0.1, -lift + 0.08);
  } else if (STANDS[kind] === "floor") rect(c, "#3a3f66", -0.12, -lift + 0.08, 0.24, lift - 0.08);
}

/** A star of four points, for glints. */
export function paintStar(c) {
  glow(c, 0, 0, 0.3, "255 230 160", 0.7);
  shape(c, "#fffbe8", 0, -0.5, 0.05, -0.05, 0.5, 0, 0.05, 0.05, 0, 0.5, -0.05, 0.05, -0.5, 0, -0.05, -0.05);
}
