#!/usr/bin/env bash
# libvips of the pyvips-binary wheel: a TIFF compressed with Zstandard opens, and every pixel is black.
#
# One would guess: it is read, as OpenSlide, GDAL, Pillow and tifffile read it, or opening or reading it raises.
# What happens (libvips 8.18.7 of pyvips-binary 8.18.7): its libtiff has no such codec. Size and tags are right, pixels
# are all zero, nothing is raised, not even with fail_on="error". A libvips with the codec reads the file well.
# Why it matters here: finished chunks wait as tiles of a TIFF that libvips makes PNG, JPEG and Deep Zoom of, and zstd
# would suit them best. They are deflated instead (src/creps/rendering/output/_store.py), and docs/rendering.md says
# who reads `--compression zstd`.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyvips==3.2.0 pyvips-binary==8.18.7 \
    tifffile==2026.3.3 imagecodecs==2026.3.6 pillow==13.0.0
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pyvips
import tifffile
from PIL import Image

print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)))
picture = np.random.default_rng(0).integers(1, 256, (300, 400, 3), dtype=np.uint8)
found = {}
for compression in ("deflate", "zstd"):
    name = f"{compression}.tif"
    tifffile.imwrite(
        name, picture, tile=(256, 256), compression=compression, photometric="rgb"
    )
    by_vips = pyvips.Image.new_from_file(name, fail_on="error").numpy()
    by_pillow = np.asarray(Image.open(name))
    same = "right" if (by_vips == picture).all() else "black" if not by_vips.any() else "other"
    found[compression] = (same, "right" if (by_pillow == picture).all() else "other")
print("libvips and Pillow:", found)
if found != {"deflate": ("right", "right"), "zstd": ("black", "right")}:
    sys.exit("the behavior has changed: chunks could be kept with zstd")
PY
