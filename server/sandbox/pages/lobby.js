import { GameFrame } from "./game_frame.js";

const { player, currency, exponent, lang, minutes } = document.body.dataset;
const balanceView = document.getElementById("balance");
const notice = document.getElementById("notice");
const said = document.getElementById("said");
const callList = document.getElementById("calls");
const launchButton = document.getElementById("launch");
const DEPOSIT_MINOR = 100_000;
const POLL_MS = 1000;
const LAUNCH_ATTEMPTS_MAX = 20;
const SESSION_KEY = `session/${player}/${currency}/${lang}/${minutes}`;
const gameButtons = Object.fromEntries(["pause", "mute", "close"].map((name) => [name, document.getElementById(name)]));
const wishes = { paused: false, muted: false };
let lastBalanceMinor = null;
let gameBalanceMinor = null;
let balancesTold = 0;
let hasLeft = false;

async function call(path, document_) {
  const options = document_ && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ player, currency, ...document_ }),
  };
  const response = await fetch(path, { cache: "no-store", ...options });
  const answer = await response.json();
  if (!answer.ok) throw new Error(answer.error);
  return answer;
}

function showBalance({ balance, balance_minor }) {
  if (lastBalanceMinor !== null && balance_minor !== lastBalanceMinor) {
    balanceView.className = balance_minor > lastBalanceMinor ? "up" : "down";
    setTimeout(() => { balanceView.className = ""; }, 900);
  }
  lastBalanceMinor = balance_minor;
  if (balanceView.value !== balance) balanceView.value = balance;
}

// As the server writes amounts.
function amountText(amountMinor) {
  const digits = Number(exponent);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${(amountMinor / 10 ** digits).toLocaleString("en-US", options)} ${currency}`;
}

function cell(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function line(entry, isFresh) {
  const item = document.createElement("li");
  item.className = isFresh ? "fresh" : "";
  const detail = cell("div", "detail", "");
  detail.append(cell("span", "", entry.round && `round ${entry.round}`), cell("span", "", entry.balance));
  item.append(
    cell("time", "", entry.at),
    cell("span", "kind", entry.kind),
    cell("span", entry.amount_minor > 0 ? "gain" : "loss", entry.amount),
    detail,
  );
  return item;
}

let newestEntry = null;

async function showEntries() {
  const { entries } = await call(`/api/entries?${new URLSearchParams({ player, currency })}`);
  const newest = entries.length ? entries[0].entry : 0;
  if (newest === newestEntry) return;
  callList.replaceChildren(...entries.map((entry) => line(entry, newestEntry !== null && entry.entry > newestEntry)));
  newestEntry = newest;
}

async function poll() {
  try {
    if (!document.hidden) {
      const told = balancesTold;
      const answer = await call(`/api/balance?${new URLSearchParams({ player, currency })}`);
      if (told === balancesTold) showBalance(answer); // else the game was quicker, and this may be older
      await showEntries();
    }
  } catch {
    // The next poll tells more; a lobby that is being restarted is no news to a player.
  }
  setTimeout(poll, POLL_MS);
}

// A game server that is just starting isn't an error yet.
async function launchWhenReady() {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call("/api/launch", { lang, reality_check_minutes: minutes });
    } catch (error) {
      if (attempt === LAUNCH_ATTEMPTS_MAX) throw error;
      notice.textContent = `Opening the game… (${error.message})`;
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }
}

// A page that is loaded again goes on with its session: a round may be flying in it.
function sessionOfThisTab() {
  const { launch_url, expires_at } = JSON.parse(sessionStorage.getItem(SESSION_KEY) ?? "{}");
  return Date.parse(expires_at) > Date.now() ? launch_url : null;
}

async function newSession() {
  const launched = await launchWhenReady();
  sessionStorage.setItem(SESSION_KEY, JSON.stringify(launched));
  return launched.launch_url;
}

async function open(isNew) {
  launchButton.disabled = true;
  leave("Opening the game…");
  try {
    gameFrame.open((isNew ? null : sessionOfThisTab()) ?? await newSession());
    notice.textContent = "";
  } catch (error) {
    notice.textContent = `The game could not be opened: ${error.message}.`;
  }
  launchButton.disabled = false;
}

function leave(words) {
  gameFrame.close();
  gameBalanceMinor = null;
  hasLeft = false;
  for (const button of Object.values(gameButtons)) button.disabled = true;
  notice.textContent = words;
}

// A game that has been loaded again knows nothing of what was wished before.
function tellWishes() {
  gameFrame.say(wishes.paused ? "pause" : "resume");
  gameFrame.say("mute", { muted: wishes.muted });
  gameButtons.pause.textContent = wishes.paused ? "Resume betting" : "Pause betting";
  gameButtons.mute.textContent = wishes.muted ? "Unmute" : "Mute";
}

function wish(name) {
  wishes[name] = !wishes[name];
  tellWishes();
}

function endText({ status, result, amount_minor, payout_minor, realized_multiplier }) {
  if (status !== "settled") return `Round ${status}: ${amountText(amount_minor)} stays with the player`;
  if (result === "crash") return `Round over: caught, ${amountText(amount_minor)} lost`;
  return `Round over: away at ${realized_multiplier.toFixed(2)}× with ${amountText(payout_minor)}`;
}

const ENDS = {
  expired: "The session has expired.",
  replaced: "The game was opened in another window.",
  closed: "The game is closed.",
};

const heard = {
  ready() {
    for (const button of Object.values(gameButtons)) button.disabled = false;
    said.textContent = `Ready, in ${currency}`;
    tellWishes();
  },
  // The first is what the session knew when it opened: money may have moved here since, and only a change is news.
  balance({ balance_minor }) {
    const isNews = gameBalanceMinor !== null && balance_minor !== gameBalanceMinor;
    gameBalanceMinor = balance_minor;
    if (!isNews) return;
    balancesTold += 1;
    showBalance({ balance: amountText(balance_minor), balance_minor });
  },
  round_started({ amount_minor }) {
    said.textContent = `Round started: ${amountText(amount_minor)} at stake`;
  },
  round_ended(message) {
    said.textContent = endText(message);
  },
  session_ended({ reason }) {
    sessionStorage.removeItem(SESSION_KEY);
    said.textContent = "Session over";
    leave(`${ENDS[reason] ?? "The game has ended."} Launch opens it again.`);
  },
  // The session goes on: a round may be flying in it.
  open_lobby() {
    said.textContent = "The player came back to the lobby";
    leave("Back in the lobby. Launch goes on with your game.");
    hasLeft = true;
  },
};

const gameFrame = new GameFrame(document.getElementById("game"), (message) => {
  if (Object.hasOwn(heard, message.type)) heard[message.type](message);
});

launchButton.addEventListener("click", () => open(!hasLeft));
gameButtons.pause.addEventListener("click", () => wish("paused"));
gameButtons.mute.addEventListener("click", () => wish("muted"));
gameButtons.close.addEventListener("click", () => {
  gameButtons.close.disabled = true;
  said.textContent = "Closing, after the round if one is flying";
  gameFrame.say("close");
});
document.getElementById("deposit").addEventListener("click", async () => {
  try {
    balancesTold += 1;
    showBalance(await call("/api/deposit", { amount_minor: DEPOSIT_MINOR }));
  } catch (error) {
    notice.textContent = `No deposit: ${error.message}.`;
  }
});
for (const field of document.querySelectorAll("select, [type=number]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
poll();
open(false);
