/**
 * What this browser remembers of a person's own reactions, to draw a heart that was given before as given.
 *
 * The API has no read side for reactions: the log of events is their truth, this is only the drawing of the buttons.
 */

const LONGEST_LIST = 500;
const LISTS = ["liked", "saved", "followed"];

export class Reactions {
  #key;
  /** @type {Record<string, Set<string>>} */ #lists = {};
  /** @type {Map<string, string[]>} */ #comments;

  /** @param {string} userId */
  constructor(userId) {
    this.#key = `recsys.reactions.${userId}`;
    const stored = this.#read();
    for (const name of LISTS) this.#lists[name] = new Set(stored[name]);
    this.#comments = new Map(stored.comments);
  }

  /** @param {"liked"|"saved"|"followed"} list @param {string} id */
  has(list, id) {
    return this.#lists[list].has(id);
  }

  /** @param {"liked"|"saved"|"followed"} list @param {string} id @param {boolean} on */
  set(list, id, on) {
    this.#lists[list].delete(id);
    if (on) this.#lists[list].add(id);
    this.#write();
  }

  /** @param {string} contentId @returns {string[]} oldest first */
  comments(contentId) {
    return this.#comments.get(contentId) ?? [];
  }

  /** @param {string} contentId @param {string} text */
  addComment(contentId, text) {
    this.#comments.set(contentId, [...this.comments(contentId), text]);
    this.#write();
  }

  #read() {
    try {
      return JSON.parse(localStorage.getItem(this.#key) ?? "{}");
    } catch {
      return {};
    }
  }

  #write() {
    const newest = LISTS.map((name) => [name, [...this.#lists[name]].slice(-LONGEST_LIST)]);
    const comments = [...this.#comments].slice(-LONGEST_LIST);
    try {
      localStorage.setItem(this.#key, JSON.stringify({ ...Object.fromEntries(newest), comments }));
    } catch {
      // Storage is full or forbidden: the buttons are right until the page is left, and the events are sent anyway.
    }
  }
}
