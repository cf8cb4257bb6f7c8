// Reminders of time and result between rounds, every so many minutes as the launch wants it.

/** Decides when a reminder is due. `everyMs` null: never. Times are milliseconds of play since the session began. */
export class RealityCheck {
  constructor(everyMs) {
    this.everyMs = everyMs;
    this.intervalsSeen = 0;
  }

  /**
   * Whether to remind now: a whole interval has passed without a reminder, and no round is live. A page that is loaded
   * again does not know what was seen before: it repeats a reminder rather than skip one.
   */
  isDue(playedMs, isRoundLive) {
    if (this.everyMs === null || playedMs === null || isRoundLive) return false;
    return Math.floor(playedMs / this.everyMs) > this.intervalsSeen;
  }

  /** The player has seen it. */
  seen(playedMs) {
    this.intervalsSeen = Math.floor(playedMs / this.everyMs);
  }
}
