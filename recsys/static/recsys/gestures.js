/** Keys, taps, the long press and the wheel, as the player's words for them. */

import { sheetIsOpen } from "./sheets.js";

const DOUBLE_TAP_MS = 240;
const LONG_PRESS_MS = 500;
const STILL_PX = 10;
const WHEEL_STEP = 24;
const WHEEL_REST_MS = 420;

/** @param {Record<string, () => void>} keys by `KeyboardEvent.key`, letters small */
export function connectKeys(keys) {
  document.addEventListener("keydown", (event) => {
    const run = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const target = /** @type {Element} */ (event.target);
    const typing = target.closest("input, textarea, select");
    // A focused button keeps its own space bar.
    const ownSpace = event.key === " " && target.closest("button, a");
    const otherUse = event.ctrlKey || event.metaKey || event.altKey || typing || ownSpace;
    if (!run || otherUse || (sheetIsOpen() && event.key !== "?")) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) run();
  });
}

/**
 * Taps on the stage: on a button its action; on the clip once, twice, or held.
 * @param {HTMLElement} feed
 * @param {{act: (action: string) => void, tap: () => void, doubleTap: () => void, hold: () => void}} player
 */
export function connectTaps(feed, { act, tap, doubleTap, hold }) {
  let last = { at: -Infinity, timer: 0 };
  let held = { timer: 0, x: 0, y: 0, fired: false };
  const onSurface = (event) => event.target.closest(".clip-surface");
  const release = () => {
    clearTimeout(held.timer);
    held.timer = 0;
  };
  const fire = () => {
    release();
    held.fired = true;
    hold();
  };
  // On a busy device the timer may run before the finger's own movement, which comes with the next frame, is told.
  const fireIfStill = () => {
    const press = held;
    requestAnimationFrame(() => setTimeout(() => press === held && held.timer && fire()));
  };

  feed.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (button) return act(button.dataset.action);
    // The end of a long press is no tap.
    if (!onSurface(event) || held.fired) return undefined;
    // A key press on the surface is no tap: it cannot become a double tap.
    if (event.detail === 0) return tap();
    clearTimeout(last.timer);
    if (event.timeStamp - last.at < DOUBLE_TAP_MS) {
      last = { at: event.timeStamp, timer: 0 };
      return doubleTap();
    }
    last = { at: event.timeStamp, timer: setTimeout(tap, DOUBLE_TAP_MS) };
    return undefined;
  });
  feed.addEventListener("pointerdown", (event) => {
    release();
    held = { timer: 0, x: event.clientX, y: event.clientY, fired: false };
    if (onSurface(event) && event.button === 0) held.timer = setTimeout(fireIfStill, LONG_PRESS_MS);
  });
  feed.addEventListener("pointermove", (event) => {
    if (Math.hypot(event.clientX - held.x, event.clientY - held.y) > STILL_PX) release();
  });
  for (const name of ["pointerup", "pointercancel", "scroll"]) feed.addEventListener(name, release);
  feed.addEventListener("contextmenu", (event) => {
    if (!onSurface(event)) return;
    event.preventDefault();
    if (!held.fired) fire();
  });
}

/**
 * One notch or one push of a trackpad is one clip; the push's own after-roll is not a second one.
 * @param {HTMLElement} feed
 * @param {(step: number) => void} move
 */
export function connectWheel(feed, move) {
  const wheel = { travelled: 0, restUntil: 0, last: 0 };
  const onWheel = (event) => {
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
  };
  feed.addEventListener("wheel", onWheel, { passive: false });
}
