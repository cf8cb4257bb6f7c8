import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { LANGUAGES } from "../../../static/words.js";

const STATIC = new URL("../../../static/", import.meta.url);
const read = (name) => readFileSync(new URL(name, STATIC), "utf8");
const messages = Object.fromEntries(LANGUAGES.map((lang) => [lang, JSON.parse(read(`messages/${lang}.json`))]));
const sources = readdirSync(STATIC, { recursive: true })
  .filter((name) => /\.(js|html)$/.test(name))
  .map((name) => ({ name, text: read(name) }));
const all = sources.map(({ text }) => text).join("\n");

const ERRORS =
  "bad_message unauthorized stake_too_low stake_too_high stake_step bad_auto_cashout bad_client_seed insufficient_funds bet_declined " +
  "wallet_unavailable wallet_pending round_in_progress no_such_round too_early too_late rate_limited session_expired draining";
const ENDS = "expired replaced operator_suspended shutdown unauthorized no_token closed other";
const ACTIONS = "bet pending cashOut early cashing offline connecting closed paused";

// What the code puts together, by the text as it stands there, and what can come of it.
const COMPUTED = {
  "action.${key}": ACTIONS,
  "action.${key}Sub": "pendingSub earlySub cashingSub offlineSub",
  "ended.${key}": ENDS,
  "ended.${key}.title": ENDS.split(" ").map((end) => `${end}.title`).join(" "),
  "ended.${frame.reason}": ENDS,
  "error.${code}": `${ERRORS} other`,
  "error.${wrongStake}": "stake_too_low stake_too_high stake_step",
  "void.${ended.reason}": "insufficient_funds bet_declined wallet_unavailable interrupted draining other",
  "refunded.${ended.reason}": "interrupted shutdown late_start draining other",
  "result.${ended.result}": "cashout max_win",
  "round.${state.round.phase}": "betting flying",
  "rules.${name}.title": [...read("rules.js").matchAll(/section\("(\w+)"/g)].map((match) => `${match[1]}.title`).join(" "),
  "rules.${part}": [...read("rules.js").matchAll(/section\("\w+", ([^)]*)\)/g)].map((match) => match[1].replaceAll(/[",]/g, "")).join(" "),
  "stage.${last.result}": "cashout max_win",
  "stage.${last.status}": "void refunded",
  "stage.${round.status}": "void refunded",
};

const families = new Set(Object.keys(messages.en).map((key) => key.split(".")[0]));

function literalKeys() {
  const found = [...all.matchAll(/["'`]([a-z]+)(\.[A-Za-z_]+)+["'`]/g)].filter((match) => families.has(match[1]));
  return new Set(found.map((match) => match[0].slice(1, -1)));
}

function computedKeys() {
  const endings = ([template, words]) => words.split(" ").filter(Boolean).map((word) => `${template.split(".")[0]}.${word}`);
  return new Set(Object.entries(COMPUTED).flatMap(endings));
}

const placeholders = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

test("there is one file of messages for every language", () => {
  assert.deepEqual(readdirSync(new URL("messages", STATIC)).sort(), LANGUAGES.map((lang) => `${lang}.json`).sort());
});

for (const lang of LANGUAGES) {
  test(`${lang} says everything, with the same values as English`, () => {
    assert.deepEqual(Object.keys(messages[lang]).sort(), Object.keys(messages.en).sort());
    for (const [key, text] of Object.entries(messages[lang])) {
      const wanted = [...new Set(placeholders(messages.en[key]))];
      assert.deepEqual([...new Set(placeholders(text))], wanted, key);
      assert.ok(text.trim() === text && text.length > 0, key);
    }
    const lines = read(`messages/${lang}.json`).split("\n").map((line) => line.match(/^\s*"([^"]+)":/)?.[1]).filter(Boolean);
    assert.equal(new Set(lines).size, lines.length, "no key twice");
  });
}

test("every key that the code names has a message", () => {
  const named = literalKeys();
  assert.ok(named.size > 100);
  for (const key of [...named, ...computedKeys()]) assert.ok(key in messages.en, key);
});

test("every key that the code puts together is of a family that is known here", () => {
  const templates = [...all.matchAll(/`([a-z]+\.[^`\s]*\$\{[^`\s]*)`/g)].map((match) => match[1]).filter((text) => families.has(text.split(".")[0]));
  assert.deepEqual([...new Set(templates)].sort(), Object.keys(COMPUTED).sort());
  const told = [...read("view.js").matchAll(/(?:words|told)\(("\w+"|[^"()]*"\w+" : "\w+")/g)].flatMap((match) => match[1].match(/(?<=")\w+(?=")/g));
  assert.ok(told.length >= 6);
  for (const key of told) assert.ok(ACTIONS.split(" ").includes(key) || key === "open", key);
});

test("every message is said somewhere", () => {
  const said = new Set([...literalKeys(), ...computedKeys()]);
  assert.deepEqual(Object.keys(messages.en).filter((key) => !said.has(key)), []);
});
