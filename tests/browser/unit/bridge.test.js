import assert from "node:assert/strict";
import { test } from "node:test";

import { Bridge, isAllowedOrigin, readCommand } from "../../../static/bridge.js";

const CASINO = "https://casino.example.com";

class FakeView {
  constructor({ ancestorOrigins, isFramed = true } = {}) {
    this.location = { ancestorOrigins };
    this.listeners = [];
    this.sent = [];
    this.parent = isFramed ? { postMessage: (message, origin) => this.sent.push([message, origin]) } : this;
  }

  addEventListener(type, listener) {
    assert.equal(type, "message");
    this.listeners.push(listener);
  }

  say(data, { origin = CASINO, source = this.parent } = {}) {
    for (const listener of this.listeners) listener({ data, origin, source });
  }
}

function bridged({ frameOrigins = [CASINO], ...viewOptions } = {}) {
  const view = new FakeView(viewOptions);
  const commands = [];
  const bridge = new Bridge({ view, frameOrigins, onCommand: (command) => commands.push(command) });
  return { view, bridge, commands };
}

const hello = { getaway: 1, type: "hello" };

test("an exact origin allows itself alone", () => {
  const allowed = [CASINO];
  assert.ok(isAllowedOrigin(CASINO, allowed));
  for (const origin of [
    "http://casino.example.com",
    "https://casino.example.com:8443",
    "https://casino.example.com:80",
    "https://casino.example.com.evil.test",
    "https://evil.test/casino.example.com",
    "https://casino.example.com@evil.test",
    "https://evilcasino.example.com",
    "https://www.casino.example.com",
    "https://example.com",
    "https://casino-example.com",
    "https://casinoXexample.com",
    "https://casino.example.com/",
    "https://casino.example.com.",
    " https://casino.example.com",
    "https://casino.example.com\nhttps://evil.test",
    "https://casino.example.com#",
    "https://*.example.com",
    "ftp://casino.example.com",
    "file://",
    "null",
    "*",
    "",
  ]) {
    assert.ok(!isAllowedOrigin(origin, allowed), origin);
  }
});

test("ports count, and a scheme's usual one may be left out on either side", () => {
  assert.ok(isAllowedOrigin("https://a.test:8443", ["https://a.test:8443"]));
  assert.ok(!isAllowedOrigin("https://a.test", ["https://a.test:8443"]));
  assert.ok(isAllowedOrigin("https://a.test", ["https://a.test:443"]));
  assert.ok(isAllowedOrigin("https://a.test:443", ["https://a.test"]));
  assert.ok(isAllowedOrigin("http://a.test:80", ["http://a.test"]));
  assert.ok(!isAllowedOrigin("http://a.test:443", ["http://a.test"]));
  assert.ok(!isAllowedOrigin("https://a.test:80", ["http://a.test"]));
  assert.ok(!isAllowedOrigin("http://a.test:443", ["https://a.test"]));
});

test("a wildcard covers one or more labels, never the bare domain", () => {
  const allowed = ["https://*.example.com"];
  for (const origin of [CASINO, "https://a.b.example.com", "https://example.com.example.com", "https://a.example.com:443"]) {
    assert.ok(isAllowedOrigin(origin, allowed), origin);
  }
  for (const origin of [
    "https://example.com",
    "https://.example.com",
    "https://a..example.com",
    "https://evilexample.com",
    "https://example.com.evil.test",
    "https://a.example.com.evil.test",
    "http://a.example.com",
    "https://a.example.com:8443",
    "https://*.example.com",
    "null",
  ]) {
    assert.ok(!isAllowedOrigin(origin, allowed), origin);
  }
  assert.ok(isAllowedOrigin("https://a.example.com:8443", ["https://*.example.com:8443"]));
  assert.ok(!isAllowedOrigin("https://a.example.com", ["https://*.example.com:8443"]));
});

test("a star allows every web origin and no opaque one", () => {
  for (const origin of [CASINO, "http://127.0.0.1:8090", "http://[::1]:8090"]) assert.ok(isAllowedOrigin(origin, ["*"]), origin);
  for (const origin of ["null", "", "file://", "chrome-extension://abc", "*"]) assert.ok(!isAllowedOrigin(origin, ["*"]), origin);
});

test("patterns may be in capitals, addresses are hosts, and one that is malformed allows nothing", () => {
  assert.ok(isAllowedOrigin(CASINO, ["HTTPS://Casino.Example.com"]));
  assert.ok(isAllowedOrigin("http://[::1]:8090", ["http://[::1]:8090"]));
  assert.ok(!isAllowedOrigin("http://[::2]:8090", ["http://[::1]:8090"]));
  for (const pattern of ["https://", "https:", "casino.example.com", "https://*", "https://**.example.com", "https://a.*.com", "https://casino.example.com/", "'self'", "null", ""]) {
    assert.ok(!isAllowedOrigin(CASINO, [pattern]), pattern);
  }
  assert.ok(!isAllowedOrigin(CASINO, []));
});

test("commands are read, and only with the fields that they have", () => {
  for (const type of ["hello", "pause", "resume", "close"]) {
    assert.deepEqual(readCommand({ getaway: 1, type, more: 7 }), { type });
  }
  assert.deepEqual(readCommand({ getaway: 1, type: "mute", muted: false, type_: 1 }), { type: "mute", muted: false });
  for (const data of [
    null, undefined, 7, "hello", [], {}, { type: "hello" }, { getaway: 2, type: "hello" }, { getaway: "1", type: "hello" },
    { getaway: true, type: "hello" }, { getaway: 1 }, { getaway: 1, type: 7 }, { getaway: 1, type: ["hello"] }, { getaway: 1, type: "bet" },
    { getaway: 1, type: "constructor" }, { getaway: 1, type: "__proto__" }, { getaway: 1, type: "mute" }, { getaway: 1, type: "mute", muted: 1 },
    { getaway: 1, type: "mute", muted: "true" },
  ]) {
    assert.equal(readCommand(data), null, JSON.stringify(data));
  }
});

test("a browser that names the ancestors makes the lobby known at once", () => {
  const { view, bridge } = bridged({ ancestorOrigins: [CASINO, "https://outer.test"] });
  assert.equal(bridge.isKnown, true);
  bridge.post("ready", { session_id: "s", currency: "USD", lang: "en" });
  assert.deepEqual(view.sent, [[{ getaway: 1, type: "ready", session_id: "s", currency: "USD", lang: "en" }, CASINO]]);
});

test("an ancestor that is not allowed, hidden or absent is not known", () => {
  for (const ancestorOrigins of [["https://evil.test"], ["null"], [""], [], ["https://evil.test", CASINO], undefined]) {
    const { view, bridge } = bridged({ ancestorOrigins });
    bridge.post("ready");
    assert.deepEqual([bridge.isKnown, view.sent], [false, []], String(ancestorOrigins));
  }
});

test("until the lobby is known the newest of each type waits", () => {
  const { view, bridge, commands } = bridged({ frameOrigins: ["https://*.example.com"] });
  bridge.post("round_started", { round_id: "r1", amount_minor: 100 });
  for (let balance = 0; balance < 1000; balance += 1) bridge.post("balance", { balance_minor: balance, pending_minor: 0, currency: "USD" });
  bridge.post("round_started", { round_id: "r2", amount_minor: 200 });
  assert.equal(bridge.kept.size, 2);
  assert.deepEqual(view.sent, []);
  view.say(hello);
  assert.equal(bridge.isKnown, true);
  assert.deepEqual(view.sent, [
    [{ getaway: 1, type: "balance", balance_minor: 999, pending_minor: 0, currency: "USD" }, CASINO],
    [{ getaway: 1, type: "round_started", round_id: "r2", amount_minor: 200 }, CASINO],
  ]);
  assert.deepEqual(commands, [{ type: "hello" }]);
  view.say(hello);
  assert.equal(view.sent.length, 2);
  bridge.post("open_lobby");
  assert.deepEqual(view.sent.at(-1), [{ getaway: 1, type: "open_lobby" }, CASINO]);
});

test("a lobby that is known may still be one that does not listen", () => {
  const { view, bridge } = bridged({ ancestorOrigins: [CASINO] });
  view.say(hello, { origin: "https://evil.test" });
  view.say({ getaway: 1, type: "dance" });
  assert.deepEqual([bridge.isKnown, bridge.hasHeard], [true, false]);
  view.say({ getaway: 1, type: "pause" });
  assert.deepEqual([bridge.isKnown, bridge.hasHeard], [true, true]);
});

test("a message has its own fields alone, and all of them", () => {
  const { view, bridge } = bridged({ ancestorOrigins: [CASINO] });
  bridge.post("round_ended", { round_id: "r", status: "void", amount_minor: 5, payout_minor: 0, server_seed: "secret", type: "ready", getaway: 9 });
  assert.deepEqual(view.sent[0][0], {
    getaway: 1, type: "round_ended", round_id: "r", status: "void", result: null, amount_minor: 5, payout_minor: 0, realized_multiplier: null,
  });
  for (const type of ["tick", "constructor", "hello"]) assert.throws(() => bridge.post(type), RangeError);
});

test("a star in the list is never a star in a target", () => {
  const { view, bridge } = bridged({ frameOrigins: ["*"] });
  bridge.post("ready");
  view.say(hello, { origin: "null" });
  view.say(hello, { origin: "file://" });
  assert.deepEqual([bridge.isKnown, view.sent], [false, []]);
  view.say(hello, { origin: "http://127.0.0.1:8090" });
  assert.deepEqual(view.sent.map(([, origin]) => origin), ["http://127.0.0.1:8090"]);
});

test("only the parent at an allowed origin is heard", () => {
  const { view, bridge, commands } = bridged();
  view.say(hello, { source: { postMessage() {} } });
  view.say(hello, { source: null });
  view.say(hello, { source: view });
  view.say(hello, { origin: "https://casino.example.com.evil.test" });
  view.say(hello, { origin: "http://casino.example.com" });
  view.say(hello, { origin: "null" });
  view.say({ getaway: 2, type: "hello" });
  view.say("hello");
  assert.deepEqual([bridge.isKnown, commands], [false, []]);
  view.say({ getaway: 1, type: "mute", muted: true });
  assert.deepEqual([bridge.isKnown, commands], [false, [{ type: "mute", muted: true }]]);
});

test("once known, another allowed origin is not the lobby", () => {
  const { view, bridge, commands } = bridged({ frameOrigins: ["https://*.example.com"] });
  view.say(hello);
  view.say({ getaway: 1, type: "pause" }, { origin: "https://other.example.com" });
  view.say(hello, { origin: "https://other.example.com" });
  view.say({ getaway: 1, type: "resume" });
  assert.deepEqual(commands, [{ type: "hello" }, { type: "resume" }]);
  bridge.post("open_lobby");
  assert.deepEqual(view.sent.map(([, origin]) => origin), [CASINO]);
});

test("a page that is not in a frame has no lobby", () => {
  const { view, bridge, commands } = bridged({ isFramed: false, frameOrigins: ["*"], ancestorOrigins: [] });
  bridge.post("ready", { session_id: "s" });
  view.say(hello);
  assert.deepEqual([view.listeners, view.sent, bridge.isKnown, bridge.kept.size, commands], [[], [], false, 0, []]);
});
