#!/usr/bin/env bash
# tensorstore: a tiled TIFF in color comes out scrambled where it has more than one tile side by side.
#
# One would guess: its driver "tiff" reads tiles as it reads strips, or refuses them as it refuses planes and 16 bits.
# What happens (tensorstore 0.1.86): strips are right, gray is, and a picture of one tile across; of RGB in two tiles or
# more across most pixels are wrong, whatever the compression. Shape and type are right, nothing is raised.
# Why it matters here: `creps render --out a.tif` writes tiles of 512 pixels, and its guides recommend tensorstore, which
# reads the `.zarr` of the same picture rightly. docs/rendering.md says which to take.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check tensorstore==0.1.86 tifffile==2026.3.3 \
    imagecodecs==2026.3.6 "numpy<2.6"
cd "$place"
"$place/venv/bin/python" - <<'PY'
import os
import sys
from importlib import metadata

import numpy as np
import tensorstore as ts
import tifffile

print("tensorstore", metadata.version("tensorstore"))
random = np.random.default_rng(0)
share = {}
for name, shape, tile in (
    ("RGB in strips", (64, 96, 3), None),
    ("RGB in 1 tile", (64, 96, 3), (64, 96)),
    ("RGB in 1 x 3 tiles", (96, 64, 3), (32, 64)),
    ("RGB in 3 x 2 tiles", (64, 96, 3), (32, 32)),
    ("gray in 3 x 2 tiles", (64, 96), (32, 32)),
):
    for packed in (None, "zlib"):
        picture = random.integers(0, 256, shape).astype(np.uint8)
        kind = "rgb" if len(shape) == 3 else "minisblack"
        tifffile.imwrite("a.tif", picture, tile=tile, compression=packed, photometric=kind, metadata=None)
        assert np.array_equal(tifffile.imread("a.tif"), picture)
        spec = {"driver": "tiff", "kvstore": {"driver": "file", "path": os.path.abspath("a.tif")}}
        found = ts.open(spec).result().read().result().reshape(shape)
        share[name, packed] = float((found == picture).mean())
        print(f"{name}, {packed or 'uncompressed'}: {share[name, packed]:.0%} of the samples are right")
wrong = {name for (name, _), right in share.items() if right < 1}
if wrong != {"RGB in 3 x 2 tiles"} or max(share[name, packed] for name in wrong for packed in (None, "zlib")) > 0.5:
    sys.exit("the behavior has changed: the note in the guide can go")
PY
