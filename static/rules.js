// The rules of the game, out of the terms that the session runs under: nothing here is a fixed number.

import { hundredthsOf } from "./money.js";
import { textValues } from "./view.js";
import { multiplierText, numberText, say } from "./words.js";

const PROTOCOL = "1";

/** A chance in percent as a text with one decimal: rtp (basis points) at a multiplier (hundredths). */
export function chanceText(rtpBps, hundredths) {
  return numberText(Math.round((rtpBps * 100) / hundredths / 10), 1);
}

/** The texts of the rules: [{ title, paragraphs }]. `model` as for the view, with `roundTripMs`. */
export function rulesOf(model) {
  const { session } = model.state;
  const lowest = hundredthsOf(session.limits.min_cashout);
  const values = {
    ...textValues({}, model),
    protocol: PROTOCOL,
    seconds: numberText(Math.round(Math.LN2 / session.ratePerMs / 100), 1),
    rtp: numberText(session.rtpBps, 2).replace(/[.,]00$/, ""),
    one: multiplierText(100),
    two: multiplierText(200),
    ten: multiplierText(1000),
    chanceTwo: chanceText(session.rtpBps, 200),
    chanceTen: chanceText(session.rtpBps, 1000),
    chanceNone: numberText(1000 - Math.round((session.rtpBps * 10) / lowest), 1),
    ms: model.roundTripMs > 0 ? String(Math.ceil(model.roundTripMs)) : "–",
  };
  const section = (name, ...parts) => ({
    title: say(`rules.${name}.title`, values),
    paragraphs: parts.map((part) => say(`rules.${part}`, values)),
  });
  return [
    section("how", "how.text", "how.auto"),
    section("rtp", "rtp.text", "rtp.chance"),
    section("skill", "skill.text"),
    section("limits", "limits.stakes", "limits.wins", "rounding.text"),
    section("timing", "timing.text", "timing.now"),
    section("trouble", "trouble.connection", "trouble.server", "trouble.wallet"),
    section("fair", "fair.text"),
    { title: null, paragraphs: [say("rules.terms", values)] },
  ];
}

/** Write the rules into an element. */
export function writeRules(element, model) {
  const parts = rulesOf(model).flatMap(({ title, paragraphs }) => [
    ...(title === null ? [] : [tag("h3", title)]),
    ...paragraphs.map((text) => tag("p", text)),
  ]);
  element.replaceChildren(...parts);
}

function tag(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}
