// Checksums of what `make web` compiles and copies, and of what comes of it, as sha256sum prints them.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const STATIC = "../src/creps/serving/static";
for (const name of [
  "kernel.ts",
  "package-lock.json",
  `${STATIC}/js/live/kernel.wasm`,
  `${STATIC}/vendor/openseadragon-LICENSE.txt`,
  `${STATIC}/vendor/openseadragon.min.js`,
]) {
  const sum = createHash("sha256").update(readFileSync(name)).digest("hex");
  console.log(`${sum}  ${name}`);
}
