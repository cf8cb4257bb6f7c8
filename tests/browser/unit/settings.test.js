import assert from "node:assert/strict";
import { test } from "node:test";

import { Settings } from "../../../static/settings.js";

const KEY = "getaway/settings/1";

class FakeStorage {
  constructor(text = null) {
    this.items = new Map(text === null ? [] : [[KEY, text]]);
    this.isFull = false;
  }

  getItem(key) {
    return this.items.get(key) ?? null;
  }

  setItem(key, text) {
    if (this.isFull) throw new Error("QuotaExceededError");
    this.items.set(key, text);
  }
}

const blocked = () => {
  throw new Error("SecurityError");
};

function valuesOf(settings) {
  return { sound: settings.get("sound"), language: settings.get("language") };
}

test("at first the sound is off and the language the browser's", () => {
  for (const storage of [() => new FakeStorage(), blocked, () => null]) {
    assert.deepEqual(valuesOf(new Settings(storage)), { sound: false, language: null });
  }
});

test("choices are remembered under one key", () => {
  const storage = new FakeStorage();
  const settings = new Settings(() => storage);
  settings.set("sound", true);
  settings.set("language", "pt-BR");
  assert.deepEqual([...storage.items.keys()], [KEY]);
  assert.deepEqual(JSON.parse(storage.getItem(KEY)), { sound: true, language: "pt-BR" });
  const next = new Settings(() => storage);
  assert.deepEqual(valuesOf(next), { sound: true, language: "pt-BR" });
  next.set("language", null);
  next.set("sound", false);
  assert.deepEqual(valuesOf(next), { sound: false, language: null });
  assert.deepEqual(valuesOf(new Settings(() => storage)), { sound: false, language: null });
});

test("where nothing can be stored, a choice lasts as long as the page", () => {
  const full = new FakeStorage('{"sound":false}');
  full.isFull = true;
  for (const storage of [blocked, () => null, () => full]) {
    const settings = new Settings(storage);
    settings.set("sound", true);
    settings.set("language", "tr");
    assert.deepEqual(valuesOf(settings), { sound: true, language: "tr" });
  }
  assert.equal(full.getItem(KEY), '{"sound":false}');
});

test("rubbish counts as nothing, and is replaced", () => {
  for (const text of ["", "{", "null", "7", "[]", '"sound"', '{"sound":"on","language":7}', '{"language":"<b>","__proto__":{"sound":true}}']) {
    const storage = new FakeStorage(text);
    const settings = new Settings(() => storage);
    assert.deepEqual(valuesOf(settings), { sound: false, language: null }, text);
    settings.set("sound", true);
    assert.deepEqual(JSON.parse(storage.getItem(KEY)), { sound: true }, text);
  }
});

test("a value that is good survives one beside it that is not", () => {
  const storage = new FakeStorage('{"sound":1,"language":"de","token":"secret"}');
  const settings = new Settings(() => storage);
  assert.deepEqual(valuesOf(settings), { sound: false, language: "de" });
  settings.set("sound", true);
  assert.deepEqual(JSON.parse(storage.getItem(KEY)), { sound: true, language: "de" });
});

test("two tabs do not undo each other's choices", () => {
  const storage = new FakeStorage();
  const [one, other] = [new Settings(() => storage), new Settings(() => storage)];
  one.set("sound", true);
  other.set("language", "fr");
  assert.deepEqual(JSON.parse(storage.getItem(KEY)), { sound: true, language: "fr" });
});

test("there are no other settings and no other values", () => {
  const storage = new FakeStorage();
  const settings = new Settings(() => storage);
  for (const name of ["token", "constructor", "__proto__"]) {
    assert.throws(() => settings.get(name), RangeError);
    assert.throws(() => settings.set(name, true), RangeError);
  }
  for (const [name, value] of [["sound", 1], ["sound", null], ["language", ""], ["language", "EN"], ["language", "e"], ["language", ["en"]]]) {
    assert.throws(() => settings.set(name, value), RangeError, `${name} ${value}`);
  }
  assert.equal(storage.items.size, 0);
});
