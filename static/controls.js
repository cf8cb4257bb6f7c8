// What the player sets: stake, automatic cash-out, client seed; and the ways to press the big button.

import { ClientSeed } from "./client_seed.js";
import { isClientSeed } from "./fairness.js";
import { clampStake, parseDecimal, decimalText, quickStakes, stakeMaxMinor } from "./money.js";

const GIVES_FOCUS_BACK = "[data-chip], [data-auto], [data-stake], #randomize, #load-more, #sound";
const STAKE_FIRST_STEPS = 10; // the first stake offered, in multiples of the smallest

/** Owns the inputs. Calls `onChange()`, `onPress()` and `onClientSeed(what)`: `own`, `drawn`, or `bad` for a text that is none. */
export class Controls {
  constructor(root, { onChange, onPress, onClientSeed }) {
    this.stake = root.querySelector("#stake");
    this.auto = root.querySelector("#auto-cashout");
    this.seed = root.querySelector("#client-seed");
    this.quickStakes = root.querySelector("#quick-stakes");
    this.buttons = [...root.querySelectorAll("[data-chip], [data-auto]")];
    Object.assign(this, { onChange, onPress, onClientSeed, money: null, limits: null, balanceMinor: null });
    this.clientSeed = new ClientSeed();
    this.listen(root);
  }

  listen(root) {
    for (const input of [this.stake, this.auto]) input.addEventListener("input", () => this.onChange());
    this.stake.addEventListener("change", () => this.rewriteStake(this.stakeMinor()));
    this.auto.addEventListener("change", () => this.rewriteAuto(this.autoHundredths()));
    this.seed.addEventListener("change", () => this.submitSeed());
    root.querySelector("#randomize").addEventListener("click", () => {
      this.clientSeed.drawForEachBet();
      this.seed.value = this.clientSeed.text;
      this.onClientSeed("drawn");
    });
    for (const button of this.buttons) {
      button.addEventListener("click", () => ("chip" in button.dataset ? this.chip(button.dataset.chip) : this.setAuto(button.dataset.auto)));
    }
    this.quickStakes.addEventListener("click", (event) => {
      const amount = event.target.closest("[data-stake]")?.dataset.stake;
      if (amount !== undefined) this.rewriteStake(Number(amount));
    });
    root.querySelector("#action").addEventListener("click", () => this.onPress());
    // A button that was clicked with a pointer gives the focus back, so that Space plays and does not click it again.
    root.addEventListener("click", (event) => {
      if (event.detail > 0) event.target.closest(GIVES_FOCUS_BACK)?.blur();
    });
    root.addEventListener("keydown", (event) => this.key(event));
    // A button that has the focus is clicked when Space comes up again: that press has been taken already.
    root.addEventListener("keyup", (event) => {
      if (event.key === " " && event.target.id === "action") event.preventDefault();
    });
    for (const input of root.querySelectorAll("input")) {
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") input.blur();
      });
    }
  }

  // Space and Enter play from anywhere but another control; a held key presses once.
  key(event) {
    if (event.key !== " " && event.key !== "Enter") return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const isAction = target.id === "action";
    if (!isAction && target.closest("input, button, a, select, summary, textarea, dialog, pre")) return;
    event.preventDefault();
    if (!event.repeat) this.onPress();
  }

  /** The session's currency and limits; the first time it also offers a stake. */
  setSession(money, limits) {
    const isFirst = this.money === null;
    Object.assign(this, { money, limits });
    this.stake.inputMode = money.exponent === 0 ? "numeric" : "decimal";
    this.offerStakes();
    if (isFirst) this.rewriteStake(clampStake(limits.min_bet_minor * STAKE_FIRST_STEPS, limits));
  }

  offerStakes() {
    const buttons = quickStakes(this.limits).map((amountMinor) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.stake = String(amountMinor);
      button.textContent = this.money.shortText(amountMinor);
      return button;
    });
    this.quickStakes.replaceChildren(...buttons);
  }

  /** The hash of the next round's server seed is shown now. */
  setPromise(hash) {
    this.clientSeed.promised(hash);
    this.showSeed();
  }

  /** The client seed of a bet that leaves now. */
  takeClientSeed() {
    const text = this.clientSeed.take();
    this.showSeed();
    return text;
  }

  // The input shows what the next bet carries, unless the player is typing.
  showSeed() {
    if (document.activeElement !== this.seed) this.seed.value = this.clientSeed.text;
  }

  /** Whole minor units, or null. */
  stakeMinor() {
    return this.money === null ? null : this.money.parse(this.stake.value);
  }

  /** Hundredths, null for none, undefined for a text that is no multiplier. */
  autoHundredths() {
    const text = this.auto.value.trim();
    if (text === "") return null;
    return parseDecimal(text.replace(/\s*[×xX]$/, ""), 2, this.money?.decimalMark) ?? undefined;
  }

  setEnabled(isEnabled) {
    for (const element of [this.stake, this.auto, ...this.buttons, ...this.quickStakes.children]) {
      if (element.disabled === isEnabled) element.disabled = !isEnabled;
    }
  }

  mark(stakeIsWrong, autoIsWrong) {
    this.stake.setAttribute("aria-invalid", String(stakeIsWrong));
    this.auto.setAttribute("aria-invalid", String(autoIsWrong));
  }

  chip(name) {
    if (this.limits === null) return;
    const now = this.stakeMinor() ?? this.limits.min_bet_minor;
    const largest = stakeMaxMinor(this.limits);
    const wanted = {
      half: Math.floor(now / 2),
      double: Math.min(now, largest) * 2,
      max: Math.min(largest, this.balanceMinor ?? largest),
    };
    this.rewriteStake(clampStake(wanted[name], this.limits));
  }

  setAuto(hundredths) {
    this.rewriteAuto(hundredths === "" ? null : Number(hundredths));
  }

  rewriteStake(amountMinor) {
    if (amountMinor !== null) this.stake.value = this.money.inputText(amountMinor);
    this.onChange();
  }

  rewriteAuto(hundredths) {
    if (hundredths === null) this.auto.value = "";
    else if (hundredths !== undefined) this.auto.value = decimalText(hundredths, 2).replace(".", this.money?.decimalMark ?? ".");
    this.onChange();
  }

  submitSeed() {
    const text = this.seed.value.trim();
    if (text === this.clientSeed.text) return;
    if (text === "") this.clientSeed.drawForEachBet();
    else if (isClientSeed(text)) this.clientSeed.choose(text);
    this.seed.value = this.clientSeed.text;
    this.onClientSeed(text === "" ? "drawn" : this.clientSeed.text === text ? "own" : "bad");
  }
}

