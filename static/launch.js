// What the operator's launch said about this page, as the server has put it into the document.

/** { lang, lobbyUrl, realityCheckMs, frameOrigins }; nulls and an empty list for what was not said. */
export function launchData(text) {
  const data = JSON.parse(text);
  return {
    lang: data.lang ?? null,
    lobbyUrl: data.lobby_url ?? null,
    realityCheckMs: data.reality_check_minutes ? data.reality_check_minutes * 60_000 : null,
    frameOrigins: data.frame_origins ?? [],
  };
}
