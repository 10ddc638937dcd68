/**
 * What waits to be sent: events, and wishes (mute, block) that are no events. Kept in storage until the server has
 * confirmed them, in the order in which they were made.
 *
 * An event has its id from the start and the server counts an id once; a wish names a state. So sending either twice is
 * harmless, and every retry, beacon and second tab rests on that. A wish that a second tab took over is not sent once the
 * first one has said something newer of the same thing: it would undo that.
 *
 * Only the API's own word takes a letter out: a 202 with its counts, or an error in its shape that blames the letter.
 * Whatever else answers (a hotel's log-in page, a proxy, a token that has ended) leaves it waiting.
 */

import { ApiError, NetworkError, UnavailableError } from "./errors.js";
import { local, newId } from "./storage.js";

const STORAGE_PREFIX = "recsys.queue.";
/** The last word on each wish, whichever tab said it. */
const WORD_PREFIX = "recsys.wish.";
const STORED_LIFETIME_MS = 7 * 24 * 3600 * 1000;
const LARGEST_BATCH = 100;
const LONGEST_RETRY_MS = 60_000;
// Browsers refuse beacons of 64 KiB and more; the rest stays stored for the next visit.
const BEACON_BYTES = 60_000;
// These answers blame the letter: unchanged it would fail for ever.
const BLAMED = new Set([400, 404, 409, 413, 422]);
// A full queue gives up what merely happened before what a person did.
const PASSIVE = new Set(["impression", "view", "complete_view", "replay", "skip"]);

/**
 * @typedef {import("../client.d.ts").FeedEvent} FeedEvent
 * @typedef {{wish: string, present: boolean, made_at?: number}} Wish path of a relation, and whether it shall hold
 * @typedef {FeedEvent|Wish} Letter
 */

export class Outbox {
  /** @type {Letter[]} */ #letters = [];
  #transport;
  #options;
  #storageKey;
  #closed = false;
  #stored = true;
  #batchSize = LARGEST_BATCH;
  #failures = 0;
  /** By the monotone clock. */ #notBefore = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  #timerAt = Infinity;
  /** @type {Promise<boolean>|null} */ #sending = null;
  /** @type {WeakSet<Letter>} */ #beaconed = new WeakSet();

  /**
   * @param {import("./transport.js").Transport} transport
   * @param {{userId: string, flushAt: number, flushAfterMs: number, retryMs: number, maxQueued: number,
   *   onRejected: (letter: Letter, reason: {code: string, detail: string}) => void}} options
   */
  constructor(transport, options) {
    this.#transport = transport;
    this.#options = options;
    // Each tab stores its own list: two tabs writing one key would overwrite each other.
    this.#storageKey = `${STORAGE_PREFIX}${options.userId}/${newId()}`;
    this.#adopt();
    addEventListener("online", this.#onOnline);
    document.addEventListener("visibilitychange", this.#onVisible);
    if (this.#letters.length) this.#schedule(0);
  }

  get size() {
    return this.#letters.length;
  }

  /** @returns {readonly Letter[]} oldest first */
  get letters() {
    return this.#letters;
  }

  /** What waits stays stored for the next page of this user; an attempt that is under way is the last one. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#onOnline);
    document.removeEventListener("visibilitychange", this.#onVisible);
  }

  /** @param {Letter} letter @param {boolean} [soon] do not wait for more to send it with */
  add(letter, soon = false) {
    if (isWish(letter)) keepWord(letter);
    this.#letters.push(letter);
    this.#dropExcess();
    this.#store();
    const now = soon || this.#letters.length >= this.#options.flushAt;
    this.#schedule(now ? 0 : this.#options.flushAfterMs);
  }

  /** Send everything. @returns {Promise<boolean>} false where something waits, also because the server asked to */
  flush() {
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** Hand waiting events to the browser, which sends them even while the page goes away. @returns {boolean} */
  beacon() {
    const encoder = new TextEncoder();
    const { token } = this.#transport;
    const events = [];
    let bytes = encoder.encode(token).length + 128;
    for (const letter of this.#letters) {
      if (isWish(letter) || this.#beaconed.has(letter)) continue;
      bytes += encoder.encode(JSON.stringify(letter)).length + 1;
      if (bytes > BEACON_BYTES) break;
      events.push(letter);
    }
    if (!events.length || typeof navigator.sendBeacon !== "function") return false;
    const body = JSON.stringify({ token, sent_at: new Date().toISOString(), events });
    const accepted = navigator.sendBeacon(this.#transport.url("/events/beacon"), body);
    // A beacon has no answer, so its events stay stored; they are only not put into a second beacon.
    if (accepted) for (const event of events) this.#beaconed.add(event);
    return accepted;
  }

  #onVisible = () => {
    if (document.visibilityState === "visible" && this.#letters.length) this.#schedule(0);
  };

  #onOnline = () => {
    if (this.#letters.length) this.#schedule(0, true);
  };

  /** @param {number} delayMs @param {boolean} [anew] forget how often it failed */
  #schedule(delayMs, anew = false) {
    if (anew) {
      this.#failures = 0;
      this.#timerAt = Infinity;
    }
    if (this.#closed) return;
    // While retries back off, new letters must not bring the next attempt forward.
    if (this.#failures && this.#timerAt < Infinity) return;
    const now = performance.now();
    const wait = Math.max(delayMs, this.#failures ? this.#backoffMs() : 0, this.#notBefore - now);
    if (now + wait >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = now + wait;
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
    while (this.#letters.length) {
      if (performance.now() < this.#notBefore) {
        this.#schedule(0);
        return false;
      }
      const batch = this.#nextBatch();
      if (isWish(batch[0]) && this.#isOutdated(batch[0])) {
        this.#forget(batch, []);
        continue;
      }
      try {
        this.#forget(batch, await this.#send(batch));
        this.#batchSize = LARGEST_BATCH;
      } catch (error) {
        if (!this.#blames(error, batch)) return this.#wait(error);
      }
      this.#failures = 0;
    }
    return true;
  }

  /** The oldest events up to a wish, or one wish. @returns {Letter[]} */
  #nextBatch() {
    if (isWish(this.#letters[0])) return this.#letters.slice(0, 1);
    const end = this.#letters.findIndex(isWish);
    return this.#letters.slice(0, Math.min(this.#batchSize, end < 0 ? Infinity : end));
  }

  /** Whether another tab has said something newer; what this one says later comes in its turn. @param {Wish} wish */
  #isOutdated({ wish, made_at: madeAt = 0 }) {
    const { made_at: newest = 0 } = local.get(WORD_PREFIX + wish) ?? {};
    return newest > madeAt && !this.#letters.some((other) => isWish(other) && other.wish === wish && other.made_at >= newest);
  }

  /** @param {Letter[]} batch @returns {Promise<{index: number, code: string, detail?: string}[]>} what was refused */
  async #send(batch) {
    const [first] = batch;
    if (isWish(first)) {
      await this.#transport.call(first.present ? "PUT" : "DELETE", first.wish);
      return [];
    }
    const answer = await this.#transport.call("POST", "/events", { sent_at: new Date().toISOString(), events: batch });
    if (typeof answer.accepted !== "number") throw new NetworkError("unexpected_answer", "POST /events: no counts in the answer");
    return answer.rejected ?? [];
  }

  /** @param {Letter[]} batch @param {{index: number, code: string, detail?: string}[]} rejected */
  #forget(batch, rejected) {
    for (const { index, code, detail = "" } of rejected) this.#options.onRejected(batch[index], { code, detail });
    const done = new Set(batch);
    this.#letters = this.#letters.filter((letter) => !done.has(letter));
    this.#store();
  }

  /** Take an answer that blames the letters; halving finds the one that spoils its batch. @returns {boolean} */
  #blames(error, batch) {
    if (!(error instanceof ApiError) || !(BLAMED.has(error.status) || error.code === "forbidden_user")) return false;
    if (batch.length > 1) this.#batchSize = Math.ceil(batch.length / 2);
    else this.#forget(batch, [{ index: 0, code: error.code, detail: error.message }]);
    return true;
  }

  /** Try again later. @param {unknown} error @returns {false} */
  #wait(error) {
    this.#failures += 1;
    if (error instanceof UnavailableError) this.#notBefore = performance.now() + error.retryAfterMs;
    this.#schedule(0);
    return false;
  }

  #dropExcess() {
    const excess = this.#letters.length - this.#options.maxQueued;
    for (let dropped = 0; dropped < excess; dropped += 1) {
      const passive = this.#letters.findIndex((letter) => !isWish(letter) && PASSIVE.has(letter.event_type));
      const [letter] = this.#letters.splice(Math.max(0, passive), 1);
      this.#options.onRejected(letter, { code: "queue_full", detail: `more than ${this.#options.maxQueued} wait` });
    }
  }

  #store() {
    if (!this.#letters.length) {
      local.remove(this.#storageKey);
      return;
    }
    const stored = local.set(this.#storageKey, { saved_at: Date.now(), letters: this.#letters });
    if (!stored && this.#stored) console.warn("recsys: no room in localStorage, events are kept in memory only");
    this.#stored = stored;
  }

  /** Take over what closed tabs of this user left behind; a tab that still lives sends its copy too, harmlessly. */
  #adopt() {
    const own = `${STORAGE_PREFIX}${this.#options.userId}/`;
    const left = [];
    for (const key of local.keys().filter((name) => name.startsWith(STORAGE_PREFIX))) {
      const { saved_at: savedAt, letters } = local.get(key) ?? {};
      const expired = !Array.isArray(letters) || Date.now() - savedAt > STORED_LIFETIME_MS;
      if (key.startsWith(own) && !expired) left.push({ savedAt, letters });
      if (key.startsWith(own) || expired) local.remove(key);
    }
    for (const key of local.keys().filter((name) => name.startsWith(WORD_PREFIX))) {
      if (!(Date.now() - (local.get(key)?.made_at ?? 0) < STORED_LIFETIME_MS)) local.remove(key);
    }
    const letters = left.sort((one, other) => one.savedAt - other.savedAt).flatMap((stored) => stored.letters);
    const events = new Map(letters.map((letter) => [letter.event_id, letter]));
    this.#letters = letters.filter((letter) => isWish(letter) || events.get(letter.event_id) === letter);
    this.#dropExcess();
    this.#store();
  }
}

/** Date a wish behind every earlier word on the same thing. @param {Wish} wish */
function keepWord(wish) {
  const key = WORD_PREFIX + wish.wish;
  wish.made_at = Math.max(Date.now(), (local.get(key)?.made_at ?? 0) + 1);
  local.set(key, { made_at: wish.made_at });
}

/** @param {Letter} letter @returns {letter is Wish} */
export const isWish = (letter) => "wish" in letter;
