// The thread that draws. Each message is one wish with a number; its answer has the same number.
import { Studio } from "./studio.js";
import { isPlain } from "./styles.js";

const NO_MEMORY =
  "There is too little memory to draw here: close other tabs, then reload the page.";

const studio = new Studio((way, why) => postMessage({ way, why }));

addEventListener("message", async ({ data: { number, start, paint } }) => {
  try {
    if (start) {
      await studio.open(start);
      postMessage({ number });
    } else {
      const painted = await studio.paint(paint);
      postMessage({ number, painted }, { transfer: [painted.pixels.buffer] });
    }
  } catch (error) {
    if (error instanceof RangeError) postMessage({ number, error: NO_MEMORY, plain: true });
    else {
      const words = error instanceof Error ? error.message : `${error}`;
      postMessage({ number, error: words, plain: isPlain(error) });
    }
  }
});
