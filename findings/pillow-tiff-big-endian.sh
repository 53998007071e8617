#!/usr/bin/env bash
# Pillow: gray TIFF of floating-point or signed numbers that is both big-endian and compressed comes out as noise.
#
# One would guess: the byte order of a file makes no difference, or what cannot be read is refused.
# What happens (Pillow 13.0.0, files by tifffile 2026.3.3): libtiff gives the samples in the machine's order, and Pillow
# swaps their bytes once more, whatever the compression. Uncompressed files are right, little-endian ones, and unsigned
# 16 bits in every way. 0.85 and 0.64 in float32 come out as -3.6e-07 and 9161, and nothing is raised.
# Why it matters here: ImageJ, Photoshop on a Mac and instruments write such files; height maps and pictures of a
# training set were noise. tifffile reads them (src/creps/pixels/_tiff.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 \
    imagecodecs==2026.3.6 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import io
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

if sys.byteorder != "little":
    sys.exit("this was seen on little-endian machines")
print("Pillow", PIL.__version__)
numbers = np.random.default_rng(0).integers(0, 32768, (24, 40))
wrong = set()
for kind in ("uint16", "int16", "int32", "float32"):
    values = (numbers / 32767).astype(kind) if kind == "float32" else numbers.astype(kind)
    for order in "<>":
        for packed in ("none", "zlib", "lzw"):
            buffer = io.BytesIO()
            tifffile.imwrite(
                buffer,
                values,
                byteorder=order,
                compression=None if packed == "none" else packed,
                photometric="minisblack",
                metadata=None,
            )
            assert np.array_equal(tifffile.imread(io.BytesIO(buffer.getvalue())), values)
            with Image.open(buffer) as image:
                found = np.asarray(image)
            right = np.array_equal(found, values)
            print(f"{order}{kind} {packed}: {'right' if right else f'{found[0, :2]} instead of {values[0, :2]}'}")
            if not right:
                wrong.add((kind, order, packed))
expected = {(kind, ">", packed) for kind in ("int16", "int32", "float32") for packed in ("zlib", "lzw")}
if wrong != expected:
    sys.exit("the behavior has changed: such files could be left to Pillow")
PY
