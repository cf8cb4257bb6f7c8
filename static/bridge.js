// What the game and the lobby around its frame say to each other, version 1: docs/lobby.md has every message.

export const BRIDGE_VERSION = 1;

// Only these fields ever leave, whatever a caller hands over.
const MESSAGE_FIELDS = {
  ready: ["session_id", "currency", "lang"],
  balance: ["balance_minor", "pending_minor", "currency"],
  round_started: ["round_id", "amount_minor"],
  round_ended: ["round_id", "status", "result", "amount_minor", "payout_minor", "realized_multiplier"],
  session_ended: ["reason"],
  open_lobby: [],
};

// Each gives the command's own fields, or null if they are not what they must be.
const COMMAND_READERS = {
  hello: () => ({}),
  pause: () => ({}),
  resume: () => ({}),
  mute: ({ muted }) => (typeof muted === "boolean" ? { muted } : null),
  close: () => ({}),
};

const ORIGIN = /^(https?):\/\/(\*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;
const USUAL_PORTS = { http: 80, https: 443 };

function partsOf(text) {
  const match = ORIGIN.exec(text);
  if (match === null) return null;
  const [, scheme, wildcard, host, port] = match;
  return { scheme, host, port: port === undefined ? USUAL_PORTS[scheme] : Number(port), coversSubdomains: wildcard !== undefined };
}

function covers(pattern, origin) {
  if (pattern.scheme !== origin.scheme || pattern.port !== origin.port) return false;
  return pattern.coversSubdomains ? origin.host.endsWith(`.${pattern.host}`) : origin.host === pattern.host;
}

/**
 * Whether a browser's `origin` is one of `patterns`: exact origins, origins whose host begins with `*.` (any subdomain,
 * never the domain itself), or `*` for every http and https origin. A scheme's usual port may be written or left out.
 */
export function isAllowedOrigin(origin, patterns) {
  const parts = partsOf(origin);
  if (parts === null || parts.coversSubdomains) return false;
  return patterns.some((text) => {
    if (text === "*") return true;
    const pattern = partsOf(text.toLowerCase());
    return pattern !== null && covers(pattern, parts);
  });
}

/** A lobby's message as { type, ...its fields }, or null for whatever is no command of this version. */
export function readCommand(data) {
  if (data === null || typeof data !== "object" || data.getaway !== BRIDGE_VERSION) return null;
  if (typeof data.type !== "string" || !Object.hasOwn(COMMAND_READERS, data.type)) return null;
  const fields = COMMAND_READERS[data.type](data);
  return fields === null ? null : { type: data.type, ...fields };
}

/**
 * The game's end of the bridge. `view` is the page's window, `frameOrigins` the operator's allowed origins as
 * `isAllowedOrigin` takes them, `onCommand(command)` gets every valid command of the lobby as { type, ...fields }, `hello`
 * among them: it asks for `ready` and `balance` again. A page that is not in a frame has no lobby: nothing is heard or sent.
 */
export class Bridge {
  constructor({ view, frameOrigins, onCommand }) {
    this.lobby = view.parent === view ? null : view.parent;
    this.frameOrigins = frameOrigins;
    this.onCommand = onCommand;
    this.kept = new Map();
    this.lobbyOrigin = null;
    this.hasHeard = false;
    if (this.lobby === null) return;
    const nearest = view.location.ancestorOrigins?.[0];
    if (nearest !== undefined && isAllowedOrigin(nearest, frameOrigins)) this.lobbyOrigin = nearest;
    view.addEventListener("message", (event) => this.receive(event));
  }

  /**
   * Whether the lobby's exact origin is known, so that messages leave at once. That somebody listens there is certain only
   * when `hasHeard` is true, too: when the lobby has given a command.
   */
  get isKnown() {
    return this.lobbyOrigin !== null;
  }

  /**
   * Say something to the lobby; a field that is missing is null, and fields that the message does not have are left out.
   * Until the lobby is known the newest message of each type waits for it.
   */
  post(type, fields = {}) {
    if (!Object.hasOwn(MESSAGE_FIELDS, type)) throw new RangeError(`the bridge has no message ${type}`);
    if (this.lobby === null) return;
    const values = MESSAGE_FIELDS[type].map((name) => [name, fields[name] ?? null]);
    const message = { getaway: BRIDGE_VERSION, type, ...Object.fromEntries(values) };
    if (this.isKnown) this.lobby.postMessage(message, this.lobbyOrigin);
    else this.keep(message);
  }

  // Deleted first, so that what waits is in the order in which it was last said.
  keep(message) {
    this.kept.delete(message.type);
    this.kept.set(message.type, message);
  }

  receive(event) {
    if (event.source !== this.lobby || !this.isLobby(event.origin)) return;
    const command = readCommand(event.data);
    if (command === null) return;
    this.hasHeard = true;
    if (command.type === "hello" && !this.isKnown) this.become(event.origin);
    this.onCommand(command);
  }

  isLobby(origin) {
    return this.isKnown ? origin === this.lobbyOrigin : isAllowedOrigin(origin, this.frameOrigins);
  }

  become(origin) {
    this.lobbyOrigin = origin;
    for (const message of this.kept.values()) this.lobby.postMessage(message, origin);
    this.kept.clear();
  }
}
