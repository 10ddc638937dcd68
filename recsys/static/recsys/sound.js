/** Sound on or off, and whether the person has chosen. */

const KEY = "recsys.sound";

export class Sound {
  #onChange;
  /** @type {"on"|"off"|null} */ choice;
  muted;

  /** @param {(muted: boolean) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.choice = remembered();
    this.muted = this.choice !== "on";
  }

  /** @param {boolean} on @param {boolean} chosen by the person, so worth remembering */
  set(on, chosen) {
    this.muted = !on;
    if (chosen) {
      this.choice = on ? "on" : "off";
      remember(this.choice);
    }
    this.#onChange(this.muted);
  }
}

function remembered() {
  try {
    return /** @type {"on"|"off"|null} */ (localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function remember(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // The choice then lasts until the page is left.
  }
}
