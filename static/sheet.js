// The details of a finished round, with its check in this page and the lines to check it anywhere else.

import { canVerify, shellLines, verifyRound } from "./fairness.js";
import { MoneyFormat, decimalText, multiplierText } from "./money.js";
import { DETAILS } from "./words.js";

/** Fills and opens the dialog. `wasShown(hash)` says whether this page displayed the hash before. */
export class Sheet {
  constructor(root, { wasShown }) {
    this.dialog = root.querySelector("#sheet");
    this.facts = root.querySelector("#sheet-facts");
    this.checks = root.querySelector("#sheet-checks");
    this.shell = root.querySelector("#sheet-shell");
    this.wasShown = wasShown;
    root.querySelector("#sheet-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  async open(round) {
    this.roundId = round.roundId;
    this.dialog.dataset.roundId = round.roundId;
    this.facts.replaceChildren(...factsOf(round).flatMap(factElements));
    this.shell.textContent = shellLines(round).join("\n");
    this.showChecks([{ text: DETAILS.checking, tone: "" }]);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    const checks = await this.check(round);
    if (this.roundId === round.roundId) this.showChecks(checks);
  }

  async check(round) {
    if (!canVerify()) return [{ text: DETAILS.insecure, tone: "" }];
    const shownHash = this.wasShown(round.serverSeedHash) ? round.serverSeedHash : null;
    const found = await verifyRound(round, shownHash);
    const crash = multiplierText(found.crash);
    return [
      found.hashMatches ? { text: DETAILS.hashOk, tone: "ok" } : { text: DETAILS.hashBad, tone: "bad" },
      found.crashMatches ? { text: DETAILS.crashOk({ crash }), tone: "ok" } : { text: DETAILS.crashBad({ crash }), tone: "bad" },
      found.commitmentMatches ? { text: DETAILS.shownOk, tone: "ok" } : { text: DETAILS.shownUnknown, tone: "" },
      { text: `${DETAILS.crashDigest}: ${found.digest}`, tone: "" },
    ];
  }

  showChecks(checks) {
    this.checks.replaceChildren(
      ...checks.map(({ text, tone }) => {
        const item = document.createElement("li");
        item.className = tone;
        item.textContent = text;
        return item;
      }),
    );
  }
}

function factsOf(round) {
  const money = new MoneyFormat(round.currency);
  const terms = DETAILS.termsText({ rtp: decimalText(round.rtpBps, 2), max: multiplierText(100 * round.maxWinMultiplier) });
  return [
    [DETAILS.outcome, outcomeText(round)],
    [DETAILS.stake, money.text(round.amountMinor)],
    [DETAILS.payout, money.text(round.payoutMinor)],
    [DETAILS.auto, round.autoHundredths === null ? "–" : multiplierText(round.autoHundredths)],
    [DETAILS.crash, multiplierText(round.crashHundredths), "crash"],
    [DETAILS.terms, terms],
    [DETAILS.time, round.settledAtMs === null ? "–" : new Date(round.settledAtMs).toLocaleString()],
    [DETAILS.nonce, String(round.nonce), "nonce"],
    [DETAILS.clientSeed, round.clientSeed, "client-seed", true],
    [DETAILS.serverSeedHash, round.serverSeedHash, "server-seed-hash", true],
    [DETAILS.serverSeed, round.serverSeed, "server-seed", true],
    [DETAILS.roundId, round.roundId, "round-id", true],
  ];
}

function factElements([label, text, name = null, isCode = false]) {
  const term = document.createElement("dt");
  term.textContent = label;
  const value = document.createElement("dd");
  value.textContent = text;
  if (name) value.dataset.fact = name;
  if (isCode) value.className = "code";
  return [term, value];
}

function outcomeText(round) {
  const text = DETAILS.outcomes[round.status === "settled" ? round.result : round.status];
  if (typeof text !== "function") return text ?? round.status;
  return text({ multiplier: multiplierText(round.realizedHundredths), crash: multiplierText(round.crashHundredths) });
}
