/**
 * Dark or light: the visitor's choice, else the system's. A classic script in the head, so that the page is never
 * painted in the wrong colours first.
 */
(() => {
  const KEY = "recsys.theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };

  const apply = () => {
    const theme = chosen() ?? (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-label", theme === "dark" ? "Use light colours" : "Use dark colours");
    }
  };

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-toggle]")) return;
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Private windows may forbid storage: the choice then lasts until the page is left.
      document.documentElement.dataset.theme = next;
      return;
    }
    apply();
    document.dispatchEvent(new CustomEvent("themechange", { detail: next }));
  });
})();
