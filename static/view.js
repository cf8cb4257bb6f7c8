// The page out of the state: every element is written only when what it says has changed.

import { MoneyFormat, hundredthsOf, multiplierText, payoutMinor } from "./money.js";
import { ACTION, CLOCK, LABELS, STAGE, say } from "./words.js";

function setText(element, text) {
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
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = LABELS[element.dataset.word];
  for (const element of root.querySelectorAll("[data-word-label]")) {
    element.setAttribute("aria-label", LABELS[element.dataset.wordLabel]);
  }
  for (const element of root.querySelectorAll("[data-word-placeholder]")) {
    element.placeholder = LABELS[element.dataset.wordPlaceholder];
  }
}

function clockText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return (parts[0] === 0 ? parts.slice(1) : parts).map((part) => String(part).padStart(2, "0")).join(":");
}

/** What the stage shows for a state: idle, betting, flying, won or lost. */
export function sceneKind(state) {
  if (state.round) return state.round.phase === "flying" ? "flying" : "betting";
  if (state.last?.status !== "settled") return "idle";
  return state.last.result === "crash" ? "lost" : "won";
}

/** The multiplier that belongs to the stage, in hundredths; `flyingHundredths` while a round flies. */
export function stageHundredths(state, flyingHundredths) {
  const kind = sceneKind(state);
  if (kind === "flying") return flyingHundredths;
  if (kind === "won") return state.last.realizedHundredths;
  return kind === "lost" ? state.last.crashHundredths : 100;
}

/** Renders a model { state, action, money, stakeMinor, hundredths, nowMs, ... } into the page. */
export class View {
  constructor(root) {
    const find = (id) => root.querySelector(`#${id}`);
    const names = [
      "balance", "pending", "played", "left", "currency", "stage", "multiplier", "stage-note", "connection", "message",
      "hint", "action", "action-main", "action-sub", "resume", "commitment", "commitment-label", "nonce", "nonce-label", "history", "load-more", "game",
    ];
    this.at = Object.fromEntries(names.map((name) => [name, find(name)]));
    this.shown = { noticeSerial: null, history: null };
  }

  render(model) {
    this.renderPurse(model);
    this.renderStage(model);
    this.renderMessage(model);
    this.renderAction(model);
    this.renderConnection(model);
    this.renderFairness(model.state);
    this.renderHistory(model);
  }

  renderPurse({ state, money, playedMs, leftMs }) {
    setData(this.at.game, "status", state.status);
    if (money === null) return;
    setText(this.at.balance, money.text(state.balanceMinor));
    setHidden(this.at.pending, state.pendingMinor === 0);
    setText(this.at.pending, state.pendingMinor === 0 ? "" : `+${money.text(state.pendingMinor)} ${LABELS.pending}`);
    setText(this.at.currency, `(${state.session.currency})`);
    setText(this.at.played, CLOCK.played({ time: clockText(playedMs) }));
    setText(this.at.left, CLOCK.left({ time: clockText(leftMs) }));
  }

  renderStage({ state, money, hundredths }) {
    setData(this.at.stage, "scene", sceneKind(state));
    setText(this.at.multiplier, multiplierText(hundredths));
    setText(this.at["stage-note"], this.stageNote(state, money));
  }

  stageNote(state, money) {
    const { round, last } = state;
    if (round?.phase === "flying") {
      return round.autoHundredths === null ? STAGE.flying : STAGE.autoAt({ multiplier: multiplierText(round.autoHundredths) });
    }
    if (round) return STAGE.betting;
    if (last === null) return STAGE.idle;
    const note = STAGE[last.status === "settled" ? last.result : last.status];
    return typeof note === "function" ? note({ amount: money.text(last.payoutMinor) }) : note;
  }

  renderMessage(model) {
    const { notice } = model.state;
    if (notice === null) {
      setText(this.at.message, model.money === null ? "" : say("hint.ready"));
      return;
    }
    if (notice.serial === this.shown.noticeSerial) return;
    this.shown.noticeSerial = notice.serial;
    this.at.message.textContent = say(notice.key, textValues(notice.values, model));
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

  renderConnection({ state, retryInMs, isStalled, hasToken }) {
    const text = connectionText(state, retryInMs, isStalled, hasToken);
    setHidden(this.at.connection, text === "");
    setText(this.at.connection, text);
    const canResume = state.over === "replaced" || (state.status === "lost" && hasToken);
    setHidden(this.at.resume, !canResume);
    setText(this.at.resume, state.over === "replaced" ? LABELS.continueHere : LABELS.reconnectNow);
  }

  renderFairness({ next, round }) {
    if (next === null) return;
    // While a round lives its own commitment stands here; the server may have announced the one after it already.
    const isNow = Boolean(round?.serverSeedHash);
    setText(this.at["commitment-label"], isNow ? LABELS.commitmentNow : LABELS.commitment);
    setText(this.at["nonce-label"], isNow ? LABELS.nonceNow : LABELS.nonce);
    setText(this.at.commitment, isNow ? round.serverSeedHash : next.serverSeedHash);
    setText(this.at.nonce, String(isNow ? round.nonce : next.nonce));
  }

  renderHistory({ state, money }) {
    const { history, hasMore, asked } = state;
    setHidden(this.at["load-more"], !hasMore);
    setText(this.at["load-more"], asked.history === null ? LABELS.loadMore : LABELS.loading);
    if (money === null || history === this.shown.history) return;
    this.shown.history = history;
    this.at.history.replaceChildren(...(history.length === 0 ? [emptyItem()] : history.map((round) => historyItem(round, money))));
  }
}

function emptyItem() {
  const item = document.createElement("li");
  item.className = "empty";
  item.textContent = LABELS.noHistory;
  return item;
}

function historyItem(round, money) {
  const item = document.createElement("li");
  item.dataset.roundId = round.roundId;
  const isWon = round.status === "settled" && round.result !== "crash";
  item.className = round.status !== "settled" ? "none" : isWon ? "won" : "lost";
  const button = document.createElement("button");
  button.type = "button";
  button.append(span("chip", chipText(round, isWon)), span("sum", sumText(round, money)));
  item.append(button);
  return item;
}

function chipText(round, isWon) {
  if (round.status !== "settled") return STAGE[round.status];
  return multiplierText(isWon ? round.realizedHundredths : round.crashHundredths);
}

// History is the player's, so that a round may have been played in another currency than this session's.
function sumText(round, money) {
  const format = round.currency === money.currency ? money : new MoneyFormat(round.currency);
  if (round.status !== "settled") return format.text(0);
  const netMinor = round.payoutMinor - round.amountMinor;
  return `${netMinor > 0 ? "+" : netMinor < 0 ? "−" : ""}${format.text(Math.abs(netMinor))}`;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

// Values of a notice as texts: amounts in the session's currency, multipliers with their sign, and the limits.
function textValues(values, { money, state }) {
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
  texts.minCashout = multiplierText(hundredthsOf(limits.min_cashout));
  texts.maxCashout = multiplierText(100 * limits.max_win_multiplier);
  return texts;
}

function actionWords(model) {
  const { state, action, money, stakeMinor, hundredths } = model;
  if (state.over !== null && state.over !== "shutdown") return ACTION.over();
  if (action.state === "waiting") return state.round?.cashing && state.status === "open" ? ACTION.cashing() : ACTION.offline();
  if (action.state === "pending") return ACTION.pending();
  if (action.state === "flying") {
    if (hundredths < hundredthsOf(state.session.limits.min_cashout)) return ACTION.early(textValues({}, model));
    return ACTION.flying({ amount: money.text(payoutMinor(state.round.amountMinor, hundredths)) });
  }
  return ACTION.bet({ amount: money === null || stakeMinor === null ? "" : money.text(stakeMinor) });
}

function connectionText(state, retryInMs, isStalled, hasToken) {
  if (!hasToken) return say("connection.no_token");
  if (state.over === "unauthorized") return say("error.unauthorized");
  if (state.over !== null) return say(`ended.${state.over}`);
  switch (state.status) {
    case "open":
      return isStalled ? say("connection.stalled") : "";
    case "closed":
      return say("ended.expired");
    case "lost":
      return say("connection.retry", { seconds: String(Math.max(1, Math.ceil(retryInMs / 1000))) });
    default:
      return say(state.session === null ? "connection.connecting" : "connection.reconnecting");
  }
}
