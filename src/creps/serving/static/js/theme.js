// Dark, light, or as the system has it.
import { button, find } from "./dom.js";

const NEXT = /** @type {const} */ ({ auto: "dark", dark: "light", light: "auto" });
const NAMES = { auto: "automatic", dark: "dark", light: "light" };
const ICONS = { auto: "theme", dark: "moon", light: "sun" };

/** @returns {keyof typeof NEXT} */
function current() {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || theme === "light" ? theme : "auto";
}

/** Let the button go round: automatic, dark, light. */
export function themeSwitch() {
  const knob = button("theme");
  const show = () => {
    const label = `Colors: ${NAMES[current()]}`;
    knob.title = label;
    find("span", HTMLElement, knob).textContent = label;
    find("use", SVGUseElement, knob).setAttribute("href", `static/icons.svg#${ICONS[current()]}`);
  };
  knob.addEventListener("click", () => {
    const next = NEXT[current()];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("creps-theme", next);
    } catch {
      // Kept for this visit only.
    }
    show();
  });
  show();
}
