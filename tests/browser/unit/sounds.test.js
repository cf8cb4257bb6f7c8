import assert from "node:assert/strict";
import { test } from "node:test";

import { Settings } from "../../../static/settings.js";
import { Sounds, flightTone, noteHz } from "../../../static/sounds.js";

const NAMES = ["press", "started", "loot", "won", "won_big", "lost", "warning"];

// A parameter remembers what was asked of it; a context, every node and what it was connected to.
class FakeParameter {
  constructor() {
    this.value = 0;
    this.asked = [];
  }
}
for (const method of ["setValueAtTime", "linearRampToValueAtTime", "exponentialRampToValueAtTime", "setTargetAtTime"]) {
  FakeParameter.prototype[method] = function ask(value, atS, constantS) {
    assert.ok(Number.isFinite(value) && Number.isFinite(atS) && atS >= 0, `${method}(${value}, ${atS}, ${constantS})`);
    if (method.startsWith("exponential")) assert.ok(value > 0);
    this.asked.push([method, value, atS]);
  };
}

class FakeNode {
  constructor(kind, parameters) {
    this.kind = kind;
    this.to = [];
    this.stopsAtS = Number.POSITIVE_INFINITY;
    for (const name of parameters) this[name] = new FakeParameter();
  }

  connect(target) {
    this.to.push(target);
    return target;
  }

  disconnect() {
    this.to = [];
  }

  start(atS = 0) {
    assert.equal(this.startsAtS, undefined, "an oscillator starts once");
    this.startsAtS = atS;
  }

  stop(atS = 0) {
    this.stopsAtS = atS;
  }
}

class FakeContext {
  constructor() {
    this.state = "suspended";
    this.currentTime = 0;
    this.destination = new FakeNode("destination", []);
    this.nodes = [];
    this.refuses = false;
  }

  made(kind, parameters) {
    this.nodes.push(new FakeNode(kind, parameters));
    return this.nodes.at(-1);
  }

  createOscillator() {
    return this.made("oscillator", ["frequency", "detune"]);
  }

  createGain() {
    return this.made("gain", ["gain"]);
  }

  createBiquadFilter() {
    return this.made("filter", ["frequency", "Q"]);
  }

  createDynamicsCompressor() {
    return this.made("limiter", ["threshold", "knee", "ratio", "attack", "release"]);
  }

  async resume() {
    if (this.refuses) throw new Error("NotAllowedError");
    this.state = "running";
  }

  async suspend() {
    this.state = "suspended";
  }

  get oscillators() {
    return this.nodes.filter((node) => node.kind === "oscillator");
  }

  // Time goes on, and oscillators whose time has come say that they have ended.
  passTo(atS) {
    this.currentTime = atS;
    for (const node of this.oscillators.filter((one) => one.stopsAtS <= atS && one.hasEnded !== true)) {
      node.hasEnded = true;
      node.onended?.();
    }
  }
}

class World {
  constructor({ isRemembered = false, make = () => new FakeContext() } = {}) {
    this.contexts = [];
    this.waiting = [];
    this.listeners = new Map();
    this.page = {
      hidden: false,
      addEventListener: (type, listener) => this.listeners.set(type, listener),
    };
    this.settings = new Settings(() => null);
    if (isRemembered) this.settings.set("sound", true);
    this.sounds = new Sounds({
      settings: this.settings,
      page: this.page,
      later: (action) => this.waiting.push(action),
      createContext: () => {
        this.contexts.push(make());
        return this.contexts.at(-1);
      },
    });
  }

  get context() {
    return this.contexts[0];
  }

  get voices() {
    return this.context.oscillators.filter((node) => node.hasEnded !== true).length;
  }

  hide(isHidden) {
    this.page.hidden = isHidden;
    this.listeners.get("visibilitychange")();
  }

  // Whatever was put off is done, and every promise with it.
  async settle() {
    for (const action of this.waiting.splice(0)) action();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

async function playing() {
  const world = new World();
  world.sounds.toggle();
  await world.settle();
  assert.equal(world.context.state, "running");
  return world;
}

test("nothing is made and nothing plays until the player asks", async () => {
  const world = new World();
  for (const name of NAMES) world.sounds.play(name);
  world.sounds.flight(150);
  world.sounds.flight(null);
  world.listeners.get("click")();
  world.hide(true);
  world.hide(false);
  world.sounds.mute(true);
  world.sounds.mute(false);
  await world.settle();
  assert.deepEqual([world.sounds.isOn, world.contexts.length], [false, 0]);
});

test("the first toggle makes the one context, and the choice is remembered", async () => {
  const world = await playing();
  assert.deepEqual([world.sounds.isOn, world.settings.get("sound"), world.contexts.length], [true, true, 1]);
  assert.equal(world.sounds.toggle(), false);
  await world.settle();
  assert.deepEqual([world.sounds.isOn, world.settings.get("sound"), world.context.state], [false, false, "suspended"]);
  assert.equal(world.sounds.toggle(), true);
  await world.settle();
  assert.deepEqual([world.context.state, world.contexts.length], ["running", 1]);
});

test("sounds that are remembered wake with the first gesture", async () => {
  for (const gesture of ["click", "keydown"]) {
    const world = new World({ isRemembered: true });
    world.sounds.play("press");
    assert.deepEqual([world.sounds.isOn, world.contexts.length], [true, 0]);
    world.listeners.get(gesture)();
    await world.settle();
    world.sounds.play("press");
    assert.equal(world.voices, 1);
  }
});

test("a browser that refuses is asked again at the next gesture, and nothing piles up", async () => {
  const world = new World({ isRemembered: true });
  world.listeners.get("keydown")();
  world.context.state = "suspended";
  world.context.refuses = true;
  await world.settle();
  world.context.state = "suspended";
  world.listeners.get("click")();
  await world.settle();
  for (const name of NAMES) world.sounds.play(name);
  world.sounds.flight(150);
  assert.equal(world.voices, 0);
  world.context.refuses = false;
  world.listeners.get("click")();
  await world.settle();
  world.sounds.play("press");
  assert.deepEqual([world.voices, world.contexts.length], [1, 1]);
});

test("without WebAudio the sounds stay off and everything else works", async () => {
  const world = new World({
    make: () => {
      throw new ReferenceError("AudioContext is not defined");
    },
  });
  assert.equal(world.sounds.toggle(), false);
  world.sounds.play("won");
  world.sounds.flight(150);
  world.sounds.mute(true);
  world.hide(true);
  await world.settle();
  assert.equal(world.sounds.isOn, false);
});

test("every sound is voices that lead through master and limiter and end by themselves", async () => {
  for (const name of NAMES) {
    const world = await playing();
    world.context.currentTime = 10;
    world.sounds.play(name);
    assert.ok(world.voices >= 1 && world.voices <= 12, name);
    for (const oscillator of world.context.oscillators) {
      assert.ok(oscillator.startsAtS >= 10 && oscillator.stopsAtS > oscillator.startsAtS && oscillator.stopsAtS < 12, name);
      const kinds = [];
      for (let node = oscillator; node !== undefined; node = node.to[0]) kinds.push(node.kind);
      assert.deepEqual(kinds, ["oscillator", "filter", "gain", "gain", "gain", "limiter", "destination"], name);
    }
    world.context.passTo(12);
    assert.deepEqual([world.voices, world.sounds.voices.size], [0, 0], name);
  }
  const world = await playing();
  for (const name of ["boom", "constructor"]) assert.throws(() => world.sounds.play(name), RangeError);
});

test("a win rises by a major sixth, a loss is a minor chord", async () => {
  const pitches = async (name) => {
    const world = await playing();
    world.sounds.play(name);
    return world.context.oscillators.map((node) => Math.round(69 + 12 * Math.log2(node.frequency.value / 440)));
  };
  const [first, second] = await pitches("won");
  assert.equal(second - first, 9);
  const degrees = new Set((await pitches("lost")).map((note, _, [root]) => (note - root) % 12));
  assert.deepEqual(degrees, new Set([0, 3, 7]));
  assert.ok((await pitches("won_big")).length > (await pitches("won")).length);
});

test("never more than twelve voices at once", async () => {
  const world = await playing();
  world.sounds.flight(150);
  for (let time = 0; time < 40; time += 1) world.sounds.play(NAMES[time % NAMES.length]);
  assert.ok(world.sounds.voices.size <= 12 && world.sounds.voices.size >= 10);
  world.sounds.flight(null);
  world.context.passTo(5);
  assert.equal(world.sounds.voices.size, 0);
  for (let time = 0; time < 40; time += 1) world.sounds.play("lost");
  assert.equal(world.voices, 12);
  world.sounds.flight(150);
  assert.equal(world.voices, 12);
});

test("off, muted or hidden fades everything and suspends; what is remembered stays", async () => {
  const silences = {
    off: [(world) => world.sounds.toggle(), (world) => world.sounds.toggle(), false],
    muted: [(world) => world.sounds.mute(true), (world) => world.sounds.mute(false), true],
    hidden: [(world) => world.hide(true), (world) => world.hide(false), true],
  };
  for (const [name, [silence, wake, isStillOn]] of Object.entries(silences)) {
    const world = await playing();
    world.sounds.play("lost");
    world.sounds.flight(200);
    const before = world.context.nodes.length;
    silence(world);
    for (const oscillator of world.context.oscillators) assert.ok(oscillator.stopsAtS <= 0.05, name);
    for (const sound of NAMES) world.sounds.play(sound);
    world.sounds.flight(210);
    await world.settle();
    assert.deepEqual([world.context.nodes.length, world.context.state], [before, "suspended"], name);
    assert.deepEqual([world.sounds.isOn, world.settings.get("sound")], [isStillOn, isStillOn], name);
    world.context.passTo(1);
    assert.equal(world.sounds.voices.size, 0, name);
    wake(world);
    await world.settle();
    assert.equal(world.context.state, "running", name);
    world.sounds.flight(220);
    assert.equal(world.sounds.voices.size, 1, name);
  }
});

test("a silence that is over at once suspends nothing", async () => {
  const world = await playing();
  world.sounds.mute(true);
  world.sounds.mute(false);
  await world.settle();
  assert.equal(world.context.state, "running");
});

test("the lobby's silence and the player's choice are two things", async () => {
  const world = new World();
  world.sounds.mute(true);
  assert.equal(world.sounds.toggle(), true);
  await world.settle();
  world.sounds.play("press");
  assert.equal(world.contexts.length, 0);
  world.sounds.mute(false);
  world.listeners.get("click")();
  await world.settle();
  world.sounds.play("press");
  assert.equal(world.voices, 1);
});

test("a flight is one bass with one pulse, however many frames it has", async () => {
  const world = await playing();
  for (let hundredths = 100; hundredths <= 1000; hundredths += 1) world.sounds.flight(hundredths);
  const [bass, pulse, ...others] = world.context.oscillators;
  assert.equal(others.length, 0);
  assert.ok(bass.frequency.asked.length > 10 && bass.frequency.asked.length < 100);
  assert.equal(bass.frequency.asked.at(-1)[1], flightTone(1000).bassHz);
  assert.equal(pulse.frequency.asked.at(-1)[1], flightTone(1000).pulseHz);
  world.sounds.flight(null);
  world.sounds.flight(null);
  assert.ok(bass.stopsAtS <= 0.05 && pulse.stopsAtS <= 0.05);
  world.context.passTo(1);
  assert.equal(world.sounds.voices.size, 0);
  world.sounds.flight(100);
  assert.equal(world.voices, 2);
});

test("a flight's tone rises a little with the multiplier and depends on nothing else", () => {
  assert.equal(noteHz(69), 440);
  let before = flightTone(100);
  for (let hundredths = 101; hundredths <= 200_000; hundredths += 37) {
    const tone = flightTone(hundredths);
    assert.deepEqual(tone, flightTone(hundredths));
    assert.ok(tone.bassHz >= before.bassHz && tone.pulseHz >= before.pulseHz);
    before = tone;
  }
  assert.ok(before.bassHz / flightTone(100).bassHz < 2);
  assert.ok(before.pulseHz < 2.5);
  assert.ok(flightTone(1000).bassHz > flightTone(150).bassHz);
});
