/**
 * The For You player: shows one clip at a time, keeps the feed ahead of the person, turns gestures into events.
 *
 * The page's configuration comes as JSON from ranking/player_views.py. Everything about asking, sending and measuring is
 * in client.js; this file only uses it, as any other app would.
 */

import { createClient, NetworkError } from "./client.js";
import { Clip } from "./clip.js";
import { connectKeys, connectTaps, connectWheel } from "./gestures.js";
import { Reactions } from "./reactions.js";
import { connectSheets, openAbout, openComments, openReport, openShare, toggleHelp } from "./sheets.js";
import { Sound } from "./sound.js";

// Late, so that the next page follows what was done on this one; two clips are time enough for an answer.
const PREFETCH_AT = 2;
// Two clips each way: five decoders, which phones still manage.
const NEAR = 2;
const UNMUTE_CLIPS = 4;
const MOVE_MS = 500;
const LEAVE_MS = 220;
// A server that was away gives no sign when it is back.
const ASK_AGAIN_MS = 5_000;
const TOAST_MS = 2_400;
const UNDO_MS = 6_000;

const byId = (id) => /** @type {any} */ (document.getElementById(id));
const config = JSON.parse(byId("player-config").textContent);
const feed = byId("feed");
const tail = byId("tail");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const reactions = new Reactions(config.userId);
const client = createClient({
  baseUrl: config.apiBase,
  userId: config.userId,
  token: config.token,
  expiresAt: config.expiresAt,
  refreshToken: fetchToken,
});
const walk = client.feed({ limit: config.pageSize, explain: true });
const sound = new Sound(drawSound);

/** @type {Clip[]} */ const clips = [];
/** @type {Clip|null} */ let current = null;
let active = 0;
let target = 0;
let loading = false;
let exhausted = false;
let debug = false;
let askAgain = 0;
let scrollFrame = 0;
let movedAt = -Infinity;

async function fetchToken() {
  const response = await fetch(config.tokenUrl, { method: "POST", headers: { "X-CSRFToken": config.csrfToken } });
  if (!response.ok) throw new Error(`no new token: ${response.status}`);
  return response.json();
}

// Feed -----------------------------------------------------------------------------------------------------------

async function loadMore() {
  if (loading) return;
  loading = true;
  feed.setAttribute("aria-busy", "true");
  showTail("loading");
  try {
    append(await walk.nextPage());
  } catch (error) {
    console.warn("recsys: no feed", error);
    showTail(error instanceof NetworkError ? "offline" : "error");
    clearTimeout(askAgain);
    askAgain = setTimeout(() => ["offline", "error"].includes(tail.dataset.state) && retry(), ASK_AGAIN_MS);
  }
  loading = false;
  feed.setAttribute("aria-busy", "false");
}

/** @param {import("./client.js").FeedPage|null} page null at the end of the feed */
function append(page) {
  const known = new Set(clips.slice(page?.repeats ? active : 0).map((clip) => clip.contentId));
  const fresh = (page?.items ?? []).filter((item) => !known.has(item.content_id));
  for (const item of fresh) insert(new Clip(item, page, byId("clip-template"), () => sound.set(false, false)), clips.length);
  // Scroll snapping would hold on to the tail, which the new clips have pushed down.
  if (!current) feed.scrollTo({ top: active * feed.clientHeight, behavior: "instant" });
  exhausted = fresh.length === 0;
  showTail(clips.length === 0 ? "empty" : exhausted ? "finished" : "loading");
  settle();
}

/** @param {Clip} clip @param {number} place */
function insert(clip, place) {
  clip.press("like", reactions.has("liked", clip.contentId));
  clip.press("save", reactions.has("saved", clip.contentId));
  drawFollow(clip);
  clip.showDebug(debug);
  (clips[place]?.element ?? tail).before(clip.element);
  clips.splice(place, 0, clip);
  clip.element.setAttribute("aria-posinset", String(place + 1));
  clip.element.setAttribute("aria-setsize", "-1");
}

const TAIL_TEXTS = {
  error: ["The feed cannot be loaded", "The server answered with an error. Your reactions are kept and sent later."],
  offline: ["No connection", "Your reactions are kept on this device and sent when the server is back."],
  empty: ["No clips yet", "Nothing has been uploaded so far. New clips show up here by themselves."],
  finished: ["You have seen everything", "There is nothing new right now. Look again in a moment."],
};

/** @param {"loading"|"error"|"offline"|"empty"|"finished"} state */
function showTail(state) {
  tail.dataset.state = state;
  byId("tail-message").hidden = state === "loading";
  const [title, text] = TAIL_TEXTS[state] ?? ["", ""];
  byId("tail-title").textContent = title;
  byId("tail-text").textContent = text;
  tail.querySelector(".tail-icon").classList.toggle("visually-hidden", state !== "offline");
}

// Moving ----------------------------------------------------------------------------------------------------------

/** Make the clip in the middle of the stage the active one. */
function settle() {
  active = Math.min(clips.length, Math.round(feed.scrollTop / Math.max(1, feed.clientHeight)));
  const clip = clips[active] ?? null;
  const changed = clip !== current;
  const hadFocus = changed && current?.element.contains(document.activeElement);
  if (changed) current?.deactivate();
  current = clip;
  for (const [place, other] of clips.entries()) {
    if (Math.abs(place - active) <= NEAR) other.attach(client, feed, sound.muted);
    else other.detach();
  }
  clip?.activate();
  if (hadFocus) (clip?.element ?? feed).focus({ preventScroll: true });
  if (changed) byId("announcer").textContent = clip?.element.getAttribute("aria-label") ?? "";
  byId("previous").disabled = active <= 0;
  byId("next").disabled = active >= clips.length;
  drawUnmute();
  prefetch();
}

function prefetch() {
  if (clips.length - 1 - active <= PREFETCH_AT && !exhausted) loadMore();
}

/** @param {number} step */
function move(step) {
  // Two quick steps are two clips, although the first is still on its way.
  const now = performance.now();
  const from = now - movedAt < MOVE_MS ? target : active;
  movedAt = now;
  target = Math.max(0, Math.min(clips.length, from + step));
  feed.scrollTo({ top: target * feed.clientHeight, behavior: calm.matches ? "instant" : "smooth" });
}

/**
 * Take clips out of the feed; the next one takes the place of the one on stage.
 * @param {Clip} clip on stage
 * @param {(other: Clip) => boolean} goes
 * @returns {() => void} brings the clip on stage back
 */
function dismiss(clip, goes) {
  const hadFocus = clip.element.contains(document.activeElement);
  clip.retire();
  const gone = pause(calm.matches ? 0 : LEAVE_MS).then(() => {
    const above = clips.slice(0, active).filter(goes).length;
    for (const other of clips.filter(goes)) {
      other.detach();
      other.element.remove();
      clips.splice(clips.indexOf(other), 1);
    }
    if (current === clip) current = null;
    if (above) feed.scrollTop -= above * feed.clientHeight;
    target = Math.round(feed.scrollTop / Math.max(1, feed.clientHeight));
    settle();
    if (hadFocus) (current?.element ?? feed).focus({ preventScroll: true });
  });
  return () => gone.then(() => {
    insert(new Clip(clip.item, clip.page, byId("clip-template"), () => sound.set(false, false)), active);
    feed.scrollTo({ top: active * feed.clientHeight, behavior: "instant" });
    settle();
  });
}

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Reactions -------------------------------------------------------------------------------------------------------

const ACTIONS = {
  like: (clip) => toggle(clip, "liked", "like", "unlike"),
  save: (clip) => toggle(clip, "saved", "save", "unsave"),
  follow: (clip) => {
    const on = !reactions.has("followed", clip.creatorId);
    reactions.set("followed", clip.creatorId, on);
    client[on ? "follow" : "unfollow"](clip.item);
    for (const other of clips) drawFollow(other);
  },
  comment: (clip) => openComments(reactions.comments(clip.contentId), (text) => {
    reactions.addComment(clip.contentId, text);
    client.comment(clip.item, text);
  }),
  share: (clip) => {
    const { media_url: media, caption } = clip.item.content ?? {};
    openShare({ url: new URL(media || "/", location.href).href, title: caption || "A clip" }, (platform) => {
      client.share(clip.item, platform);
      toast(platform === "copy_link" ? "Link copied" : "Shared");
    });
  },
  about: (clip) => openAbout(clip, (choice) => ACTIONS[choice](clip)),
  hide: (clip) => {
    const back = dismiss(clip, (other) => other.contentId === clip.contentId);
    const undo = client.notInterested(clip.item);
    toast("Got it. Less like this.", () => [undo(), back()]);
  },
  mute: (clip) => {
    const back = dismiss(clip, (other) => other.creatorId === clip.creatorId);
    const undo = client.muteCreator(clip.creatorId);
    toast(`No more of @${clip.creatorId}.`, () => [undo(), back()]);
  },
  report: (clip) => openReport((reason) => {
    dismiss(clip, (other) => other.contentId === clip.contentId);
    client.report(clip.item, reason);
    toast("Thank you. The clip is gone from your feed.");
  }),
};

function toggle(clip, list, onEvent, offEvent) {
  const on = !reactions.has(list, clip.contentId);
  reactions.set(list, clip.contentId, on);
  client[on ? onEvent : offEvent](clip.item);
  clip.press(onEvent, on);
  if (on && onEvent === "like") clip.burst();
}

/** @param {Clip} clip */
function drawFollow(clip) {
  const on = reactions.has("followed", clip.creatorId);
  clip.press("follow", on, on ? "Following" : "Follow");
}

let toastTimer = 0;
/** @type {(() => void)|null} */ let undoLast = null;

/** @param {string} text @param {(() => void)|null} [undo] */
function toast(text, undo = null) {
  undoLast = undo;
  byId("toast-text").textContent = text;
  byId("undo").hidden = !undo;
  byId("toast").classList.add("show");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(endToast, undo ? UNDO_MS : TOAST_MS);
}

function endToast() {
  undoLast = null;
  // Out of the tab order as well.
  byId("undo").hidden = true;
  byId("toast").classList.remove("show");
}

function undo() {
  const run = undoLast;
  if (!run) return;
  endToast();
  run();
}

// Sound -----------------------------------------------------------------------------------------------------------

/** @param {boolean} muted */
function drawSound(muted) {
  for (const clip of clips) clip.setMuted(muted);
  byId("sound").setAttribute("aria-pressed", String(!muted));
  byId("sound").querySelector("use").setAttribute("href", muted ? "#icon-muted" : "#icon-sound");
  drawUnmute();
}

/** The large button is for those who may not know that there is sound; after a few clips they do. */
function drawUnmute() {
  byId("unmute").hidden = !current || !sound.muted || sound.choice === "off" || active >= UNMUTE_CLIPS;
}

// Gestures --------------------------------------------------------------------------------------------------------

/** @param {keyof ACTIONS} action */
function act(action) {
  if (current && !current.retired) ACTIONS[action](current);
}

function doubleTap() {
  if (current && reactions.has("liked", current.contentId)) current.burst();
  else act("like");
}

function toggleDebug() {
  debug = !debug;
  for (const clip of clips) clip.showDebug(debug);
  byId("debug-toggle").setAttribute("aria-pressed", String(debug));
}

function onScroll() {
  cancelAnimationFrame(scrollFrame);
  scrollFrame = requestAnimationFrame(settle);
}

function onVisibility() {
  if (document.visibilityState === "hidden") current?.rest();
  else current?.play();
}

function retry() {
  if (exhausted) walk.restart();
  exhausted = false;
  loadMore();
}

function onOnline() {
  for (const clip of clips) clip.wake(true);
  if (["offline", "error"].includes(tail.dataset.state)) retry();
}

connectKeys({
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  j: () => move(1),
  k: () => move(-1),
  " ": () => current?.togglePause(),
  m: () => sound.set(sound.muted, true),
  d: toggleDebug,
  l: () => act("like"),
  s: () => act("save"),
  c: () => act("comment"),
  h: () => act("hide"),
  x: () => act("mute"),
  w: () => act("about"),
  z: undo,
  "?": toggleHelp,
});
connectTaps(feed, { act, tap: () => current?.togglePause(), doubleTap, hold: () => act("about") });
connectWheel(feed, move);
feed.addEventListener("scroll", onScroll, { passive: true });
document.addEventListener("visibilitychange", onVisibility);
new ResizeObserver(() => feed.scrollTo({ top: active * feed.clientHeight, behavior: "instant" })).observe(feed);
addEventListener("online", onOnline);
byId("previous").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("sound").addEventListener("click", () => sound.set(sound.muted, true));
byId("unmute").addEventListener("click", () => sound.set(true, true));
byId("undo").addEventListener("click", undo);
byId("debug-toggle").addEventListener("click", toggleDebug);
byId("tail-retry").addEventListener("click", retry);
connectSheets();
drawSound(sound.muted);
loadMore();
