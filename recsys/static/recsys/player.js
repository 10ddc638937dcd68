/**
 * The For You player: shows one clip at a time, keeps the feed ahead of the person, turns gestures into events.
 *
 * The page's configuration comes as JSON from ranking/player_views.py. Everything about sending and measuring is in
 * client.js and view-tracker.js; this file only uses them, as any other app would.
 */

import { createClient } from "./client.js";
import { Clip } from "./clip.js";
import { Reactions } from "./reactions.js";
import { connectSheets, openComments, openReport, openShare, sheetIsOpen, toggleHelp } from "./sheets.js";

const PREFETCH_AT = 3;
// Two clips each way: five decoders, which phones still manage.
const NEAR = 2;
const UNMUTE_CLIPS = 4;
const LEAVE_MS = 220;
const TOAST_MS = 2_400;
const DOUBLE_TAP_MS = 240;
const WHEEL_STEP = 24;
const WHEEL_REST_MS = 420;
const SOUND_KEY = "recsys.sound";

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

/** @type {Clip[]} */ const clips = [];
/** @type {Clip|null} */ let current = null;
const CURSOR_CODES = new Set(["cursor_expired", "cursor_mismatch", "invalid_cursor"]);
let active = 0;
let target = 0;
let loading = false;
let exhausted = false;
/** @type {string|null} */ let cursor = null;
let debug = false;
let muted = remembered(SOUND_KEY) !== "on";

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
    const page = await client.getFeed(config.pageSize, cursor);
    // Only now: a page that did not arrive is asked for again by the same cursor, and is the same page.
    cursor = page.next_cursor;
    append(page);
  } catch (error) {
    // A cursor that ended over night begins a new walk.
    if (CURSOR_CODES.has(error.code)) cursor = null;
    console.warn("recsys: no feed", error);
    showTail(error instanceof TypeError ? "offline" : "error");
  }
  loading = false;
  feed.setAttribute("aria-busy", "false");
}

/** @param {import("./client.js").FeedPage} page */
function append(page) {
  const known = new Set(clips.slice(page.repeats ? active : 0).map((clip) => clip.contentId));
  const fresh = page.items.filter((item) => !known.has(item.content_id) && !reactions.has("hidden", item.content_id));
  for (const item of fresh) {
    const clip = new Clip(item, page, byId("clip-template"), mutedByBrowser);
    clip.press("like", reactions.has("liked", clip.contentId));
    clip.press("save", reactions.has("saved", clip.contentId));
    drawFollow(clip);
    clip.showDebug(debug);
    clips.push(clip);
    tail.before(clip.element);
    clip.element.setAttribute("aria-posinset", String(clips.length));
    clip.element.setAttribute("aria-setsize", "-1");
  }
  // Scroll snapping would hold on to the tail, which the new clips have pushed down.
  if (!current) feed.scrollTo({ top: active * feed.clientHeight, behavior: "instant" });
  exhausted = fresh.length === 0;
  showTail(clips.length === 0 ? "empty" : exhausted ? "finished" : "loading");
  settle();
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
    if (Math.abs(place - active) <= NEAR) other.attach(client, feed, muted);
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
  target = Math.max(0, Math.min(clips.length, target + step));
  feed.scrollTo({ top: target * feed.clientHeight, behavior: calm.matches ? "instant" : "smooth" });
}

/** Take a clip and all its copies out of the feed; the next one takes its place. @param {Clip} clip */
function dismiss(clip) {
  reactions.set("hidden", clip.contentId, true);
  const hadFocus = clip.element.contains(document.activeElement);
  clip.retire();
  setTimeout(() => {
    const above = clips.slice(0, active).filter((other) => other.contentId === clip.contentId).length;
    for (const other of clips.filter((candidate) => candidate.contentId === clip.contentId)) {
      other.detach();
      other.element.remove();
      clips.splice(clips.indexOf(other), 1);
    }
    if (current === clip) current = null;
    if (above) feed.scrollTop -= above * feed.clientHeight;
    target = Math.round(feed.scrollTop / Math.max(1, feed.clientHeight));
    settle();
    if (hadFocus) (current?.element ?? feed).focus({ preventScroll: true });
  }, calm.matches ? 0 : LEAVE_MS);
}

// Reactions -------------------------------------------------------------------------------------------------------

const ACTIONS = {
  like: (clip) => toggle(clip, "liked", "like", "unlike"),
  save: (clip) => toggle(clip, "saved", "save", "unsave"),
  follow: (clip) => {
    const on = !reactions.has("followed", clip.creatorId);
    reactions.set("followed", clip.creatorId, on);
    client.track(on ? "follow" : "unfollow", { ...clip.reference, creator_id: clip.creatorId });
    for (const other of clips) drawFollow(other);
  },
  comment: (clip) => openComments(reactions.comments(clip.contentId), (text) => {
    reactions.addComment(clip.contentId, text);
    client.track("comment", { ...clip.reference, comment_text: text });
  }),
  share: (clip) => {
    const { media_url: media, caption } = clip.item.content ?? {};
    openShare({ url: new URL(media ?? "/", location.href).href, title: caption ?? "A clip" }, (platform) => {
      client.track("share", { ...clip.reference, platform });
      toast(platform === "copy_link" ? "Link copied" : "Shared");
    });
  },
  hide: (clip) => {
    dismiss(clip);
    client.track("hide", clip.reference);
    toast("Got it. This clip will not come back.");
  },
  report: (clip) => openReport((reason) => {
    dismiss(clip);
    client.track("report", { ...clip.reference, reason });
    toast("Thank you. The clip is gone from your feed.");
  }),
};

function toggle(clip, list, onEvent, offEvent) {
  const on = !reactions.has(list, clip.contentId);
  reactions.set(list, clip.contentId, on);
  client.track(on ? onEvent : offEvent, clip.reference);
  clip.press(onEvent, on);
  if (on && onEvent === "like") clip.burst();
}

/** @param {Clip} clip */
function drawFollow(clip) {
  const on = reactions.has("followed", clip.creatorId);
  clip.press("follow", on, on ? "Following" : "Follow");
}

let toastTimer = 0;

/** @param {string} text */
function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("show");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("show"), TOAST_MS);
}

// Sound -----------------------------------------------------------------------------------------------------------

/** @param {boolean} on @param {boolean} chosen by the person, so worth remembering */
function setSound(on, chosen) {
  muted = !on;
  for (const clip of clips) clip.setMuted(muted);
  if (chosen) remember(SOUND_KEY, on ? "on" : "off");
  byId("sound").setAttribute("aria-pressed", String(on));
  byId("sound").querySelector("use").setAttribute("href", on ? "#icon-sound" : "#icon-muted");
  drawUnmute();
}

/** The large button is for those who may not know that there is sound; after a few clips they do. */
function drawUnmute() {
  byId("unmute").hidden = !current || !muted || remembered(SOUND_KEY) === "off" || active >= UNMUTE_CLIPS;
}

function mutedByBrowser() {
  setSound(false, false);
}

function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice then lasts until the page is left.
  }
}

// Gestures --------------------------------------------------------------------------------------------------------

const KEYS = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  j: () => move(1),
  k: () => move(-1),
  " ": () => current?.togglePause(),
  m: () => setSound(muted, true),
  d: toggleDebug,
  l: () => act("like"),
  s: () => act("save"),
  c: () => act("comment"),
  h: () => act("hide"),
  "?": toggleHelp,
};

/** @param {keyof ACTIONS} action */
function act(action) {
  if (current && !current.retired) ACTIONS[action](current);
}

function toggleDebug() {
  debug = !debug;
  for (const clip of clips) clip.showDebug(debug);
  byId("debug-toggle").setAttribute("aria-pressed", String(debug));
}

function onKey(event) {
  const run = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const typing = event.target.closest("input, textarea, select");
  // A focused button keeps its own space bar.
  const ownSpace = event.key === " " && event.target.closest("button, a");
  const otherUse = event.ctrlKey || event.metaKey || event.altKey || typing || ownSpace;
  if (!run || otherUse || (sheetIsOpen() && event.key !== "?")) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) run();
}

let lastTap = { at: 0, timer: 0 };

function onClick(event) {
  const button = event.target.closest("[data-action]");
  if (button) return act(button.dataset.action);
  const clip = current;
  if (!clip || !event.target.closest(".clip-surface")) return undefined;
  // A key press on the surface is no tap: it cannot become a double tap.
  if (event.detail === 0) return clip.togglePause();
  clearTimeout(lastTap.timer);
  if (event.timeStamp - lastTap.at < DOUBLE_TAP_MS) {
    lastTap = { at: event.timeStamp, timer: 0 };
    if (reactions.has("liked", clip.contentId)) return clip.burst();
    return act("like");
  }
  lastTap = { at: event.timeStamp, timer: setTimeout(() => clip.togglePause(), DOUBLE_TAP_MS) };
  return undefined;
}

const wheel = { travelled: 0, restUntil: 0, last: 0 };

/** One notch or one push of a trackpad is one clip; the push's own after-roll is not a second one. */
function onWheel(event) {
  event.preventDefault();
  // Firefox counts in lines.
  const delta = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
  const size = Math.abs(delta);
  const growing = size > wheel.last * 1.6;
  wheel.last = size;
  if (event.timeStamp < wheel.restUntil) {
    if (!growing) wheel.restUntil = Math.max(wheel.restUntil, event.timeStamp + 90);
    return;
  }
  wheel.travelled += delta;
  if (Math.abs(wheel.travelled) < WHEEL_STEP) return;
  move(Math.sign(wheel.travelled));
  wheel.travelled = 0;
  wheel.restUntil = event.timeStamp + WHEEL_REST_MS;
}

let scrollFrame = 0;
let scrollRest = 0;

function onScroll() {
  cancelAnimationFrame(scrollFrame);
  scrollFrame = requestAnimationFrame(settle);
  clearTimeout(scrollRest);
  scrollRest = setTimeout(() => { target = active; }, 160);
}

function onVisibility() {
  if (document.visibilityState === "hidden") current?.rest();
  else current?.play();
}

function retry() {
  exhausted = false;
  loadMore();
}

document.addEventListener("keydown", onKey);
feed.addEventListener("click", onClick);
feed.addEventListener("wheel", onWheel, { passive: false });
feed.addEventListener("scroll", onScroll, { passive: true });
document.addEventListener("visibilitychange", onVisibility);
new ResizeObserver(() => feed.scrollTo({ top: active * feed.clientHeight, behavior: "instant" })).observe(feed);
addEventListener("online", () => ["offline", "error"].includes(tail.dataset.state) && retry());
byId("previous").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("sound").addEventListener("click", () => setSound(muted, true));
byId("unmute").addEventListener("click", () => setSound(true, true));
byId("debug-toggle").addEventListener("click", toggleDebug);
byId("tail-retry").addEventListener("click", retry);
connectSheets();
setSound(!muted, false);
loadMore();
