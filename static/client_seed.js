// The client seed of the next bet. Whoever made the server seed must not have this one, too: it is the player's own, or
// the browser draws it, for each bet, once the hash of the server seed has been shown. Pure.

import { randomClientSeed } from "./fairness.js";

/** `draw()` gives a fresh client seed. */
export class ClientSeed {
  constructor(draw = randomClientSeed) {
    this.draw = draw;
    this.hash = null;
    this.own = null;
    this.drawn = "";
  }

  /** The hash that the next round is promised under. A new one makes a new draw. */
  promised(hash) {
    if (hash === this.hash) return;
    this.hash = hash;
    this.drawn = this.draw();
  }

  /** What the next bet carries, as long as nothing changes; empty before the first promise. */
  get text() {
    return this.own ?? this.drawn;
  }

  /** One of the player's own goes with every bet from now on. */
  choose(text) {
    this.own = text;
  }

  /** From now on each bet has a drawn one. */
  drawForEachBet() {
    this.own = null;
    this.drawn = this.draw();
  }

  /** The seed of a bet that leaves now. The server knows it from then on: the next bet has another, under the same hash, too. */
  take() {
    const text = this.text;
    this.drawn = this.draw();
    return text;
  }
}
