// Wires the page: socket -> state -> view, controls -> socket, and one animation loop while a round flies.

import { Controls } from "./controls.js";
import { Flight, ServerClock, reachesAtMs } from "./growth.js";
import { MoneyFormat } from "./money.js";
import { Connection, streamUrl } from "./protocol.js";
import { Scene } from "./scene.js";
import { Sheet } from "./sheet.js";
import { actionOf, initialState, reduce } from "./state.js";
import { View, sceneKind, stageHundredths, writeLabels } from "./view.js";

const PRESS_GAP_MS = 400; // a double click must not place a second bet or leave the round that it has just begun
const BEHIND_TICKS = 1.25; // how late a flight is drawn: the next tick, if it is not too late, has come by then
const STALLED_TICKS = 12; // without a tick for so long, the player is told
const HISTORY_PAGE = 20;
const CLOCK_BEAT_MS = 1_000;

const reducedMotion = globalThis.matchMedia("(prefers-reduced-motion: reduce)");

class Game {
  constructor(root, token) {
    this.token = token;
    this.state = initialState();
    this.clock = new ServerClock();
    this.money = null;
    this.flight = null;
    this.openedAtMs = null;
    this.lostAtMs = 0;
    this.pressedAtMs = Number.NEGATIVE_INFINITY;
    this.frameAsked = false;
    this.view = new View(root);
    this.scene = new Scene(root.querySelector("#scene"), { reducedMotion: () => reducedMotion.matches });
    this.sheet = new Sheet(root, { wasShown: (hash) => this.state.shownHashes.includes(hash) });
    this.controls = new Controls(root, {
      onChange: () => this.redraw(),
      onPress: () => this.press(),
      onClientSeed: (text, isValid) => this.changeSeed(text, isValid),
    });
    this.connection = new Connection({
      url: streamUrl(location.href),
      token,
      onFrame: (frame, receivedMs) => this.receive(frame, receivedMs),
      onStatus: (status) => this.statusChanged(status),
    });
    this.listen(root);
  }

  listen(root) {
    root.querySelector("#history").addEventListener("click", (event) => {
      const item = event.target.closest("[data-round-id]");
      const round = item && this.state.history.find((entry) => entry.roundId === item.dataset.roundId);
      if (round) this.sheet.open(round);
    });
    root.querySelector("#load-more").addEventListener("click", () => this.loadMore());
    root.querySelector("#resume").addEventListener("click", () => this.connection.connect());
    new ResizeObserver(() => this.redraw()).observe(root.querySelector("#stage"));
    reducedMotion.addEventListener("change", () => this.redraw());
    setInterval(() => this.redraw(), CLOCK_BEAT_MS);
  }

  start() {
    if (this.token === "") this.change({ type: "notice", key: "connection.no_token", tone: "bad", values: {} });
    else this.connection.connect();
    this.redraw();
  }

  change(event) {
    const before = this.state;
    this.state = reduce(before, event);
    if (this.state === before) return;
    this.follow(before);
    this.redraw();
  }

  // What hangs on the state but is no part of it: the money format, the flight's clock, the inputs' limits.
  follow(before) {
    const { session, round, next, balanceMinor } = this.state;
    if (session !== before.session) {
      if (this.money?.currency !== session.currency) this.money = new MoneyFormat(session.currency);
      this.openedAtMs ??= performance.now();
      this.controls.setSession(this.money, session.limits);
    }
    this.controls.balanceMinor = balanceMinor;
    if (next !== null && next !== before.next) this.controls.setServerSeed(next.clientSeed);
    const isNewFlight = round?.phase === "flying" && (before.round?.phase !== "flying" || before.round.roundId !== round.roundId);
    if (isNewFlight) this.takeOff(round, session);
    else if (round === null) this.flight = null;
  }

  takeOff(round, session) {
    this.flight = new Flight({
      startedAtMs: round.startedAtMs,
      ratePerMs: session.ratePerMs,
      capHundredths: round.capHundredths,
      behindMs: BEHIND_TICKS * session.tickMs,
      stalledMs: STALLED_TICKS * session.tickMs,
      knownMs: round.knownMs,
      localMs: performance.now(),
    });
  }

  receive(frame, receivedMs) {
    if (frame.type === "tick") {
      this.flight?.tick(frame.e, receivedMs);
      return;
    }
    if (frame.type === "pong") {
      this.clock.measure(frame.t, receivedMs, frame.server_time);
      return;
    }
    if (frame.type === "welcome") this.clock.observe(receivedMs, frame.server_time);
    const seedRefused = frame.type === "error" && frame.id && frame.id === this.state.asked.client_seed;
    this.change({ type: "frame", frame, serverNowMs: Math.round(this.clock.nowMs(receivedMs) ?? 0) || null });
    if (seedRefused) this.controls.restoreSeed();
  }

  statusChanged({ status, retryMs }) {
    this.lostAtMs = performance.now();
    this.change({ type: "status", status, retryMs });
  }

  press() {
    const nowMs = performance.now();
    if (this.sheet.isOpen || nowMs - this.pressedAtMs < PRESS_GAP_MS) return;
    const action = this.action();
    if (action.state === "bet") this.bet();
    else if (action.state === "flying") this.ask("cashout", { round_id: this.state.round.roundId });
    else return;
    this.pressedAtMs = nowMs;
  }

  bet() {
    const amountMinor = this.controls.stakeMinor();
    const autoHundredths = this.controls.autoHundredths();
    const fields = { amount_minor: amountMinor };
    if (autoHundredths !== null) fields.auto_cashout = autoHundredths / 100;
    this.ask("bet", fields, { amountMinor, autoHundredths });
  }

  changeSeed(text, isValid) {
    if (isValid && this.ask("client_seed", { value: text })) return;
    this.controls.restoreSeed();
    if (!isValid) this.change({ type: "notice", key: "error.bad_client_seed", tone: "bad", values: {} });
  }

  loadMore() {
    const oldest = this.state.history.at(-1);
    if (oldest && this.state.asked.history === null) this.ask("history", { before: oldest.roundId, limit: HISTORY_PAGE });
  }

  ask(what, fields, facts = {}) {
    const id = this.connection.send(what, fields);
    if (id !== null) this.change({ type: "asked", what, id, ...facts });
    return id !== null;
  }

  action() {
    return actionOf(this.state, this.controls.stakeMinor(), this.controls.autoHundredths());
  }

  redraw() {
    if (this.frameAsked) return;
    this.frameAsked = true;
    requestAnimationFrame(() => {
      this.frameAsked = false;
      this.draw(performance.now());
    });
  }

  draw(localMs) {
    const { state, clock, flight } = this;
    const serverNowMs = clock.nowMs(localMs);
    const hundredths = stageHundredths(state, flight === null ? 100 : flight.hundredths(serverNowMs));
    const action = this.action();
    this.view.render({
      state,
      action,
      money: this.money,
      stakeMinor: this.controls.stakeMinor(),
      hundredths,
      hasToken: this.token !== "",
      playedMs: this.openedAtMs === null ? 0 : localMs - this.openedAtMs,
      leftMs: state.session === null || serverNowMs === null ? 0 : state.session.expiresAtMs - serverNowMs,
      retryInMs: (state.retryMs ?? 0) - (localMs - this.lostAtMs),
      isStalled: flight !== null && flight.isStalled(localMs),
    });
    this.controls.setEnabled(state.session !== null && state.round === null);
    const hint = action.hint ?? "";
    this.controls.mark(/stake/.test(hint), /auto/.test(hint));
    this.drawScene(hundredths);
    if (state.round?.phase === "flying") this.redraw();
  }

  drawScene(hundredths) {
    const { state, flight } = this;
    const kind = sceneKind(state);
    const round = state.round ?? this.drawnRound ?? null;
    if (state.round !== null) this.drawnRound = state.round;
    const ratePerMs = state.session?.ratePerMs ?? 0.00006;
    const isOver = kind === "won" || kind === "lost";
    this.scene.draw({
      kind,
      hundredths,
      ratePerMs,
      elapsedMs: kind === "flying" && flight ? flight.shownMs : isOver ? reachesAtMs(ratePerMs, Math.max(101, hundredths)) : 0,
      mapSeed: round?.mapSeed ?? null,
      lootSeed: round?.lootSeed ?? null,
    });
  }
}

const root = document.body;
writeLabels(root);
new Game(root, new URLSearchParams(location.search).get("session") ?? "").start();
