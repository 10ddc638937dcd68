/**
 * Measures how one served clip was watched and turns that into events.
 *
 * The watch clock runs only while the clip is on screen, the tab is in front and the video really plays; a paused,
 * seeking, buffering or covered clip gains nothing. It is the browser's monotone clock: setting the wall clock moves
 * nothing. What is sent, per stay on screen:
 *
 * - impression: as soon as half of the clip is visible, once per serving, however short the stay;
 * - complete_view: once, when 95 % of the duration has been watched; replay: each time the video starts over, which the
 *   view counts too (`loops`), so that the server believes a time longer than the clip;
 * - when the clip leaves: view with the seconds watched from 1 s on, skip when it was left before 2 s uncompleted.
 *   Between 1 s and 2 s both are sent and only the view carries the seconds, so that they add up; below 1 s the skip
 *   carries them.
 *
 * A hidden page may never come back, so hiding reports the seconds so far; what is watched later is a further view.
 * Leaving a clip that failed to load says nothing about taste and is not a skip. Nor is leaving what has nothing to play
 * (`measure: "seen"`): it was on screen, and that is all that is said.
 */

const VISIBLE_SHARE = 0.5;
const VIEW_S = 1;
const SKIP_S = 2;
const COMPLETE_SHARE = 0.95;
const SMALLEST_REPORT_S = 0.1;
const MEDIA_EVENTS = ["play", "playing", "pause", "waiting", "seeking", "seeked", "ended", "emptied", "timeupdate", "error"];

/** What every event about a served item carries. @param {import("../client.d.ts").Reference} item */
export const referenceOf = ({ content_id, request_id, position, surface }) => ({
  content_id,
  ...(request_id && { request_id }),
  ...(position !== undefined && { position }),
  ...(surface && { surface }),
});

/** @param {number} seconds */
const rounded = (seconds) => Math.round(seconds * 100) / 100;

export class ViewTracker {
  #client;
  #video;
  #measures;
  #durationS;
  #reference;
  #observer;
  #timer;
  #stopListening;
  #onScreen = false;
  /** @type {number|null} */ #runningSince = null;
  #watchedMs = 0;
  #reportedS = 0;
  #completed = false;
  #lastTime = 0;
  #loops = 0;
  #failed = false;

  /**
   * @param {import("../client.d.ts").RecsysClient} client
   * @param {import("../client.d.ts").WatchOptions} options
   */
  constructor(client, { element, item, video = null, measure = video ? "playing" : "on_screen", root = null }) {
    this.#client = client;
    this.#video = measure === "seen" ? null : video;
    this.#measures = measure !== "seen";
    this.#durationS = item.content?.duration_s ?? NaN;
    this.#reference = referenceOf(item);
    this.#stopListening = client.onHide(this.#onPageHide);
    document.addEventListener("visibilitychange", this.#update);
    for (const name of MEDIA_EVENTS) this.#video?.addEventListener(name, this.#update);
    this.#timer = measure === "on_screen" ? setInterval(this.#update, 250) : undefined;
    this.#observer = new IntersectionObserver(this.#onIntersection, { root, threshold: VISIBLE_SHARE });
    this.#observer.observe(element);
  }

  /** Seconds watched during the current stay on screen. */
  get watchedS() {
    const running = this.#runningSince === null ? 0 : performance.now() - this.#runningSince;
    return (this.#watchedMs + running) / 1000;
  }

  /** The clip is on screen now. Called by the observer; call it yourself where that cannot see the change. */
  enter() {
    if (this.#onScreen) return;
    this.#onScreen = true;
    this.#watchedMs = 0;
    this.#reportedS = 0;
    this.#completed = false;
    this.#loops = 0;
    this.#failed = false;
    this.#lastTime = this.#video?.currentTime ?? 0;
    this.#client.trackImpression(this.#reference);
    this.#update();
  }

  /** The clip has left the screen: report how it was watched. */
  leave() {
    if (!this.#onScreen) return;
    this.#update();
    this.#onScreen = false;
    this.#update();
    this.#reportView(this.#reportedS > 0 ? SMALLEST_REPORT_S : VIEW_S);
    if (!this.#measures || this.#completed || this.#failed || this.watchedS >= SKIP_S) return;
    const seconds = this.#reportedS > 0 ? {} : { watch_duration: rounded(this.watchedS) };
    this.#client.track("skip", { ...this.#reference, ...seconds });
  }

  /** Leave, and stop measuring for good. */
  dispose() {
    this.leave();
    this.#observer.disconnect();
    this.#stopListening();
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#update);
    for (const name of MEDIA_EVENTS) this.#video?.removeEventListener(name, this.#update);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onIntersection = (entries) => {
    const { isIntersecting, intersectionRatio } = entries[entries.length - 1];
    if (isIntersecting && intersectionRatio >= VISIBLE_SHARE) this.enter();
    else this.leave();
  };

  #onPageHide = () => {
    if (!this.#onScreen) return;
    this.#stopClock();
    this.#reportView(VIEW_S);
  };

  #isPlaying() {
    if (!this.#video) return this.#measures;
    const { paused, ended, seeking, readyState } = this.#video;
    return !paused && !ended && !seeking && readyState >= HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Bring the watch clock in line with the world, then see whether a threshold was passed. */
  #update = () => {
    const running = this.#onScreen && document.visibilityState === "visible" && this.#isPlaying();
    if (running) this.#runningSince ??= performance.now();
    else this.#stopClock();
    if (!this.#onScreen) return;
    // A clip that came after all, when the network was back, has not failed.
    this.#failed = Boolean(this.#video?.error) || (this.#failed && !running);
    const duration = Number.isFinite(this.#video?.duration) ? this.#video.duration : this.#durationS;
    if (!this.#completed && this.watchedS >= COMPLETE_SHARE * duration) {
      this.#completed = true;
      this.#client.track("complete_view", this.#reference);
    }
    this.#noticeReplay(duration);
  };

  #stopClock() {
    if (this.#runningSince !== null) this.#watchedMs += performance.now() - this.#runningSince;
    this.#runningSince = null;
  }

  /** A looping video sends no `ended`: it jumps from its last quarter to its first. @param {number} duration */
  #noticeReplay(duration) {
    const time = this.#video?.currentTime ?? 0;
    if (this.#lastTime > 0.75 * duration && time < 0.25 * duration) {
      this.#loops += 1;
      this.#client.track("replay", this.#reference);
    }
    this.#lastTime = time;
  }

  /** @param {number} atLeastS */
  #reportView(atLeastS) {
    const seconds = this.watchedS - this.#reportedS;
    if (seconds < atLeastS) return;
    this.#reportedS += seconds;
    const loops = this.#loops && { loops: this.#loops };
    this.#loops = 0;
    this.#client.track("view", { ...this.#reference, watch_duration: rounded(seconds), ...loops });
  }
}
