// Small choices of the player that outlive the page. Nothing about sessions, money or seeds belongs here.

const STORED_AT = "getaway/settings/1";
const LANGUAGE_TAG = /^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$/;

const SCHEMA = {
  sound: { first: false, isValid: (value) => typeof value === "boolean" },
  language: { first: null, isValid: (value) => value === null || (typeof value === "string" && LANGUAGE_TAG.test(value)) },
};

function schemaOf(name) {
  if (!Object.hasOwn(SCHEMA, name)) throw new RangeError(`there is no setting ${name}`);
  return SCHEMA[name];
}

/**
 * The settings: `sound` (whether it is on, at first false) and `language` (a language tag, or null for the browser's).
 * `storage()` gives a Storage and may throw, as it does in a frame without storage of its own: then they last as long as the page.
 */
export class Settings {
  constructor(storage = () => globalThis.localStorage) {
    this.storage = storage;
    this.found = this.read();
    this.chosen = {};
  }

  /** The value that was chosen here, or the remembered one, or the first. */
  get(name) {
    const { first } = schemaOf(name);
    return { [name]: first, ...this.found, ...this.chosen }[name];
  }

  /** Choose, and remember if the browser lets us. Throws `RangeError` for a name or value that there is not. */
  set(name, value) {
    if (!schemaOf(name).isValid(value)) throw new RangeError(`the setting ${name} cannot be ${JSON.stringify(value)}`);
    this.chosen[name] = value;
    this.write();
  }

  read() {
    try {
      const stored = JSON.parse(this.storage().getItem(STORED_AT)) ?? {};
      const names = Object.keys(SCHEMA).filter((name) => Object.hasOwn(stored, name) && SCHEMA[name].isValid(stored[name]));
      return Object.fromEntries(names.map((name) => [name, stored[name]]));
    } catch {
      return {};
    }
  }

  // Read again before: another tab may have chosen something else meanwhile.
  write() {
    try {
      this.storage().setItem(STORED_AT, JSON.stringify({ ...this.read(), ...this.chosen }));
    } catch {
      // Blocked or full: the choice holds for this page.
    }
  }
}
