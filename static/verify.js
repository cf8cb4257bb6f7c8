// The verifier's page: it reads a round, checks it in this browser and shows what it found. It sends and keeps nothing.

import { canVerify, checksOf, shellLines, verdictOf, verifyRound } from "./fairness.js";
import { MoneyFormat, parseDecimal } from "./money.js";
import { Replay, canReplay, restingModel } from "./player.js";
import { USUAL_RATE_PER_MS, USUAL_TERMS, readRound, readValues, roundLink } from "./round_link.js";
import { Scene } from "./scene.js";
import { loadWords, multiplierText, numberText, say, spoken } from "./words.js";

const IDLE = { kind: "idle", elapsedMs: 0, sinceEndMs: 0, hundredths: 100, ratePerMs: USUAL_RATE_PER_MS, isProfit: false };
Object.assign(IDLE, { mapSeed: null, lootSeed: null, guardSeed: null });
const TYPING_MS = 500; // a text that is still being typed is not complained about

// How an input's text becomes a field's value; what can't be one stays a text, which is refused with the field's name.
const wholeOf = (text) => (/^[0-9]{1,16}$/.test(text) ? Number(text) : text);
const hundredthsOf = (text) => parseDecimal(text.replace(/[%×x]$/i, ""), 2, spoken().decimalMark) ?? text;
const INPUTS = {
  serverSeed: { label: "verify.serverSeed", valueOf: (text) => text, textOf: (seed) => seed },
  serverSeedHash: { label: "verify.serverSeedHash", valueOf: (text) => text, textOf: (hash) => hash },
  clientSeed: { label: "verify.clientSeed", valueOf: (text) => text, textOf: (seed) => seed },
  nonce: { label: "verify.nonce", valueOf: wholeOf, textOf: String },
  crashHundredths: { label: "verify.crash", valueOf: hundredthsOf, textOf: (hundredths) => numberText(hundredths, 2) },
  rtpBps: { label: "verify.rtp", valueOf: hundredthsOf, textOf: percentText },
  maxWinMultiplier: { label: "verify.maxWin", valueOf: wholeOf, textOf: String },
};

/** The box for a round as text and the single values. `onRound(round)` gets what was read, null for nothing. */
class RoundForm {
  constructor(root, onRound) {
    this.form = root.querySelector("#round-form");
    this.text = root.querySelector("#round-text");
    this.problem = root.querySelector("#problem");
    this.onRound = onRound;
    this.pasted = null; // the round that the values belong to, with all that they do not show
    this.text.addEventListener("input", () => this.readText({ patienceMs: TYPING_MS }));
    this.text.addEventListener("change", () => this.readText());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.readInputs();
    });
    for (const name of Object.keys(USUAL_TERMS)) this.input(name).placeholder = INPUTS[name].textOf(USUAL_TERMS[name]);
  }

  input(name) {
    return this.form.elements[name];
  }

  /** Read a text as if it had been pasted. */
  paste(text) {
    this.text.value = text;
    this.readText();
  }

  readText({ patienceMs = 0 } = {}) {
    clearTimeout(this.complaint);
    if (this.text.value === this.lastText) return;
    const { round, error } = this.text.value.trim() === "" ? { round: null, error: null } : readRound(this.text.value);
    if (error !== null && patienceMs > 0) {
      this.complaint = setTimeout(() => this.readText(), patienceMs);
      return;
    }
    this.lastText = this.text.value;
    this.pasted = round;
    if (round !== null) this.fill(round);
    this.complain(error, this.text);
    this.onRound(round);
  }

  readInputs() {
    clearTimeout(this.complaint);
    const values = {};
    for (const [name, { valueOf }] of Object.entries(INPUTS)) {
      const text = this.input(name).value.trim();
      values[name] = text === "" ? null : valueOf(text);
    }
    // What else the pasted round said is about that round only.
    const isSame = ["serverSeed", "clientSeed", "nonce"].every((name) => values[name] === this.pasted?.[name]);
    const { round, error } = readValues({ ...(isSame ? this.pasted : {}), ...values });
    this.complain(error, this.form.elements[error?.field] ?? null);
    if (error !== null) this.input(error.field)?.focus();
    this.onRound(round);
  }

  fill(round) {
    for (const [name, { textOf }] of Object.entries(INPUTS)) {
      const isUnknown = round[name] === null || round.assumed.includes(name);
      this.input(name).value = isUnknown ? "" : textOf(round[name]);
    }
  }

  complain(error, culprit) {
    for (const element of this.form.querySelectorAll("[aria-invalid]")) element.removeAttribute("aria-invalid");
    this.problem.textContent = error === null ? "" : say(error.key, { field: fieldText(error) });
    if (error !== null) culprit?.setAttribute("aria-invalid", "true");
  }
}

function fieldText({ field, wireName }) {
  return field in INPUTS ? say(INPUTS[field].label) : (wireName ?? "");
}

/** The verdict, what it rests on, and the ways to check it elsewhere. */
class ResultView {
  constructor(root) {
    const find = (id) => root.querySelector(`#${id}`);
    this.at = { verdict: find("verdict"), checks: find("checks"), findings: find("findings"), facts: find("round-facts") };
    Object.assign(this.at, { link: find("round-link"), shell: find("shell"), copyNote: find("copy-note") });
    this.page = root.querySelector(".verifier-page");
    this.replay = new ReplayView(root);
  }

  /** Check a round and show it; null clears. A check that is overtaken by another shows nothing. */
  async show(round) {
    this.round = round;
    this.replay.clear();
    this.page.dataset.result = "empty";
    this.at.findings.hidden = true;
    this.showVerdict(null, []);
    if (round === null) return;
    const found = canVerify() ? await verifyRound(round) : null;
    if (this.round !== round) return;
    this.showFound(round, found);
  }

  showFound(round, found) {
    const verdict = found === null ? { key: "details.insecure", tone: "none", values: {} } : verdictOf(found);
    this.page.dataset.result = verdict.tone;
    this.at.findings.hidden = false;
    this.showVerdict(verdict, found === null ? [] : linesOf(round, found, verdict));
    this.at.facts.replaceChildren(...factsOf(round, found).flatMap(factElements));
    this.at.link.value = roundLink(location.origin, round);
    this.at.shell.textContent = shellLines(round).join("\n");
    this.at.copyNote.textContent = "";
    // A round that is not what its seeds say is not played as if it were.
    if (found === null || verdict.tone === "bad") this.replay.withhold();
    else this.replay.offer(flownRound(round, found));
    const { top } = this.at.verdict.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) this.at.verdict.scrollIntoView({ block: "center" });
  }

  showVerdict(verdict, lines) {
    this.at.verdict.textContent = verdict === null ? "" : lineText(verdict);
    this.at.checks.replaceChildren(
      ...lines.map((line) => {
        const item = document.createElement("li");
        item.className = line.tone;
        item.textContent = lineText(line);
        return item;
      }),
    );
  }
}

function lineText({ key, values }) {
  return say(key, values.crash === undefined ? values : { crash: multiplierText(values.crash) });
}

// What stands below the verdict: the other checks, and what limits what they say.
function linesOf(round, found, verdict) {
  const lines = checksOf(found).filter(({ key }) => key !== verdict.key);
  if (found.hashMatches === null) lines.push({ key: "verify.noHash", tone: "none", values: {} });
  if (round.assumed.length > 0) lines.push({ key: "verify.assumed", tone: "none", values: termsTexts(round) });
  return lines;
}

function percentText(bps) {
  return numberText(bps, 2).replace(/[.,]00$/, "");
}

function termsTexts({ rtpBps, maxWinMultiplier }) {
  return { rtp: percentText(rtpBps), max: multiplierText(100 * maxWinMultiplier) };
}

/** The round as it flew. Of seeds alone it is known how far the flight could have gone at the most. */
function flownRound(round, found) {
  const known = { ...round, ...found.scenery, crashHundredths: found.crash };
  return round.status === null ? { ...known, status: "settled", result: "crash" } : known;
}

function factsOf(round, found) {
  const money = round.currency === null ? null : new MoneyFormat(round.currency, spoken().locale);
  const amountText = (minor) => (money === null || minor === null ? null : money.text(minor));
  const crash = round.crashHundredths ?? found?.crash ?? null;
  const facts = [
    ["details.outcome", outcomeText(round)],
    ["details.stake", amountText(round.amountMinor), "number"],
    ["details.payout", amountText(round.payoutMinor), "number"],
    ["details.crash", crash === null ? null : multiplierText(crash), "number"],
    ["details.terms", say("details.termsText", termsTexts(round))],
    ["details.time", round.settledAtMs === null ? null : timeText(round.settledAtMs)],
    ["details.nonce", String(round.nonce), "number"],
    ["details.clientSeed", round.clientSeed, "code"],
    ["details.serverSeed", round.serverSeed, "code"],
    ["details.serverSeedHash", round.serverSeedHash ?? found?.hash ?? null, "code"],
    ["details.crashDigest", found?.digest ?? null, "code"],
    ["verify.mapSeed", found?.scenery.mapSeed ?? null, "code"],
    ["verify.lootSeed", found?.scenery.lootSeed ?? null, "code"],
    ["verify.guardSeed", found?.scenery.guardSeed ?? null, "code"],
    ["details.roundId", round.roundId, "code"],
  ];
  return facts.filter(([, text]) => text !== null);
}

function outcomeText({ status, result, realizedHundredths, crashHundredths }) {
  if (status === "void") return say("details.outcomeVoid");
  if (status === "refunded") return say("details.outcomeRefunded");
  if (result === "crash") return crashHundredths && say("details.outcomeCrash", { crash: multiplierText(crashHundredths) });
  if (result === null || realizedHundredths === null) return null;
  const key = result === "max_win" ? "details.outcomeMaxWin" : "details.outcomeCashout";
  return say(key, { multiplier: multiplierText(realizedHundredths) });
}

function timeText(ms) {
  const style = { dateStyle: "medium", timeStyle: "medium", numberingSystem: "latn" };
  return new Intl.DateTimeFormat(spoken().locale, style).format(ms);
}

function factElements([key, text, kind = "words"]) {
  const term = document.createElement("dt");
  term.textContent = say(key);
  const value = document.createElement("dd");
  value.textContent = text;
  value.dataset.fact = key;
  value.className = kind;
  if (kind !== "words") value.dir = "ltr";
  return [term, value];
}

/** The stage with the picture that the round left behind, and its replay at a press. */
class ReplayView {
  constructor(root) {
    this.figure = root.querySelector("#replay");
    this.parts = this.figure.querySelectorAll(".replay-badge, #replay-multiplier, figcaption");
    this.multiplier = root.querySelector("#replay-multiplier");
    this.button = root.querySelector("#replay-play");
    this.text = root.querySelector("#replay-text");
    const canvas = root.querySelector("#replay-scene");
    this.scene = new Scene(canvas, { reducedMotion: () => matchMedia("(prefers-reduced-motion: reduce)").matches });
    this.replay = null;
    this.button.addEventListener("click", () => (this.replay.isPlaying ? this.rest() : this.play()));
    new ResizeObserver(() => this.draw(this.model)).observe(canvas);
    this.clear();
  }

  /** No round: the building stands as before a heist. */
  clear() {
    this.show(null);
    this.draw(IDLE);
  }

  /** A round that is not to be played: no picture. */
  withhold() {
    this.show(null);
    this.figure.hidden = true;
  }

  offer(round) {
    if (!canReplay(round)) {
      this.withhold();
      return;
    }
    this.round = round;
    this.show(new Replay({ round, onFrame: (model) => this.draw(model), onEnd: () => this.rest("replay.again") }));
    this.rest();
  }

  show(replay) {
    this.replay?.stop();
    this.replay = replay;
    this.figure.hidden = false;
    for (const part of this.parts) part.hidden = replay === null;
  }

  play() {
    const { speed } = this.replay;
    this.button.textContent = say("replay.stop");
    this.text.textContent = speed > 1 ? say("replay.speed", { speed: numberText(Math.round(10 * speed), 1) }) : "";
    this.replay.start();
  }

  rest(word = "details.replay") {
    this.replay.stop();
    this.button.textContent = say(word);
    this.text.textContent = outcomeText(this.round) ?? "";
    this.draw(restingModel(this.round));
  }

  draw(model) {
    this.model = model;
    this.figure.dataset.scene = model.kind;
    this.figure.dataset.profit = String(model.isProfit);
    this.figure.dataset.playing = String(this.replay?.isPlaying ?? false);
    this.multiplier.textContent = multiplierText(model.hundredths);
    this.scene.draw(model);
  }
}

function writeWords(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of root.querySelectorAll("[data-word-label]")) {
    element.setAttribute("aria-label", say(element.dataset.wordLabel));
  }
  document.documentElement.lang = spoken().lang;
  document.documentElement.dir = spoken().isRightToLeft ? "rtl" : "ltr";
  document.title = `${say("label.game")}: ${say("verify.title")}`;
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  const note = document.querySelector("#copy-note");
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    note.textContent = say("details.copied");
  } catch {
    getSelection().selectAllChildren(source);
    source.select?.();
    note.textContent = say("details.copyFailed");
  }
  button.after(note);
}

async function readMessages(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function start() {
  await loadWords([new URLSearchParams(location.search).get("lang"), ...navigator.languages], readMessages);
  writeWords(document);
  const result = new ResultView(document);
  const form = new RoundForm(document, (round) => result.show(round));
  for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
  const readAddress = () => location.hash.length > 1 && form.paste(location.href);
  addEventListener("hashchange", readAddress);
  readAddress();
}

start();
