// The dialogs of the page: a round's details, the rules, the reminder.

import { writeRules } from "./rules.js";
import { Sheet } from "./sheet.js";
import { durationText, say } from "./words.js";

/** Owns the dialogs. One is open at a time; `onContinue` and `onLeave` answer the reminder. */
export class Dialogs {
  constructor(root, { keptPromise, onReplay, onContinue, onLeave }) {
    this.all = [...root.querySelectorAll("dialog")];
    this.sheet = new Sheet(root, { keptPromise, onReplay });
    this.rules = root.querySelector("#rules");
    this.rulesText = root.querySelector("#rules-text");
    this.reality = root.querySelector("#reality");
    this.realityTitle = root.querySelector("#reality-title");
    this.realityText = root.querySelector("#reality-text");
    for (const dialog of [this.sheet.dialog, this.rules]) {
      dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }
    // The reminder wants an answer: Escape is one, and means to go on. Without one it comes again.
    this.reality.addEventListener("close", () => {
      if (this.isAnswered) onContinue();
    });
    root.querySelector("#reality-continue").addEventListener("click", () => this.reality.close());
    root.querySelector("#reality-leave").addEventListener("click", () => {
      this.reality.close();
      onLeave();
    });
  }

  /** A round has begun after all: the reminder waits for its end. */
  closeReality() {
    if (!this.reality.open) return;
    this.isAnswered = false;
    this.reality.close();
  }

  get isOpen() {
    return this.all.some((dialog) => dialog.open);
  }

  openRules(model) {
    writeRules(this.rulesText, model);
    this.rules.showModal();
    this.rules.scrollTop = 0;
  }

  /** `model`: the view's, with `playedMs` and the session's totals. */
  openReality({ state, money, playedMs }) {
    this.realityText.textContent = say("reality.text", { time: durationText(playedMs), net: money.signedText(state.totals.netMinor) });
    this.isAnswered = true;
    this.reality.showModal();
    // Neither button, so that a key that was meant for the game answers nothing. The attribute for this is refused in frames.
    this.realityTitle.focus();
  }
}
