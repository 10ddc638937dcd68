/**
 * The moderation queue: one case at a time, by keyboard or by touch.
 *
 * Shown texts come from strangers, so everything is put into the page as text. A case is held for five minutes and
 * the hold is renewed while it is on screen; whoever is slower than a colleague is told so and gets the next case.
 */
const API = "/api/v1/moderation";
const RENEW_MS = 120_000;
const LOOK_AGAIN_MS = 15_000;
const TOAST_MS = 10_000;
const PIECE = 10;
const KEYS_OFF = "recsys.moderation.keys-off";

const byId = (id) => document.getElementById(id);
const config = JSON.parse(byId("moderation-config").textContent);
const decisions = new Map(config.decisions.map((each) => [each.kind, each]));
const kindOfKey = new Map(config.decisions.map((each) => [each.key, each.kind]));
const titles = new Map(config.policies.map((each) => [each.code, each.title]));

const state = { shown: null, busy: false, skipped: [], past: [], made: [], view: "open", toast: 0 };

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

const ask = async (method, path, body) => {
  const options = { method, headers: { "X-CSRFToken": csrfToken() } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(`${API}/${path}`, options);
  } catch {
    throw new Refused("offline", "the server cannot be reached; try again");
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(told?.error?.code ?? "error", told?.error?.message ?? `status ${answer.status}`);
  return told;
};

/* Building the page -------------------------------------------------------------------------------------------- */
const element = (name, text = "", attributes = {}) => {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const say = (text, isError = false) => {
  byId("say").textContent = text;
  byId("say").classList.toggle("is-error", isError);
};

const when = (text) => (text ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "");
const counted = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

const fillList = (list, rows) => {
  list.replaceChildren();
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("dt", name), element("dd", String(value)));
  }
};

const veil = (on) => {
  const preview = byId("preview");
  preview.classList.toggle("is-veiled", on);
  const video = preview.querySelector("video");
  if (video) {
    video.controls = !on;
    if (on) video.pause();
  }
  byId("veil").firstChild.textContent = on ? "Show the preview " : "Veil the preview ";
  byId("veil").setAttribute("aria-pressed", String(!on));
};

const showPreview = (content) => {
  const preview = byId("preview");
  preview.replaceChildren();
  if (content?.media_url) {
    const video = element("video", "", { src: content.media_url, preload: "none", playsinline: "", loop: "" });
    // The attribute alone is not obeyed for elements made by a script.
    video.muted = true;
    if (content.thumbnail_url) video.poster = content.thumbnail_url;
    video.setAttribute("aria-label", "The reported clip, muted");
    preview.append(video);
  } else if (content?.thumbnail_url) {
    preview.append(element("img", "", { src: content.thumbnail_url, alt: "The reported content" }));
  } else if (content?.media_elsewhere) {
    preview.append(element("p", `The clip is on ${content.media_elsewhere}, which MEDIA_ORIGINS does not name.`));
  }
  if (content?.media_withheld) preview.append(element("p", "On a list of child abuse: shown to nobody. Report it to the authorities."));
  byId("veil").hidden = !preview.querySelector("video, img");
  veil(true);
};

const showSubject = (shown) => {
  const { content } = shown;
  showPreview(content);
  byId("subject-text").textContent = shown.text;
  byId("subject-text").hidden = !shown.text;
  fillList(byId("subject-facts"), [
    ["Caption", content?.caption],
    ["Tags", content?.tags?.join(", ")],
    ["Category", content?.category],
    ["Language", content?.language],
    ["Length", content?.duration_s ? `${content.duration_s} s` : ""],
    ["Reach", content ? `${content.reach.impressions} impressions, ${content.reach.views} views` : ""],
    ["Now", shown.hidden_by_system ? "hidden until somebody has looked" : shown.shown_status],
    ["Ages", shown.age_restricted ? "adults only" : ""],
    ["Blocked in", shown.blocked_countries.join(", ")],
    ["Feeds", shown.feed_eligible ? "" : "kept out"],
  ]);
};

const showContext = (shown) => {
  const { screening } = shown;
  fillList(byId("screening"), screening ? [
    ["Verdict", screening.verdict],
    ["Rules", screening.rules.join(", ")],
    ["Resembles", screening.resembles],
    ...Object.entries(screening.signals).filter(([, value]) => value !== 0),
    ["By", [...new Set(Object.values(screening.versions))].join(", ")],
  ] : [["Verdict", "not checked"]]);
  byId("similar").replaceChildren(...shown.similar.map((each) => (
    element("li", `${each.content_id} by ${each.creator_id}: ${each.caption} (${each.why}, ${each.status})`)
  )));
  if (!shown.similar.length) byId("similar").append(element("li", "Nothing that is known."));
};

const showReports = (shown) => {
  const box = byId("reports");
  box.replaceChildren();
  if (!shown.reported.length) box.append(element("p", "Nobody reported it.", { class: "quiet" }));
  for (const reason of shown.reported) {
    const row = element("div", "", { class: "reason" });
    row.append(element("b", reason.title), ` ${counted(reason.reports, "report")}, mean trust ${reason.mean_weight}`);
    for (const words of reason.details) row.append(element("blockquote", words));
    box.append(row);
  }
  byId("priority").textContent = shown.priority.toFixed(1);
  fillList(byId("parts"), Object.entries(shown.priority_parts).map(([name, part]) => [name, part.toFixed(1)]));
};

const showAuthor = (author) => {
  const until = author?.suspended_until ? `until ${when(author.suspended_until)}` : "without an end";
  fillList(byId("author"), author ? [
    ["Id", author.author_id],
    ["Since", when(author.since)],
    ["Strikes", author.strikes],
    ["Warnings", author.warnings],
    ["Suspended", author.suspended ? until : "no"],
    ["Cases", author.cases],
  ] : [["Id", "unknown"]]);
  byId("contents").replaceChildren(...(author?.contents ?? []).map((content) => {
    const row = element("li");
    if (content.thumbnail_url) row.append(element("img", "", { src: content.thumbnail_url, alt: "", loading: "lazy" }));
    row.append(`${content.caption || content.content_id}: ${content.status}`);
    return row;
  }));
};

const showLog = (entries) => {
  byId("log").replaceChildren(...entries.map((entry) => {
    const row = element("li");
    const policy = entry.policy ? ` for ${titles.get(entry.policy) ?? entry.policy}` : "";
    const line = element("span", `${entry.title}${policy}`);
    if (entry.ended) line.className = "is-over";
    row.append(line, ` by ${entry.by}, ${when(entry.at)}${entry.note ? ` – ${entry.note}` : ""}`);
    return row;
  }));
  if (!entries.length) byId("log").append(element("li", "Nothing was decided yet."));
};

/** One button per thing that can be stopped everywhere: the content, its creator, its tags and its sound. */
const showStops = (shown) => {
  const { content } = shown;
  const things = content ? [["content", content.content_id]] : [];
  if (shown.subject.author_id) things.push(["creator", shown.subject.author_id]);
  for (const tag of content?.tags ?? []) things.push(["tag", tag]);
  if (content?.sound_id) things.push(["sound", content.sound_id]);
  byId("stops")?.replaceChildren(...things.map(([kind, value]) => element("button", `Stop ${kind} ${value}`, {
    type: "button", class: "button", "data-weight": "grave", "data-stop": kind, "data-value": value,
  })));
};

const choosePolicy = (code) => {
  for (const radio of document.querySelectorAll("[name=policy]")) radio.checked = radio.value === code;
};

const show = (shown) => {
  state.shown = shown;
  byId("case").hidden = shown === null;
  byId("nothing").hidden = shown !== null;
  if (shown === null) {
    byId("case-title").textContent = "Moderation";
    byId("case-state").textContent = "";
    return;
  }
  byId("case-title").textContent = `Case ${shown.case_id}: ${shown.subject.kind} ${shown.subject.id}`;
  byId("case-state").textContent = `${shown.status}, ${counted(shown.reports, "report")}, since ${when(shown.opened_at)}`;
  showSubject(shown);
  showContext(shown);
  showReports(shown);
  showAuthor(shown.author);
  showLog(shown.log);
  showStops(shown);
  byId("appeal").hidden = !shown.appeal;
  byId("appeal-text").textContent = shown.appeal?.text ?? "";
  for (const button of document.querySelectorAll("[data-kind]")) {
    button.hidden = !decisions.get(button.dataset.kind).subjects.includes(shown.subject.kind);
  }
  choosePolicy(shown.reported[0]?.reason ?? "other");
  byId("with-strike").checked = false;
  byId("duration").value = "";
  byId("countries").value = "";
  byId("note").value = "";
  byId("case-title").focus({ preventScroll: true });
};

/* Doing things --------------------------------------------------------------------------------------------------- */
/** One thing at a time: a key that is pressed twice must not decide the next case as well. */
const alone = async (work) => {
  if (state.busy) return;
  state.busy = true;
  document.body.toggleAttribute("data-busy", true);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, true);
    if (error.code === "stale_case" || error.code === "claimed_by_other") await takeNext();
  } finally {
    state.busy = false;
    document.body.toggleAttribute("data-busy", false);
  }
};

const chosen = () => [...document.querySelectorAll("[data-select]:checked")];

const countChosen = () => {
  if (!config.lead) return;
  const authors = new Set(chosen().map((box) => box.dataset.author).filter(Boolean)).size;
  byId("bulk-count").textContent = String(chosen().length);
  byId("bulk-authors").textContent = authors ? `of ${counted(authors, "author")}` : "";
};

/** Shows how far a bulk action is, in so many of so many cases; without numbers it is over. */
const showProgress = (done, all) => {
  byId("bulk-progress").hidden = all === undefined;
  byId("bulk-bar").max = all ?? 1;
  byId("bulk-bar").value = done ?? 0;
  byId("bulk-done").textContent = all === undefined ? "" : `${done} of ${all}`;
};

/** What the list shows, as the list itself is asked for it. */
const narrowed = () => {
  const asked = {
    view: state.view, kind: byId("narrow-kind").value, policy: byId("narrow-policy").value,
    least_priority: byId("narrow-priority").value,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== "" && value !== "0"));
};

const pressView = () => {
  for (const each of document.querySelectorAll("[data-view]")) {
    each.setAttribute("aria-pressed", String(each.dataset.view === state.view));
  }
};

const listSaved = async () => {
  const told = await ask("GET", "views");
  byId("saved").replaceChildren(...told.items.flatMap((each) => {
    const use = element("button", each.name, { type: "button", class: "button" });
    use.addEventListener("click", () => {
      state.view = each.params.view;
      byId("narrow-kind").value = each.params.kind ?? "";
      byId("narrow-policy").value = each.params.policy ?? "";
      byId("narrow-priority").value = each.params.least_priority ?? 0;
      pressView();
      alone(listWaiting);
    });
    const forget = element("button", "×", { type: "button", class: "button", "aria-label": `Forget ${each.name}` });
    forget.addEventListener("click", () => alone(async () => {
      await ask("DELETE", `views/${each.view_id}`);
      await listSaved();
    }));
    return [use, forget];
  }));
};

const listWaiting = async () => {
  const told = await ask("GET", `cases?${new URLSearchParams({ ...narrowed(), count: config.lead ? 100 : 20 })}`);
  byId("waiting").replaceChildren(...told.items.map((item) => {
    const row = element("tr");
    const open = element("button", String(item.case_id), { type: "button", "data-open": item.case_id });
    const first = element("td");
    first.append(open);
    if (config.lead) {
      const box = element("input", "", { type: "checkbox", "data-select": item.case_id, "data-version": item.version, "data-author": item.subject.author_id });
      box.setAttribute("aria-label", `Select case ${item.case_id}`);
      const chosen = element("td");
      chosen.append(box);
      row.append(chosen);
    }
    const flagged = Object.entries(item.flags).map(([code, score]) => `${titles.get(code) ?? code} ${score.toFixed(2)}`).join(", ");
    const reasons = Object.keys(item.reasons).map((code) => titles.get(code) ?? code).join(", ");
    row.append(
      first,
      element("td", `${item.subject.kind} ${item.subject.id}`),
      element("td", [item.appeals ? "appeal" : "", reasons, flagged].filter(Boolean).join(", ")),
      element("td", String(item.reports), { class: "number" }),
      element("td", item.priority.toFixed(1), { class: "number" }),
      element("td", when(item.opened_at)),
    );
    return row;
  }));
  if (config.lead) byId("bulk-all").checked = false;
  countChosen();
};

const takeNext = async () => {
  const shown = await ask("POST", "cases/next", { skip: state.skipped.slice(-200) });
  show(shown);
  await listWaiting();
};

const open = async (caseId) => {
  if (state.shown && state.shown.case_id !== caseId) await ask("DELETE", `cases/${state.shown.case_id}/claim`);
  show(await ask("PUT", `cases/${caseId}/claim`));
  say("");
};

const toast = (text) => {
  byId("toast-text").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(state.toast);
  state.toast = setTimeout(() => { byId("toast").hidden = true; }, TOAST_MS);
};

const decide = (kind) => alone(async () => {
  const { shown } = state;
  const decision = decisions.get(kind);
  if (!shown || !decision.subjects.includes(shown.subject.kind)) return;
  const countries = byId("countries").value.split(/[\s,]+/).filter(Boolean);
  if (kind === "geo_block" && !countries.length) {
    say("Name the countries first, such as DE, AT.", true);
    byId("countries").focus();
    return;
  }
  const kinds = [kind];
  if (byId("with-strike").checked && decision.restricts && kind !== "strike") kinds.push("strike");
  const made = await ask("POST", `cases/${shown.case_id}/decisions`, {
    kinds,
    policy: decision.restricts ? document.querySelector("[name=policy]:checked")?.value ?? "" : "",
    note: byId("note").value,
    version: shown.version,
    duration_h: decision.restricts && byId("duration").value ? Number(byId("duration").value) : null,
    countries: kind === "geo_block" ? countries : [],
  });
  state.made.push({ decision: made.decision_id, caseId: shown.case_id });
  state.past.push(shown.case_id);
  const text = `${decision.title}: ${shown.subject.kind} ${shown.subject.id}`;
  say(text);
  toast(text);
  await takeNext();
});

/** One decision on all chosen cases; each is told by itself, and one undo takes all of them back. */
const decideMany = () => alone(async () => {
  const cases = chosen().map((box) => ({ case_id: Number(box.dataset.select), version: Number(box.dataset.version) }));
  const decision = decisions.get(byId("bulk-kind").value);
  if (!cases.length) {
    say("Select some cases first.", true);
    return;
  }
  const results = {};
  const asked = { kinds: [decision.kind], policy: decision.restricts ? byId("bulk-policy").value : "" };
  state.halted = false;
  try {
    // Piece by piece, so that somebody sees how far it is and can halt it; all of it stays one action.
    for (let at = 0; at < cases.length && !state.halted; at += PIECE) {
      showProgress(at, cases.length);
      const told = await ask("POST", "bulk", { ...asked, cases: cases.slice(at, at + PIECE) });
      asked.batch = told.batch;
      Object.assign(results, told.results);
    }
  } finally {
    showProgress();
    if (Object.values(results).includes("")) state.made.push({ batch: asked.batch });
  }
  const refusals = Object.entries(results).filter(([, code]) => code);
  const text = `${decision.title}: ${Object.keys(results).length - refusals.length} of ${counted(cases.length, "case")}`;
  say(refusals.length ? `${text}. Not ${refusals.map(([id, code]) => `${id} (${code})`).join(", ")}.` : text);
  toast(text);
  await takeNext();
});

const undo = () => alone(async () => {
  const last = state.made.pop();
  if (!last) {
    say("There is nothing to undo.");
    return;
  }
  byId("toast").hidden = true;
  if (last.batch) {
    const told = await ask("POST", `bulk/${last.batch}/undo`);
    const back = Object.values(told.results).filter((code) => !code).length;
    await listWaiting();
    say(`Taken back: ${counted(back, "case")}.`);
    return;
  }
  if (last.stop) {
    await ask("DELETE", `stops/${last.stop}`);
    await seeAgain();
    say("Lifted. Everything is shown as before.");
    return;
  }
  await ask("POST", `decisions/${last.decision}/undo`, {});
  await open(last.caseId);
  await listWaiting();
  say("Taken back. Everything is as it was before.");
});

/** A stop may be an entry about the case on screen, and a decision names the version that was seen. */
const seeAgain = async () => {
  if (state.shown) state.shown.version = (await ask("GET", `cases/${state.shown.case_id}`)).version;
};

const stop = (kind, value) => alone(async () => {
  const reason = byId("note").value || `from case ${state.shown.case_id}`;
  const policy = document.querySelector("[name=policy]:checked")?.value ?? "other";
  const made = await ask("POST", "stops", { kind, value, reason, policy });
  state.made.push({ stop: made.stop_id });
  await seeAgain();
  const text = `Stopped everywhere: ${kind} ${value}`;
  say(text);
  toast(text);
});

const answer = (upheld) => alone(async () => {
  const { shown } = state;
  if (!shown?.appeal) return;
  await ask("POST", `decisions/${shown.appeal.decision_id}/appeal`, { upheld, note: byId("note").value });
  say(upheld ? "Upheld." : "Overturned: everything the decision did is taken back.");
  await takeNext();
});

const skip = () => alone(async () => {
  const { shown } = state;
  if (shown) {
    state.skipped.push(shown.case_id);
    state.past.push(shown.case_id);
    await ask("DELETE", `cases/${shown.case_id}/claim`);
  } else {
    state.skipped = [];
  }
  await takeNext();
  if (!state.shown && state.skipped.length) {
    say(`${counted(state.skipped.length, "case")} skipped; press s to begin again.`);
  }
});

const back = () => alone(async () => {
  const caseId = state.past.pop();
  if (caseId !== undefined) await open(caseId);
});

/* Keys ------------------------------------------------------------------------------------------------------------ */
const keysOn = () => {
  try {
    return localStorage.getItem(KEYS_OFF) === null;
  } catch {
    return true;
  }
};

const screenKeys = {
  s: skip,
  j: skip,
  k: back,
  u: undo,
  z: () => veil(!byId("preview").classList.contains("is-veiled")),
  x: () => { byId("with-strike").checked = !byId("with-strike").checked; },
  y: () => answer(true),
  n: () => answer(false),
  "/": () => byId("jump-id").focus(),
  "?": () => byId("help").showModal(),
};

const isTyping = (target) => target instanceof Element
  && (target.matches("textarea, select") || target.matches("input:not([type=checkbox], [type=radio])"));

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  if (modified || event.repeat || isTyping(event.target) || byId("help").open) return;
  if (!keysOn() && event.key !== "?") return;
  const policy = /^[1-9]$/.test(event.key) ? config.policies[Number(event.key) - 1] : null;
  const act = screenKeys[event.key] ?? (kindOfKey.has(event.key) && (() => decide(kindOfKey.get(event.key))));
  if (!policy && !act) return;
  event.preventDefault();
  if (policy) choosePolicy(policy.code);
  else act();
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  if (button.dataset.kind) decide(button.dataset.kind);
  else if (button.dataset.stop) stop(button.dataset.stop, button.dataset.value);
  else if (button.dataset.open) alone(() => open(Number(button.dataset.open)));
  else if (button.dataset.view) {
    state.view = button.dataset.view;
    pressView();
    alone(listWaiting);
  }
});

byId("skip").addEventListener("click", skip);
byId("undo").addEventListener("click", undo);
byId("veil").addEventListener("click", screenKeys.z);
byId("uphold").addEventListener("click", () => answer(true));
byId("overturn").addEventListener("click", () => answer(false));
byId("help-button").addEventListener("click", screenKeys["?"]);
byId("keys-on").checked = keysOn();
byId("keys-on").addEventListener("change", (event) => {
  try {
    if (event.target.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  } catch {
    say("This browser keeps no settings; the keys stay on.", true);
  }
});
byId("waiting").addEventListener("change", countChosen);
byId("bulk-all")?.addEventListener("change", (event) => {
  for (const box of document.querySelectorAll("[data-select]")) box.checked = event.target.checked;
  countChosen();
});
byId("narrow").addEventListener("change", (event) => {
  if (event.target.id !== "narrow-name") alone(listWaiting);
});
byId("narrow").addEventListener("submit", (event) => {
  event.preventDefault();
  alone(async () => {
    const name = byId("narrow-name").value.trim();
    if (!name) {
      say("Give the view a name first.", true);
      return;
    }
    const params = narrowed();
    if (params.least_priority) params.least_priority = Number(params.least_priority);
    await ask("POST", "views", { name, params });
    byId("narrow-name").value = "";
    await listSaved();
    say(`Saved: ${name}`);
  });
});
byId("bulk-halt")?.addEventListener("click", () => { state.halted = true; });
byId("bulk")?.addEventListener("submit", (event) => {
  event.preventDefault();
  decideMany();
});
byId("jump").addEventListener("submit", (event) => {
  event.preventDefault();
  const caseId = Number(byId("jump-id").value);
  byId("jump-id").blur();
  if (Number.isSafeInteger(caseId) && caseId > 0) alone(() => open(caseId));
});

/* A hold that nobody renews ends, so a closed tab keeps no case. */
setInterval(() => {
  if (!state.shown || document.hidden || state.busy) return;
  ask("PUT", `cases/${state.shown.case_id}/claim`).catch((error) => say(error.message, true));
}, RENEW_MS);
setInterval(() => {
  if (!state.shown && !document.hidden && !state.skipped.length) alone(async () => {
  await listSaved();
  await takeNext();
});
}, LOOK_AGAIN_MS);

alone(takeNext);
