// The current view as a file: small ones directly, large ones as a job of the server.
import { button, find, input, make, part, say, select } from "./dom.js";

/** @typedef {import("./server.js").Limits} Limits */
/** @typedef {{id: string, view: import("./link.js").View, frame: {height: number, width: number}}} Shot */

const SIZES = [1024, 2048, 4096, 8192, 16384, 32768];
const NAMES = /** @type {Record<string, string>} */ ({
  png: "PNG",
  jpg: "JPEG",
  webp: "WebP",
  tif: "TIFF",
});

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
  count < 1e6
    ? `${Math.round(count / 1e3).toLocaleString("en")} thousand pixels`
    : count < 1e9
      ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} megapixels`
      : `${(count / 1e9).toFixed(1)} gigapixels`;

/**
 * The dialog.
 * @param {{limits: Limits, jobs: boolean, shot: () => Shot, tray: import("./tray.js").Tray, pixelsOf: (id: string) => import("./pixels.js").Pixels}} options
 * @returns {() => void} opens it
 */
export function downloadDialog({ limits, jobs, shot, tray, pixelsOf }) {
  const dialog = find("#download-dialog", HTMLDialogElement);
  const formats = jobs ? limits.job_formats : ["png", "jpg", "webp"];
  select("format").append(
    ...formats.map((each) => make("option", { value: each }, NAMES[each] ?? each)),
  );
  const sizes = part("sizes");
  const offered = SIZES.filter((each) => jobs || each <= limits.side);
  sizes.append(
    ...offered.map((each) =>
      make(
        "label",
        {},
        make("input", { type: "radio", name: "size", value: `${each}` }),
        make("span", {}, each.toLocaleString("en")),
      ),
    ),
  );
  /** @type {Shot | null} */
  let taken = null;

  const plan = () => {
    if (!taken) return null;
    const longest = Math.trunc(Number(input("longest").value));
    if (!(longest >= 16)) return null;
    const size = sized(taken, longest);
    const count = size.height * size.width;
    const direct =
      count <= limits.pixels && longest <= limits.side && select("format").value !== "tif";
    return { ...size, count, direct, fits: direct || (jobs && count <= limits.job_pixels) };
  };
  const update = () => {
    const wish = plan();
    const sum = part("download-sum");
    for (const each of sizes.querySelectorAll("input"))
      each.checked = each.value === input("longest").value;
    sum.classList.toggle("wrong", wish !== null && !wish.fits);
    button("download-go").disabled = !wish?.fits;
    if (!wish) sum.textContent = "Choose a size from 16 pixels.";
    else {
      const size = `${wish.width.toLocaleString("en")} × ${wish.height.toLocaleString("en")}, ${pixels(wish.count)}`;
      const largest = jobs ? limits.job_pixels : limits.pixels;
      sum.textContent = !wish.fits
        ? `${size}: at most ${pixels(largest)} are drawn here.`
        : wish.direct
          ? `${size}.`
          : `${size}: drawn in the background.`;
    }
  };
  sizes.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement) input("longest").value = event.target.value;
    update();
  });
  input("longest").addEventListener("input", update);
  select("format").addEventListener("change", update);
  button("download-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    const wish = plan();
    if (dialog.returnValue !== "go" || !wish || !taken) return;
    const { view, id } = taken;
    const format = select("format").value;
    if (wish.direct) {
      void save(pixelsOf(id), { ...asked(wish, taken), format });
    } else {
      const { window, height, width } = wish;
      void tray.begin({
        id,
        window,
        height,
        width,
        rotation: view.turn,
        mirror: view.mirror,
        format,
      });
    }
  });
  return () => {
    taken = shot();
    if (!input("longest").value) input("longest").value = "2048";
    void preview(pixelsOf(taken.id), { ...asked(sized(taken, 320), taken), format: "jpg" });
    update();
    dialog.returnValue = "";
    dialog.showModal();
  };
}

/**
 * @param {{window: number[], height: number, width: number}} size
 * @param {Shot} shot
 */
const asked = ({ window, height, width }, { id, view: { turn, mirror } }) => ({
  id,
  window,
  height,
  width,
  turn,
  mirror,
});

/**
 * Show a small picture of the view, or say why there is none.
 * @param {import("./pixels.js").Pixels} pixels
 * @param {import("./pixels.js").Asked} wish
 */
async function preview(pixels, wish) {
  const image = find("#download-preview", HTMLImageElement);
  const line = part("download-trouble");
  URL.revokeObjectURL(image.src);
  image.hidden = true;
  line.textContent = "Drawing a preview";
  const key = (image.dataset.wish = JSON.stringify(wish));
  let words = "";
  let address = "";
  try {
    address = URL.createObjectURL((await pixels.file({ ...wish, quick: true })).picture);
  } catch (error) {
    words = `No preview: ${error instanceof Error ? error.message : error}`;
  }
  if (image.dataset.wish !== key) return URL.revokeObjectURL(address); // opened anew meanwhile
  line.textContent = words;
  image.hidden = words !== "";
  if (address) image.src = address;
}

/**
 * Have a picture drawn and hand it to the browser as a file; what goes wrong is told here, in words.
 * @param {import("./pixels.js").Pixels} pixels
 * @param {import("./pixels.js").Asked} wish
 */
async function save(pixels, wish) {
  say("The picture is being drawn; your browser saves it.");
  try {
    const { picture, name } = await pixels.file(wish);
    const link = make("a", { href: URL.createObjectURL(picture), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once the browser has read it
  } catch (error) {
    say(`Not saved. ${error instanceof Error ? error.message : error}`);
  }
}
