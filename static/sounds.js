// The sounds, made of oscillators: plucked bass, muted clicks, soft chords. Off until the player asks for them.

const VOICES_MAX = 12; // a note that would be one more is not played
const MASTER_LEVEL = 0.4;
const SILENCE = 0.0001; // an exponential ramp can't end at nothing
const FADE_S = 0.03; // short enough to be at once, long enough not to click
const SUSPEND_AFTER_MS = 90; // when a fade is over for certain
const GLIDE_S = 0.15;
const LEAD_S = 0.01; // what should begin at this very moment would lose its beginning

const INSTRUMENTS = {
  bass: { wave: "triangle", attackMs: 5, lengthMs: 480, cutoffHz: 620 },
  pluck: { wave: "triangle", attackMs: 4, lengthMs: 380, cutoffHz: 1800 },
  pad: { wave: "triangle", attackMs: 40, lengthMs: 1100, cutoffHz: 900 },
  click: { wave: "sine", attackMs: 2, lengthMs: 110, cutoffHz: 1400 },
};

// Instrument, note, when in ms, level from 0 to 1. Notes are numbered by semitones, A4 (440 Hz) being 69.
const SCORES = {
  press: [["click", 62, 0, 0.5]],
  started: [["bass", 38, 0, 0.6], ["bass", 45, 110, 0.5], ["pluck", 50, 220, 0.35]],
  loot: [["click", 81, 0, 0.16], ["click", 86, 45, 0.12]],
  won: [["pluck", 62, 0, 0.4], ["pluck", 71, 150, 0.45], ["bass", 43, 150, 0.5]],
  won_big: [
    ["pluck", 62, 0, 0.4], ["pluck", 71, 140, 0.45], ["bass", 43, 140, 0.5],
    ["pluck", 74, 280, 0.35], ["pluck", 79, 420, 0.35], ["pad", 67, 420, 0.2], ["bass", 31, 420, 0.5],
  ],
  lost: [["bass", 38, 0, 0.5], ["pad", 50, 0, 0.3], ["pad", 53, 40, 0.3], ["pad", 57, 80, 0.25]],
  warning: [["click", 64, 0, 0.5], ["click", 64, 170, 0.4]],
};

const FLIGHT = { note: 38, cutoffHz: 300, level: 0.22, pulseHz: 1.2 };

/** The frequency of a note, numbered by semitones, in Hz. */
export function noteHz(note) {
  return 440 * 2 ** ((note - 69) / 12);
}

/**
 * What a flight sounds like at a multiplier: its bass in Hz and its pulse in beats per second. It knows nothing else, and
 * both rise a little, in steps, until 64.00.
 */
export function flightTone(hundredths) {
  const doublings = Math.min(6, Math.max(0, Math.log2(hundredths / 100)));
  const steps = Math.round(doublings * 16) / 16;
  return { bassHz: noteHz(FLIGHT.note + 1.5 * steps), pulseHz: FLIGHT.pulseHz + 0.15 * steps };
}

function afterMs(action, ms) {
  setTimeout(action, ms);
}

// Browsers refuse to start the sound without a gesture, and tell so by a rejection: the next gesture tries again.
function quietly(promise) {
  promise.catch(() => {});
}

/**
 * The sounds of the page. `createContext()` makes the AudioContext, at the first gesture that wants one; `settings` remembers
 * `sound`; `page` is the document. A context that can't be made leaves the sounds off.
 */
export class Sounds {
  constructor({ settings, createContext = () => new AudioContext(), page = globalThis.document, later = afterMs }) {
    Object.assign(this, { settings, createContext, page, later });
    this.isMuted = false;
    this.isBroken = false;
    this.context = null;
    this.master = null;
    this.voices = new Set();
    this.flying = null;
    page.addEventListener("visibilitychange", () => this.follow());
    // At the capture: a press that wakes the sounds comes before the sound of the press.
    for (const gesture of ["click", "keydown"]) page.addEventListener(gesture, () => this.wake(), { capture: true });
  }

  /** Whether the player wants sounds (and the browser has them). */
  get isOn() {
    return this.settings.get("sound") && !this.isBroken;
  }

  get isAudible() {
    return this.isOn && !this.isMuted && !this.page.hidden;
  }

  /** On or off by the player, in a gesture; remembered. Returns whether they are on now. */
  toggle() {
    this.settings.set("sound", !this.isOn);
    this.isBroken = false;
    if (this.isOn) this.wake();
    else this.follow();
    return this.isOn;
  }

  /** Silence by the lobby, or its end; changes nothing of what is remembered. */
  mute(isMuted) {
    this.isMuted = isMuted;
    this.follow();
  }

  /**
   * Play press, started, loot, won, won_big, lost or warning. A return that is not above the stake is no win: nobody may
   * call `won` for it.
   */
  play(name) {
    if (!Object.hasOwn(SCORES, name)) throw new RangeError(`there is no sound ${name}`);
    if (!this.isPlaying) return;
    for (const [instrument, note, atMs, level] of SCORES[name]) this.strike(INSTRUMENTS[instrument], note, atMs / 1000, level);
  }

  /** The pulse of a flight at a multiplier, for every frame of it; null ends it. */
  flight(hundredths) {
    if (hundredths === null) this.land();
    else if (this.isPlaying) this.fly(flightTone(hundredths));
  }

  // Notes for a context that does not run would all sound together when it does.
  get isPlaying() {
    return this.isAudible && this.context !== null && this.context.state === "running";
  }

  wake() {
    if (!this.isAudible) return;
    if (this.context === null) this.open();
    this.follow();
  }

  open() {
    try {
      const context = this.createContext();
      const limiter = context.createDynamicsCompressor();
      const limits = { threshold: -10, knee: 4, ratio: 20, attack: 0.002, release: 0.15 };
      for (const [name, value] of Object.entries(limits)) limiter[name].value = value;
      this.master = context.createGain();
      this.master.gain.value = MASTER_LEVEL;
      this.master.connect(limiter).connect(context.destination);
      this.context = context;
    } catch {
      this.isBroken = true;
    }
  }

  follow() {
    if (this.context === null) return;
    if (this.isAudible) {
      if (this.context.state !== "running") quietly(this.context.resume());
      return;
    }
    for (const voice of this.voices) this.fade(voice);
    this.flying = null;
    this.later(() => {
      if (!this.isAudible) quietly(this.context.suspend());
    }, SUSPEND_AFTER_MS);
  }

  strike({ wave, attackMs, lengthMs, cutoffHz }, note, afterS, level) {
    if (this.voices.size >= VOICES_MAX) return;
    const startS = this.context.currentTime + LEAD_S + afterS;
    const endS = startS + lengthMs / 1000;
    const voice = this.voice(wave, noteHz(note), cutoffHz);
    const { gain } = voice.level;
    gain.setValueAtTime(0, startS);
    gain.linearRampToValueAtTime(level, startS + attackMs / 1000);
    gain.exponentialRampToValueAtTime(SILENCE, endS);
    voice.oscillator.start(startS);
    voice.oscillator.stop(endS);
  }

  // An oscillator, made softer, with a level of its own and one more that only ever fades; gone when it ends.
  voice(wave, hz, cutoffHz) {
    const { context } = this;
    const oscillator = context.createOscillator();
    const filter = context.createBiquadFilter();
    const voice = { oscillator, level: context.createGain(), ending: context.createGain(), others: [] };
    oscillator.type = wave;
    oscillator.frequency.value = hz;
    filter.type = "lowpass";
    filter.frequency.value = cutoffHz;
    oscillator.connect(filter).connect(voice.level).connect(voice.ending).connect(this.master);
    oscillator.onended = () => {
      voice.ending.disconnect();
      this.voices.delete(voice);
    };
    this.voices.add(voice);
    return voice;
  }

  fade({ oscillator, ending, others }) {
    const nowS = this.context.currentTime;
    ending.gain.setTargetAtTime(0, nowS, FADE_S / 5);
    for (const one of [oscillator, ...others]) one.stop(nowS + FADE_S);
  }

  fly(tone) {
    if (this.flying === null) this.flying = this.takeOff(tone);
    if (this.flying === null || this.flying.tone.bassHz === tone.bassHz) return;
    const nowS = this.context.currentTime;
    this.flying.voice.oscillator.frequency.setTargetAtTime(tone.bassHz, nowS, GLIDE_S);
    this.flying.pulse.frequency.setTargetAtTime(tone.pulseHz, nowS, GLIDE_S);
    this.flying.tone = tone;
  }

  // The pulse swings the level between nothing and all of it.
  takeOff(tone) {
    if (this.voices.size >= VOICES_MAX) return null;
    const { context } = this;
    const voice = this.voice("triangle", tone.bassHz, FLIGHT.cutoffHz);
    const pulse = context.createOscillator();
    const depth = context.createGain();
    pulse.frequency.value = tone.pulseHz;
    depth.gain.value = FLIGHT.level / 2;
    voice.level.gain.value = FLIGHT.level / 2;
    voice.others.push(pulse);
    pulse.connect(depth).connect(voice.level.gain);
    voice.ending.gain.setValueAtTime(0, context.currentTime);
    voice.ending.gain.setTargetAtTime(1, context.currentTime, GLIDE_S);
    voice.oscillator.start();
    pulse.start();
    return { voice, pulse, tone };
  }

  land() {
    if (this.flying === null) return;
    this.fade(this.flying.voice);
    this.flying = null;
  }
}
