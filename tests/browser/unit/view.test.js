import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { generatorOf } from "../../../static/scenery.js";
import { sceneKind, stageHundredths } from "../../../static/view.js";
import { LABELS } from "../../../static/words.js";

const STATIC = new URL("../../../static/", import.meta.url);

test("the stage follows the state", () => {
  const crashed = { round: null, last: { status: "settled", result: "crash", crashHundredths: 321, realizedHundredths: 0 } };
  const won = { round: null, last: { status: "settled", result: "max_win", crashHundredths: 321, realizedHundredths: 150 } };
  assert.equal(sceneKind({ round: null, last: null }), "idle");
  assert.equal(sceneKind({ round: null, last: { status: "void" } }), "idle");
  assert.equal(sceneKind({ round: { phase: "asking" }, last: null }), "betting");
  assert.deepEqual([sceneKind(crashed), stageHundredths(crashed, 100)], ["lost", 321]);
  assert.deepEqual([sceneKind(won), stageHundredths(won, 100)], ["won", 150]);
  assert.equal(stageHundredths({ round: { phase: "flying" }, last: null }, 177), 177);
});

test("scenery is the same for the same seed", () => {
  const draw = (seed) => Array.from({ length: 5 }, generatorOf(seed));
  assert.deepEqual(draw("afd4de28dc"), draw("afd4de28dc"));
  assert.notDeepEqual(draw("afd4de28dc"), draw("bfd4de28dc"));
  for (const value of [...draw(null), ...draw("ffffffff")]) assert.ok(value >= 0 && value < 1);
});

test("every label that the page names exists", () => {
  const page = readFileSync(new URL("index.html", STATIC), "utf8");
  const names = [...page.matchAll(/data-word(?:-label|-placeholder)?="(\w+)"/g)].map((match) => match[1]);
  assert.ok(names.length > 15);
  for (const name of names) assert.equal(typeof LABELS[name], "string", name);
});

test("the page is plain files: nothing inline, nothing from elsewhere, nothing stored", () => {
  for (const name of readdirSync(STATIC).filter((file) => /\.(js|css|html|svg)$/.test(file))) {
    const text = readFileSync(new URL(name, STATIC), "utf8");
    assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, name);
    assert.doesNotMatch(text, /localStorage|sessionStorage|document\.cookie|indexedDB|innerHTML|eval\(|new Function/, name);
    assert.ok(text.split("\n").length <= 400, `${name} is too long`);
  }
  const page = readFileSync(new URL("index.html", STATIC), "utf8");
  assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
});
