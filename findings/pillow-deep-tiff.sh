#!/usr/bin/env bash
# Pillow: deep TIFF files of four valid kinds open without a word, and are other pictures.
#
# One would guess: a TIFF that Pillow cannot read in full raises, as floating-point color and unsigned RGB of 32 bits do.
# What happens (Pillow 13.0.0, files by tifffile 2026.3.3): 16-bit RGB in uncompressed planes mixes bytes of neighbors,
# the same planes deflated are right; 16-bit gray whose white is 0 comes out as its negative, 8-bit gray does not; so
# does floating-point gray whose white is 0; unsigned gray of 32 bits comes as signed integers, its bright half below 0.
# libvips reads the first two as they are meant.
# Why it matters here: a training set would hold such pictures, and nobody would know. tifffile reads these kinds
# (src/creps/pixels/_tiff.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import io
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__)
deep = np.random.default_rng(0).integers(0, 65536, (6, 9, 3)).astype(np.uint16)
planes, gray = deep.transpose(2, 0, 1), deep[:, :, 0]


def read(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    with Image.open(buffer) as image:
        image.load()
        return np.asarray(image).astype(np.float64)


def far(pixels, right):
    """The largest difference, as a share of the range."""
    return float(np.abs(pixels - right).max())


how = {"photometric": "rgb", "planarconfig": "separate"}
share = gray / np.float32(65535)
found = {
    "planes of 16 bits": far(read(planes, **how) / 255, deep / 65535),
    "planes of 16 bits, deflated": far(read(planes, compression="zlib", **how) / 255, deep / 65535),
    "16 bits, white is 0": far(read(gray, photometric="miniswhite") / 65535, 1 - gray / 65535),
    "8 bits, white is 0": far(
        read((gray // 256).astype(np.uint8), photometric="miniswhite") / 255, 1 - (gray // 256) / 255
    ),
    "float, white is 0": far(read(share, photometric="miniswhite"), 1 - share),
    "32 bits, unsigned": far(
        read(gray.astype(np.uint32) * 65537, photometric="minisblack") / (2**32 - 1), gray / 65535
    ),
}
for name, share in found.items():
    print(f"{name}: {'wrong' if share > 0.1 else 'right'}, largest difference {share:.2f} of the range")
wrong = {name for name, share in found.items() if share > 0.1}
if wrong != set(found) - {"planes of 16 bits, deflated", "8 bits, white is 0"}:
    sys.exit("the behavior has changed: some kinds could be left to Pillow")
PY
