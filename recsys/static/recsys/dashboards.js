/**
 * What the boards do beyond their HTML: a tooltip that follows pointer and arrow keys, charts as PNG, and the real-time
 * page that refreshes itself while somebody looks. Everything they say stands in the page without this script as well.
 */
(() => {
  const LIVE_MS = 5_000;
  const PNG_SCALE = 2;

  /** Reads out the mark at a place of a chart's list, and shows where it is. */
  const show = (plot, marks, index) => {
    const tip = plot.querySelector(".tip");
    for (const other of plot.querySelectorAll(".dot.current")) other.classList.remove("current");
    const mark = marks[index];
    if (!mark) {
      tip.hidden = true;
      return;
    }
    mark.classList.add("current");
    tip.textContent = mark.querySelector("title").textContent;
    tip.hidden = false;
  };

  for (const plot of document.querySelectorAll("[data-plot]")) {
    const svg = plot.querySelector("svg");
    const marks = [...plot.querySelectorAll(".dot")];
    let current = -1;
    svg.addEventListener("pointermove", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const far = (mark) => Math.hypot(mark.cx.baseVal.value - place.x, (mark.cy.baseVal.value - place.y) / 4);
      current = marks.reduce((best, mark, index) => (best < 0 || far(mark) < far(marks[best]) ? index : best), -1);
      show(plot, marks, current);
    });
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !marks.length) return;
      event.preventDefault();
      current = Math.min(Math.max(current < 0 ? (step > 0 ? 0 : marks.length - 1) : current + step, 0), marks.length - 1);
      show(plot, marks, current);
    });
    for (const leaving of ["pointerleave", "blur"]) plot.addEventListener(leaving, () => show(plot, marks, -1));
  }

  // One definition is open at a time, and Escape closes it.
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("details.info") || !event.target.open) return;
    for (const other of document.querySelectorAll("details.info[open]")) if (other !== event.target) other.open = false;
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.info[open]")) open.open = false;
  });

  for (const button of document.querySelectorAll("[data-png]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const answer = await fetch(button.dataset.png);
      if (!answer.ok) return;
      const source = URL.createObjectURL(new Blob([await answer.text()], { type: "image/svg+xml" }));
      const image = new Image();
      image.addEventListener("load", () => {
        const canvas = document.createElement("canvas");
        canvas.width = image.width * PNG_SCALE;
        canvas.height = image.height * PNG_SCALE;
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        URL.revokeObjectURL(source);
        canvas.toBlob((blob) => {
          const link = document.createElement("a");
          link.href = URL.createObjectURL(blob);
          link.download = `${button.dataset.name}.png`;
          link.click();
          URL.revokeObjectURL(link.href);
        });
      });
      image.src = source;
    });
  }

  const live = document.querySelector("[data-live]");
  if (live) {
    const state = live.querySelector("[data-live-state]");
    const running = state.textContent;
    const refresh = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch(live.dataset.live, { redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        live.querySelector("[data-live-part]").innerHTML = await answer.text();
        if (state.textContent !== running) state.textContent = running;
      } catch {
        state.textContent = "The server does not answer; trying again.";
      }
    };
    setInterval(refresh, LIVE_MS);
    document.addEventListener("visibilitychange", refresh);
  }
})();
