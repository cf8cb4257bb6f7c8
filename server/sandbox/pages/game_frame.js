// The lobby's end of the bridge to the game, version 1: plain messages, one exact origin both ways.

const VERSION = 1;
const HELLO_MS = 1000;

/** The game in the place of an iframe. `onMessage(message)` gets what it says; unknown types are for it to ignore. */
export class GameFrame {
  constructor(frame, onMessage) {
    this.frame = frame;
    this.onMessage = onMessage;
    this.origin = null;
    this.greeting = null;
    window.addEventListener("message", (event) => this.hear(event));
  }

  open(launchUrl) {
    this.origin = new URL(launchUrl).origin;
    this.replaceFrame(launchUrl);
  }

  close() {
    if (this.origin === null) return;
    this.origin = null;
    this.replaceFrame(null);
  }

  // A new element each time: nothing that the last game still says can be taken for this one's, and Back leaves the lobby.
  replaceFrame(url) {
    clearInterval(this.greeting);
    const next = this.frame.cloneNode();
    next.hidden = url === null;
    if (url === null) next.removeAttribute("src");
    else next.src = url;
    next.addEventListener("load", () => this.greet());
    this.frame.replaceWith(next);
    this.frame = next;
  }

  // Until it answers: the page has loaded before the game in it can listen.
  greet() {
    clearInterval(this.greeting);
    this.say("hello");
    this.greeting = setInterval(() => this.say("hello"), HELLO_MS);
  }

  say(type, fields = {}) {
    if (this.origin !== null) this.frame.contentWindow.postMessage({ getaway: VERSION, type, ...fields }, this.origin);
  }

  hear({ source, origin, data }) {
    if (source !== this.frame.contentWindow || origin !== this.origin || data?.getaway !== VERSION) return;
    clearInterval(this.greeting);
    this.onMessage(data);
  }
}
