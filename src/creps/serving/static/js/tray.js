// Large downloads: jobs of the server that are under way or done.
import { find, make, part, say } from "./dom.js";
import { dropJob, job, startJob } from "./server.js";

/** @typedef {import("./server.js").Job} Job */

const POLL = 700; // ms
const KEPT = "creps-downloads";

/** @param {number} bytes */
const megabytes = (bytes) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** @param {number | null} seconds */
const remaining = (seconds) =>
  seconds === null
    ? ""
    : seconds < 60
      ? `${Math.ceil(seconds)} s left`
      : seconds < 5400
        ? `${Math.round(seconds / 60)} min left`
        : `${Math.round(seconds / 3600)} h left`;

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
      const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
      return Array.isArray(kept) ? kept : [];
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
      queued: "Waiting for its turn",
      running: [`${Math.floor(share * 100)} %`, remaining(now.left)].filter(Boolean).join(", "),
      writing: "Writing the file",
      done: now.bytes === null ? "Ready" : `Ready, ${megabytes(now.bytes)}`,
      failed: now.error ?? "It failed",
      cancelled: "",
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
    const close = make(
      "button",
      { type: "button", class: "button small bare", "aria-label": `${label} ${now.name}` },
      label,
    );
    close.addEventListener("click", () => {
      this.remove(now.job);
      dropJob(now.job).catch(() =>
        say("The server does not answer; the picture may still be drawn."),
      );
    });
    article.replaceChildren(
      make("header", {}, make("b", { title: now.name }, now.name), close),
      ...(going
        ? [make("progress", { max: "1", value: "0", "aria-label": `Progress of ${now.name}` })]
        : []),
      // While it runs, its words change all the time: the bar tells of them.
      make("p", { class: "hint", ...(going ? {} : { role: "status" }) }),
      ...(now.file
        ? [
            make(
              "a",
              { class: "button primary small", href: now.file, download: now.name },
              "Save the file",
            ),
          ]
        : []),
    );
  }
}
