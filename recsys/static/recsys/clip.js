/** One clip on the stage: draws a served item, owns its video element and its view tracker while it is near. */

const WHY = {
  content_based: "Because of what you watched",
  collaborative: "Liked by people with your taste",
  sequential: "Follows from your last clips",
  following: "From a creator you follow",
  popular: "Popular with everyone",
  trending: "Trending now",
  fresh: "Fresh upload",
  latest: "Fresh upload",
  exploration: "Something new to try",
  seen_again: "Worth a second look",
};
const TONES = 4;
// A clip that failed is tried again by itself: ever more rarely, and at once, then quickly again, when the network is
// back. It never gives up while the clip is near: an outage may last, and the browser may not notice that it ended.
const RETRY_MS = 2_000;
const MOST_DOUBLINGS = 5;
const FAILED = "This clip cannot be played.";
const OFFLINE = "No connection. The clip plays as soon as it is back.";
const NOTHING_TO_PLAY = "There is nothing to play here.";

/** @param {string} source @returns {string} */
export function reasonFor(source) {
  return WHY[source] ?? source.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
}

export class Clip {
  /** @type {HTMLVideoElement|null} */ #video = null;
  /** @type {import("./client.js").ViewTracker|null} */ #tracker = null;
  /** Dismissed: it fades out and is not measured again. */
  retired = false;
  #pausedByPerson = false;
  #active = false;
  #frameRequest = 0;
  #failures = 0;
  #retryTimer = 0;
  #onSoundBlocked;

  /**
   * @param {import("./client.js").FeedItem} item
   * @param {import("./client.js").FeedPage} page the answer that served it
   * @param {HTMLTemplateElement} template
   * @param {() => void} onSoundBlocked the browser allows this video only without sound
   */
  constructor(item, page, template, onSoundBlocked) {
    this.item = item;
    this.page = page;
    this.#onSoundBlocked = onSoundBlocked;
    this.element = /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
    this.#draw();
  }

  get contentId() {
    return this.item.content_id;
  }

  get creatorId() {
    return this.item.content?.creator_id ?? "";
  }

  /** @param {string} selector @returns {HTMLElement} */
  part(selector) {
    return /** @type {HTMLElement} */ (this.element.querySelector(selector));
  }

  /** The clip comes near: load its video and start to measure. */
  attach(client, root, muted) {
    if (this.#tracker || this.retired) return;
    const { media_url: source, thumbnail_url: poster } = this.item.content ?? {};
    if (source) {
      const video = document.createElement("video");
      Object.assign(video, { src: source, muted, loop: true, playsInline: true, preload: "auto", tabIndex: -1 });
      video.setAttribute("aria-hidden", "true");
      if (poster) video.poster = poster;
      this.#listen(video);
      this.part(".clip-poster").after(video);
      this.#video = video;
    }
    // Without media nothing is watched, however long it is on screen.
    const measure = source ? "playing" : "seen";
    this.#tracker = client.watch({ element: this.element, item: this.item, video: this.#video, measure, root });
  }

  /** The clip is far away: report it and free the decoder. */
  detach() {
    this.deactivate();
    this.#tracker?.dispose();
    this.#tracker = null;
    clearTimeout(this.#retryTimer);
    this.#failures = 0;
    if (!this.#video) return;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#video.remove();
    this.#video = null;
  }

  /** The person wants it gone: report it now and fade out; `detach` follows. */
  retire() {
    this.retired = true;
    this.#tracker?.dispose();
    clearTimeout(this.#retryTimer);
    this.#video?.pause();
    this.element.classList.add("leaving");
  }

  activate() {
    if (this.#active || this.retired) return;
    this.#active = true;
    this.#pausedByPerson = false;
    this.element.inert = false;
    this.#tracker?.enter();
    this.play();
    this.#drawProgress();
  }

  deactivate() {
    this.element.inert = true;
    if (!this.#active) return;
    this.#active = false;
    this.#tracker?.leave();
    cancelAnimationFrame(this.#frameRequest);
    this.#video?.pause();
    if (this.#video) this.#video.currentTime = 0;
    this.element.classList.remove("paused");
  }

  async play() {
    if (!this.#video || !this.#active || this.#pausedByPerson || document.visibilityState === "hidden") return;
    try {
      await this.#video.play();
    } catch (error) {
      // AbortError is the ordinary end of a play() that was overtaken by a swipe.
      if (error.name !== "NotAllowedError" || this.#video?.muted !== false) return;
      this.#onSoundBlocked();
      this.play();
    }
  }

  /** Try again what failed to load. @param {boolean} [anew] the network came back: forget how often it failed */
  wake(anew = false) {
    clearTimeout(this.#retryTimer);
    if (anew) this.#failures = 0;
    const poster = /** @type {HTMLImageElement} */ (this.part(".clip-poster"));
    if (poster.hidden && poster.src) Object.assign(poster, { src: poster.src, hidden: false });
    const video = this.#video;
    if (!video?.error) return;
    const at = video.currentTime;
    video.load();
    video.currentTime = at;
    this.play();
  }

  /** The tab went to the background. */
  rest() {
    this.#video?.pause();
  }

  togglePause() {
    if (!this.#video) return;
    this.#pausedByPerson = !this.#video.paused;
    this.element.classList.toggle("paused", this.#pausedByPerson);
    if (this.#pausedByPerson) this.#video.pause();
    else this.play();
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    if (this.#video) this.#video.muted = muted;
  }

  /** @param {string} action @param {boolean} on @param {string} [label] */
  press(action, on, label) {
    const button = this.part(`[data-action="${action}"]`);
    button.setAttribute("aria-pressed", String(on));
    if (label) button.textContent = label;
  }

  burst() {
    const heart = this.part(".clip-burst");
    heart.classList.remove("go");
    // Reading the size restarts the animation when the second heart follows at once.
    heart.getBoundingClientRect();
    heart.classList.add("go");
  }

  /** @param {boolean} shown */
  showDebug(shown) {
    this.part(".clip-debug").hidden = !shown;
  }

  #draw() {
    const content = this.item.content ?? {};
    const caption = content.caption ?? "";
    this.element.dataset.contentId = this.contentId;
    this.element.setAttribute("aria-label", [caption, content.creator_id && `by ${content.creator_id}`].filter(Boolean).join(", "));
    this.element.inert = true;
    const tone = [...(content.category ?? this.contentId)].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    this.part(".clip-frame").dataset.tone = String(1 + (tone % TONES));
    this.part(".clip-why span").textContent = reasonFor(this.item.source);
    if (!content.media_url) this.#say(NOTHING_TO_PLAY);
    this.part(".clip-creator").textContent = content.creator_id ? `@${content.creator_id}` : "";
    this.part(".follow-button").hidden = !content.creator_id;
    this.part(".clip-caption").textContent = caption || this.contentId;
    const tags = (content.tags ?? []).slice(0, 4).map((tag) => {
      const entry = document.createElement("li");
      entry.textContent = `#${tag}`;
      return entry;
    });
    this.part(".clip-tags").replaceChildren(...tags);
    this.part(".clip-tags").hidden = !tags.length;
    const poster = /** @type {HTMLImageElement} */ (this.part(".clip-poster"));
    if (content.thumbnail_url) Object.assign(poster, { src: content.thumbnail_url, hidden: false });
    poster.addEventListener("error", () => { poster.hidden = true; });
    this.#drawDebug();
  }

  #drawDebug() {
    const { item, page } = this;
    const facts = {
      content: item.content_id,
      source: item.source,
      "all sources": (item.sources ?? []).join(", "),
      score: Number(item.score).toFixed(4),
      position: item.position,
      model: item.model_version ?? page.model_version,
      level: page.fallback_level,
      category: item.content?.category ?? "",
      request: page.request_id,
      took: `${Math.round(page.took_ms)} ms`,
    };
    const rows = Object.entries(facts).flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = String(value);
      return [term, detail];
    });
    this.part(".clip-debug").replaceChildren(...rows);
  }

  /** @param {HTMLVideoElement} video */
  #listen(video) {
    const buffering = (on) => () => this.element.classList.toggle("buffering", on);
    video.addEventListener("waiting", buffering(true));
    video.addEventListener("playing", buffering(false));
    video.addEventListener("loadedmetadata", () => {
      video.classList.toggle("landscape", video.videoWidth > video.videoHeight);
    });
    video.addEventListener("loadeddata", () => {
      this.#failures = 0;
      this.#say("");
    });
    video.addEventListener("error", () => {
      buffering(false)();
      this.#say(navigator.onLine ? FAILED : OFFLINE);
      if (this.retired) return;
      this.#retryTimer = setTimeout(() => this.wake(), RETRY_MS * 2 ** Math.min(this.#failures, MOST_DOUBLINGS));
      this.#failures += 1;
    });
  }

  /** @param {string} text "" where all is well */
  #say(text) {
    Object.assign(this.part(".clip-failed"), { textContent: text, hidden: !text });
  }

  #drawProgress() {
    const bar = this.part(".clip-progress span");
    const step = () => {
      const video = this.#video;
      const share = video ? video.currentTime / video.duration : this.#tracker?.watchedS / this.item.content?.duration_s;
      bar.style.transform = `scaleX(${Math.min(1, share || 0)})`;
      this.#frameRequest = requestAnimationFrame(step);
    };
    cancelAnimationFrame(this.#frameRequest);
    step();
  }
}
