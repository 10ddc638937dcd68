/** Ids, and storage that may be forbidden: then a map of this page takes its place. */

const SESSION_KEY = "recsys.session";
const DEVICE_KEY = "recsys.device";
const SESSION_IDLE_MS = 30 * 60 * 1000;

/** A random UUID (version 4), also on plain http where crypto.randomUUID does not exist. @returns {string} */
export function newId() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** JSON values by key, in one of the browser's storages or, where that is forbidden, in memory. */
class JsonStorage {
  #memory = new Map();
  /** @type {Storage|null} */ #storage = null;

  /** @param {"localStorage"|"sessionStorage"} kind */
  constructor(kind) {
    try {
      // Reading the property throws where the site may store nothing; some browsers throw only on the first write.
      const storage = globalThis[kind];
      storage.setItem("recsys.probe", "");
      storage.removeItem("recsys.probe");
      this.#storage = storage;
    } catch {
      this.#storage = null;
    }
  }

  /** Whether values outlive the page. */
  get durable() {
    return this.#storage !== null;
  }

  /** @returns {string[]} */
  keys() {
    return this.#storage ? Object.keys(this.#storage) : [...this.#memory.keys()];
  }

  /** @param {string} key @returns {any} null when absent or damaged */
  get(key) {
    try {
      return JSON.parse((this.#storage ? this.#storage.getItem(key) : this.#memory.get(key)) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {any} value @returns {boolean} false where there was no room: the old value stays */
  set(key, value) {
    const text = JSON.stringify(value);
    try {
      if (this.#storage) this.#storage.setItem(key, text);
      else this.#memory.set(key, text);
      return true;
    } catch {
      return false;
    }
  }

  /** @param {string} key */
  remove(key) {
    if (this.#storage) this.#storage.removeItem(key);
    else this.#memory.delete(key);
  }
}

export const local = new JsonStorage("localStorage");
const perTab = new JsonStorage("sessionStorage");

/** The tab's session id; a new one after 30 minutes without an event. @returns {string} */
export function sessionId() {
  const now = Date.now();
  const stored = perTab.get(SESSION_KEY);
  // A clock that was set back must not keep a session alive for ever.
  const id = stored?.id && Math.abs(now - stored.last) < SESSION_IDLE_MS ? stored.id : newId();
  perTab.set(SESSION_KEY, { id, last: now });
  return id;
}

/** The user id of this device where nobody has logged in, for use with a publishable key. @returns {string} */
export function anonymousId() {
  const id = local.get(DEVICE_KEY) ?? `anon:${newId()}`;
  local.set(DEVICE_KEY, id);
  return id;
}
