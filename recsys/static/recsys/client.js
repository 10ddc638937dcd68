/**
 * Browser client of the recsys API: walks through the feed, and reports what a person does.
 *
 * One ES module without dependencies or build step (its parts lie in client/ and load by themselves; types in
 * client.d.ts, a guide in docs/client.md). It draws nothing and decides nothing; the demo player is built on exactly this.
 *
 * @example
 * const client = createClient({ userId: "u1", refreshToken: () => fetch("/my/token").then((answer) => answer.json()) });
 * for await (const item of client.feed()) await show(item);
 */

import { FeedWalk } from "./client/feed-walk.js";
import { isWish, Outbox } from "./client/outbox.js";
import { local, newId, sessionId } from "./client/storage.js";
import { Transport } from "./client/transport.js";
import { referenceOf, ViewTracker } from "./client/view-tracker.js";

export { ApiError, AuthError, NetworkError, RecsysError, UnavailableError } from "./client/errors.js";
export { FeedWalk, ViewTracker, newId };
export { anonymousId } from "./client/storage.js";

// A feed request waits this long for pending events: better one page that misses a like than no page.
const FLUSH_WAIT_MS = 1_500;

/** @param {import("./client.d.ts").ClientOptions} options @returns {RecsysClient} */
export function createClient(options) {
  return new RecsysClient(options);
}

/** Made by createClient. */
export class RecsysClient {
  #options;
  #transport;
  #outbox;
  /** @type {Set<() => void>} */ #hideListeners = new Set();
  /** @type {Set<string>} */ #impressions = new Set();
  /** What the person refused on this page: it leaves pages that were served before. */
  #refused = {
    hidden: /** @type {Set<string>} */ (new Set()),
    reported: /** @type {Set<string>} */ (new Set()),
    mutes: /** @type {Set<string>} */ (new Set()),
    blocks: /** @type {Set<string>} */ (new Set()),
  };

  /** @param {import("./client.d.ts").ClientOptions} options */
  constructor(options) {
    this.#options = { baseUrl: "/api/v1", surface: "for_you", onRejected: warn, ...options };
    this.#transport = new Transport(this.#options);
    this.#outbox = new Outbox(this.#transport, {
      flushAt: 20, flushAfterMs: 2_000, retryMs: 1_000, maxQueued: 1_000, ...this.#options,
    });
    this.#recallRefused();
    document.addEventListener("visibilitychange", this.#onVisibilityChange);
    addEventListener("pagehide", this.#onHide);
  }

  get userId() {
    return this.#options.userId;
  }

  /** How many events and wishes wait for the server's confirmation. */
  get pending() {
    return this.#outbox.size;
  }

  /** Whether what waits survives the page; false where the browser lets this site store nothing. */
  get durable() {
    return local.durable;
  }

  /** Stop timers and listeners; what still waits stays stored for the next client of this user. */
  close() {
    this.#outbox.close();
    document.removeEventListener("visibilitychange", this.#onVisibilityChange);
    removeEventListener("pagehide", this.#onHide);
  }

  // The feed -------------------------------------------------------------------------------------------------------

  /** A walk through the feed. @param {import("./client.d.ts").FeedOptions} [options] */
  feed(options = {}) {
    return new FeedWalk(this, { surface: this.#options.surface, ...options });
  }

  /**
   * One page. Waiting events are sent first, so that the page already follows them.
   * @param {import("./client.d.ts").FeedOptions & {cursor?: string|null}} [options]
   * @returns {Promise<import("./client.d.ts").FeedPage>}
   */
  async getFeed({ prefetchAt: _, ...options } = {}) {
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, FLUSH_WAIT_MS))]);
    const given = Object.entries({ user_id: this.userId, session_id: sessionId(), ...options });
    const told = given.filter(([, value]) => value != null).map(([name, value]) => [name, asText(value)]);
    const page = await this.#transport.call("GET", `/feed?${new URLSearchParams(told)}`);
    const { request_id } = page;
    const surface = options.surface ?? this.#options.surface;
    return { ...page, items: page.items.map((item) => ({ ...item, request_id, surface })) };
  }

  /** Measure how an item is watched. @param {import("./client.d.ts").WatchOptions} options @returns {ViewTracker} */
  watch(options) {
    return new ViewTracker(this, options);
  }

  // What a person does -----------------------------------------------------------------------------------------------

  /**
   * Queue one event.
   * @param {string} eventType one of the API's event types
   * @param {Object<string, any>} fields content_id, request_id, position, and what the type needs
   * @returns {string} the event's id
   */
  track(eventType, fields = {}) {
    const event = /** @type {import("./client.d.ts").FeedEvent} */ ({
      event_id: newId(),
      event_type: eventType,
      timestamp: new Date().toISOString(),
      user_id: this.userId,
      session_id: sessionId(),
      surface: this.#options.surface,
      ...fields,
    });
    this.#outbox.add(event);
    return event.event_id;
  }

  /** Record that a served item was on screen; a second call for the same serving is ignored. */
  trackImpression(item) {
    const key = `${item.request_id}/${item.content_id}`;
    if (this.#impressions.has(key)) return;
    this.#impressions.add(key);
    this.track("impression", referenceOf(item));
  }

  /** @returns {() => void} takes it back */
  like(item) {
    return this.#reversible("like", "unlike", referenceOf(item));
  }

  /** @returns {() => void} takes it back */
  save(item) {
    return this.#reversible("save", "unsave", referenceOf(item));
  }

  /** Follow the creator of an item. @returns {() => void} takes it back */
  follow(item) {
    return this.#reversible("follow", "unfollow", { ...referenceOf(item), creator_id: creatorOf(item) });
  }

  unlike(item) {
    this.track("unlike", referenceOf(item));
  }

  unsave(item) {
    this.track("unsave", referenceOf(item));
  }

  unfollow(item) {
    this.track("unfollow", { ...referenceOf(item), creator_id: creatorOf(item) });
  }

  comment(item, text) {
    this.track("comment", { ...referenceOf(item), comment_text: text });
  }

  share(item, platform) {
    this.track("share", { ...referenceOf(item), platform });
  }

  /** Say that an item breaks the rules; it is gone from this person's feed, for good. */
  report(item, reason) {
    this.#refused.reported.add(item.content_id);
    this.track("report", { ...referenceOf(item), reason });
  }

  /** The item and what is like it are not wanted. @returns {() => void} takes it back */
  notInterested(item) {
    this.#refused.hidden.add(item.content_id);
    this.track("hide", referenceOf(item));
    return once(() => {
      this.#refused.hidden.delete(item.content_id);
      this.track("unhide", referenceOf(item));
    });
  }

  /** No more of a creator in the feed. @param {string} creatorId @returns {() => void} takes it back */
  muteCreator(creatorId) {
    return this.#shun("mutes", creatorId);
  }

  /** As muting; which of the two a page means is for its people to see. @returns {() => void} takes it back */
  blockCreator(creatorId) {
    return this.#shun("blocks", creatorId);
  }

  /** Take muting back, however long ago it was. @param {string} creatorId */
  unmuteCreator(creatorId) {
    this.#wish("mutes", creatorId, false);
  }

  /** Take blocking back, however long ago it was. @param {string} creatorId */
  unblockCreator(creatorId) {
    this.#wish("blocks", creatorId, false);
  }

  /** Whether the person refused an item on this page, by itself or with its creator. @returns {boolean} */
  refuses(item) {
    const { hidden, reported, mutes, blocks } = this.#refused;
    const creatorId = item.content?.creator_id ?? "";
    return hidden.has(item.content_id) || reported.has(item.content_id) || mutes.has(creatorId) || blocks.has(creatorId);
  }

  // Sending ----------------------------------------------------------------------------------------------------------

  /** Send everything that waits. @returns {Promise<boolean>} false where something has to wait longer */
  flush() {
    return this.#outbox.flush();
  }

  /** Hand waiting events to the browser, which sends them even while the page goes away. @returns {boolean} */
  sendBeacon() {
    return this.#outbox.beacon();
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
  };

  #onHide = () => {
    for (const listener of this.#hideListeners) listener();
    this.sendBeacon();
  };

  #reversible(eventType, opposite, fields) {
    this.track(eventType, fields);
    return once(() => this.track(opposite, fields));
  }

  /** @param {"mutes"|"blocks"} relation @param {string} creatorId */
  #shun(relation, creatorId) {
    this.#wish(relation, creatorId, true);
    return once(() => this.#wish(relation, creatorId, false));
  }

  #wish(relation, creatorId, present) {
    this.#remember(relation, creatorId, present);
    const wish = `/users/${encodeURIComponent(this.userId)}/${relation}/${encodeURIComponent(creatorId)}`;
    this.#outbox.add({ wish, present }, true);
  }

  /** Each refusal by its kind: who unmutes somebody has not taken a block back. */
  #remember(kind, id, present) {
    if (present) this.#refused[kind].add(id);
    else this.#refused[kind].delete(id);
  }

  /** What was refused before a reload and still waits to be sent holds all the same. */
  #recallRefused() {
    for (const letter of this.#outbox.letters) {
      if (isWish(letter)) {
        const [relation, creatorId] = letter.wish.split("/").slice(-2);
        this.#remember(relation, decodeURIComponent(creatorId), letter.present);
      } else if (letter.event_type === "report") this.#remember("reported", letter.content_id, true);
      else if (letter.event_type === "hide" || letter.event_type === "unhide") {
        this.#remember("hidden", letter.content_id, letter.event_type === "hide");
      }
    }
  }
}

/** A parameter as an address says it: lists with commas, objects as JSON. */
function asText(value) {
  return typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : String(value);
}

function creatorOf(item) {
  return item.creator_id ?? item.content?.creator_id;
}

/** @param {() => void} undo @returns {() => void} the same, that does nothing the second time */
function once(undo) {
  let undone = false;
  return () => {
    if (!undone) undo();
    undone = true;
  };
}

function warn(letter, { code, detail }) {
  console.warn(`recsys: not taken in (${code})`, detail, letter);
}
