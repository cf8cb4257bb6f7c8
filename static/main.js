// Starts the page: what the launch said, the words of its language, then the game.

import { Game } from "./game.js";
import { launchData } from "./launch.js";
import { LobbyLine } from "./lobby_line.js";
import { Settings } from "./settings.js";
import { writeLabels } from "./view.js";
import { loadWords, spoken } from "./words.js";

const READ_ATTEMPTS = 3;
const READ_GAP_MS = 500;

async function readJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// Without its words the page can say nothing, so a file that does not come is asked for again.
async function withPatience(read, attempts = READ_ATTEMPTS) {
  try {
    return await read();
  } catch (error) {
    if (attempts <= 1) throw error;
    await new Promise((resolve) => { setTimeout(resolve, READ_GAP_MS); });
    return withPatience(read, attempts - 1);
  }
}

async function start() {
  const launch = launchData(document.querySelector("#launch").textContent);
  const lobby = new LobbyLine(launch.frameOrigins);
  await withPatience(() => loadWords([launch.lang, ...navigator.languages], readJson));
  const { lang, isRightToLeft } = spoken();
  document.documentElement.lang = lang;
  document.documentElement.dir = isRightToLeft ? "rtl" : "ltr";
  writeLabels(document.body);
  const game = new Game(document.body, {
    token: new URLSearchParams(location.search).get("session") ?? "",
    launch,
    lobby,
    settings: new Settings(),
    reducedMotion: globalThis.matchMedia("(prefers-reduced-motion: reduce)"),
  });
  game.start();
  document.querySelector("#failure").remove();
}

start().catch((error) => {
  document.querySelector("#failure")?.classList.add("now");
  throw error;
});
