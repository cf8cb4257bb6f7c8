// What stands on the roof, dark against the sky with the moon on its edges. The room's floor is y = 0, its ceiling -1.

import { along, disc, ellipse, rect, shape, stroke, tone } from "./brush.js";

/** The upper side of the roof; the thief stands here. */
export const ROOF_TOP = -1.1;

const EDGE = "#8c9cf5";

export function paintRoof(c, room, building) {
  const body = tone(building.stone, -0.45);
  for (const thing of room.roof) {
    c.save();
    c.translate(thing.x, ROOF_TOP + 0.012);
    c.scale(thing.size, thing.size);
    THINGS[thing.kind](c, body);
    c.restore();
  }
  rect(c, along(c, 0, ROOF_TOP, 0, -1, tone(building.stone, 0.05), tone(building.stone, -0.4)), -0.02, ROOF_TOP, room.width + 0.04, 0.1);
  rect(c, tone(building.stone, -0.15), -0.02, ROOF_TOP + 0.032, room.width + 0.04, 0.014);
  for (let x = 0.04; x < room.width; x += 0.12) rect(c, tone(building.stone, -0.55), x, ROOF_TOP + 0.05, 0.05, 0.03);
  rect(c, EDGE, -0.02, ROOF_TOP, room.width + 0.04, 0.009);
}

const THINGS = {
  chimney(c, body) {
    rect(c, body, -0.08, -0.26, 0.16, 0.26);
    rect(c, body, -0.1, -0.29, 0.2, 0.04);
    rect(c, EDGE, -0.1, -0.29, 0.2, 0.007);
    for (const x of [-0.05, 0.03]) rect(c, body, x, -0.35, 0.035, 0.07);
  },
  statue(c, body) {
    rect(c, body, -0.07, -0.1, 0.14, 0.1);
    shape(c, body, -0.06, -0.1, -0.035, -0.3, 0.035, -0.3, 0.06, -0.1);
    disc(c, body, 0, -0.34, 0.034);
    stroke(c, body, 0.024, 0.02, -0.27, 0.09, -0.36);
    shape(c, body, -0.03, -0.3, -0.15, -0.36, -0.1, -0.2);
    stroke(c, EDGE, 0.006, -0.05, -0.12, -0.03, -0.3);
  },
  dormer(c, body) {
    shape(c, body, -0.17, 0, -0.17, -0.13, 0, -0.24, 0.17, -0.13, 0.17, 0);
    stroke(c, EDGE, 0.007, -0.17, -0.13, 0, -0.24, 0.17, -0.13);
    ellipse(c, "#ffc566", 0, -0.085, 0.05, 0.06);
    rect(c, body, -0.005, -0.15, 0.01, 0.13);
  },
  mast(c, body) {
    stroke(c, body, 0.016, 0, 0, 0, -0.42);
    stroke(c, body, 0.009, -0.09, -0.36, 0.09, -0.36);
    stroke(c, body, 0.009, -0.06, -0.28, 0.06, -0.28);
    disc(c, "#ff5d6c", 0, -0.43, 0.014);
  },
  tank(c, body) {
    for (const x of [-0.09, 0.09]) stroke(c, body, 0.016, x, 0, x * 0.8, -0.12);
    rect(c, body, -0.12, -0.28, 0.24, 0.17);
    shape(c, body, -0.14, -0.28, 0, -0.37, 0.14, -0.28);
    stroke(c, EDGE, 0.006, -0.14, -0.28, 0, -0.37, 0.14, -0.28);
  },
  balustrade(c, body) {
    rect(c, body, -0.3, -0.12, 0.6, 0.022);
    for (let x = -0.28; x < 0.3; x += 0.07) rect(c, body, x, -0.1, 0.026, 0.1);
    rect(c, EDGE, -0.3, -0.12, 0.6, 0.006);
    for (const x of [-0.31, 0.28]) {
      rect(c, body, x, -0.15, 0.04, 0.15);
      disc(c, body, x + 0.02, -0.17, 0.026);
    }
  },
  dome(c, body) {
    rect(c, body, -0.24, -0.08, 0.48, 0.08);
    ellipse(c, along(c, -0.2, 0, 0.2, 0, tone(body, 0.25), body), 0, -0.07, 0.21, 0.22, Math.PI, 0);
    stroke(c, body, 0.014, 0, -0.28, 0, -0.37);
    for (const x of [-0.12, -0.045, 0.045, 0.12]) ellipse(c, "#ffcf7a", x, -0.125, 0.016, 0.026);
    c.strokeStyle = EDGE;
    c.lineWidth = 0.007;
    c.beginPath();
    c.ellipse(0, -0.07, 0.21, 0.22, 0, Math.PI, Math.PI * 1.6);
    c.stroke();
  },
};
