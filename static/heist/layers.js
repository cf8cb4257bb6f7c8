// The pictures that a frame is put together from. Each is painted once for a building and a size, and kept within bounds.

import { along, disc, ellipse, glow, rect, shape, stroke } from "./brush.js";
import { roomOf } from "./building.js";
import { Cache } from "./random.js";
import { ROOM_REACH, roomSteps } from "./room.js";
import { paintSky, paintSkyline } from "./sky.js";
import { PIECE_SIZE, paintStar, paintTreasure } from "./treasures.js";

const ROOM_PIXELS_MAX = 700; // device pixels a storey: beyond it a room is painted smaller and stretched
const SPRITES_MAX = 96;
// The shares of the height that the skylines are painted for: above is sky, below the far one is hidden by the near one.
const SKYLINE_BANDS = [[0.16, 0.82], [0.3, 1]];

export const FRONT_KINDS = 4;

export class Layers {
  /** `createCanvas()` gives an empty canvas. */
  constructor(createCanvas) {
    this.createCanvas = (width, height) => Object.assign(createCanvas(), { width: Math.max(1, width), height: Math.max(1, height) });
    this.sprites = new Cache(SPRITES_MAX);
    this.rooms = new Cache(4);
    this.key = null;
  }

  /** Makes sure that sky and skylines are those of `building` at this size: `view` has width, height, unit (CSS pixels), scale. */
  prepare(building, view) {
    const key = `${building.key}|${view.width}|${view.height}|${view.scale}`;
    if (key === this.key) return;
    this.key = key;
    Object.assign(this, { building, view });
    this.sprites.clear();
    this.rooms = new Cache(Math.ceil(view.width / view.unit / 2) + 4);
    this.roomScale = Math.min(view.unit * view.scale, ROOM_PIXELS_MAX);
    const { width, height } = view;
    this.sky = this.paint(width, height, (c) => paintSky(c, width, height, building), { alpha: false });
    this.tileWidth = Math.round(Math.max(width, height * 1.2));
    this.skylines = SKYLINE_BANDS.map(([top, foot], layer) =>
      this.paint(this.tileWidth, height * (foot - top), (c) => {
        c.translate(0, -height * top);
        paintSkyline(c, this.tileWidth, height, building, layer);
      }),
    );
  }

  paint(width, height, painter, options) {
    const { scale } = this.view;
    const canvas = this.createCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
    const c = canvas.getContext("2d", options);
    c.scale(scale, scale);
    painter(c);
    return canvas;
  }

  /** The picture of a room: its left upper corner is ROOM_REACH.side and .up away from the room's place. */
  room(index) {
    const { canvas, steps } = this.rooms.get(index, () => this.startRoom(index));
    while (steps.length > 0) steps.shift()();
    return canvas;
  }

  /** Paints one step of a room that will be needed soon. */
  prepareRoom(index) {
    const { steps } = this.rooms.get(index, () => this.startRoom(index));
    if (steps.length > 0) steps.shift()();
  }

  startRoom(index) {
    const room = roomOf(this.building, index);
    const scale = this.roomScale;
    const width = room.width + 2 * ROOM_REACH.side;
    const canvas = this.createCanvas(Math.ceil(width * scale), Math.ceil((ROOM_REACH.up + ROOM_REACH.down) * scale));
    const c = canvas.getContext("2d");
    c.scale(scale, scale);
    c.translate(ROOM_REACH.side, ROOM_REACH.up);
    return { canvas, steps: roomSteps(c, room, this.building, this.createCanvas, scale) };
  }

  /** A small square picture, `side` storeys wide; `painter` has its middle at (0, 0) and its side as 1. */
  sprite(key, side, painter) {
    const pixels = Math.ceil(Math.min(400, side * this.view.unit * this.view.scale));
    return this.sprites.get(`${key}|${pixels}`, () => {
      const canvas = this.createCanvas(pixels, pixels);
      const c = canvas.getContext("2d");
      c.scale(pixels, pixels);
      c.translate(0.5, 0.5);
      painter(c);
      return canvas;
    });
  }

  treasure(kind, color) {
    return this.sprite(`${kind}${color}`, PIECE_SIZE, (c) => paintTreasure(c, kind, color));
  }

  star() {
    return this.sprite("star", 0.2, paintStar);
  }

  /** A round soft light; `rgb` as "255 200 90". */
  light(rgb) {
    return this.sprite(`light${rgb}`, 1, (c) => glow(c, 0, 0, 0.5, rgb, 1));
  }

  front(kind) {
    return this.sprite(`front${kind}`, 0.8, (c) => FRONTS[kind](c));
  }

  /** Colours over the view's whole width, between two shares of its height. In device pixels: to copy is cheaper than to stretch. */
  drawBand(c, name, from, to, ...colors) {
    const { width, height, scale } = this.view;
    const [wide, top, tall] = [Math.ceil(width * scale), Math.floor(height * from * scale), Math.ceil(height * (to - from) * scale)];
    const picture = this.sprites.get(`${name}|${wide}|${tall}`, () => {
      const canvas = this.createCanvas(wide, tall);
      const paint = canvas.getContext("2d");
      rect(paint, along(paint, 0, 0, 0, tall, ...colors), 0, 0, wide, tall);
      return canvas;
    });
    c.drawImage(picture, 0, top);
  }

  /** Copies skyline 0 or 1, moved by `shift` CSS pixels to the left and `sink` down. In device pixels. */
  drawSkyline(c, layer, shift, sink) {
    const { scale, height, width } = this.view;
    const picture = this.skylines[layer];
    const tile = this.tileWidth * scale;
    const y = Math.round((height * SKYLINE_BANDS[layer][0] + sink) * scale);
    for (let x = -Math.round((((shift * scale) % tile) + tile) % tile); x < width * scale; x += Math.floor(tile)) c.drawImage(picture, x, y);
  }
}

const DARK = "#060818";
const EDGE = "#39448f";

// Close to the eye, nearly black: they pass faster than the rooms.
const FRONTS = [
  function palm(c) {
    for (let leaf = 0; leaf < 11; leaf += 1) {
      const lean = (leaf - 5) * 0.24;
      shape(c, DARK, -0.02, 0.2, Math.sin(lean) * 0.22 - 0.05, -0.1, Math.sin(lean) * 0.46, 0.18 - Math.cos(lean) * 0.55, 0.03, 0.2);
    }
    shape(c, DARK, -0.14, 0.16, 0.14, 0.16, 0.1, 0.5, -0.1, 0.5);
    stroke(c, EDGE, 0.01, -0.13, 0.165, 0.13, 0.165);
  },
  function ropes(c) {
    for (const x of [-0.36, 0.36]) {
      rect(c, DARK, x - 0.025, 0, 0.05, 0.5);
      disc(c, DARK, x, -0.02, 0.05);
      stroke(c, EDGE, 0.012, x - 0.02, 0.05, x - 0.02, 0.46);
    }
    c.strokeStyle = "#3b0f26";
    c.lineWidth = 0.05;
    c.beginPath();
    c.ellipse(0, 0.06, 0.36, 0.16, 0, 0, Math.PI);
    c.stroke();
  },
  function bust(c) {
    rect(c, DARK, -0.14, 0.12, 0.28, 0.4);
    rect(c, DARK, -0.18, 0.1, 0.36, 0.05);
    shape(c, DARK, -0.17, 0.02, -0.07, -0.08, 0.07, -0.08, 0.17, 0.02, 0.08, 0.12, -0.08, 0.12);
    ellipse(c, DARK, 0, -0.19, 0.095, 0.12);
    stroke(c, EDGE, 0.012, -0.08, -0.25, -0.085, -0.14);
    stroke(c, EDGE, 0.012, -0.18, 0.1, 0.18, 0.1);
  },
  function urn(c) {
    ellipse(c, DARK, 0, 0.16, 0.17, 0.2);
    rect(c, DARK, -0.07, -0.12, 0.14, 0.14);
    ellipse(c, DARK, 0, -0.12, 0.12, 0.03);
    rect(c, DARK, -0.12, 0.34, 0.24, 0.2);
    for (const side of [-1, 1]) stroke(c, DARK, 0.03, side * 0.08, -0.04, side * 0.2, -0.02, side * 0.17, 0.1);
    stroke(c, EDGE, 0.01, -0.1, -0.135, 0.08, -0.145);
    stroke(c, EDGE, 0.01, -0.168, 0.14, -0.15, 0.05);
  },
];
