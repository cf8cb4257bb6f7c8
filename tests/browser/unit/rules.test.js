import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { MoneyFormat } from "../../../static/money.js";
import { chanceText, rulesOf } from "../../../static/rules.js";
import { LANGUAGES, useWords } from "../../../static/words.js";

const messagesOf = (lang) => JSON.parse(readFileSync(new URL(`../../../static/messages/${lang}.json`, import.meta.url), "utf8"));
const LIMITS = { min_bet_minor: 20, max_bet_minor: 12_300, bet_step_minor: 5, max_payout_minor: 7_654_300, min_cashout: 1.02, max_win_multiplier: 1500 };
const model = (fields = {}) => ({
  state: { session: { limits: LIMITS, rtpBps: 9650, ratePerMs: 0.0001 } },
  money: new MoneyFormat("USD", "en"),
  roundTripMs: 41.2,
  ...fields,
});

function allText(parts) {
  return parts.flatMap(({ title, paragraphs }) => [title ?? "", ...paragraphs]).join("\n").replace(/[\u00a0\u202f]/g, " ");
}

test("chances are those of the terms", () => {
  useWords(messagesOf("en"), "en");
  assert.equal(chanceText(9600, 200), "48.0");
  assert.equal(chanceText(9600, 1000), "9.6");
  assert.equal(chanceText(9650, 200), "48.3");
  useWords(messagesOf("de"), "de");
  assert.equal(chanceText(9600, 200), "48,0");
});

test("every number in the rules comes from the session", () => {
  useWords(messagesOf("en"), "en");
  const text = allText(rulesOf(model()));
  // ln 2 / 0.0001 per ms; 1 - 0.965 / 1.02.
  const facts = [
    "Return to player: 96.50 %", "$0.20", "$123.00", "$0.05", "$76,543.00", "1500.00×", "1.02×", "48.3 % for 2.00×", "9.7 % for 10.00×",
    "every 6.9 seconds", "5.4 % of the rounds", "takes 42 ms", "Version 1",
  ];
  for (const fact of facts) assert.ok(text.includes(fact), `${fact} in ${text}`);
  assert.ok(allText(rulesOf(model({ state: { session: { ...model().state.session, rtpBps: 9600 } } }))).includes("Return to player: 96 %"));
});

test("before the connection is measured the rules do not invent its speed", () => {
  useWords(messagesOf("en"), "en");
  assert.match(allText(rulesOf(model({ roundTripMs: 0 }))), /takes – ms/);
});

test("the rules are whole in every language", () => {
  for (const lang of LANGUAGES) {
    useWords(messagesOf(lang), lang);
    const parts = rulesOf(model());
    assert.equal(parts.length, 8);
    const text = allText(parts);
    assert.doesNotMatch(text, /[{}]|undefined|null|rules\./, lang);
    for (const { paragraphs } of parts) for (const paragraph of paragraphs) assert.ok(paragraph.length > 20, lang);
  }
  useWords(messagesOf("en"), "en");
});
