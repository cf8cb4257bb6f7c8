// What the game tells its lobby, and what the lobby may ask of it: the bridge's messages out of the state.

import { Bridge } from "./bridge.js";

const EARLY_MAX = 8; // commands that came before the game could hear them; the oldest are forgotten

/** Listens from the moment it is made: a lobby may speak before the game is ready. */
export class LobbyLine {
  constructor(frameOrigins) {
    this.handlers = null;
    this.early = [];
    this.isGreeted = false;
    this.bridge = new Bridge({ view: globalThis, frameOrigins, onCommand: (command) => this.hear(command) });
  }

  /** Obey commands, also those that have come already: setPaused(isPaused), setMuted(isMuted), close(), greet(). */
  obey({ setPaused, setMuted, close, greet }) {
    this.handlers = {
      hello: greet,
      pause: () => setPaused(true),
      resume: () => setPaused(false),
      mute: ({ muted }) => setMuted(muted),
      close,
    };
    for (const command of this.early.splice(0)) this.hear(command);
  }

  hear(command) {
    if (command.type === "hello") this.isGreeted = true;
    if (this.handlers === null) this.early = [...this.early, command].slice(-EARLY_MAX);
    else this.handlers[command.type]?.(command);
  }

  /** Ask the lobby to take over; false if none has said hello, and with it that it listens. */
  leave() {
    if (!this.isGreeted) return false;
    this.bridge.post("open_lobby", {});
    return true;
  }

  tellAll(state, lang) {
    if (state.session === null || state.over !== null) return;
    this.bridge.post("ready", { session_id: state.session.sessionId, currency: state.session.currency, lang });
    this.tellBalance(state);
  }

  tellBalance({ session, balanceMinor, pendingMinor }) {
    this.bridge.post("balance", { balance_minor: balanceMinor, pending_minor: pendingMinor, currency: session.currency });
  }

  /** Tell what has changed. */
  follow(before, state, lang) {
    this.followRounds(before, state, lang);
    if (state.over === null || state.over === before.over || state.over === "shutdown") return;
    this.bridge.post("session_ended", { reason: state.over });
  }

  followRounds(before, state, lang) {
    if (state.session === null) return;
    const isBack = before.over !== null && state.over === null;
    if (before.session === null || isBack) this.tellAll(state, lang);
    else if (state.balanceMinor !== before.balanceMinor || state.pendingMinor !== before.pendingMinor) this.tellBalance(state);
    const { round, last } = state;
    if (round?.phase === "flying" && before.round?.phase !== "flying") {
      this.bridge.post("round_started", { round_id: round.roundId, amount_minor: round.amountMinor });
    }
    if (last !== null && last.roundId !== before.last?.roundId) this.tellEnd(last);
  }

  tellEnd(round) {
    this.bridge.post("round_ended", {
      round_id: round.roundId,
      status: round.status,
      result: round.result,
      amount_minor: round.amountMinor,
      payout_minor: round.payoutMinor,
      realized_multiplier: round.realizedHundredths / 100,
    });
  }
}
