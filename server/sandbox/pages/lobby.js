"use strict";

const { player, currency } = document.body.dataset;
const balanceView = document.getElementById("balance");
const notice = document.getElementById("notice");
const game = document.getElementById("game");
const callList = document.getElementById("calls");
const launchButton = document.getElementById("launch");
const DEPOSIT_MINOR = 100_000;
const POLL_MS = 1000;
const LAUNCH_ATTEMPTS_MAX = 20;
const SESSION_KEY = `session/${player}/${currency}`;
let lastBalanceMinor = null;

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
      showBalance(await call(`/api/balance?${new URLSearchParams({ player, currency })}`));
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
      return await call("/api/launch", {});
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
  game.hidden = true;
  notice.textContent = "Opening the game…";
  try {
    game.src = (isNew ? null : sessionOfThisTab()) ?? await newSession();
    game.hidden = false;
    notice.textContent = "";
  } catch (error) {
    notice.textContent = `The game could not be opened: ${error.message}.`;
  }
  launchButton.disabled = false;
}

launchButton.addEventListener("click", () => open(true));
document.getElementById("deposit").addEventListener("click", async () => {
  try {
    showBalance(await call("/api/deposit", { amount_minor: DEPOSIT_MINOR }));
  } catch (error) {
    notice.textContent = `No deposit: ${error.message}.`;
  }
});
document.querySelector("select").addEventListener("change", (event) => event.target.form.submit());
poll();
open(false);
