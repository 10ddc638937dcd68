/** The player's sheets: who is watching, about the clip, comments, share, report, menu. Each is a modal dialog; Escape closes it. */

import { reasonFor } from "./clip.js";

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** Open the sheets that have a fixed button, and close any by its button or a tap beside it. */
export function connectSheets() {
  // A long press ends over the sheet that it opened; only what also began beside the sheet closes it.
  let pressed = /** @type {EventTarget|null} */ (null);
  document.addEventListener("pointerdown", (event) => { pressed = event.target; });
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const opener = target.closest("[data-sheet]");
    if (opener instanceof HTMLElement) byId(opener.dataset.sheet).showModal();
    else if (target.closest("[data-close]")) target.closest("dialog")?.close();
    else if (target instanceof HTMLDialogElement && pressed === target) target.close();
  });
}

/** @returns {boolean} whether a sheet covers the stage */
export const sheetIsOpen = () => document.querySelector("dialog[open]") !== null;

/** Close whatever is open, or open the menu. */
export function toggleHelp() {
  if (sheetIsOpen()) document.querySelector("dialog[open]").close();
  else byId("help-sheet").showModal();
}

/**
 * @param {string[]} written the person's earlier comments
 * @param {(text: string) => void} onPost
 */
export function openComments(written, onPost) {
  const show = (texts) => {
    const entries = texts.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
    byId("comment-list").replaceChildren(...entries);
    byId("comment-empty").hidden = entries.length > 0;
  };
  const shown = [...written];
  show(shown);
  byId("comment-form").onsubmit = (event) => {
    event.preventDefault();
    const text = byId("comment-text").value.trim();
    if (!text) return;
    onPost(text);
    shown.push(text);
    show(shown);
    byId("comment-form").reset();
  };
  byId("comment-sheet").showModal();
  byId("comment-text").focus();
}

/**
 * @param {{url: string, title: string}} clip
 * @param {(platform: string) => void} onShared
 */
export function openShare({ url, title }, onShared) {
  const sheet = byId("share-sheet");
  const choice = (platform) => sheet.querySelector(`[data-platform="${platform}"]`);
  const done = (platform) => {
    sheet.close();
    onShared(platform);
  };
  choice("copy_link").onclick = async () => {
    await copy(url, sheet);
    done("copy_link");
  };
  choice("email").href = `mailto:?${new URLSearchParams({ subject: title, body: url }).toString().replaceAll("+", "%20")}`;
  choice("email").onclick = () => done("email");
  choice("device").hidden = typeof navigator.share !== "function";
  choice("device").onclick = () => navigator.share({ url, title }).then(() => done("device"), () => sheet.close());
  sheet.showModal();
}

/**
 * Why the clip is here, and what can be done about it.
 * @param {import("./clip.js").Clip} clip
 * @param {(choice: string) => void} onChoice hide, mute or report
 */
export function openAbout({ item, creatorId }, onChoice) {
  const sheet = byId("about-sheet");
  const { explanation } = item;
  byId("why-sentence").textContent = explanation?.sentence ?? reasonFor(item.source);
  const moved = (explanation?.moves ?? []).filter((move) => move.reason);
  const facts = [
    ["Found by", item.sources.map(reasonFor).join(" · ")],
    ["Place", `${item.position + 1} on its page`],
    ...moved.map((move) => ["Moved", `from ${move.start + 1} to ${move.end + 1}: ${move.reason.replaceAll("_", " ")}`]),
  ];
  const rows = facts.map(([name, value]) => {
    const row = document.createElement("div");
    row.append(Object.assign(document.createElement("dt"), { textContent: name }));
    row.append(Object.assign(document.createElement("dd"), { textContent: value }));
    return row;
  });
  byId("why-facts").replaceChildren(...rows);
  const mute = sheet.querySelector('[data-choice="mute"]');
  mute.hidden = !creatorId;
  mute.querySelector("strong").textContent = `Hide @${creatorId}`;
  byId("about-choices").onclick = (event) => {
    const choice = event.target.closest("[data-choice]");
    if (!choice) return;
    sheet.close();
    onChoice(choice.dataset.choice);
  };
  sheet.showModal();
}

/** @param {(reason: string) => void} onReport */
export function openReport(onReport) {
  const sheet = byId("report-sheet");
  byId("report-choices").onclick = (event) => {
    const choice = event.target.closest("[data-reason]");
    if (!choice) return;
    sheet.close();
    onReport(choice.dataset.reason);
  };
  sheet.showModal();
}

/** navigator.clipboard exists only on https and localhost; elsewhere a selected field does it. */
async function copy(text, container) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
    container.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
