// The player's socket, protocol 1: hello first, pings, and a new socket after every loss until the session is over.

export const TIMING = {
  openMsMax: 20_000, // a socket that has not brought `welcome` by then is given up, longer than the server itself waits
  waitMsMin: 1_000, // a server that is busy says `wait`: so long, in these bounds, the page stays and does not begin anew
  waitMsMax: 60_000,
  silenceMsMax: 12_000, // no frame at all for this long after a ping: the line is dead
  checkMsMax: 1_500, // the same where there is a reason to doubt: the page has slept, or the network was away
  pingFirstMs: 400, // a few quick pings measure the clock before the first bet
  pingFirstCount: 4,
  pingMs: 3_000,
  backoffFirstMs: 500,
  backoffMsMax: 15_000,
  refusedBackoffMs: 5_000, // after a refusal (draining, too many messages) the server wants peace
};

/** How long to wait before the n-th attempt in a row (from 0): exponential, with jitter between half and all of it. */
export function backoffMs(attempt, randomFraction, firstMs = TIMING.backoffFirstMs, maxMs = TIMING.backoffMsMax) {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling * (0.5 + 0.5 * randomFraction));
}

/** Where the stream of this page lives. */
export function streamUrl(pageUrl) {
  const url = new URL("/stream", pageUrl);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

// After these the session cannot come back by itself; `shutdown` is not among them: another process will answer.
const FINAL_ENDS = new Set(["expired", "replaced", "operator_suspended"]);
const FINAL_ERRORS = new Set(["unauthorized", "session_expired"]);
const PEACE_ERRORS = new Set(["draining", "rate_limited"]);

const TRY_AGAIN_LATER = 1013;

const browser = {
  openSocket: (url) => new WebSocket(url),
  now: () => performance.now(),
  random: () => Math.random(),
  setTimer: (callback, ms) => setTimeout(callback, ms),
  clearTimer: (timer) => clearTimeout(timer),
};

/**
 * Keeps one session's socket. Callbacks: `onFrame(frame, receivedMs)` for every frame in order, and
 * `onStatus({ status, retryMs })` with status connecting, open, lost (a retry follows) or closed (none does).
 * `helloAgain()` gives what a page that was welcome before says with its hello.
 */
export class Connection {
  constructor({ url, token, onFrame, onStatus, helloAgain = () => ({}), environment = browser }) {
    Object.assign(this, { url, token, onFrame, onStatus, helloAgain, environment });
    this.socket = null;
    this.attempt = 0;
    this.serial = 0;
    this.final = false;
    this.wantsPeace = false;
    this.timers = new Map();
  }

  /** Open a socket now: at the start, and when the player asks for it. */
  connect() {
    this.final = false;
    this.wantsPeace = false;
    this.clearTimers();
    this.abandonSocket();
    this.onStatus({ status: "connecting", retryMs: null });
    const socket = this.environment.openSocket(this.url);
    this.socket = socket;
    this.later("open", TIMING.openMsMax, () => this.lose());
    socket.onopen = () => this.guarded(socket, () => this.hello());
    socket.onmessage = (event) => this.guarded(socket, () => this.receive(event.data));
    socket.onclose = (event) => this.guarded(socket, () => this.closed(event));
  }

  hello() {
    this.write({ type: "hello", session: this.token, ...(this.wasWelcomed ? this.helloAgain() : {}) });
  }

  closed(event) {
    if (event?.code === TRY_AGAIN_LATER) this.wantsPeace = true;
    this.lose();
  }

  guarded(socket, action) {
    if (this.socket === socket) action();
  }

  /** Find out now whether the line still lives: after a sleep, or when the network is back. */
  check() {
    if (this.final) return;
    if (this.timers.has("retry")) this.connect();
    else if (this.isOpen) this.ping(0, TIMING.checkMsMax);
  }

  /** Close for good. */
  end() {
    this.final = true;
    this.clearTimers();
    this.abandonSocket();
    this.onStatus({ status: "closed", retryMs: null });
  }

  /** Send a frame with an id of its own; returns the id, or null while there is no open session. */
  send(type, fields = {}) {
    if (!this.isOpen) return null;
    this.serial += 1;
    const id = `${type}-${this.serial}`;
    this.write({ type, id, ...fields });
    return id;
  }

  get isOpen() {
    return this.welcomed === true && this.socket !== null && this.socket.readyState === 1;
  }

  write(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  receive(text) {
    const frame = readFrame(text);
    if (frame === null) return;
    this.cancel("silence");
    if (frame.type === "welcome") this.welcome();
    if (frame.type === "wait") this.wait(frame.ms);
    if (frame.type === "pong") this.wantsPeace = false;
    if (frame.type === "session_ended" && FINAL_ENDS.has(frame.reason)) this.final = true;
    if (frame.type === "session_ended" && frame.reason === "shutdown") this.wantsPeace = true;
    // A page that was welcome once is so again: a hello that came too late is refused like a wrong one.
    if (frame.type === "error" && FINAL_ERRORS.has(frame.code)) this.final = frame.code !== "unauthorized" || !this.wasWelcomed;
    if (frame.type === "error" && PEACE_ERRORS.has(frame.code)) this.wantsPeace = true;
    this.onFrame(frame, this.environment.now());
  }

  // The server has the hello and many others: to begin anew would only put this page behind them all.
  wait(ms) {
    if (this.welcomed || !Number.isFinite(ms)) return;
    const waitMs = Math.min(Math.max(ms, TIMING.waitMsMin), TIMING.waitMsMax);
    this.later("open", waitMs, () => this.lose());
  }

  welcome() {
    this.welcomed = this.wasWelcomed = true;
    this.attempt = 0;
    this.cancel("open");
    this.onStatus({ status: "open", retryMs: null });
    this.ping(0);
  }

  ping(count, silenceMsMax = TIMING.silenceMsMax) {
    if (this.isOpen) this.write({ type: "ping", t: this.environment.now() });
    // Counted from a ping, not from the last frame: a page in the background pings rarely, and that is no silence.
    if (!this.timers.has("silence") || silenceMsMax < TIMING.silenceMsMax) this.later("silence", silenceMsMax, () => this.lose());
    const wait = count < TIMING.pingFirstCount ? TIMING.pingFirstMs : TIMING.pingMs;
    this.later("ping", wait, () => this.ping(count + 1));
  }

  lose() {
    this.clearTimers();
    this.abandonSocket();
    if (this.final) {
      this.onStatus({ status: "closed", retryMs: null });
      return;
    }
    const first = this.wantsPeace ? TIMING.refusedBackoffMs : TIMING.backoffFirstMs;
    const retryMs = backoffMs(this.attempt, this.environment.random(), first);
    this.attempt += 1;
    this.onStatus({ status: "lost", retryMs });
    this.later("retry", retryMs, () => this.connect());
  }

  abandonSocket() {
    const socket = this.socket;
    this.socket = null;
    this.welcomed = false;
    if (socket !== null && socket.readyState <= 1) socket.close();
  }

  later(name, ms, callback) {
    this.cancel(name);
    this.timers.set(name, this.environment.setTimer(callback, ms));
  }

  cancel(name) {
    if (this.timers.has(name)) this.environment.clearTimer(this.timers.get(name));
    this.timers.delete(name);
  }

  clearTimers() {
    for (const name of [...this.timers.keys()]) this.cancel(name);
  }
}

// A frame is an object with a type; anything else is none of ours (unknown types are left to the reader to ignore).
function readFrame(text) {
  try {
    const frame = JSON.parse(text);
    return frame !== null && typeof frame === "object" && typeof frame.type === "string" ? frame : null;
  } catch {
    return null;
  }
}
