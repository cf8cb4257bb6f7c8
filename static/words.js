// The page's words: one plain file of messages for each language, and how a message is put together from one.

import { decimalText } from "./money.js";

/** The languages that have messages, by their tags. */
export const LANGUAGES = ["en", "es", "pt", "de", "fr", "tr", "ar"];

const RIGHT_TO_LEFT = new Set(["ar"]);
const DEFAULT_LANGUAGE = "en";
const PLACEHOLDER = /\{(\w+)\}/g;

// Of the language in use; replaced as a whole by `useWords`.
let words = { lang: DEFAULT_LANGUAGE, locale: DEFAULT_LANGUAGE, messages: {}, isRightToLeft: false, decimalMark: "." };

/**
 * The first language of ours that one of the wanted BCP 47 tags stands for, with the tag that found it:
 * ["nl", "pt-BR", "de"] -> { lang: "pt", locale: "pt-BR" }. Without one, English.
 */
export function chooseLanguage(wanted) {
  for (const locale of wanted) {
    const lang = String(locale ?? "").toLowerCase().split("-")[0];
    if (LANGUAGES.includes(lang) && isLocale(locale)) return { lang, locale };
  }
  return { lang: DEFAULT_LANGUAGE, locale: DEFAULT_LANGUAGE };
}

function isLocale(tag) {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

/** Speak with these messages from now on. `locale`: the BCP 47 tag by which numbers and amounts are written. */
export function useWords(messages, lang, locale = lang) {
  const parts = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, numberingSystem: "latn" }).formatToParts(0.5);
  const decimalMark = parts.find((part) => part.type === "decimal").value;
  words = { lang, locale, messages, isRightToLeft: RIGHT_TO_LEFT.has(lang), decimalMark };
}

/** Load and use the messages of the first wanted language that we have. `read(path)` gives a parsed file. */
export async function loadWords(wanted, read) {
  const { lang, locale } = chooseLanguage(wanted);
  useWords(await read(`/static/messages/${lang}.json`), lang, locale);
}

/** What is spoken: { lang, locale, isRightToLeft, decimalMark }. */
export function spoken() {
  return words;
}

// Reasons that a later server may add still read as sentences.
function messageOf(key) {
  const { messages } = words;
  const family = key.split(".")[0];
  return messages[key] ?? messages[key.endsWith(".title") ? `${family}.other.title` : `${family}.other`] ?? key;
}

/** The text for a key; `values` are texts already (money and multipliers formatted). */
export function say(key, values = {}) {
  return messageOf(key).replace(PLACEHOLDER, (whole, name) => (name in values ? isolated(String(values[name])) : whole));
}

/** A number, an amount or a sign as it is, from left to right, inside a text that may run from right to left. */
export function isolated(text) {
  return words.isRightToLeft ? `\u2066${text}\u2069` : text;
}

/** Whether a key has a text of its own. */
export function hasWords(key) {
  return key in words.messages;
}

/** A multiplier as the language writes it: 250 -> "2.50×" or "2,50×". */
export function multiplierText(hundredths) {
  return `${numberText(hundredths, 2)}×`;
}

/** An exact decimal as the language writes it: (9600, 2) -> "96.00". */
export function numberText(amount, decimals) {
  return decimalText(amount, decimals).replace(".", words.decimalMark);
}

/** Hours, minutes and seconds: 754000 -> "12:34". */
export function durationText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return (parts[0] === 0 ? parts.slice(1) : parts).map((part) => String(part).padStart(2, "0")).join(":");
}
