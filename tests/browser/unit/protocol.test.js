import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, TIMING, backoffMs, streamUrl } from "../../../static/protocol.js";

class FakeSocket {
  constructor() {
    this.readyState = 0;
    this.sent = [];
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  receive(frame) {
    this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  fall() {
    this.readyState = 3;
    this.onclose();
  }
}

class World {
  constructor() {
    this.nowMs = 0;
    this.sockets = [];
    this.timers = new Map();
    this.frames = [];
    this.statuses = [];
    this.connection = new Connection({
      url: "ws://here/stream",
      token: "secret",
      onFrame: (frame) => this.frames.push(frame),
      onStatus: (status) => this.statuses.push(status),
      environment: {
        openSocket: () => {
          this.sockets.push(new FakeSocket());
          return this.sockets.at(-1);
        },
        now: () => this.nowMs,
        random: () => 1,
        setTimer: (callback, ms) => {
          const key = Symbol("timer");
          this.timers.set(key, { at: this.nowMs + ms, callback });
          return key;
        },
        clearTimer: (key) => this.timers.delete(key),
      },
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get status() {
    return this.statuses.at(-1).status;
  }

  pass(ms) {
    const until = this.nowMs + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.nowMs = due[1].at;
      due[1].callback();
    }
    this.nowMs = until;
  }

  welcomed() {
    this.connection.connect();
    this.socket.open();
    this.socket.receive({ type: "welcome" });
    return this;
  }
}

test("hello with the token comes first and nothing is sent before the welcome", () => {
  const world = new World();
  world.connection.connect();
  world.socket.open();
  assert.equal(world.connection.send("bet", { amount_minor: 1 }), null);
  assert.deepEqual(world.socket.sent, [{ type: "hello", session: "secret" }]);
  world.socket.receive({ type: "welcome" });
  assert.equal(world.status, "open");
  assert.equal(world.connection.send("bet", { amount_minor: 1 }), "bet-1");
  assert.deepEqual(world.socket.sent.at(-1), { type: "bet", id: "bet-1", amount_minor: 1 });
});

test("the address of the stream follows the page", () => {
  assert.equal(streamUrl("https://rgs.example/play?session=abc"), "wss://rgs.example/stream");
  assert.equal(streamUrl("http://127.0.0.1:8080/play?session=abc#x"), "ws://127.0.0.1:8080/stream");
});

test("pings go on every few seconds", () => {
  const world = new World().welcomed();
  const pings = () => world.socket.sent.filter((frame) => frame.type === "ping");
  for (let second = 0; second < 60; second += 1) {
    world.pass(1000);
    world.socket.receive({ type: "pong", t: 0, server_time: 0 });
  }
  assert.ok(pings().length >= 20 && pings().length <= 30);
  assert.ok(pings().every((frame) => typeof frame.t === "number"));
});

test("a lost socket is followed by another, later and later, and a welcome starts afresh", () => {
  const world = new World().welcomed();
  const waits = [];
  for (let round = 0; round < 8; round += 1) {
    world.socket.fall();
    assert.equal(world.status, "lost");
    waits.push(world.statuses.at(-1).retryMs);
    world.pass(waits.at(-1));
    assert.equal(world.status, "connecting");
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  world.socket.open();
  world.socket.receive({ type: "welcome" });
  world.socket.fall();
  assert.equal(world.statuses.at(-1).retryMs, 500);
});

test("jitter spreads the attempts over the upper half", () => {
  assert.equal(backoffMs(0, 0), 250);
  assert.equal(backoffMs(0, 1), 500);
  assert.equal(backoffMs(100, 0), 7500);
});

test("a silent line is given up", () => {
  const world = new World().welcomed();
  world.pass(TIMING.silenceMsMax);
  assert.equal(world.statuses.some(({ status }) => status === "lost"), true);
});

test("where there is a reason to doubt, a dead line is given up much sooner", () => {
  const world = new World();
  world.welcomed();
  world.connection.check();
  world.pass(TIMING.checkMsMax - 1);
  assert.equal(world.status, "open");
  world.pass(1);
  assert.equal(world.status, "lost");
});

test("a page that is told to wait does not begin anew", () => {
  const world = new World();
  world.connection.connect();
  world.socket.open();
  for (let told = 0; told < 20; told += 1) {
    world.socket.receive({ type: "wait", ms: 10_000 });
    world.pass(9_000);
    assert.equal(world.status, "connecting");
  }
  world.pass(1_000);
  assert.equal(world.status, "lost", "nothing was said any more");
  assert.equal(world.sockets.length, 1);
});

test("nobody makes a page wait for ever, or not at all", () => {
  for (const ms of [1e12, -5, "20", null, undefined]) {
    const world = new World();
    world.connection.connect();
    world.socket.open();
    world.socket.receive({ type: "wait", ms });
    world.pass(TIMING.waitMsMin - 1);
    assert.equal(world.status, "connecting");
    world.pass(TIMING.waitMsMax);
    assert.notEqual(world.statuses.find(({ status }) => status === "lost"), undefined);
  }
});

test("who was welcome before says hello again with what it needs, and the first hello is as ever", () => {
  const world = new World();
  world.connection.helloAgain = () => ({ history: 0 });
  world.welcomed();
  assert.deepEqual(world.sockets[0].sent[0], { type: "hello", session: "secret" });
  world.socket.fall();
  world.pass(1_000);
  world.socket.open();
  assert.deepEqual(world.socket.sent, [{ type: "hello", session: "secret", history: 0 }]);
});

test("a server that is full is tried again with more patience", () => {
  const world = new World();
  world.connection.connect();
  world.socket.open();
  world.socket.readyState = 3;
  world.socket.onclose({ code: 1013 });
  assert.deepEqual(world.statuses.at(-1), { status: "lost", retryMs: TIMING.refusedBackoffMs });
});

test("a server that is busy is waited for as long as it waits itself", () => {
  const world = new World();
  world.connection.connect();
  world.pass(4_000);
  world.socket.open();
  world.pass(15_000);
  assert.equal(world.sockets.length, 1);
  world.socket.receive({ type: "welcome" });
  assert.equal(world.status, "open");
});

test("a socket that never welcomes is given up", () => {
  const world = new World();
  world.connection.connect();
  world.socket.open();
  world.pass(TIMING.openMsMax);
  assert.equal(world.status, "lost");
});

for (const frame of [
  { type: "session_ended", reason: "expired" },
  { type: "session_ended", reason: "replaced" },
  { type: "session_ended", reason: "operator_suspended" },
  { type: "error", code: "session_expired" },
]) {
  test(`${frame.reason ?? frame.code} is final`, () => {
    const world = new World().welcomed();
    world.socket.receive(frame);
    world.socket.fall();
    assert.equal(world.status, "closed");
    world.pass(100_000);
    assert.equal(world.sockets.length, 1);
  });
}

test("a link that was never good is refused for good", () => {
  const world = new World();
  world.connection.connect();
  world.socket.open();
  world.socket.receive({ type: "error", code: "unauthorized" });
  world.socket.fall();
  assert.equal(world.status, "closed");
});

test("a page that was welcome once comes back after a hello that was too late", () => {
  const world = new World().welcomed();
  world.socket.receive({ type: "error", code: "unauthorized" });
  world.socket.fall();
  assert.equal(world.status, "lost");
  world.pass(100_000);
  assert.ok(world.sockets.length > 1);
});

for (const frame of [
  { type: "session_ended", reason: "shutdown" },
  { type: "error", code: "draining" },
  { type: "error", code: "rate_limited" },
]) {
  test(`${frame.reason ?? frame.code} is tried again, with more patience`, () => {
    const world = new World().welcomed();
    world.socket.receive(frame);
    world.socket.fall();
    assert.equal(world.status, "lost");
    assert.equal(world.statuses.at(-1).retryMs, TIMING.refusedBackoffMs);
  });
}

test("what an old socket still says is not heard", () => {
  const world = new World().welcomed();
  const old = world.socket;
  world.connection.connect();
  old.receive({ type: "tick", e: 1, x: 1 });
  old.onclose();
  assert.deepEqual(world.frames.map((frame) => frame.type), ["welcome"]);
  assert.equal(world.status, "connecting");
});

test("frames that are none are passed over", () => {
  const world = new World().welcomed();
  for (const text of ["", "null", "[]", "{}", '{"type":1}', "{"]) world.socket.receive(text);
  assert.equal(world.frames.length, 1);
});
