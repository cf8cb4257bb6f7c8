// The curve of a flight and the clock that places us on it. Times are milliseconds, multipliers are hundredths.

// The server computes the curve in decimals; a double is off by less than this, and only ever downwards after it.
const ROUNDING_GUARD = 1e-9;
const LATEST = 3; // round trips that tell how the connection is now

/** The multiplier shown `elapsedMs` after the start: floor(100 * exp(rate * e)), at least 100. */
export function hundredthsAt(ratePerMs, elapsedMs) {
  const exact = 100 * Math.exp(ratePerMs * Math.max(0, Math.floor(elapsedMs)));
  return Math.max(100, Math.floor(exact - ROUNDING_GUARD));
}

/** The first whole millisecond at which the multiplier is at least `hundredths`. */
export function reachesAtMs(ratePerMs, hundredths) {
  let elapsed = Math.max(0, Math.floor(Math.log(hundredths / 100) / ratePerMs) - 1);
  while (hundredthsAt(ratePerMs, elapsed) < hundredths) elapsed += 1;
  return elapsed;
}

/** The first millisecond at which the multiplier would exceed the crash point. */
export function crashesAtMs(ratePerMs, crashHundredths) {
  return reachesAtMs(ratePerMs, crashHundredths + 1);
}

/**
 * The server's clock as seen from here, never ahead of the real one: what the server wrote into a pong had already
 * passed when the pong arrived. The samples with the shortest round trips bound it best, and a few are kept so that
 * a drifting local clock is followed.
 */
export class ServerClock {
  constructor(samplesMax = 16) {
    this.samplesMax = samplesMax;
    this.samples = [];
  }

  /** A pong: `sentMs` and `receivedMs` by the local monotonic clock, `serverTimeMs` as the server wrote it. */
  measure(sentMs, receivedMs, serverTimeMs) {
    const roundTripMs = Math.max(0, receivedMs - sentMs);
    this.samples.push({ roundTripMs, offsetMs: serverTimeMs - receivedMs });
    if (this.samples.length > this.samplesMax) this.samples.shift();
  }

  /**
   * A new connection, which told the server's time: good until the first pong. What was measured before is forgotten: the
   * page may have slept, and some local clocks stand still meanwhile.
   */
  restart(receivedMs, serverTimeMs) {
    this.samples = [{ roundTripMs: Number.POSITIVE_INFINITY, offsetMs: serverTimeMs - receivedMs }];
  }

  get best() {
    return this.samples.reduce((best, sample) => (sample.roundTripMs < best.roundTripMs ? sample : best), {
      roundTripMs: Number.POSITIVE_INFINITY,
      offsetMs: this.samples.length > 0 ? this.samples[0].offsetMs : null,
    });
  }

  /** The median of the newest round trips, or 0 before there are some: one slow answer is no slow connection. */
  get latestRoundTripMs() {
    const trips = this.samples.slice(-LATEST).map((sample) => sample.roundTripMs);
    if (trips.length < LATEST) return 0;
    return trips.sort((a, b) => a - b)[Math.floor(LATEST / 2)];
  }

  /** Unix milliseconds by the server's clock, or null before the first sample. */
  nowMs(localMs) {
    const { offsetMs } = this.best;
    return offsetMs === null ? null : localMs + offsetMs;
  }
}

/**
 * Where one flight stands. The clock draws it smoothly, `behindMs` late, from tick to tick and never past the last one:
 * beyond it the guards may have come already, and what is shown must be what a press would have paid.
 * It never goes back and never above the multiplier at which the flight cashes out by itself.
 */
export class Flight {
  /** `knownMs`: how far the flight certainly is at `localMs` (0 at its start, more where a session is resumed). */
  constructor({ startedAtMs, ratePerMs, capHundredths, behindMs, stalledMs, knownMs, localMs }) {
    this.startedAtMs = startedAtMs;
    this.ratePerMs = ratePerMs;
    this.capHundredths = capHundredths;
    this.behindMs = behindMs;
    this.stalledMs = stalledMs;
    this.tickMs = Math.max(0, knownMs);
    this.tickedAtMs = localMs;
    this.shownMs = 0;
  }

  /** A tick `elapsedMs` after the start that arrived at `localMs`. */
  tick(elapsedMs, localMs) {
    this.tickedAtMs = localMs;
    this.tickMs = Math.max(this.tickMs, elapsedMs);
  }

  /** Milliseconds of flight to show. `serverNowMs` may be null (no clock yet: ticks alone count). */
  elapsedMs(serverNowMs) {
    const byClock = serverNowMs === null ? this.tickMs : serverNowMs - this.startedAtMs - this.behindMs;
    this.shownMs = Math.max(this.shownMs, Math.min(byClock, this.tickMs));
    return this.shownMs;
  }

  /** The multiplier to show and to pay at the least. */
  hundredths(serverNowMs) {
    return Math.min(hundredthsAt(this.ratePerMs, this.elapsedMs(serverNowMs)), this.capHundredths);
  }

  /** Whether no tick has come for longer than `stalledMs`. */
  isStalled(localMs) {
    return localMs - this.tickedAtMs > this.stalledMs;
  }
}
