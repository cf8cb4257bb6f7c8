// The list of finished rounds: the newest first, each a button that opens its details. History is the player's, so that
// a round may have been played in another currency than this session's.

import { isProfit } from "./records.js";
import { multiplierText, say } from "./words.js";

/** Renders the rounds into `#history`. Only rounds that are not there yet are made. */
export class HistoryList {
  constructor(root) {
    this.list = root.querySelector("#history");
    this.more = root.querySelector("#load-more");
    this.shown = null;
  }

  render({ state, money }) {
    const { history, hasMore, asked } = state;
    if (this.more.hidden === hasMore) this.more.hidden = !hasMore;
    const word = say(asked.history === null ? "label.loadMore" : "label.loading");
    if (this.more.textContent !== word) this.more.textContent = word;
    if (money === null || history === this.shown) return;
    this.shown = history;
    const known = new Map([...this.list.children].map((item) => [item.dataset.roundId, item]));
    const items = history.map((round) => known.get(round.roundId) ?? itemOf(round, money));
    const focused = document.activeElement;
    this.list.replaceChildren(...(items.length === 0 ? [emptyItem()] : items));
    // What had the focus keeps it: otherwise the next Space, meant for a round's details, would be a bet.
    if (focused !== document.activeElement && this.list.contains(focused)) focused.focus({ preventScroll: true });
    this.list.scrollTo?.({ left: 0, top: 0 });
  }
}

function emptyItem() {
  const item = document.createElement("li");
  item.className = "empty";
  item.textContent = say("label.noHistory");
  return item;
}

function itemOf(round, money) {
  const item = document.createElement("li");
  item.dataset.roundId = round.roundId;
  const isSettled = round.status === "settled";
  const isOut = isSettled && round.result !== "crash";
  const kind = !isSettled || (isOut && !isProfit(round)) ? "none" : isOut ? "won" : "lost";
  item.className = kind;
  const button = document.createElement("button");
  button.type = "button";
  const format = money.of(round.currency);
  const chip = isSettled ? multiplierText(isOut ? round.realizedHundredths : round.crashHundredths) : say(`stage.${round.status}`);
  const amount = isSettled ? format.signedText(round.payoutMinor - round.amountMinor) : format.text(0);
  button.append(span("chip", chip), span("sum", amount));
  const key = { won: "label.roundWon", lost: "label.roundLost", none: "label.roundOther" }[kind];
  button.setAttribute("aria-label", say(key, { multiplier: chip, amount, outcome: isSettled ? `${chip}, ${amount}` : chip }));
  item.append(button);
  return item;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.dir = "ltr";
  element.textContent = text;
  return element;
}
