/** A walk through the feed: page by page or item by item, one page ahead of the person, by the API's cursors. */

import { ApiError, UnavailableError } from "./errors.js";

const CURSOR_CODES = new Set(["cursor_expired", "cursor_mismatch", "invalid_cursor"]);
// A page of which nothing is left is passed over, but a feed that goes on like that has ended.
const MOST_EMPTY = 5;
const MOST_RETRIES = 3;
const LONGEST_WAIT_MS = 5_000;
const RETRY_MS = 500;

/** @typedef {import("../client.d.ts").FeedItem} FeedItem */
/** @typedef {import("../client.d.ts").FeedPage} FeedPage */

/**
 * Made by `client.feed()`. An async iterator of items: `for await (const item of client.feed())`.
 *
 * A request that fails may be made again: the same cursor gives the same page. So `next` and `nextPage` may simply be
 * called again after they threw.
 */
export class FeedWalk {
  #client;
  #parameters;
  #prefetchAt;
  /** @type {string|null} */ #cursor = null;
  #ended = false;
  /** Counts the restarts, so that a page of the walk before moves nothing. */ #walk = 0;
  /** @type {FeedItem[]} */ #items = [];
  /** @type {Promise<FeedPage|null>|null} */ #asked = null;

  /** @param {import("../client.d.ts").RecsysClient} client @param {import("../client.d.ts").FeedOptions} options */
  constructor(client, { limit = 10, prefetchAt = 3, ...parameters } = {}) {
    this.#client = client;
    this.#parameters = { limit, ...parameters };
    this.#prefetchAt = Math.min(prefetchAt, limit - 1);
  }

  /**
   * The next item; asks for the next page once `prefetchAt` items are left.
   * @returns {Promise<IteratorResult<FeedItem, undefined>>}
   * @throws {NetworkError|ApiError} call it again once the network is back
   */
  async next() {
    this.#items = this.#items.filter((item) => !this.#client.refuses(item));
    for (let empty = 0; !this.#items.length; empty += 1) {
      const page = empty < MOST_EMPTY ? await this.nextPage() : null;
      if (page === null) return { done: true, value: undefined };
      this.#items = [...page.items];
    }
    const value = /** @type {FeedItem} */ (this.#items.shift());
    if (this.#items.length <= this.#prefetchAt) this.prefetch();
    return { done: false, value };
  }

  /**
   * The next page, without what the person has refused meanwhile.
   * @returns {Promise<FeedPage|null>} null at the end of the feed
   * @throws {NetworkError|ApiError} call it again once the network is back
   */
  async nextPage() {
    const page = await this.#ask();
    this.#asked = null;
    return page && { ...page, items: page.items.filter((item) => !this.#client.refuses(item)) };
  }

  /** Ask for the next page now, so that it is there when it is needed. What the person does after this call is not in it. */
  prefetch() {
    this.#ask().catch(() => {
      // Whoever needs the page asks again and hears of it.
    });
  }

  /** Begin anew, as pulling down to refresh does. */
  restart() {
    this.#walk += 1;
    this.#cursor = null;
    this.#ended = false;
    this.#items = [];
    this.#asked = null;
  }

  /** The loop was left: nothing more is asked for. @returns {Promise<IteratorReturnResult<undefined>>} */
  async return() {
    this.#ended = true;
    this.#items = [];
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<FeedPage|null>} of one request, whoever waits for it; a failed one is forgotten */
  #ask() {
    if (this.#ended && !this.#asked) return Promise.resolve(null);
    if (!this.#asked) {
      const asked = this.#fetch().catch((error) => {
        if (this.#asked === asked) this.#asked = null;
        throw error;
      });
      this.#asked = asked;
    }
    return this.#asked;
  }

  async #fetch() {
    const walk = this.#walk;
    const page = await this.#fetchPatiently();
    if (walk === this.#walk) {
      // Only now: a page that did not arrive is asked for again by the same cursor.
      this.#cursor = page.next_cursor;
      this.#ended ||= page.next_cursor === null;
    }
    return page.items.length || page.next_cursor ? page : null;
  }

  async #fetchPatiently() {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#client.getFeed({ ...this.#parameters, cursor: this.#cursor });
      } catch (error) {
        const ended = this.#cursor !== null && error instanceof ApiError && CURSOR_CODES.has(error.code);
        const wait = waitMs(error, attempt);
        if (!ended && wait === null) throw error;
        // A cursor that ended over night begins a new walk.
        if (ended) this.#cursor = null;
        else await new Promise((resolve) => setTimeout(resolve, wait ?? 0));
      }
    }
  }
}

/** How long to wait before asking again by oneself; null where somebody should be told. @returns {number|null} */
function waitMs(error, attempt) {
  if (!(error instanceof UnavailableError) || attempt > MOST_RETRIES || error.retryAfterMs > LONGEST_WAIT_MS) return null;
  return Math.max(error.retryAfterMs, RETRY_MS * 2 ** (attempt - 1)) * (1 + Math.random() / 2);
}
