// One game on one page: socket -> state -> view, controls -> socket, and what hangs on both: scene, sounds, lobby.

import { Controls } from "./controls.js";
import { Dialogs } from "./dialogs.js";
import { isHonestlyDiscarded } from "./fairness.js";
import { Flight, ServerClock } from "./growth.js";
import { lootTaken } from "./heist/loot.js";
import { MoneyFormat } from "./money.js";
import { Replay } from "./player.js";
import { Connection, streamUrl } from "./protocol.js";
import { RealityCheck } from "./reality.js";
import { Scene } from "./scene.js";
import { SoundTrack } from "./soundtrack.js";
import { isMoving, sceneModel, stageHundredths } from "./stage.js";
import { actionOf, initialState, keptPromise, reduce } from "./state.js";
import { View, endingKey } from "./view.js";
import { spoken } from "./words.js";

const PRESS_GAP_MS = 400; // a double click must not place a second bet or leave the round that it has just begun
const CALM_MS = 600; // after a round, and after a connection: a press that was meant for what was there must not bet
const BEHIND_TICKS = 1.25; // how late a flight is drawn: the next tick, if it is not too late, has come by then
const STALLED_TICKS = 12; // without a tick for so long, the player is told
const HISTORY_PAGE = 20;
const CLOCK_BEAT_MS = 1_000;
const ROOMY = "(min-width: 900px) and (min-height: 640px)";
const IDLE_FRAME_MS = 50; // the picture that waits moves slowly
const SEED_NOTICES = {
  own: { key: "seed.saved", tone: "info" },
  drawn: { key: "seed.drawn", tone: "info" },
  bad: { key: "error.bad_client_seed", tone: "bad" },
};

/** `launch`: see launch.js. `lobby`: the line to it. `settings`: what the page remembers. */
export class Game {
  constructor(root, { token, launch, lobby, settings, reducedMotion }) {
    Object.assign(this, { token, launch, lobby, reducedMotion });
    this.state = initialState();
    this.clock = new ServerClock();
    this.money = null;
    this.flight = null;
    this.replay = null;
    this.endedAtMs = null;
    this.lostAtMs = 0;
    this.pressedAtMs = Number.NEGATIVE_INFINITY;
    this.calmUntilMs = Number.NEGATIVE_INFINITY;
    this.wasStalled = false;
    this.frameAsked = false;
    this.isClosing = false;
    this.view = new View(root, launch);
    this.scene = new Scene(root.querySelector("#scene"), { reducedMotion: () => reducedMotion.matches });
    this.sound = new SoundTrack(root, settings);
    this.reality = new RealityCheck(launch.realityCheckMs);
    this.dialogs = new Dialogs(root, {
      keptPromise: (round) => keptPromise(this.state, round),
      onReplay: (round) => this.startReplay(round),
      onContinue: () => this.reality.seen(this.model(performance.now()).playedMs ?? 0),
      onLeave: () => this.leave(),
    });
    this.controls = new Controls(root, {
      onChange: () => this.redraw(),
      onPress: () => this.press(),
      onClientSeed: (what) => this.change({ type: "notice", ...SEED_NOTICES[what], values: {} }),
    });
    this.connection = new Connection({
      url: streamUrl(location.href),
      token,
      onFrame: (frame, receivedMs) => this.receive(frame, receivedMs),
      onStatus: (status) => this.statusChanged(status),
      // What this page shows it keeps. Only what became of a round that it knew is not known yet.
      helloAgain: () => ({ history: this.state.round === null ? 0 : 1 }),
    });
    this.listen(root);
    // Last: what the lobby has said already is obeyed at once.
    lobby.obey({
      setPaused: (isPaused) => this.change({ type: "paused", isPaused }),
      setMuted: (isMuted) => this.sound.mute(isMuted),
      close: () => this.close(),
      greet: () => lobby.tellAll(this.state, spoken().lang),
    });
  }

  listen(root) {
    const on = (selector, action) => root.querySelector(selector).addEventListener("click", action);
    on("#history", (event) => {
      const item = event.target.closest("[data-round-id]");
      const round = item && this.state.history.find((entry) => entry.roundId === item.dataset.roundId);
      if (round) this.dialogs.sheet.open(round, this.money, this.state.session.ratePerMs);
    });
    on("#load-more", () => this.loadMore());
    on("#resume", () => this.connection.connect());
    on("#open-rules", () => this.state.session && this.dialogs.openRules(this.model(performance.now())));
    on("#replay-again", () => this.startReplay(this.replay.round));
    on("#replay-stop", () => this.stopReplay());
    for (const link of root.querySelectorAll("#lobby, #ending-lobby")) {
      link.addEventListener("click", (event) => this.lobby.leave() && event.preventDefault());
    }
    new ResizeObserver(() => this.redraw()).observe(root.querySelector("#stage"));
    this.reducedMotion.addEventListener("change", () => this.redraw());
    // A page that comes back from sleep shows the truth now, and not when a timer finds out that the line is dead.
    document.addEventListener("visibilitychange", () => document.hidden || this.connection.check());
    globalThis.addEventListener("online", () => this.connection.check());
    setInterval(() => this.redraw(), CLOCK_BEAT_MS);
    // Where there is room the promise and the seed are there without a press.
    root.querySelector("#fair").open = globalThis.matchMedia(ROOMY).matches;
  }

  start() {
    if (this.token !== "") this.connection.connect();
    this.redraw();
  }

  change(event) {
    const before = this.state;
    this.state = reduce(before, event);
    if (this.state === before) return;
    this.follow(before);
    this.sound.follow(before, this.state);
    this.lobby.follow(before, this.state, spoken().lang);
    this.redraw();
    this.closeIfAsked();
  }

  // What hangs on the state but is no part of it: the money format, the flight's clock, the inputs' limits.
  follow(before) {
    const { session, round, next, balanceMinor, last } = this.state;
    if (session !== before.session) {
      if (this.money?.currency !== session.currency) this.money = new MoneyFormat(session.currency, spoken().locale);
      this.controls.setSession(this.money, session.limits);
    }
    this.controls.balanceMinor = balanceMinor;
    if (next !== null && next !== before.next) this.controls.setPromise(next.serverSeedHash);
    if (round !== null && this.replay !== null) this.stopReplay();
    if (round !== null) this.dialogs.closeReality();
    const hasEnded = before.round !== null && round === null;
    if (hasEnded || (before.status !== "open" && this.state.status === "open")) this.calm();
    if (last !== before.last) this.endedAtMs = last === null || last.wasMissed ? null : performance.now();
    const isNewFlight = round?.phase === "flying" && (before.round?.phase !== "flying" || before.round.roundId !== round.roundId);
    if (isNewFlight) this.takeOff(round, session);
    else if (round === null) this.flight = null;
  }

  calm() {
    this.calmUntilMs = performance.now() + CALM_MS;
    setTimeout(() => this.redraw(), CALM_MS);
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
    if (frame.type === "welcome") this.clock.restart(receivedMs, frame.server_time);
    if (frame.type === "welcome" && frame.discarded) this.judgeDiscarded(frame.discarded);
    this.change({ type: "frame", frame, serverNowMs: Math.round(this.clock.nowMs(receivedMs) ?? 0) || null });
  }

  // A promise that is never played is revealed: quiet, unless it was none.
  async judgeDiscarded(discarded) {
    if (await isHonestlyDiscarded(discarded)) return;
    this.change({ type: "notice", key: "details.hashBad", tone: "bad", values: {} });
  }

  statusChanged({ status, retryMs }) {
    this.lostAtMs = performance.now();
    this.change({ type: "status", status, retryMs });
  }

  // What the player does.

  press() {
    const nowMs = performance.now();
    if (this.dialogs.isOpen || this.replay !== null || nowMs - this.pressedAtMs < PRESS_GAP_MS) return;
    const action = this.action();
    if (action.state === "bet" && this.remind(this.model(nowMs))) return;
    if (action.state === "bet") this.bet();
    else if (action.state === "flying") this.ask("cashout", { round_id: this.state.round.roundId });
    else return;
    this.pressedAtMs = nowMs;
    this.sound.play("press");
  }

  bet() {
    const amountMinor = this.controls.stakeMinor();
    const autoHundredths = this.controls.autoHundredths();
    const clientSeed = this.controls.takeClientSeed();
    const fields = { amount_minor: amountMinor, client_seed: clientSeed };
    if (autoHundredths !== null) fields.auto_cashout = autoHundredths / 100;
    this.ask("bet", fields, { amountMinor, autoHundredths, clientSeed });
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
    const action = actionOf(this.state, this.controls.stakeMinor(), this.controls.autoHundredths());
    return action.state === "bet" && performance.now() < this.calmUntilMs ? { ...action, state: "calm" } : action;
  }

  startReplay(round) {
    this.replay?.driver.stop();
    if (this.state.round !== null) return;
    const driver = new Replay({
      round,
      ratePerMs: this.state.session.ratePerMs,
      onFrame: (model) => {
        if (this.replay?.driver !== driver) return;
        this.replay.model = model;
        this.draw(performance.now());
      },
      onEnd: () => this.redraw(),
    });
    this.replay = { round, driver, model: null };
    driver.start();
    this.redraw();
  }

  stopReplay() {
    this.replay?.driver.stop();
    this.replay = null;
    this.redraw();
  }

  /** The lobby wants the game to end: after a round that is live. */
  close() {
    this.isClosing = true;
    this.change({ type: "paused", isPaused: true });
    this.closeIfAsked();
  }

  // Once, and after all has been told of the change that makes it possible. Before the first welcome nobody knows yet
  // whether a round is live.
  closeIfAsked() {
    const isKnown = this.state.session !== null || endingKey(this.state, this.token !== "") !== null;
    if (!this.isClosing || !isKnown || this.state.round !== null) return;
    this.isClosing = false;
    this.connection.end();
    this.change({ type: "closed" });
  }

  leave() {
    if (this.lobby.leave()) return;
    if (this.launch.lobbyUrl !== null) globalThis.open(this.launch.lobbyUrl, "_top", "noreferrer");
    else this.close();
  }

  // What the page shows.

  redraw() {
    if (this.frameAsked) return;
    this.frameAsked = true;
    requestAnimationFrame(() => {
      this.frameAsked = false;
      this.draw(performance.now());
    });
  }

  model(localMs) {
    const { state, clock, flight, replay } = this;
    const serverNowMs = clock.nowMs(localMs);
    const flownHundredths = flight === null ? 100 : flight.hundredths(serverNowMs);
    const live = stageHundredths(state, flownHundredths);
    const hundredths = replay?.model?.hundredths ?? live;
    const scene = replay?.model ?? sceneModel(state, { hundredths: live, flownMs: flight?.shownMs ?? 0, endedAtMs: this.endedAtMs, localMs });
    return {
      state,
      scene,
      action: this.action(),
      money: this.money,
      stakeMinor: this.controls.stakeMinor(),
      hundredths,
      hasToken: this.token !== "",
      lobbyUrl: this.launch.lobbyUrl,
      playedMs: state.totals === null || serverNowMs === null ? null : Math.max(0, serverNowMs - state.totals.startedAtMs),
      retryInMs: (state.retryMs ?? 0) - (localMs - this.lostAtMs),
      isStalled: flight !== null && flight.isStalled(localMs),
      roundTripMs: clock.latestRoundTripMs,
      loot: scene.lootSeed !== null && scene.kind !== "betting" ? lootTaken(scene.lootSeed, scene.elapsedMs) : null,
      replay: replay === null ? null : { kind: scene.kind, isProfit: scene.isProfit },
    };
  }

  draw(localMs) {
    const model = this.model(localMs);
    const { state } = this;
    this.view.render(model);
    this.controls.setEnabled(state.session !== null && state.round === null);
    const hint = model.action.hint ?? "";
    this.controls.mark(/stake/.test(hint), /auto/.test(hint));
    this.scene.draw(model.scene);
    this.sound.hear(this.replay === null ? model : null);
    this.remind(model);
    this.mindTheLine(model.isStalled);
    if (this.replay === null && isMoving(model.scene)) this.redraw();
    else if (model.scene.kind === "idle" && !this.reducedMotion.matches) this.drawLater();
  }

  drawLater() {
    if (this.isDrawnLater || document.hidden) return;
    this.isDrawnLater = true;
    setTimeout(() => {
      this.isDrawnLater = false;
      this.redraw();
    }, IDLE_FRAME_MS);
  }

  // A flight without ticks: find out at once whether the line is dead, since a cash-out may be on its way.
  mindTheLine(isStalled) {
    if (isStalled && !this.wasStalled && this.state.status === "open") this.connection.check();
    this.wasStalled = isStalled;
  }

  /** Whether the player is reminded now. */
  remind(model) {
    const isPlayable = this.state.status === "open" && endingKey(this.state, model.hasToken) === null;
    if (!isPlayable || this.dialogs.isOpen || !this.reality.isDue(model.playedMs, this.state.round !== null)) return false;
    this.stopReplay();
    this.dialogs.openReality(model);
    this.sound.play("warning");
    return true;
  }
}
