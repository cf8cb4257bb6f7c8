import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS_OUT, buildingOf } from "../../../static/heist/building.js";
import { drawAlarm } from "../../../static/heist/endings.js";
import { divisionOf, timesOf, viewOf } from "../../../static/heist/view.js";
import { Scene } from "../../../static/scene.js";

const MAP = "8f3a61c2d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f";
const LOOT = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
const GUARD = "deadbeef00112233445566778899aabbccddeeff001122334455667788990011";
const SIZES = [[320, 130], [360, 260], [360, 640], [960, 600], [3840, 2160]];
const RATE = 0.00006;

// A 2D context that notes what is asked of it, and refuses what a real one would.
function recorder(canvas, calls) {
  const target = { globalAlpha: 1, globalCompositeOperation: "source-over" };
  const gradient = () => ({ addColorStop: (at, color) => assert.ok(at >= 0 && at <= 1 && /^(#|rgb)/.test(color) && !/NaN|undefined/.test(color), `${at} ${color}`) });
  const call = (name) => (...values) => {
    for (const value of values) if (typeof value === "number") assert.ok(Number.isFinite(value), `${name}(${values})`);
    if (name === "arc") assert.ok(values[2] >= 0, `${name}(${values})`);
    if (name === "ellipse") assert.ok(values[2] >= 0 && values[3] >= 0, `${name}(${values})`);
    if (name === "createRadialGradient") assert.ok(values[2] >= 0 && values[5] >= 0, `${name}(${values})`);
    if (name === "drawImage") assert.ok(values[0].width > 0 && values[0].height > 0);
    calls.push(`${name}(${values.map((value) => (typeof value === "object" ? `${value.width}x${value.height}` : value))})`);
    return name.startsWith("create") ? gradient() : undefined;
  };
  return new Proxy(target, {
    get: (_, name) => (name in target ? target[name] : name === "canvas" ? canvas : call(name)),
    set: (_, name, value) => {
      if (typeof value === "number") assert.ok(Number.isFinite(value), `${name} = ${value}`);
      if (name === "globalAlpha") assert.ok(value >= 0 && value <= 1, `alpha ${value}`);
      if (typeof value === "string") assert.doesNotMatch(value, /NaN|undefined/);
      calls.push(`${name} = ${typeof value === "object" ? "gradient" : value}`);
      if (name.startsWith("global")) target[name] = value;
      return true;
    },
  });
}

function fakeCanvas(calls, [width, height] = [0, 0]) {
  const canvas = { width: 0, height: 0, calls };
  canvas.getContext = () => (canvas.context ??= recorder(canvas, calls));
  canvas.getBoundingClientRect = () => ({ width, height });
  canvas.ownerDocument = { createElement: () => fakeCanvas(calls) };
  return canvas;
}

function sceneOf(size, isReduced = false) {
  const calls = [];
  return { calls, scene: new Scene(fakeCanvas(calls, size), { reducedMotion: () => isReduced }) };
}

function modelOf(kind, more = {}) {
  const elapsedMs = more.elapsedMs ?? 12_000;
  const guardSeed = kind === "won" || kind === "lost" ? GUARD : null;
  return { kind, elapsedMs, sinceEndMs: 0, hundredths: Math.floor(100 * Math.exp(RATE * elapsedMs)), ratePerMs: RATE, mapSeed: MAP, lootSeed: LOOT, guardSeed, isProfit: true, ...more };
}

function drawn(model, size = [960, 600], isReduced = false) {
  const { calls, scene } = sceneOf(size, isReduced);
  scene.draw(model);
  return calls;
}

const MODELS = [
  modelOf("idle", { elapsedMs: 5e6, mapSeed: null, lootSeed: null }),
  modelOf("betting", { elapsedMs: 5e6, mapSeed: null, lootSeed: null }),
  ...[0, 150, 1_000, 12_000, 40_000, 120_000].map((elapsedMs) => modelOf("flying", { elapsedMs })),
  ...[0, 200, 700, 1_600, 1e9].flatMap((sinceEndMs) => [modelOf("won", { sinceEndMs }), modelOf("lost", { sinceEndMs })]),
  modelOf("won", { sinceEndMs: 700, isProfit: false }),
  modelOf("lost", { elapsedMs: 0, hundredths: 100, sinceEndMs: 700 }),
];

test("every kind is drawn at every size, with and without motion", () => {
  for (const size of SIZES) {
    for (const isReduced of [false, true]) {
      const { calls, scene } = sceneOf(size, isReduced);
      for (const model of MODELS) {
        calls.length = 0;
        scene.draw(model);
        assert.ok(calls.length > 100, `${model.kind} at ${size}`);
        assert.equal(scene.context.globalAlpha, 1);
        assert.equal(scene.context.globalCompositeOperation, "source-over");
      }
    }
  }
});

test("many buildings are drawn, with each way out", () => {
  const { scene } = sceneOf([768, 460]);
  const ways = new Set();
  for (let number = 0; number < 24; number += 1) {
    const mapSeed = number.toString(16).padStart(2, "0") + MAP.slice(2);
    ways.add(buildingOf(mapSeed).wayOut);
    scene.draw(modelOf("flying", { mapSeed, elapsedMs: 3_000 * number }));
    scene.draw(modelOf("won", { mapSeed, elapsedMs: 3_000 * number, sinceEndMs: 900 }));
  }
  assert.deepEqual(ways, new Set(WAYS_OUT));
});

test("the same model is drawn by the same calls", () => {
  for (const model of MODELS) assert.deepEqual(drawn(model), drawn(model));
  assert.notDeepEqual(drawn(modelOf("flying")), drawn(modelOf("flying", { elapsedMs: 12_016 })));
  assert.notDeepEqual(drawn(modelOf("flying")), drawn(modelOf("flying", { mapSeed: GUARD })));
  assert.notDeepEqual(drawn(modelOf("flying")), drawn(modelOf("flying", { lootSeed: GUARD })));
});

test("what was drawn before changes nothing", () => {
  const { calls, scene } = sceneOf([960, 600]);
  const model = modelOf("lost", { sinceEndMs: 500 });
  scene.draw(model);
  calls.length = 0;
  scene.draw(model);
  const again = [...calls];
  for (const other of MODELS) if (other.mapSeed === MAP) scene.draw(other);
  scene.draw(model);
  calls.length = 0;
  scene.draw(model);
  assert.deepEqual(calls, again);
});

test("the guards' seed shows in a loss and in nothing else", () => {
  for (const kind of ["idle", "betting", "flying", "won"]) {
    const model = modelOf(kind, { sinceEndMs: 900 });
    assert.deepEqual(drawn({ ...model, guardSeed: GUARD }), drawn({ ...model, guardSeed: LOOT }), kind);
    assert.deepEqual(drawn({ ...model, guardSeed: GUARD }), drawn({ ...model, guardSeed: null }), kind);
  }
  const loss = modelOf("lost", { sinceEndMs: 900 });
  assert.notDeepEqual(drawn({ ...loss, guardSeed: GUARD }), drawn({ ...loss, guardSeed: LOOT }));
});

test("the end rests, and no profit is quieter", () => {
  for (const kind of ["won", "lost"]) {
    assert.deepEqual(drawn(modelOf(kind, { sinceEndMs: 1_600 })), drawn(modelOf(kind, { sinceEndMs: 1e9 })));
    assert.notDeepEqual(drawn(modelOf(kind, { sinceEndMs: 700 })), drawn(modelOf(kind, { sinceEndMs: 1e9 })));
  }
  const images = (isProfit) => drawn(modelOf("won", { sinceEndMs: 1e9, isProfit })).filter((call) => call.startsWith("drawImage")).length;
  assert.ok(images(false) < images(true) - 20);
});

test("without motion the view stands still between its key pictures, and the end is there at once", () => {
  const division = divisionOf(960, 600, 1);
  const building = buildingOf(MAP);
  const at = (elapsedMs) => viewOf(division, building, "flying", timesOf(modelOf("flying", { elapsedMs }), true));
  assert.deepEqual(at(6_000), at(11_999));
  assert.notDeepEqual(at(6_000), at(12_000));
  for (const kind of ["won", "lost"]) {
    assert.deepEqual(drawn(modelOf(kind, { sinceEndMs: 0 }), [960, 600], true), drawn(modelOf(kind, { sinceEndMs: 1e9 }), [960, 600], true));
  }
  for (const kind of ["idle", "betting"]) {
    assert.deepEqual(drawn(modelOf(kind, { elapsedMs: 100 }), [960, 600], true), drawn(modelOf(kind, { elapsedMs: 99_999 }), [960, 600], true));
  }
});

test("the thief keeps his place in the view, below the number, and moves on without a jump", () => {
  const building = buildingOf(MAP);
  for (const [width, height] of SIZES) {
    const division = divisionOf(width, height, 1);
    let before = null;
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 16) {
      const view = viewOf(division, building, "flying", timesOf({ kind: "flying", elapsedMs }, false));
      const y = view.originY / height;
      assert.ok(Math.abs(view.originX + view.thiefX * view.unit - division.anchorX) < 1e-6);
      assert.ok(y > 0.5 && y < 1.2, String(y));
      if (before !== null) assert.ok(Math.abs(view.originY - before.originY) < view.unit * 0.02 && before.originX - view.originX < view.unit * 0.05);
      before = view;
    }
  }
});

test("the alarm does not flash", () => {
  const layers = { drawBand: () => {} };
  let [turns, rising, before] = [0, true, 0];
  for (let sinceEndMs = 0; sinceEndMs <= 2_000; sinceEndMs += 10) {
    const calls = [];
    drawAlarm(recorder(null, calls), layers, sinceEndMs);
    const alpha = Number(calls.find((call) => call.startsWith("globalAlpha")).split(" = ")[1]);
    if (Math.abs(alpha - before) > 1e-9 && alpha > before !== rising) {
      turns += 1;
      rising = !rising;
    }
    before = alpha;
  }
  assert.ok(before > 0.2 && turns <= 3, `${turns} turns`);
});

test("a long flight keeps a bounded number of pictures", () => {
  const { scene } = sceneOf([1280, 600]);
  for (let elapsedMs = 0; elapsedMs < 600_000; elapsedMs += 250) scene.draw(modelOf("flying", { elapsedMs }));
  const { rooms, sprites } = scene.layers;
  assert.ok(rooms.size <= rooms.limit && rooms.limit < 12);
  assert.ok(sprites.size <= sprites.limit && sprites.limit <= 96);
  assert.ok(scene.buildings.size <= 4);
});

test("fit tells whether the size has changed", () => {
  const { scene } = sceneOf([960, 600]);
  assert.deepEqual([scene.fit(), scene.fit()], [true, false]);
  assert.deepEqual([scene.canvas.width, scene.canvas.height], [960, 600]);
  const large = sceneOf([3840, 2160]).scene;
  large.fit();
  assert.ok(large.canvas.width * large.canvas.height <= 5_010_000);
  const nothing = sceneOf([0, 0]);
  nothing.scene.draw(modelOf("idle"));
  assert.deepEqual(nothing.calls, []);
});
