// The panel: which picture, and how it is changed. Everything goes through `change`; `panel` shows the state.
import { button, find, input, make, part, select as choice } from "./dom.js";
import { LARGEST_SEED, PLAIN, fitting, identifier } from "./picture.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./server.js").Model} Model */
/** @typedef {"picture" | "blend" | "mix"} Slot */

const PAGE = 24; // thumbnails that are added at a time
/** @type {Slot[]} */
const SLOTS = ["picture", "blend", "mix"];
const TITLES = { picture: "Pictures", blend: "Blend with", mix: "Take styles from" };

/**
 * @param {{state: () => Picture, model: () => Model, change: (patch: Partial<Picture>, options?: {step?: boolean}) => void, painted: Promise<void>, thumbnail: (id: string) => Promise<string>}} options
 *   `change` with `step`: a choice that "back" undoes; `painted`: thumbnails wait for it
 * @returns {() => void} shows the state
 */
export function panel({ state, model, change, painted, thumbnail }) {
  /** @type {Slot} */
  let slot = "picture";
  let count = PAGE;
  let shown = ""; // what the gallery shows now

  const chosen = () =>
    ({ picture: state().seed, blend: state().towards, mix: state().donor })[slot];

  const choose = (/** @type {number} */ seed) => {
    const { styles } = model();
    if (slot === "picture") change({ seed, custom: null }, { step: true });
    else if (slot === "blend") change({ towards: seed, custom: null }, { step: true });
    else {
      const layers = state().donor === null ? layersOf("fine", styles) : {};
      change({ donor: seed, custom: null, ...layers }, { step: true });
    }
  };

  const select = (/** @type {Slot} */ next, focus = false) => {
    slot = next;
    for (const name of SLOTS) {
      const tab = button(`tab-${name}`);
      tab.setAttribute("aria-selected", String(name === slot));
      tab.tabIndex = name === slot ? 0 : -1;
      part(`set-${name}`).hidden = name !== slot;
      if (name === slot && focus) tab.focus();
    }
    part("gallery-title").textContent = TITLES[slot];
    show();
  };

  tabs(select);
  sliders({ state, model, change });
  find("#seed-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    choose(Math.min(Math.max(Math.trunc(Number(input("seed").value)), 0), LARGEST_SEED));
  });
  input("seed").addEventListener("change", () => {
    if (input("seed").reportValidity()) find("#seed-form", HTMLFormElement).requestSubmit();
  });

  const more = make("button", { type: "button", class: "more" }, "More pictures");
  more.addEventListener("click", () => {
    const first = count;
    count += PAGE;
    show();
    find(`[data-seed="${first}"]`, HTMLButtonElement, part("gallery")).focus();
  });

  const fill = () => {
    const gallery = part("gallery");
    const { name, pin } = model();
    const key = `${name}@${pin} ${state().label}`;
    if (key !== shown) gallery.replaceChildren(more);
    shown = key;
    for (let seed = gallery.childElementCount - 1; seed < count; seed++) {
      const id = identifier({ ...PLAIN, model: name, seed, label: state().label }, { pin });
      const image = make("img", {
        alt: "",
        loading: "lazy",
        fetchpriority: "low",
        decoding: "async",
        width: "96",
        height: "96",
      });
      void painted.then(() => whenSeen(image, () => patiently(image, id, thumbnail)));
      const tile = make(
        "button",
        {
          type: "button",
          "aria-pressed": "false",
          "aria-label": `Seed ${seed}`,
          "data-seed": `${seed}`,
        },
        image,
        make("small", { "aria-hidden": "true" }, `${seed}`),
      );
      tile.addEventListener("click", () => choose(seed));
      more.before(tile);
    }
  };

  const show = () => {
    fill();
    for (const tile of part("gallery").querySelectorAll("[data-seed]")) {
      tile.setAttribute(
        "aria-pressed",
        String(Number(tile.getAttribute("data-seed")) === chosen()),
      );
    }
    const seed = chosen();
    if (document.activeElement !== input("seed"))
      input("seed").value = seed === null ? "" : `${seed}`;
    faces(state(), model(), thumbnail);
    values(state(), model());
  };
  return show;
}

/** @type {WeakMap<Element, () => void>} */
const unseen = new WeakMap();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      unseen.get(target)?.();
    }
  },
  { rootMargin: "200px" },
);

/**
 * Do something once an element is in view, or nearly.
 * @param {Element} element
 * @param {() => void} does
 */
function whenSeen(element, does) {
  unseen.set(element, does);
  watcher.observe(element);
}

/**
 * Load a small picture; a busy server gets some more chances.
 * @param {HTMLImageElement} image
 * @param {string} id
 * @param {(id: string) => Promise<string>} thumbnail
 */
function patiently(image, id, thumbnail, chances = 5) {
  image.dataset.id = id;
  const wanted = () => image.dataset.id === id;
  const missing = () => {
    if (!wanted()) return;
    image.classList.add("missing"); // an empty place, not a sign of damage
    const again = () => wanted() && patiently(image, id, thumbnail, chances - 1);
    if (chances > 0) setTimeout(again, 2000);
  };
  thumbnail(id).then((address) => {
    if (!wanted()) return;
    image.onload = () => image.classList.remove("missing");
    image.onerror = missing;
    image.src = address;
  }, missing);
}

/** @param {(slot: Slot, focus?: boolean) => void} select */
function tabs(select) {
  SLOTS.forEach((name, k) => {
    const tab = button(`tab-${name}`);
    tab.addEventListener("click", () => select(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) select(SLOTS[(k + step + SLOTS.length) % SLOTS.length], true);
    });
  });
}

/**
 * The layers of a third of a network.
 * @param {string} third "coarse", "middle" or "fine"
 * @param {number} styles
 */
export function layersOf(third, styles) {
  const cuts = [0, Math.round(styles / 3), Math.round((2 * styles) / 3), styles];
  const k = ["coarse", "middle", "fine"].indexOf(third);
  return { first: Math.min(cuts[k], styles - 1), last: Math.max(cuts[k + 1] - 1, cuts[k], 0) };
}

/**
 * @param {{state: () => Picture, model: () => Model, change: (patch: Partial<Picture>, options?: {step?: boolean}) => void}} options
 */
function sliders({ state, model, change }) {
  const on = (/** @type {string} */ id, /** @type {(value: number) => Partial<Picture>} */ patch) =>
    input(id).addEventListener("input", () => change(patch(Number(input(id).value))));
  on("truncation", (truncation) => ({ truncation }));
  on("amount", (amount) => ({ amount, custom: null }));
  on("first", (first) => ({ first, last: Math.max(first, state().last), custom: null }));
  on("last", (last) => ({ last, first: Math.min(last, state().first), custom: null }));
  for (const field of [input("class"), choice("class-name")]) {
    field.addEventListener("change", () => {
      const label = field.value === "" ? null : Number(field.value);
      change({ label: fitting({ ...state(), label }, model()).label }, { step: true });
    });
  }
  button("blend-clear").addEventListener("click", () => change({ towards: null }, { step: true }));
  button("mix-clear").addEventListener("click", () => change({ donor: null }, { step: true }));
  for (const chip of document.querySelectorAll(".chip")) {
    chip.addEventListener("click", () =>
      change({ ...layersOf(chip.getAttribute("data-part") ?? "", model().styles), custom: null }),
    );
  }
}

/**
 * The three round faces of the tabs.
 * @param {Picture} picture
 * @param {Model} model
 * @param {(id: string) => Promise<string>} thumbnail
 */
function faces(picture, { name, pin }, thumbnail) {
  const seeds = { picture: picture.seed, blend: picture.towards, mix: picture.donor };
  for (const slot of SLOTS) {
    const tab = button(`tab-${slot}`);
    const face = find("img", HTMLImageElement, tab);
    const seed = seeds[slot];
    face.hidden = seed === null;
    find("b", HTMLElement, tab).textContent = seed === null ? "none" : `seed ${seed}`;
    if (seed === null) continue;
    const id = identifier({ ...PLAIN, model: name, seed, label: picture.label }, { pin });
    if (face.dataset.id !== id) patiently(face, id, thumbnail);
  }
}

/**
 * @param {Picture} picture
 * @param {Model} model
 */
function values(picture, { styles, classes, class_names = [], default_class, needs_class }) {
  const set = (
    /** @type {string} */ id,
    /** @type {number} */ value,
    /** @type {string} */ text,
  ) => {
    if (Number(input(id).value) !== value) input(id).value = `${value}`;
    part(`${id}-value`).textContent = text;
    input(id).setAttribute("aria-valuetext", text);
  };
  input("first").max = input("last").max = `${styles - 1}`;
  set("truncation", picture.truncation, picture.truncation.toFixed(2));
  set("amount", picture.amount, `${Math.round(picture.amount * 100)} %`);
  set("first", picture.first, `${picture.first}`);
  set("last", picture.last, `${picture.last}`);
  input("amount").disabled = button("blend-clear").disabled = picture.towards === null;
  for (const each of document.querySelectorAll("#set-mix input, #set-mix button")) {
    if (each instanceof HTMLInputElement || each instanceof HTMLButtonElement)
      each.disabled = picture.donor === null;
  }
  part("blend-name").textContent = picture.towards === null ? "another" : `seed ${picture.towards}`;
  part("blend-hint").hidden = picture.towards !== null;
  part("mix-hint").hidden = picture.donor !== null;
  part("class-field").hidden = classes === 0;
  input("class").max = `${classes - 1}`;
  const any = !needs_class && typeof default_class !== "number";
  input("class").placeholder = any ? "any" : "";
  if (document.activeElement !== input("class")) input("class").value = `${picture.label ?? ""}`;
  classNames(class_names, { any });
  choice("class-name").value = `${picture.label ?? ""}`;
  part("custom").hidden = picture.custom === null;
  part("custom").textContent =
    picture.custom === null
      ? ""
      : `Recipe of the link: ${picture.custom}. Choose a picture to leave it.`;
}

/**
 * Offer the names of a model's classes; it may have none.
 * @param {string[]} names
 * @param {{any: boolean}} options whether none may be chosen
 */
function classNames(names, { any }) {
  const field = choice("class-name");
  field.hidden = names.length === 0;
  const shown = JSON.stringify([any, ...names]);
  if (field.dataset.shown === shown) return;
  field.dataset.shown = shown;
  field.replaceChildren(
    ...(any ? [make("option", { value: "" }, "any")] : []),
    ...names.map((name, k) => make("option", { value: `${k}` }, name)),
  );
}
