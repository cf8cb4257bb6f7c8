import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { HistoryList } from "../../../static/history.js";
import { MoneyFormat } from "../../../static/money.js";
import { useWords } from "../../../static/words.js";

// As much of a document as a list needs.
class FakeElement {
  constructor(tag) {
    Object.assign(this, { tag, dataset: {}, children: [], attributes: {}, className: "", text: "", hidden: true });
  }

  get textContent() {
    return this.text + this.children.map((child) => child.textContent).join("");
  }

  set textContent(text) {
    this.text = text;
  }

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = children;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  get label() {
    return this.children[0].attributes["aria-label"];
  }
}

let made = 0;
globalThis.document = {
  createElement: (tag) => {
    made += 1;
    return new FakeElement(tag);
  },
};
useWords(JSON.parse(readFileSync(new URL("../../../static/messages/en.json", import.meta.url), "utf8")), "en");

const money = new MoneyFormat("USD", "en");
const round = (number, fields = {}) => ({
  roundId: `r${number}`, status: "settled", result: "crash", crashHundredths: 123, realizedHundredths: 0, amountMinor: 100, payoutMinor: 0, currency: "USD", ...fields,
});

function listOf(history, fields = {}) {
  const parts = { "#history": new FakeElement("ol"), "#load-more": new FakeElement("button") };
  const list = new HistoryList({ querySelector: (selector) => parts[selector] });
  const render = (rounds, more = {}) => list.render({ state: { history: rounds, hasMore: false, asked: { history: null }, ...more }, money });
  render(history, fields);
  return { render, items: () => parts["#history"].children, more: parts["#load-more"] };
}

test("without rounds the list says so", () => {
  const { items } = listOf([]);
  assert.deepEqual(items().map((item) => [item.className, item.textContent]), [["empty", "No rounds yet"]]);
});

test("a round keeps its element, only new ones are made", () => {
  const history = [round(2), round(1)];
  const { render, items } = listOf(history);
  const before = items();
  made = 0;
  render([round(3), ...history]);
  assert.deepEqual(items().map((item) => item.dataset.roundId), ["r3", "r2", "r1"]);
  assert.deepEqual(items().slice(1), before);
  assert.ok(items()[1] === before[0] && items()[2] === before[1]);
  assert.equal(made, 4);
  render(history.slice(0, 1));
  assert.ok(items().length === 1 && items()[0] === before[0]);
});

test("what a round was is said in words, by its sign, and in its own currency", () => {
  const { items } = listOf([
    round(1, { result: "cashout", realizedHundredths: 250, payoutMinor: 250 }),
    round(2),
    round(3, { status: "refunded", result: null }),
    round(4, { currency: "JPY" }),
  ]);
  assert.deepEqual(items().map((item) => item.className), ["won", "lost", "none", "lost"]);
  assert.deepEqual(items().map((item) => item.label), [
    "Won: 2.50×, +$1.50. Open the round's details.",
    "Lost: caught at 1.23×, -$1.00. Open the round's details.",
    "Stake refunded. Open the round's details.",
    "Lost: caught at 1.23×, -¥100. Open the round's details.",
  ]);
});

test("older rounds can be asked for as long as there are some", () => {
  const { render, more } = listOf([round(1)], { hasMore: true });
  assert.deepEqual([more.hidden, more.textContent], [false, "More"]);
  render([round(1)], { hasMore: true, asked: { history: "history-1" } });
  assert.equal(more.textContent, "Loading…");
  render([round(1)]);
  assert.equal(more.hidden, true);
});
