import assert from "node:assert/strict";
import { test } from "node:test";

import { LANGUAGES, chooseLanguage, durationText, hasWords, loadWords, multiplierText, numberText, say, spoken, useWords } from "../../../static/words.js";

test("the first wanted language that there is", () => {
  assert.deepEqual(chooseLanguage(["nl", "pt-BR", "de"]), { lang: "pt", locale: "pt-BR" });
  assert.deepEqual(chooseLanguage([null, "DE-at"]), { lang: "de", locale: "DE-at" });
  assert.deepEqual(chooseLanguage([]), { lang: "en", locale: "en" });
  assert.deepEqual(chooseLanguage(["xx", "", undefined]), { lang: "en", locale: "en" });
  assert.deepEqual(chooseLanguage(["de-!!", "fr"]), { lang: "fr", locale: "fr" });
});

test("the messages of the language that is wanted are read, and no others", async () => {
  const read = [];
  await loadWords([null, "ar-EG", "en"], async (path) => {
    read.push(path);
    return { "label.rules": "القواعد" };
  });
  assert.deepEqual(read, ["/static/messages/ar.json"]);
  assert.deepEqual([spoken().lang, spoken().locale, spoken().isRightToLeft], ["ar", "ar-EG", true]);
  assert.equal(say("label.rules"), "القواعد");
});

test("values are put in once, and in a text from right to left they keep their order", () => {
  useWords({ "a.b": "{x} and {x} of {y}, {z}" }, "en");
  assert.equal(say("a.b", { x: "{y}", y: 0 }), "{y} and {y} of 0, {z}");
  useWords({ "a.b": "{x}" }, "ar");
  assert.equal(say("a.b", { x: "+1" }), "\u2066+1\u2069");
});

test("a reason that nobody knew yet reads as a sentence, another key as itself", () => {
  useWords({ "void.other": "Void.", "ended.other": "Over.", "ended.other.title": "Oh" }, "en");
  assert.equal(say("void.tomorrow"), "Void.");
  assert.equal(say("ended.tomorrow"), "Over.");
  assert.equal(say("ended.tomorrow.title"), "Oh");
  assert.equal(say("label.nothing"), "label.nothing");
  assert.ok(hasWords("void.other") && !hasWords("void.tomorrow"));
});

test("numbers are written as the language does, in the digits of the server", () => {
  const written = (lang, locale = lang) => {
    useWords({}, lang, locale);
    return [multiplierText(4), multiplierText(200_000), numberText(9600, 2)];
  };
  assert.deepEqual(written("en"), ["0.04×", "2000.00×", "96.00"]);
  assert.deepEqual(written("de"), ["0,04×", "2000,00×", "96,00"]);
  assert.deepEqual(written("de", "de-CH"), ["0.04×", "2000.00×", "96.00"]);
  for (const lang of LANGUAGES) assert.match(written(lang)[0], /^0[.,]04×$/);
  useWords({}, "en");
});

test("times of play", () => {
  const texts = [[0, "00:00"], [999, "00:00"], [754_000, "12:34"], [3_600_000, "01:00:00"], [90_061_000, "25:01:01"], [-5, "00:00"]];
  for (const [ms, text] of texts) assert.equal(durationText(ms), text);
});
