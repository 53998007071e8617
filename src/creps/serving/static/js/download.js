// The current view as a file: small ones directly, large ones as a job of the server with progress.
import { button, find, input, make, part, say, select } from "./dom.js";
import { dropJob, job, startJob, viewAddress } from "./server.js";

/** @typedef {import("./server.js").Job} Job */
/** @typedef {import("./server.js").Limits} Limits */
/** @typedef {{id: string, view: import("./link.js").View, frame: {height: number, width: number}}} Shot */

const SIZES = [1024, 2048, 4096, 8192, 16384, 32768];
const POLL = 700; // ms
const NAMES = /** @type {Record<string, string>} */ ({ png: "PNG", jpg: "JPEG", webp: "WebP", tif: "TIFF" });
const KEPT = "creps-downloads";

/**
 * The window and size of a shot whose longer side has so many pixels; pixels are square.
 * @param {Shot} shot
 * @param {number} longest
 */
export function sized({ view, frame }, longest) {
  const ratio = frame.width / frame.height;
  const width = ratio >= 1 ? longest : Math.max(Math.round(longest * ratio), 1);
  const height = ratio >= 1 ? Math.max(Math.round(longest / ratio), 1) : longest;
  const down = ratio >= 1 ? (frame.width * height) / width : frame.height;
  const across = ratio >= 1 ? frame.width : (frame.height * width) / height;
  const window = [view.y - down / 2, view.x - across / 2, view.y + down / 2, view.x + across / 2];
  return { window, height, width };
}

/** @param {number} count */
const pixels = (count) =>
  count < 1e6 ? `${Math.round(count / 1e3).toLocaleString("en")} thousand pixels`
  : count < 1e9 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} megapixels`
  : `${(count / 1e9).toFixed(1)} gigapixels`;

/** @param {number} bytes */
const megabytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** @param {number | null} seconds */
export const remaining = (seconds) =>
  seconds === null ? ""
  : seconds < 60 ? `${Math.ceil(seconds)} s left`
  : seconds < 5400 ? `${Math.round(seconds / 60)} min left`
  : `${Math.round(seconds / 3600)} h left`;

/**
 * The dialog.
 * @param {{limits: Limits, jobs: boolean, shot: () => Shot, tray: Tray}} options
 * @returns {() => void} opens it
 */
export function downloadDialog({ limits, jobs, shot, tray }) {
  const dialog = find("#download-dialog", HTMLDialogElement);
  const formats = jobs ? limits.job_formats : ["png", "jpg", "webp"];
  select("format").append(...formats.map((each) => make("option", { value: each }, NAMES[each] ?? each)));
  const sizes = part("sizes");
  const offered = SIZES.filter((each) => jobs || each <= limits.side);
  sizes.append(...offered.map((each) =>
    make("label", {}, make("input", { type: "radio", name: "size", value: `${each}` }), make("span", {}, each.toLocaleString("en")))));
  /** @type {Shot | null} */
  let taken = null;

  const plan = () => {
    if (!taken) return null;
    const longest = Math.trunc(Number(input("longest").value));
    if (!(longest >= 16)) return null;
    const size = sized(taken, longest);
    const count = size.height * size.width;
    const direct = count <= limits.pixels && longest <= limits.side && select("format").value !== "tif";
    return { ...size, count, direct, fits: direct || (jobs && count <= limits.job_pixels) };
  };
  const update = () => {
    const wish = plan();
    const sum = part("download-sum");
    for (const each of sizes.querySelectorAll("input")) each.checked = each.value === input("longest").value;
    sum.classList.toggle("wrong", wish !== null && !wish.fits);
    button("download-go").disabled = !wish?.fits;
    if (!wish) sum.textContent = "Choose a size from 16 pixels.";
    else {
      const size = `${wish.width.toLocaleString("en")} × ${wish.height.toLocaleString("en")}, ${pixels(wish.count)}`;
      const largest = jobs ? limits.job_pixels : limits.pixels;
      sum.textContent = !wish.fits ? `${size}: this server draws at most ${pixels(largest)}.`
        : wish.direct ? `${size}.` : `${size}: drawn in the background.`;
    }
  };
  sizes.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement) input("longest").value = event.target.value;
    update();
  });
  input("longest").addEventListener("input", update);
  select("format").addEventListener("change", update);
  dialog.addEventListener("close", () => {
    const wish = plan();
    if (dialog.returnValue !== "go" || !wish || !taken) return;
    const { view, id } = taken;
    const format = select("format").value;
    if (wish.direct) {
      say("The picture is being drawn; your browser saves it.");
      save(viewAddress(id, { ...asked(wish, view), format, download: 1 }));
    } else {
      const { window, height, width } = wish;
      void tray.begin({ id, window, height, width, rotation: view.turn, mirror: view.mirror, format });
    }
  });
  return () => {
    taken = shot();
    if (!input("longest").value) input("longest").value = "2048";
    part("download-preview").setAttribute("src", viewAddress(taken.id, { ...asked(sized(taken, 480), taken.view), format: "jpg" }));
    update();
    dialog.returnValue = "";
    dialog.showModal();
  };
}

/**
 * @param {{window: number[], height: number, width: number}} size
 * @param {import("./link.js").View} view
 */
function asked({ window, height, width }, view) {
  return {
    window: window.map(plain).join(","), height, width,
    ...(view.turn ? { rotation: plain(view.turn) } : {}),
    ...(view.mirror ? { mirror: 1 } : {}),
  };
}

/**
 * A number without an exponent, with all its digits.
 * @param {number} value
 */
const plain = (value) => (Math.abs(value) >= 1e-6 || value === 0 ? String(value) : value.toFixed(18).replace(/0+$/, ""));

/** @param {string} address of a file that the server sends as an attachment */
function save(address) {
  const link = make("a", { href: address, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

/** Jobs that run, and files that are ready; they outlive a reload of the page. */
export class Tray {
  constructor() {
    /** @type {Map<string, {article: HTMLElement, timer: number}>} */
    this.jobs = new Map();
    for (const each of this.kept()) void this.follow(each);
  }

  /** @returns {string[]} */
  kept() {
    try {
      return JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    } catch {
      return [];
    }
  }

  keep() {
    part("downloads").hidden = this.jobs.size === 0;
    try {
      localStorage.setItem(KEPT, JSON.stringify([...this.jobs.keys()]));
    } catch {
      // They are forgotten when the page is left.
    }
  }

  /** @param {object} wish */
  async begin(wish) {
    try {
      const begun = await startJob(wish);
      this.show(begun);
      say("It is drawn in the background; you can go on looking.");
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} id */
  async follow(id) {
    try {
      this.show(await job(id));
    } catch (error) {
      const status = error instanceof Error && "status" in error ? error.status : 0;
      if (status === 404 || status === 410) this.remove(id);
      else this.again(id);
    }
  }

  /** @param {string} id */
  again(id) {
    const known = this.jobs.get(id);
    const timer = window.setTimeout(() => void this.follow(id), POLL);
    if (known) {
      clearTimeout(known.timer);
      known.timer = timer;
    }
  }

  /** @param {string} id */
  remove(id) {
    const known = this.jobs.get(id);
    clearTimeout(known?.timer);
    known?.article.remove();
    this.jobs.delete(id);
    this.keep();
  }

  /** @param {Job} now */
  show(now) {
    if (now.state === "cancelled") return this.remove(now.job);
    let known = this.jobs.get(now.job);
    if (!known) {
      known = { article: make("article", { "data-job": now.job }), timer: 0 };
      this.jobs.set(now.job, known);
      part("downloads").append(known.article);
      this.keep();
    }
    const going = now.state !== "done" && now.state !== "failed";
    const share = now.total ? now.done / now.total : 0;
    const words = {
      queued: "Waiting for its turn", running: [`${Math.floor(share * 100)} %`, remaining(now.left)].filter(Boolean).join(", "), writing: "Writing the file",
      done: now.bytes === null ? "Ready" : `Ready, ${megabytes(now.bytes)}`, failed: now.error ?? "It failed", cancelled: "",
    }[now.state];
    if (known.article.dataset.state !== now.state) this.build(known.article, now, going);
    known.article.dataset.state = now.state;
    find("p", HTMLElement, known.article).textContent = words;
    const bar = known.article.querySelector("progress");
    if (bar) bar.value = share;
    if (going) this.again(now.job);
  }

  /**
   * @param {HTMLElement} article
   * @param {Job} now
   * @param {boolean} going
   */
  build(article, now, going) {
    const label = going ? "Cancel" : "Remove";
    const close = make("button", { type: "button", class: "button small bare", "aria-label": `${label} ${now.name}` }, label);
    close.addEventListener("click", () => {
      this.remove(now.job);
      dropJob(now.job).catch(() => say("The server does not answer; the picture may still be drawn."));
    });
    article.replaceChildren(
      make("header", {}, make("b", { title: now.name }, now.name), close),
      ...(going ? [make("progress", { max: "1", value: "0", "aria-label": `Progress of ${now.name}` })] : []),
      make("p", { class: "hint", role: "status" }),
      ...(now.file ? [make("a", { class: "button primary small", href: now.file, download: now.name }, "Save the file")] : []),
    );
  }
}
