// The details of a finished round: what it was, its check in this page, its replay, and the lines to check it elsewhere.

import { canVerify, checksOf, shellLines, verifyRound } from "./fairness.js";
import { isProfit } from "./records.js";
import { roundLink } from "./round_link.js";
import { isolated, multiplierText, numberText, say, spoken } from "./words.js";

/** Fills and opens the dialog. `keptPromise(round)`: see state.js; `onReplay(round)`. */
export class Sheet {
  constructor(root, { keptPromise, onReplay }) {
    const find = (name) => root.querySelector(`#sheet${name}`);
    Object.assign(this, { dialog: find(""), outcome: find("-outcome"), facts: find("-facts"), checks: find("-checks"), shell: find("-shell") });
    Object.assign(this, { replay: find("-replay"), verify: find("-verify"), copy: find("-copy"), keptPromise, round: null });
    this.replay.addEventListener("click", () => {
      this.dialog.close();
      onReplay(this.round);
    });
    this.copy.addEventListener("click", () => this.copyLines());
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** `money`: the session's format; the round may be in another currency. `ratePerMs`: of the growth curve, for replays. */
  async open(round, money, ratePerMs) {
    this.round = round;
    this.dialog.dataset.roundId = round.roundId;
    this.outcome.textContent = outcomeText(round, money.of(round.currency));
    this.outcome.dataset.tone = toneOf(round);
    this.facts.replaceChildren(...factsOf(round, money.of(round.currency)).flatMap(factElements));
    this.shell.textContent = shellLines(round).join("\n");
    this.replay.hidden = round.status !== "settled";
    this.verify.href = roundLink(globalThis.location.origin, { ...round, ratePerMs });
    this.copy.textContent = say("details.copy");
    this.showChecks([{ text: say("details.checking"), tone: "" }]);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    const findings = await findingsOf(round, this.keptPromise(round));
    if (this.round === round) this.showChecks(findings);
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

  async copyLines() {
    try {
      await globalThis.navigator.clipboard.writeText(this.shell.textContent);
      this.copy.textContent = say("details.copied");
    } catch {
      this.copy.textContent = say("details.copyFailed");
    }
  }
}

// By whether the round is what the page had shown before the bet.
const PROMISES = new Map([
  [true, { key: "details.shownOk", tone: "ok" }],
  [false, { key: "details.shownBad", tone: "bad" }],
  [null, { key: "details.shownUnknown", tone: "" }],
]);

/** What the page finds of a round: [{ text, tone }], tone ok, bad, code or empty. `isKept`: see `keptPromise` in state.js. */
export async function findingsOf(round, isKept) {
  if (!canVerify()) return [{ text: say("details.insecure"), tone: "" }];
  const found = await verifyRound(round);
  const promise = PROMISES.get(isKept);
  return [
    ...checksOf(found).map(({ key, tone, values }) => ({ text: say(key, { crash: multiplierText(values.crash) }), tone })),
    { text: say(promise.key), tone: promise.tone },
    { text: `${say("details.crashDigest")}: ${found.digest}`, tone: "code" },
  ];
}

function toneOf(round) {
  if (round.status !== "settled") return "info";
  return isProfit(round) ? "win" : round.payoutMinor > 0 ? "info" : "loss";
}

function factsOf(round, money) {
  const terms = say("details.termsText", {
    rtp: numberText(round.rtpBps, 2).replace(/[.,]00$/, ""),
    max: multiplierText(100 * round.maxWinMultiplier),
  });
  return [
    [say("details.stake"), money.text(round.amountMinor)],
    [say("details.payout"), money.text(round.payoutMinor)],
    [say("details.auto"), round.autoHundredths === null ? "–" : multiplierText(round.autoHundredths)],
    [say("details.crash"), multiplierText(round.crashHundredths), "crash"],
    [say("details.terms"), terms],
    [say("details.time"), timeText(round.settledAtMs)],
    [say("details.nonce"), String(round.nonce), "nonce"],
    [say("details.clientSeed"), round.clientSeed, "client-seed", true],
    [say("details.serverSeedHash"), round.serverSeedHash, "server-seed-hash", true],
    [say("details.serverSeed"), round.serverSeed, "server-seed", true],
    [say("details.roundId"), round.roundId, "round-id", true],
  ];
}

function timeText(settledAtMs) {
  if (settledAtMs === null) return "–";
  return new Date(settledAtMs).toLocaleString(spoken().locale, { dateStyle: "medium", timeStyle: "medium", numberingSystem: "latn" });
}

function factElements([label, text, name = null, isCode = false]) {
  const term = document.createElement("dt");
  term.textContent = label;
  const value = document.createElement("dd");
  value.textContent = text;
  if (name) value.dataset.fact = name;
  if (isCode) {
    value.className = "code";
    value.dir = "ltr";
  }
  return [term, value];
}

const OUTCOMES = {
  cashout: "details.outcomeCashout",
  max_win: "details.outcomeMaxWin",
  crash: "details.outcomeCrash",
  void: "details.outcomeVoid",
  refunded: "details.outcomeRefunded",
};

function outcomeText(round, money) {
  const values = { multiplier: multiplierText(round.realizedHundredths), crash: multiplierText(round.crashHundredths) };
  const text = say(OUTCOMES[round.status === "settled" ? round.result : round.status], values);
  return round.status === "settled" ? `${text} · ${isolated(money.signedText(round.payoutMinor - round.amountMinor))}` : text;
}
