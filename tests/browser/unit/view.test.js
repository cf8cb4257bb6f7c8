import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { MoneyFormat } from "../../../static/money.js";
import { endingKey, textValues } from "../../../static/view.js";
import { useWords } from "../../../static/words.js";

const STATIC = new URL("../../../static/", import.meta.url);
const files = readdirSync(STATIC, { recursive: true }).filter((name) => /\.(js|css|html|svg)$/.test(name));
const textOf = (name) => readFileSync(new URL(name, STATIC), "utf8");

test("what ends the game on this page", () => {
  const open = { over: null, status: "open" };
  assert.equal(endingKey(open, true), null);
  assert.equal(endingKey({ ...open, status: "lost" }, true), null);
  assert.equal(endingKey(open, false), "no_token");
  assert.equal(endingKey({ over: "replaced", status: "closed" }, true), "replaced");
  assert.equal(endingKey({ over: "shutdown", status: "lost" }, true), "shutdown");
  assert.equal(endingKey({ over: null, status: "closed" }, true), "expired");
});

test("the values of a notice become texts, beside the session's limits", () => {
  useWords({}, "de");
  const limits = { min_bet_minor: 10, max_bet_minor: 100_000, bet_step_minor: 10, max_payout_minor: 5_000_000, min_cashout: 1.01, max_win_multiplier: 2000 };
  const model = { money: new MoneyFormat("EUR", "de"), state: { session: { limits } } };
  const values = { payoutMinor: 150, hundredths: 250, crashHundredths: null, message: "m" };
  const texts = Object.fromEntries(Object.entries(textValues(values, model)).map(([name, text]) => [name, text.replace(/\s/g, " ")]));
  useWords({}, "en");
  assert.deepEqual(texts, {
    payoutMinor: "1,50 €", hundredths: "2,50×", crashHundredths: "?", message: "m",
    min: "0,10 €", max: "1.000,00 €", step: "0,10 €", maxPayout: "50.000,00 €", minCashout: "1,01×", maxCashout: "2000,00×",
  });
  assert.deepEqual(textValues({ payoutMinor: 150 }, { money: null, state: {} }), { payoutMinor: 150 });
});

test("the page is plain files: nothing inline, nothing from elsewhere, nothing stored but the settings", () => {
  assert.ok(files.length > 40);
  for (const name of files) {
    const text = textOf(name);
    assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, name);
    assert.doesNotMatch(text, /sessionStorage|document\.cookie|indexedDB|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function/, name);
    if (name !== "settings.js") assert.doesNotMatch(text, /localStorage/, name);
    assert.ok(text.split("\n").length <= 400, `${name} is too long`);
  }
  for (const name of files.filter((file) => file.endsWith(".html"))) {
    const inline = /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)(?! type="application\/json" id="launch">\{\}<\/script>)/;
    assert.doesNotMatch(textOf(name), inline, name);
  }
});
