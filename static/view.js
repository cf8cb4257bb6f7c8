// The page out of the state: every element is written only when what it says has changed.

import { HistoryList } from "./history.js";
import { hundredthsOf, payoutMinor } from "./money.js";
import { isProfit } from "./records.js";
import { sceneKind } from "./stage.js";
import { durationText, isolated, multiplierText, say } from "./words.js";

const SLOW_MS = 300; // a round trip above this is shown
const COMMITMENT_ENDS = 8; // characters of a hash at either end, where there is no room for all

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setHidden(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** Writes the fixed words of the page into the elements that name them. */
export function writeLabels(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of root.querySelectorAll("[data-word-label]")) {
    element.setAttribute("aria-label", say(element.dataset.wordLabel));
    if (element.classList.contains("icon")) element.title = say(element.dataset.wordLabel);
  }
  for (const element of root.querySelectorAll("[data-word-placeholder]")) {
    element.placeholder = say(element.dataset.wordPlaceholder);
  }
  for (const button of root.querySelectorAll("[data-auto]:not([data-auto=''])")) {
    button.textContent = isolated(multiplierText(Number(button.dataset.auto)).replace(/([.,]00|0)×$/, "×"));
  }
}

/** Renders a model { state, action, money, stakeMinor, hundredths, playedMs, ... } into the page. */
export class View {
  constructor(root, { lobbyUrl }) {
    const names = [
      "balance", "pending", "played", "net", "stake-label", "stage", "multiplier", "stage-note", "loot", "badge", "connection", "message", "hint",
      "action", "action-main", "action-sub", "resume", "commitment", "commitment-short", "commitment-label", "nonce", "nonce-label", "game",
      "ending", "ending-title", "ending-text", "ending-lobby", "lobby", "panel", "rounds", "controls", "replay-bar", "fair",
    ];
    this.at = Object.fromEntries(names.map((name) => [name, root.querySelector(`#${name}`)]));
    this.history = new HistoryList(root);
    this.shownNotice = null;
    for (const link of [this.at.lobby, this.at["ending-lobby"]]) {
      if (lobbyUrl !== null) link.href = lobbyUrl;
      link.hidden = lobbyUrl === null;
    }
  }

  render(model) {
    this.renderPurse(model);
    this.renderStage(model);
    this.renderMessage(model);
    this.renderAction(model);
    this.renderConnection(model);
    this.renderEnding(model);
    this.renderFairness(model.state);
    this.renderReplay(model);
    this.history.render(model);
  }

  renderPurse({ state, money, playedMs }) {
    setData(this.at.game, "status", state.status);
    if (money === null) return;
    setText(this.at.balance, money.text(state.balanceMinor));
    setHidden(this.at.pending, state.pendingMinor === 0);
    setText(this.at.pending, state.pendingMinor === 0 ? "" : say("label.pending", { amount: `+${money.text(state.pendingMinor)}` }));
    setText(this.at["stake-label"], say("label.stakeIn", { currency: money.currency }));
    setText(this.at.net, state.totals === null ? "–" : money.signedText(state.totals.netMinor));
    setText(this.at.played, playedMs === null ? "–" : durationText(playedMs));
  }

  renderStage({ state, money, hundredths, loot, replay }) {
    const kind = replay?.kind ?? sceneKind(state);
    setData(this.at.stage, "scene", kind);
    setData(this.at.stage, "profit", String(replay ? replay.isProfit : state.last !== null && isProfit(state.last)));
    setText(this.at.multiplier, multiplierText(hundredths));
    setText(this.at["stage-note"], replay ? "" : stageNote(state, money));
    setHidden(this.at.loot, loot === null);
    setText(this.at.loot, loot === null ? "" : `${say("label.loot")} ${loot}`);
  }

  renderMessage(model) {
    const { notice } = model.state;
    if (notice === null) {
      setText(this.at.message, model.money === null ? "" : say("hint.ready"));
      return;
    }
    if (notice.serial === this.shownNotice) return;
    this.shownNotice = notice.serial;
    this.at.message.textContent = noticeText(notice, model);
    setData(this.at.message, "tone", notice.tone ?? "info");
    setData(this.at.message, "key", notice.key);
  }

  renderAction(model) {
    const { action } = model;
    const { main, sub } = actionWords(model);
    setData(this.at.action, "state", action.state);
    const isPressable = action.state === "bet" || action.state === "flying";
    if (this.at.action.getAttribute("aria-disabled") !== String(!isPressable)) {
      this.at.action.setAttribute("aria-disabled", String(!isPressable));
    }
    setText(this.at["action-main"], main);
    setText(this.at["action-sub"], sub);
    setText(this.at.hint, action.hint === null ? "" : say(action.hint, textValues({}, model)));
  }

  renderConnection(model) {
    const text = connectionText(model);
    setHidden(this.at.connection, text === "");
    setText(this.at.connection, text);
    setData(this.at.connection, "tone", model.state.status === "open" && !model.isStalled ? "slow" : "lost");
  }

  /** What ends the game here covers all of it but the balance: what happened, and what to do. */
  renderEnding({ state, hasToken, lobbyUrl }) {
    const key = endingKey(state, hasToken);
    setHidden(this.at.ending, key === null);
    setData(this.at.game, "over", key ?? "");
    for (const part of [this.at.panel, this.at.stage, this.at.rounds]) if (part.inert !== (key !== null)) part.inert = key !== null;
    if (key === null) return;
    setText(this.at["ending-title"], say(`ended.${key}.title`));
    setText(this.at["ending-text"], say(`ended.${key}`));
    const canResume = key === "replaced" || key === "shutdown" || key === "unauthorized";
    setHidden(this.at.resume, !canResume);
    setText(this.at.resume, say(key === "replaced" ? "label.continueHere" : "label.reconnectNow"));
    setHidden(this.at["ending-lobby"], lobbyUrl === null);
  }

  renderFairness({ next, round }) {
    if (next === null) return;
    // While a round lives its own commitment stands here; the server may have announced the one after it already.
    const isNow = Boolean(round?.serverSeedHash);
    const hash = isNow ? round.serverSeedHash : next.serverSeedHash;
    setText(this.at["commitment-label"], say(isNow ? "label.commitmentNow" : "label.commitment"));
    setText(this.at["nonce-label"], say(isNow ? "label.nonceNow" : "label.nonce"));
    setText(this.at.commitment, hash);
    setText(this.at["commitment-short"], `${hash.slice(0, COMMITMENT_ENDS)}…${hash.slice(-COMMITMENT_ENDS)}`);
    setText(this.at.nonce, String(isNow ? round.nonce : next.nonce));
  }

  renderReplay({ replay }) {
    const isReplay = Boolean(replay);
    setData(this.at.game, "replay", String(isReplay));
    setHidden(this.at.badge, !isReplay);
    setHidden(this.at["replay-bar"], !isReplay);
    for (const name of ["controls", "action", "hint", "message", "fair"]) setHidden(this.at[name], isReplay);
  }
}

/** Why the game is over on this page, or null: the end of a message's key. */
export function endingKey(state, hasToken) {
  if (!hasToken) return "no_token";
  // A server that restarts comes back by itself: that is an end for as long as nobody answers.
  if (state.over !== null) return state.over;
  return state.status === "closed" ? "expired" : null;
}

function stageNote(state, money) {
  const { round, last } = state;
  if (round?.phase === "flying") {
    return round.autoHundredths === null ? "" : say("stage.autoAt", { multiplier: multiplierText(round.autoHundredths) });
  }
  if (round) return say("stage.betting");
  if (last === null) return say("stage.idle");
  if (last.status !== "settled") return say(`stage.${last.status}`);
  if (last.result === "crash") return say("stage.crash");
  const amount = money.text(last.payoutMinor);
  return isProfit(last) ? say(`stage.${last.result}`, { amount }) : say("stage.even", { amount });
}

/** Values of a notice as texts: amounts in the session's currency, multipliers with their sign, and the limits. */
export function textValues(values, { money, state }) {
  const texts = { ...values };
  for (const [name, value] of Object.entries(values)) {
    if (name.endsWith("Minor") && money !== null) texts[name] = money.text(value);
    if (name === "hundredths" || name.endsWith("Hundredths")) texts[name] = value === null ? "?" : multiplierText(value);
  }
  if (money === null) return texts;
  const { limits } = state.session;
  texts.min = money.text(limits.min_bet_minor);
  texts.max = money.text(limits.max_bet_minor);
  texts.step = money.text(limits.bet_step_minor);
  texts.maxPayout = money.text(limits.max_payout_minor);
  texts.minCashout = multiplierText(hundredthsOf(limits.min_cashout));
  texts.maxCashout = multiplierText(100 * limits.max_win_multiplier);
  return texts;
}

function noticeText(notice, model) {
  const values = textValues(notice.values ?? {}, model);
  const stake = notice.values?.stake;
  const text = stake ? `${say(notice.key, values)} ${say(stake, values)}` : say(notice.key, values);
  return notice.key.startsWith("error.") && text === say("error.other") && values.message ? values.message : text;
}

function actionWords(model) {
  const { state, action, money, stakeMinor, hundredths, hasToken } = model;
  const words = (key, sub = "") => ({ main: say(`action.${key}`), sub });
  const told = (key, values = {}) => words(key, say(`action.${key}Sub`, values));
  if (endingKey(state, hasToken) !== null) return words("closed");
  if (action.state === "waiting") return told(state.round?.cashing && state.status === "open" ? "cashing" : "offline");
  if (action.state === "pending") return told("pending");
  if (action.state === "flying") {
    if (hundredths < hundredthsOf(state.session.limits.min_cashout)) return told("early", textValues({}, model));
    return words("cashOut", isolated(money.text(payoutMinor(state.round.amountMinor, hundredths))));
  }
  if (state.isPaused) return words("paused");
  if (state.status !== "open") return words("connecting");
  return words("bet", stakeMinor === null ? "" : isolated(money.text(stakeMinor)));
}

function connectionText({ state, retryInMs, isStalled, roundTripMs, hasToken }) {
  if (endingKey(state, hasToken) !== null) return "";
  if (state.status === "open") {
    if (isStalled) return say("connection.stalled");
    return roundTripMs > SLOW_MS ? say("connection.slow", { ms: String(Math.round(roundTripMs)) }) : "";
  }
  if (state.status === "lost") return say("connection.retry", { seconds: String(Math.max(1, Math.ceil(retryInMs / 1000))) });
  return say(state.session === null ? "connection.connecting" : "connection.reconnecting");
}
