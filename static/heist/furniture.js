// What stands and hangs in the rooms, in full daylight colours: the room's light comes after. A storey is 1;
// the painter of a thing finds x = 0 at its middle and y = 0 at the foot of the wall.

import { along, disc, ellipse, glow, rect, rounded, shape, stroke, tone } from "./brush.js";
import { randomOf } from "./random.js";

const FOOT = -0.09;
const WOOD = "#7b4a2b";
const MARBLE = "#d9dceb";
const BRASS = "#e0b455";
const STEEL = "#8e97ad";

/** Paints one thing of a room. */
export function paintItem(c, item, building, room) {
  c.translate(item.x, FOOT);
  const random = randomOf([item.variant, room.index, 7, 1, 2, 3, 4, 5], 1, item.variant);
  ITEMS[item.kind](c, { random, trim: building.trim, wall: room.wall });
}

function frame(c, trim, x, y, width, height, edge) {
  rect(c, along(c, x, y, x + width, y + height, tone(trim, 0.15), tone(trim, -0.35), tone(trim, -0.05), tone(trim, -0.5)), x, y, width, height);
  rect(c, tone(trim, -0.6), x + edge * 0.7, y + edge * 0.7, width - edge * 1.4, height - edge * 1.4);
}

function canvasOn(c, random, x, y, width, height) {
  c.save();
  c.beginPath();
  c.rect(x, y, width, height);
  c.clip();
  c.translate(x, y);
  c.scale(width, height);
  PAINTINGS[Math.floor(random() * PAINTINGS.length)](c, random);
  c.restore();
}

const PAINTINGS = [
  function landscape(c) {
    rect(c, along(c, 0, 0, 0, 1, "#f3b06a", "#f7dca0", "#7fb0c8"), 0, 0, 1, 1);
    disc(c, "#fff1c2", 0.66, 0.34, 0.1);
    shape(c, "#5b6ea8", 0, 0.62, 0.25, 0.36, 0.5, 0.6, 0.72, 0.44, 1, 0.62, 1, 1, 0, 1);
    shape(c, "#3f7a52", 0, 0.7, 0.4, 0.6, 1, 0.78, 1, 1, 0, 1);
  },
  function sea(c) {
    rect(c, along(c, 0, 0, 0, 1, "#8fb7e8", "#e6eef5", "#2f6f96", "#1c4566"), 0, 0, 1, 1);
    shape(c, "#fff8e6", 0.42, 0.62, 0.44, 0.2, 0.68, 0.58);
    shape(c, "#6b3620", 0.3, 0.64, 0.74, 0.64, 0.66, 0.75, 0.38, 0.75);
  },
  function circles(c, random) {
    rect(c, "#f3ead7", 0, 0, 1, 1);
    for (const color of ["#d8433f", "#2f5fb0", "#f0b83c", "#232338"]) disc(c, color, 0.2 + 0.6 * random(), 0.2 + 0.6 * random(), 0.08 + 0.16 * random());
    stroke(c, "#232338", 0.02, 0.1, 0.9, 0.9, 0.15);
  },
  function blocks(c, random) {
    rect(c, "#f7f2e4", 0, 0, 1, 1);
    for (const color of ["#d23b3b", "#2b54a8", "#efc136", "#f7f2e4"]) rect(c, color, Math.floor(random() * 3) / 3, Math.floor(random() * 3) / 3, 0.34, 0.34);
    for (const at of [0.33, 0.67]) {
      rect(c, "#1c1c28", at - 0.02, 0, 0.04, 1);
      rect(c, "#1c1c28", 0, at - 0.025, 1, 0.05);
    }
  },
  function night(c, random) {
    rect(c, along(c, 0, 0, 0, 1, "#1d2f78", "#3c66b8", "#26406a"), 0, 0, 1, 1);
    for (let star = 0; star < 7; star += 1) glow(c, random(), random() * 0.6, 0.16, "255 230 130", 0.95);
    shape(c, "#12233a", 0.12, 1, 0.2, 0.3, 0.3, 1);
    shape(c, "#1b3450", 0, 0.8, 0.6, 0.68, 1, 0.8, 1, 1, 0, 1);
  },
];

function person(c, random) {
  rect(c, along(c, 0, 0, 0, 1, "#4a3324", "#8a6238"), 0, 0, 1, 1);
  ellipse(c, tone(["#8c2f3c", "#2f4f8c", "#33573d"][Math.floor(random() * 3)], -0.1), 0.5, 1.02, 0.42, 0.42);
  shape(c, "#f3ead7", 0.38, 0.62, 0.62, 0.62, 0.5, 0.82);
  ellipse(c, "#3a2417", 0.5, 0.36, 0.24, 0.25);
  ellipse(c, "#edc69c", 0.5, 0.42, 0.17, 0.2);
}

function plinth(c, width, height) {
  rect(c, rounded(c, "#b9bed6", 0, width), -width / 2, -height, width, height);
  rect(c, "#e9ecf8", -width / 2 - 0.015, -height, width + 0.03, 0.022);
  rect(c, "#8d93b3", -width / 2 - 0.015, -0.035, width + 0.03, 0.035);
}

function books(c, random, x, y, width, height) {
  for (let at = x; at < x + width - 0.012; ) {
    const wide = Math.min(0.016 + 0.022 * random(), x + width - at);
    const tall = height * (0.68 + 0.28 * random());
    rect(c, ["#a33c3c", "#355a9c", "#3d7a55", "#c79a4c", "#6a4a8c", "#c96f3a"][Math.floor(random() * 6)], at, y - tall, wide - 0.003, tall);
    rect(c, "#ffe3a0", at + 0.002, y - tall * 0.8, wide - 0.007, 0.006);
    at += wide;
  }
}

function ingots(c, x, y, rows) {
  for (let row = 0; row < rows; row += 1) {
    for (let bar = 0; bar < rows - row; bar += 1) {
      const left = x - (rows - row) * 0.06 + bar * 0.12;
      const top = y - (row + 1) * 0.062;
      shape(c, along(c, left, top, left + 0.11, top + 0.06, "#fff0a8", "#f2b632", "#a86a12"), left, top + 0.06, left + 0.018, top, left + 0.098, top, left + 0.116, top + 0.06);
    }
  }
}

const ITEMS = {
  window() {},
  tall(c, { random }) {
    const color = ["#9c2f4a", "#3f4fa0", "#2f7566"][Math.floor(random() * 3)];
    for (const side of [-1, 1]) shape(c, along(c, side * 0.27, 0, side * 0.14, 0, tone(color, -0.3), color, tone(color, -0.4)), side * 0.28, -0.88, side * 0.08, -0.88, side * 0.2, -0.4, side * 0.24, 0, side * 0.29, 0);
    rect(c, BRASS, -0.3, -0.9, 0.6, 0.02);
  },
  curtain(c) {
    for (let fold = 0; fold < 5; fold += 1) rect(c, along(c, fold * 0.06 - 0.15, 0, fold * 0.06 - 0.09, 0, "#5c1630", "#b0355a", "#5c1630"), fold * 0.06 - 0.15, -0.88, 0.061, 0.88);
    rect(c, BRASS, -0.17, -0.9, 0.34, 0.02);
  },
  painting(c, { random, trim }) {
    const [width, height] = [0.5 + 0.1 * random(), 0.36];
    frame(c, trim, -width / 2, -0.8, width, height, 0.035);
    canvasOn(c, random, -width / 2 + 0.04, -0.76, width - 0.08, height - 0.08);
  },
  portrait(c, { random, trim }) {
    frame(c, trim, -0.15, -0.8, 0.3, 0.38, 0.03);
    c.save();
    c.translate(-0.115, -0.765);
    c.scale(0.23, 0.31);
    c.beginPath();
    c.rect(0, 0, 1, 1);
    c.clip();
    person(c, random);
    c.restore();
  },
  mirror(c, { trim }) {
    ellipse(c, along(c, 0, -0.8, 0, -0.2, tone(trim, 0.2), tone(trim, -0.5)), 0, -0.55, 0.18, 0.27);
    ellipse(c, along(c, -0.15, -0.8, 0.15, -0.3, "#e6f0ff", "#8fa4d8", "#c6d4f5"), 0, -0.55, 0.15, 0.24);
  },
  bookcase(c, { random }) {
    rect(c, along(c, -0.3, 0, 0.3, 0, tone(WOOD, -0.2), WOOD, tone(WOOD, -0.35)), -0.3, -0.86, 0.6, 0.86);
    rect(c, tone(WOOD, 0.2), -0.32, -0.89, 0.64, 0.035);
    for (let shelf = 0; shelf < 5; shelf += 1) {
      const y = -0.04 - shelf * 0.165;
      rect(c, "#24130a", -0.27, y - 0.145, 0.54, 0.145);
      books(c, random, -0.265, y, 0.53, 0.14);
    }
  },
  column(c) {
    rect(c, rounded(c, MARBLE, 0, 0.16), -0.07, -0.86, 0.14, 0.86);
    for (const x of [-0.04, -0.01, 0.02]) rect(c, "#8f95b533", x, -0.8, 0.01, 0.74);
    for (const [y, width] of [[-0.91, 0.24], [-0.86, 0.19], [-0.05, 0.19], [-0.025, 0.23]]) rect(c, rounded(c, MARBLE, 0, width), -width / 2, y, width, 0.05);
  },
  statue(c, { random }) {
    plinth(c, 0.24, 0.17);
    const fill = rounded(c, MARBLE, 0, 0.18);
    shape(c, fill, -0.06, -0.17, -0.08, -0.4, -0.06, -0.58, 0.06, -0.58, 0.08, -0.38, 0.05, -0.17);
    shape(c, "#a9afc9", 0.01, -0.19, 0.075, -0.4, 0.05, -0.5, -0.03, -0.3);
    disc(c, MARBLE, 0.005, -0.65, 0.052);
    stroke(c, MARBLE, 0.035, -0.06, -0.55, -0.11, -0.43, -0.05, -0.36);
    if (random() < 0.6) stroke(c, MARBLE, 0.035, 0.06, -0.55, 0.12, -0.64, 0.11, -0.75);
    else stroke(c, MARBLE, 0.035, 0.06, -0.55, 0.11, -0.45, 0.12, -0.34);
  },
  bust(c) {
    plinth(c, 0.16, 0.34);
    shape(c, rounded(c, MARBLE, 0, 0.18), -0.09, -0.45, -0.05, -0.49, 0.05, -0.49, 0.09, -0.45, 0.04, -0.34, -0.04, -0.34);
    rect(c, "#b8bdd4", -0.025, -0.52, 0.05, 0.05);
    ellipse(c, rounded(c, MARBLE, 0, 0.12), 0, -0.56, 0.05, 0.062);
  },
  vase(c, { random }) {
    plinth(c, 0.18, 0.28);
    const color = ["#3f6fc0", "#c0563f", "#3f9c84"][Math.floor(random() * 3)];
    ellipse(c, rounded(c, color, 0, 0.16), 0, -0.38, 0.075, 0.1);
    rect(c, rounded(c, color, 0, 0.08), -0.03, -0.52, 0.06, 0.08);
    ellipse(c, tone(color, 0.3), 0, -0.52, 0.045, 0.012);
    ellipse(c, "#ffffff66", 0, -0.38, 0.076, 0.014);
  },
  case(c, { random }) {
    rect(c, along(c, 0, -0.28, 0, 0, WOOD, tone(WOOD, -0.5)), -0.21, -0.28, 0.42, 0.28);
    rect(c, BRASS, -0.22, -0.295, 0.44, 0.022);
    rect(c, "#8c1f3f", -0.12, -0.335, 0.24, 0.04);
    const color = ["#6fe3ff", "#ff6fa0", "#7df7b8", "#ffd75e"][Math.floor(random() * 4)];
    shape(c, color, -0.06, -0.4, -0.03, -0.44, 0.03, -0.44, 0.06, -0.4, 0, -0.335);
    shape(c, "#ffffffaa", -0.03, -0.44, 0, -0.4, 0.03, -0.44);
    glow(c, 0, -0.39, 0.2, "210 235 255", 0.5);
    rect(c, along(c, -0.2, -0.6, 0.2, -0.3, "#dfeaff77", "#dfeaff11", "#dfeaff44"), -0.2, -0.6, 0.4, 0.305);
    stroke(c, "#dfe8ff", 0.008, -0.2, -0.3, -0.2, -0.6, 0.2, -0.6, 0.2, -0.3);
  },
  vault(c) {
    rect(c, along(c, -0.5, 0, 0.5, 0, "#5a6178", "#9aa3ba", "#4c5268"), -0.52, -0.86, 1.04, 0.86);
    for (let x = -0.48; x < 0.5; x += 0.12) for (const y of [-0.82, -0.05]) disc(c, "#c9d0e2", x, y, 0.013);
    disc(c, "#2b3046", 0, -0.43, 0.4);
    const door = c.createRadialGradient(-0.12, -0.55, 0.02, 0, -0.43, 0.38);
    ["#eef2ff", "#9aa4bd", "#5c647c"].forEach((color, at) => door.addColorStop(at / 2, color));
    disc(c, door, 0, -0.43, 0.36);
    for (let bolt = 0; bolt < 12; bolt += 1) disc(c, BRASS, Math.cos((bolt * Math.PI) / 6) * 0.31, -0.43 + Math.sin((bolt * Math.PI) / 6) * 0.31, 0.02);
    disc(c, "#4a5168", 0, -0.43, 0.22);
    disc(c, "#7f89a3", 0, -0.43, 0.2);
    for (let spoke = 0; spoke < 6; spoke += 1) {
      const [x, y] = [Math.cos(spoke * 1.047 + 0.3) * 0.17, Math.sin(spoke * 1.047 + 0.3) * 0.17];
      stroke(c, BRASS, 0.024, 0, -0.43, x, -0.43 + y);
      disc(c, tone(BRASS, 0.2), x, -0.43 + y, 0.023);
    }
    disc(c, tone(BRASS, -0.2), 0, -0.43, 0.06);
  },
  deposit(c) {
    rect(c, "#3a4058", -0.45, -0.84, 0.9, 0.84);
    for (let row = 0; row < 7; row += 1) {
      for (let column = 0; column < 8; column += 1) {
        const [x, y] = [-0.43 + column * 0.108, -0.82 + row * 0.115];
        rect(c, along(c, x, y, x + 0.1, y + 0.1, "#c3cadd", STEEL, "#6a7288"), x, y, 0.1, 0.105);
        rect(c, BRASS, x + 0.035, y + 0.03, 0.03, 0.014);
        disc(c, "#23283c", x + 0.05, y + 0.07, 0.009);
      }
    }
  },
  bars(c) {
    rect(c, "#2e3350", -0.3, -0.05, 0.6, 0.05);
    ingots(c, -0.01, -0.05, 4);
    glow(c, 0, -0.16, 0.34, "255 205 90", 0.4);
  },
  desk(c) {
    rect(c, along(c, 0, -0.3, 0, 0, WOOD, tone(WOOD, -0.5)), -0.34, -0.27, 0.68, 0.27);
    for (const x of [-0.3, 0.1]) for (const y of [-0.22, -0.12]) rect(c, tone(WOOD, -0.3), x, y, 0.2, 0.08);
    rect(c, tone(WOOD, 0.25), -0.37, -0.3, 0.74, 0.035);
    rect(c, "#e8e4d6", -0.06, -0.315, 0.16, 0.016);
    stroke(c, BRASS, 0.014, 0.22, -0.3, 0.22, -0.4);
    ellipse(c, "#2fae6c", 0.2, -0.41, 0.085, 0.032);
    glow(c, 0.2, -0.37, 0.22, "190 255 190", 0.4);
  },
  clock(c) {
    rect(c, rounded(c, WOOD, 0, 0.2), -0.1, -0.7, 0.2, 0.7);
    shape(c, tone(WOOD, 0.2), -0.13, -0.7, 0, -0.82, 0.13, -0.7);
    disc(c, "#fff6dd", 0, -0.58, 0.075);
    stroke(c, "#2a1a10", 0.012, 0, -0.63, 0, -0.58, 0.04, -0.56);
    rect(c, "#20120a", -0.06, -0.45, 0.12, 0.32);
    stroke(c, BRASS, 0.008, 0, -0.45, 0.02, -0.22);
    disc(c, BRASS, 0.02, -0.21, 0.027);
  },
  sofa(c, { wall }) {
    const color = tone(wall, 0.18);
    rect(c, along(c, 0, -0.36, 0, -0.1, color, tone(color, -0.3)), -0.32, -0.34, 0.64, 0.26);
    for (const side of [-0.3, 0.3]) ellipse(c, tone(color, -0.15), side, -0.19, 0.06, 0.11);
    rect(c, tone(color, 0.15), -0.29, -0.19, 0.58, 0.07);
    for (const x of [-0.3, 0.28]) rect(c, BRASS, x, -0.06, 0.02, 0.06);
    stroke(c, BRASS, 0.014, -0.32, -0.34, 0, -0.38, 0.32, -0.34);
  },
  piano(c) {
    shape(c, "#15151f", -0.4, -0.32, 0.3, -0.32, 0.4, -0.26, 0.4, -0.22, -0.4, -0.2);
    shape(c, along(c, -0.3, -0.7, 0.4, -0.3, "#3a3a52", "#0d0d14"), -0.3, -0.32, 0.12, -0.72, 0.42, -0.58, 0.34, -0.32);
    rect(c, "#f4efe0", -0.44, -0.27, 0.16, 0.025);
    for (const x of [-0.34, 0.02, 0.34]) rect(c, "#15151f", x, -0.22, 0.03, 0.22);
    stroke(c, BRASS, 0.01, 0.02, -0.33, 0.14, -0.62);
  },
  fireplace(c) {
    rect(c, "#cdd0df", -0.33, -0.46, 0.66, 0.46);
    rect(c, "#f0f1f8", -0.37, -0.5, 0.74, 0.05);
    rect(c, "#160c0a", -0.21, -0.33, 0.42, 0.33);
    glow(c, 0, -0.1, 0.3, "255 140 50", 0.95);
    for (const [x, tall] of [[-0.08, 0.18], [0, 0.26], [0.08, 0.16]]) shape(c, along(c, 0, -tall, 0, 0, "#ffe08a", "#ff7a2a"), x - 0.05, 0, x, -tall, x + 0.05, 0);
    stroke(c, "#4a2a18", 0.035, -0.12, -0.02, 0.12, -0.03);
  },
  door(c, { trim }) {
    rect(c, tone(trim, -0.3), -0.2, -0.72, 0.4, 0.72);
    rect(c, along(c, -0.16, 0, 0.16, 0, WOOD, tone(WOOD, -0.3)), -0.165, -0.69, 0.33, 0.69);
    for (const x of [-0.13, 0.015]) for (const [y, tall] of [[-0.64, 0.26], [-0.34, 0.28]]) rect(c, tone(WOOD, -0.35), x, y, 0.115, tall);
    disc(c, BRASS, 0.13, -0.33, 0.02);
    disc(c, BRASS, 0, -0.6, 0.02);
  },
  skeleton(c) {
    rect(c, "#5a5f80", -0.62, -0.06, 1.24, 0.06);
    const bone = "#efe6cf";
    stroke(c, bone, 0.03, -0.66, -0.36, -0.45, -0.34, -0.25, -0.42, 0.02, -0.52, 0.2, -0.52, 0.34, -0.62, 0.44, -0.74);
    for (let rib = 0; rib < 7; rib += 1) {
      const x = -0.16 + rib * 0.055;
      c.lineWidth = 0.015;
      c.beginPath();
      c.ellipse(x, -0.37, 0.035, 0.12, 0, -1.3, 1.8);
      c.stroke();
    }
    shape(c, bone, 0.38, -0.8, 0.5, -0.84, 0.66, -0.74, 0.64, -0.69, 0.46, -0.68);
    shape(c, bone, 0.46, -0.66, 0.63, -0.65, 0.6, -0.61, 0.46, -0.62);
    disc(c, "#3a2f22", 0.48, -0.77, 0.02);
    for (const x of [-0.22, -0.1]) stroke(c, bone, 0.035, x, -0.42, x + 0.1, -0.27, x, -0.14, x + 0.05, -0.06, x + 0.12, -0.06);
    stroke(c, bone, 0.018, 0.22, -0.5, 0.28, -0.38, 0.36, -0.4);
  },
  sarcophagus(c) {
    const fill = along(c, -0.14, 0, 0.14, 0, "#a86a12", "#ffdf7a", "#b87a1c");
    shape(c, fill, -0.1, 0, -0.15, -0.46, -0.1, -0.66, 0.1, -0.66, 0.15, -0.46, 0.1, 0);
    ellipse(c, "#2f56a8", 0, -0.64, 0.105, 0.11);
    ellipse(c, "#f6cf6a", 0, -0.62, 0.062, 0.075);
    for (const x of [-0.024, 0.024]) ellipse(c, "#20202c", x, -0.63, 0.012, 0.008);
    for (let band = 0; band < 5; band += 1) rect(c, band % 2 ? "#b83b3b" : "#2f56a8", -0.125 + band * 0.006, -0.46 + band * 0.09, 0.25 - band * 0.012, 0.028);
  },
  plant(c) {
    for (let leaf = 0; leaf < 9; leaf += 1) {
      const lean = (leaf - 4) * 0.26;
      shape(c, leaf % 2 ? "#3f9c5c" : "#2c7a48", -0.012, -0.16, Math.sin(lean) * 0.14 - 0.03, -0.3 - Math.cos(lean) * 0.06, Math.sin(lean) * 0.24, -0.18 - Math.cos(lean) * 0.3, 0.012, -0.16);
    }
    shape(c, rounded(c, "#b8643c", 0, 0.2), -0.09, -0.17, 0.09, -0.17, 0.065, 0, -0.065, 0);
  },
  armour(c) {
    const steel = rounded(c, "#b4bdd2", 0, 0.2);
    rect(c, "#4a4f70", -0.13, -0.05, 0.26, 0.05);
    for (const x of [-0.05, 0.05]) stroke(c, "#98a2ba", 0.055, x, -0.07, x, -0.26);
    shape(c, steel, -0.1, -0.52, 0.1, -0.52, 0.07, -0.27, -0.07, -0.27);
    for (const side of [-1, 1]) stroke(c, "#98a2ba", 0.045, side * 0.1, -0.5, side * 0.12, -0.34);
    ellipse(c, steel, 0, -0.58, 0.055, 0.07);
    rect(c, "#1a1d30", -0.035, -0.6, 0.075, 0.016);
    shape(c, "#c8394a", -0.01, -0.65, -0.1, -0.68, -0.06, -0.6);
    stroke(c, "#7a5a34", 0.014, 0.13, 0, 0.13, -0.78);
    shape(c, "#dfe5f2", 0.1, -0.76, 0.13, -0.88, 0.16, -0.76);
  },
  globe(c) {
    stroke(c, WOOD, 0.025, -0.1, 0, 0, -0.16, 0.1, 0);
    disc(c, rounded(c, "#3f7fc0", 0, 0.3), 0, -0.3, 0.14);
    ellipse(c, "#5fa86a", -0.04, -0.34, 0.06, 0.05);
    ellipse(c, "#5fa86a", 0.05, -0.25, 0.04, 0.06);
    stroke(c, BRASS, 0.012, -0.15, -0.24, -0.1, -0.16, 0.02, -0.14, 0.12, -0.2);
  },
  teller(c) {
    rect(c, along(c, 0, -0.36, 0, 0, WOOD, tone(WOOD, -0.45)), -0.5, -0.34, 1, 0.34);
    for (let x = -0.47; x < 0.45; x += 0.2) rect(c, tone(WOOD, -0.3), x, -0.28, 0.16, 0.22);
    rect(c, MARBLE, -0.52, -0.37, 1.04, 0.035);
    for (let x = -0.48; x < 0.5; x += 0.05) rect(c, BRASS, x, -0.66, 0.01, 0.3);
    rect(c, BRASS, -0.51, -0.69, 1.02, 0.03);
    for (const x of [-0.5, 0, 0.48]) rect(c, tone(WOOD, 0.1), x - 0.02, -0.7, 0.05, 0.34);
  },
  table(c) {
    ellipse(c, tone(WOOD, 0.2), 0, -0.28, 0.32, 0.025);
    rect(c, tone(WOOD, -0.2), -0.31, -0.275, 0.62, 0.03);
    for (const x of [-0.24, 0.22]) rect(c, tone(WOOD, -0.35), x, -0.26, 0.03, 0.26);
    for (const [x, color] of [[-0.18, "#f0c65a"], [0.02, "#f0c65a"], [0.16, "#e8ecf8"]]) ellipse(c, color, x, -0.305, 0.05, 0.022);
    stroke(c, "#e8ecf8", 0.02, 0.02, -0.3, 0.02, -0.4);
  },
};
