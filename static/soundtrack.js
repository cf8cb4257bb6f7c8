// Which sound belongs to which change of the state. A return at or below the stake is never made to sound like a win.

import { isProfit } from "./records.js";
import { Sounds } from "./sounds.js";

const BIG_HUNDREDTHS = 1000;

/** The button that turns sound on and off, and the sounds of the game. */
export class SoundTrack {
  constructor(root, settings) {
    this.sounds = new Sounds({ createContext: () => new AudioContext(), settings });
    this.button = root.querySelector("#sound");
    this.button.addEventListener("click", () => {
      this.sounds.toggle();
      this.showButton();
    });
    this.loot = 0;
    this.showButton();
  }

  showButton() {
    this.button.setAttribute("aria-pressed", String(this.sounds.isOn));
  }

  mute(isMuted) {
    this.sounds.mute(isMuted);
  }

  play(name) {
    this.sounds.play(name);
  }

  follow(before, state) {
    // Frames of the screen stop in a frame that the lobby hides: the pulse must not wait for one.
    if (state.round?.phase !== "flying") this.sounds.flight(null);
    if (state.round?.phase === "flying" && before.round?.phase === "betting") this.play("started");
    const { last } = state;
    if (last === null || last === before.last || last.wasMissed || last.status !== "settled") return;
    if (last.result === "crash") this.play("lost");
    else if (isProfit(last)) this.play(last.realizedHundredths >= BIG_HUNDREDTHS ? "won_big" : "won");
  }

  /** What the picture sounds like: the flight's pulse, and loot that has just been taken. `null`: nothing. */
  hear(model) {
    const isFlying = model?.scene.kind === "flying";
    this.sounds.flight(isFlying ? model.hundredths : null);
    const loot = isFlying ? model.loot : 0;
    if (isFlying && loot > this.loot && this.loot > 0) this.play("loot");
    this.loot = loot ?? 0;
  }
}
