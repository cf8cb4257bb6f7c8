// A finished round as text, and back: as a link that holds it in its fragment, which no browser sends to a server,
// and as the JSON that the server gives to operators and players.

const TEXT_LENGTH_MAX = 65_536;
const MAX_WIN_MAX = 2 ** 31 - 1;
const HUNDREDTHS_MAX = 100 * MAX_WIN_MAX;
const TIME_MS_MAX = 8.64e15; // what a Date can hold

/** What is assumed where a text does not name a round's terms; the round's `assumed` names those. */
export const USUAL_TERMS = { rtpBps: 9600, maxWinMultiplier: 2000 };
export const USUAL_RATE_PER_MS = 0.00006;

const isMatch = (pattern) => (value) => typeof value === "string" && pattern.test(value);
const isWhole = (least, most) => (value) => Number.isSafeInteger(value) && value >= least && value <= most;
const isOneOf = (...words) => (value) => words.includes(value);
const isHex64 = isMatch(/^[0-9a-f]{64}$/);
const isAmount = isWhole(0, Number.MAX_SAFE_INTEGER);
const isTime = isWhole(0, TIME_MS_MAX);
const isRate = (value) => typeof value === "number" && value >= 0.000001 && value <= 0.01;

// Every field of a round by its name in the page: what it is called in texts and what it may be.
const FIELDS = {
  serverSeed: { wire: "server_seed", isValid: isHex64, isNeeded: true },
  serverSeedHash: { wire: "server_seed_hash", isValid: isHex64 },
  clientSeed: { wire: "client_seed", isValid: isMatch(/^[A-Za-z0-9_-]{1,64}$/), isNeeded: true },
  nonce: { wire: "nonce", isValid: isWhole(1, Number.MAX_SAFE_INTEGER), isNeeded: true },
  rtpBps: { wire: "rtp_target", link: "rtp_bps", isValid: isWhole(1, 10_000) },
  maxWinMultiplier: { wire: "max_win_multiplier", isValid: isWhole(2, MAX_WIN_MAX) },
  crashHundredths: { wire: "crash_point", link: "crash_hundredths", isValid: isWhole(100, HUNDREDTHS_MAX) },
  realizedHundredths: { wire: "realized_multiplier", link: "realized_hundredths", isValid: isWhole(0, HUNDREDTHS_MAX) },
  status: { wire: "status", isValid: isOneOf("settled", "void", "refunded") },
  result: { wire: "result", isValid: isOneOf("cashout", "max_win", "crash") },
  amountMinor: { wire: "amount_minor", isValid: isAmount },
  payoutMinor: { wire: "payout_minor", isValid: isAmount },
  autoHundredths: { wire: "auto_cashout", link: "auto_hundredths", isValid: isWhole(101, HUNDREDTHS_MAX) },
  currency: { wire: "currency", isValid: isMatch(/^[A-Z]{3}$/) },
  roundId: { wire: "round_id", isValid: isMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) },
  startedAtMs: { wire: "started_at", isValid: isTime },
  settledAtMs: { wire: "settled_at", isValid: isTime },
  mapSeed: { wire: "map_seed", isValid: isHex64 },
  lootSeed: { wire: "loot_seed", isValid: isHex64 },
  guardSeed: { wire: "guard_seed", isValid: isHex64 },
  ratePerMs: { wire: "rate_per_ms", isValid: isRate },
};

const linkName = ({ wire, link = wire }) => link;

/** A problem with a text: the key of its message, and the field it is about (null for the text as a whole). */
function problem(key, field = null) {
  return { round: null, error: { key, field, wireName: field === null ? null : FIELDS[field].wire } };
}

/**
 * The link that shows a round in the verifier: `origin` and a fragment with all that is needed to check it.
 * `round` is a record of the page (`finishedRound`) or of `readRound`; what it does not know is left out.
 */
export function roundLink(origin, round) {
  const fields = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = round[name] ?? null;
    const isUsual = round.assumed?.includes(name) || (name === "ratePerMs" && value === USUAL_RATE_PER_MS);
    if (value !== null && !isUsual) fields.set(linkName(field), String(value));
  }
  return `${origin}/verify#${fields}`;
}

/**
 * Read a round from what a person has: a link of `roundLink` or its fragment, the JSON of `GET /round/<id>`, of a
 * history entry or a `round_ended` frame, or an object with `server_seed`, `client_seed` and `nonce`.
 *
 * Gives { round, error }, one of them null and never an exception. Multipliers of the round are hundredths, the return
 * to player basis points, amounts minor units, times unix milliseconds; what the text did not say is null, but for
 * terms and rate, which are the usual ones (`assumed`: the names of such terms). An error is { key, field, wireName }.
 */
export function readRound(text) {
  if (typeof text !== "string" || text.length > TEXT_LENGTH_MAX) return problem("verify.unreadable");
  const trimmed = text.trim();
  return trimmed.startsWith("{") ? readJson(trimmed) : readLink(trimmed);
}

/** The same from values that are in the page's units already, under the page's names. */
export function readValues(values) {
  const round = {};
  for (const [name, { isValid, isNeeded = false }] of Object.entries(FIELDS)) {
    const value = values[name] ?? null;
    if (value === null ? isNeeded : !isValid(value)) return problem("verify.badInput", name);
    round[name] = value;
  }
  round.assumed = Object.keys(USUAL_TERMS).filter((name) => round[name] === null);
  for (const name of round.assumed) round[name] = USUAL_TERMS[name];
  round.ratePerMs ??= USUAL_RATE_PER_MS;
  return { round, error: null };
}

// A link that a mail has broken into lines still reads: a fragment of ours has no spaces.
function readLink(text) {
  const clean = text.replace(/\s+/g, "");
  const fragment = clean.slice(clean.indexOf("#") + 1);
  if (!/^[a-z_]+=/.test(fragment)) return problem("verify.unreadable");
  const given = new URLSearchParams(fragment);
  const values = {};
  for (const [name, field] of Object.entries(FIELDS)) {
    const texts = given.getAll(linkName(field));
    if (texts.length > 1) return problem("verify.badInput", name);
    if (texts.length === 1) values[name] = valueOfText(name, texts[0]);
  }
  return readValues(values);
}

const TEXT_FIELDS = new Set(["serverSeed", "serverSeedHash", "clientSeed", "status", "result", "currency", "roundId"]);
for (const name of ["mapSeed", "lootSeed", "guardSeed"]) TEXT_FIELDS.add(name);

function valueOfText(name, text) {
  if (TEXT_FIELDS.has(name)) return text;
  if (name === "ratePerMs") return /^[0-9]{1,3}(\.[0-9]{1,20})?(e-[0-9]{1,2})?$/.test(text) ? Number(text) : text;
  return /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : text;
}

function readJson(text) {
  let entry;
  try {
    entry = JSON.parse(text);
  } catch {
    return problem("verify.unreadable");
  }
  if (!Object.keys(entry).some((name) => name === "server_seed" || name === "server_seed_hash")) {
    return problem("verify.unreadable");
  }
  if (entry.server_seed === null && ["betting", "flying"].includes(entry.status)) {
    return problem("verify.notEnded", "serverSeed");
  }
  return readValues(valuesOfEntry(entry));
}

// The operator's answer has what the seeds decide inside `outcome`, and times as texts.
function valuesOfEntry(entry) {
  const outcome = typeof entry.outcome === "object" && entry.outcome !== null ? entry.outcome : {};
  const values = Object.fromEntries(Object.entries(FIELDS).map(([name, { wire }]) => [name, entry[wire]]));
  return {
    ...values,
    rtpBps: hundredths(entry.rtp_target),
    crashHundredths: hundredths(entry.crash_point ?? outcome.crashPoint),
    realizedHundredths: hundredths(entry.realized_multiplier),
    autoHundredths: hundredths(entry.auto_cashout),
    startedAtMs: timeMs(entry.started_at),
    settledAtMs: timeMs(entry.settled_at),
    mapSeed: entry.map_seed ?? outcome.mapSeed,
    lootSeed: entry.loot_seed ?? outcome.lootSeed,
    guardSeed: entry.guard_seed ?? outcome.guardSeed,
  };
}

// A number with at most two decimals as whole hundredths; anything else stays what it is and is refused as that.
function hundredths(value) {
  if (value === null || value === undefined) return null;
  const whole = typeof value === "number" ? Math.round(value * 100) : NaN;
  return whole / 100 === value ? whole : NaN;
}

function timeMs(value) {
  const isTimeText = typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(value);
  return isTimeText ? Date.parse(value) : value;
}
