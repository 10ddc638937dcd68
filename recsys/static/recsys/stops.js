/** Emergency stops: one request starts one, one lifts it; the page is read anew afterwards. */
const API = "/api/v1/moderation/stops";
const byId = (id) => document.getElementById(id);
const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

const ask = async (method, path, body) => {
  const headers = { "X-CSRFToken": csrfToken() };
  if (body) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(`${API}${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (answer.ok) {
      location.assign(location.pathname);
      return;
    }
    const told = await answer.json().catch(() => null);
    byId("say").textContent = told?.error?.message ?? `status ${answer.status}`;
  } catch {
    byId("say").textContent = "the server cannot be reached; try again";
  }
  byId("say").classList.add("is-error");
};

byId("stop").addEventListener("submit", (event) => {
  event.preventDefault();
  ask("POST", "", {
    kind: byId("stop-kind").value, value: byId("stop-value").value, reason: byId("stop-reason").value,
    policy: byId("stop-policy").value,
  });
});
document.addEventListener("click", (event) => {
  const lift = event.target instanceof Element ? event.target.closest("[data-lift]") : null;
  if (lift) ask("DELETE", `/${lift.dataset.lift}`);
});
