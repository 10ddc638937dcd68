/**
 * Browser client of the recsys API: sends what a person does, asks for the next clips.
 *
 * One ES module without dependencies or build step. It queues events, sends them in batches, and keeps them in
 * localStorage until the server has confirmed them. An event gets its id once, so sending it twice is harmless: the
 * server counts an id only once. Every retry, beacon and second tab below rests on that.
 *
 * It does not draw anything and does not decide what a person sees; see player.js for that.
 *
 * @example
 * const client = createClient({ baseUrl: "/api/v1", userId: "u1", token });
 * client.track("like", { content_id: "c1" });
 * const page = await client.getFeed(6);
 */

const STORAGE_PREFIX = "recsys.queue.";
const SESSION_KEY = "recsys.session";
const SESSION_IDLE_MS = 30 * 60 * 1000;
const STORED_QUEUE_LIFETIME_MS = 7 * 24 * 3600 * 1000;
const REQUEST_TIMEOUT_MS = 15_000;
const RENEW_BEFORE_MS = 60_000;
const LONGEST_RETRY_MS = 60_000;
// Browsers refuse beacons of 64 KiB and more; the rest stays stored for the next visit.
const BEACON_BYTES = 60_000;
// A feed request waits this long for pending events: better one page that misses a like than no page.
const FLUSH_WAIT_MS = 1_500;
// These answers say that the batch itself is wrong; sending it unchanged again would fail for ever.
const REFUSED = new Set([400, 403, 413, 422]);

/**
 * @typedef {{token: string, expires_at?: string}} Credential
 * @typedef {{event_id: string, event_type: string, timestamp: string, session_id: string, content_id?: string,
 *   request_id?: string, position?: number, watch_duration?: number}} FeedEvent
 * @typedef {{content_id: string, position: number, source: string, sources: string[], score: number,
 *   model_version: string, content: Object<string, any>}} FeedItem
 * @typedef {{request_id: string, items: FeedItem[], model_version: string, fallback_level: string, repeats: boolean,
 *   has_more: boolean, next_cursor: string|null, took_ms: number}} FeedPage
 * @typedef {{baseUrl?: string, userId: string, token: string, expiresAt?: string,
 *   refreshToken?: () => Promise<string|Credential>, surface?: string, flushAt?: number, flushAfterMs?: number,
 *   retryMs?: number, maxQueued?: number}} ClientOptions
 */

/** An answer of the API that is not a success. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** A random UUID (version 4), also on plain http where crypto.randomUUID does not exist. @returns {string} */
export function newId() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// The session where sessionStorage is forbidden: as long as the page.
const PAGE_ID = newId();

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {ClientOptions} options @returns {RecsysClient} */
export function createClient(options) {
  return new RecsysClient(options);
}

/** Made by createClient. */
export class RecsysClient {
  #options;
  #token;
  #expiresAt;
  /** @type {FeedEvent[]} */ #queue = [];
  #storageKey;
  #batchSize;
  #failures = 0;
  #notBefore = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  #timerAt = Infinity;
  /** @type {Promise<boolean>|null} */ #sending = null;
  /** @type {Promise<boolean>|null} */ #renewing = null;
  /** @type {Set<() => void>} */ #hideListeners = new Set();
  /** @type {Set<string>} */ #beaconed = new Set();
  /** @type {Set<string>} */ #impressions = new Set();

  /** @param {ClientOptions} options */
  constructor(options) {
    this.#options = {
      baseUrl: "/api/v1", surface: "for_you", flushAt: 20, flushAfterMs: 2_000, retryMs: 1_000, maxQueued: 1_000,
      ...options,
    };
    this.#token = options.token;
    this.#expiresAt = Date.parse(options.expiresAt ?? "");
    this.#batchSize = Math.min(100, this.#options.maxQueued);
    // Each tab stores its own list: two tabs writing one key would overwrite each other.
    this.#storageKey = `${STORAGE_PREFIX}${options.userId}/${newId()}`;
    this.#adoptStoredQueues();
    document.addEventListener("visibilitychange", this.#onVisibilityChange);
    addEventListener("pagehide", this.#onHide);
    addEventListener("online", this.#onOnline);
    if (this.#queue.length) this.#schedule(0);
  }

  /** How many events wait for the server's confirmation. */
  get pending() {
    return this.#queue.length;
  }

  /** Stop timers and listeners; events that still wait stay stored for the next client of this user. */
  close() {
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibilityChange);
    removeEventListener("pagehide", this.#onHide);
    removeEventListener("online", this.#onOnline);
  }

  /**
   * Queue one event.
   * @param {string} eventType one of the API's event types
   * @param {Object<string, any>} fields content_id, request_id, position, and what the type needs
   * @returns {string} the event's id
   */
  track(eventType, fields = {}) {
    const event = /** @type {FeedEvent} */ ({
      event_id: newId(),
      event_type: eventType,
      timestamp: new Date().toISOString(),
      session_id: sessionId(),
      surface: this.#options.surface,
      ...fields,
    });
    this.#queue.push(event);
    const excess = this.#queue.length - this.#options.maxQueued;
    if (excess > 0) {
      this.#queue.splice(0, excess);
      console.warn(`recsys: queue full, dropped the ${excess} oldest events`);
    }
    this.#store();
    this.#schedule(this.#queue.length >= this.#options.flushAt ? 0 : this.#options.flushAfterMs);
    return event.event_id;
  }

  /**
   * Record that a served content was on screen; a second call for the same serving is ignored.
   * @param {{content_id: string, request_id?: string, position?: number}} reference
   */
  trackImpression(reference) {
    const key = `${reference.request_id}/${reference.content_id}`;
    if (this.#impressions.has(key)) return;
    this.#impressions.add(key);
    this.track("impression", reference);
  }

  /** Send everything that waits. @returns {Promise<boolean>} true when nothing is left waiting */
  flush() {
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /**
   * The next page. Waiting events are sent first, so that the page already follows them.
   * @param {number} limit
   * @param {string|null} [cursor] `next_cursor` of the page before; the same one gives the same page, so a request that
   *   failed may be repeated. Left out, a new walk begins.
   * @returns {Promise<FeedPage>}
   * @throws {ApiError} when the server answers with an error; TypeError when it cannot be reached
   */
  async getFeed(limit = 10, cursor = null) {
    await Promise.race([this.flush(), pause(FLUSH_WAIT_MS)]);
    const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const response = await this.#request("GET", `/feed?limit=${limit}${after}`);
    const body = await response.json().catch(() => null);
    if (response.ok && Array.isArray(body?.items)) return body;
    const error = body?.error ?? {};
    throw new ApiError(response.status, error.code ?? "unexpected_answer", error.message ?? response.statusText);
  }

  /** Hand waiting events to the browser, which sends them even while the page goes away. @returns {boolean} */
  sendBeacon() {
    const fresh = this.#queue.filter((event) => !this.#beaconed.has(event.event_id));
    const encoder = new TextEncoder();
    const events = [];
    let bytes = encoder.encode(this.#token).length + 64;
    for (const event of fresh) {
      bytes += encoder.encode(JSON.stringify(event)).length + 1;
      if (bytes > BEACON_BYTES) break;
      events.push(event);
    }
    if (!events.length || typeof navigator.sendBeacon !== "function") return false;
    const body = JSON.stringify({ token: this.#token, events });
    const accepted = navigator.sendBeacon(`${this.#options.baseUrl}/events/beacon`, body);
    // A beacon has no answer, so its events stay stored; they are only not put into a second beacon.
    if (accepted) for (const event of events) this.#beaconed.add(event.event_id);
    return accepted;
  }

  /**
   * Run a callback just before the last beacon of a page that gets hidden.
   * @param {() => void} listener
   * @returns {() => void} removes the listener
   */
  onHide(listener) {
    this.#hideListeners.add(listener);
    return () => this.#hideListeners.delete(listener);
  }

  #onVisibilityChange = () => {
    if (document.visibilityState === "hidden") this.#onHide();
    else if (this.#queue.length) this.#schedule(0);
  };

  #onHide = () => {
    for (const listener of this.#hideListeners) listener();
    this.sendBeacon();
  };

  #onOnline = () => {
    this.#failures = 0;
    if (this.#queue.length) this.#schedule(0);
  };

  /** @param {number} delayMs */
  #schedule(delayMs) {
    // While retries back off, new events must not bring the next attempt forward.
    if (this.#failures && this.#timerAt < Infinity) return;
    const wait = this.#failures ? Math.max(delayMs, this.#backoffMs(), this.#notBefore - Date.now()) : delayMs;
    const at = Date.now() + wait;
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.flush();
    }, wait);
  }

  /** Exponential backoff with jitter: half of the delay is fixed, half is random. */
  #backoffMs() {
    const longest = Math.min(LONGEST_RETRY_MS, this.#options.retryMs * 2 ** (this.#failures - 1));
    return longest * (0.5 + Math.random() / 2);
  }

  // navigator.onLine is not asked: without any network it is false although a server on this very machine answers.
  async #drain() {
    clearTimeout(this.#timer);
    this.#timerAt = Infinity;
    while (this.#queue.length) {
      const batch = this.#queue.slice(0, this.#batchSize);
      if (!(await this.#sendBatch(batch))) {
        this.#failures += 1;
        this.#schedule(0);
        return false;
      }
      this.#failures = 0;
    }
    return true;
  }

  /** @param {FeedEvent[]} batch @returns {Promise<boolean>} false when it has to be tried again later */
  async #sendBatch(batch) {
    let response;
    try {
      response = await this.#request("POST", "/events", { events: batch });
    } catch {
      return false;
    }
    if (response.status === 202) {
      const body = await response.json().catch(() => ({}));
      for (const { index, code, detail } of body.rejected ?? []) {
        console.warn(`recsys: event rejected (${code})`, detail ?? "", batch[index]);
      }
      this.#forget(batch);
      this.#batchSize = 100;
      return true;
    }
    if (!REFUSED.has(response.status)) {
      this.#notBefore = Date.now() + 1000 * (Number(response.headers.get("Retry-After")) || 0);
      return false;
    }
    if (batch.length === 1) {
      console.warn(`recsys: event refused (${response.status})`, batch[0]);
      this.#forget(batch);
    } else {
      // Halving isolates the one event that spoils the batch.
      this.#batchSize = Math.ceil(batch.length / 2);
    }
    return true;
  }

  /** @param {FeedEvent[]} batch */
  #forget(batch) {
    const done = new Set(batch.map((event) => event.event_id));
    this.#queue = this.#queue.filter((event) => !done.has(event.event_id));
    for (const id of done) this.#beaconed.delete(id);
    this.#store();
  }

  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<Response>} */
  async #request(method, path, body) {
    const send = () => fetch(this.#options.baseUrl + path, {
      method,
      headers: { Authorization: `Bearer ${this.#token}`, ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (this.#expiresAt - Date.now() < RENEW_BEFORE_MS) await this.#renew();
    const response = await send();
    return response.status === 401 && (await this.#renew()) ? send() : response;
  }

  /** @returns {Promise<boolean>} whether there is a new token */
  #renew() {
    if (!this.#options.refreshToken) return Promise.resolve(false);
    this.#renewing ??= this.#options.refreshToken().then((credential) => {
      this.#token = typeof credential === "string" ? credential : credential.token;
      this.#expiresAt = Date.parse(typeof credential === "string" ? "" : credential.expires_at ?? "");
      return true;
    }).catch(() => false).finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  #store() {
    try {
      if (this.#queue.length) {
        localStorage.setItem(this.#storageKey, JSON.stringify({ saved_at: Date.now(), events: this.#queue }));
      } else {
        localStorage.removeItem(this.#storageKey);
      }
    } catch (error) {
      console.warn("recsys: events are kept in memory only", error);
    }
  }

  /** Take over what closed tabs of this user left behind; a tab that still lives sends its copy too, harmlessly. */
  #adoptStoredQueues() {
    const own = `${STORAGE_PREFIX}${this.#options.userId}/`;
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(STORAGE_PREFIX))) {
        const { saved_at: savedAt, events } = readJson(localStorage, key) ?? {};
        const expired = !Array.isArray(events) || Date.now() - savedAt > STORED_QUEUE_LIFETIME_MS;
        if (key.startsWith(own) && !expired) this.#queue.push(...events);
        if (key.startsWith(own) || expired) localStorage.removeItem(key);
      }
      this.#queue = this.#queue.slice(-this.#options.maxQueued);
      this.#store();
    } catch (error) {
      console.warn("recsys: stored events cannot be read", error);
    }
  }
}

/** The tab's session id; a new one after 30 minutes without an event. @returns {string} */
function sessionId() {
  const now = Date.now();
  try {
    const stored = readJson(sessionStorage, SESSION_KEY);
    const id = stored?.id && now - stored.last < SESSION_IDLE_MS ? stored.id : newId();
    sessionStorage.setItem(SESSION_KEY, JSON.stringify({ id, last: now }));
    return id;
  } catch {
    return PAGE_ID;
  }
}

/** @param {Storage} storage @param {string} key @returns {any} null when absent or damaged */
function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

export { ViewTracker } from "./view-tracker.js";
