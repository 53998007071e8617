#!/usr/bin/env bash
# Pillow: TIFF of gray and alpha in compressed planes is transparent everywhere; CMYK of 16 bits in plain planes is noise.
#
# One would guess: planes are read like interleaved samples, as those of 8-bit RGB, RGBA and CMYK are, or refused.
# What happens (Pillow 13.0.0, files by tifffile 2026.3.3): with 8 bits of gray and alpha in planes, deflated or LZW, the
# gray is right and alpha is 0 in all pixels; the same planes uncompressed are refused. CMYK of 16 bits in planes is right
# when it is compressed, and bytes of neighbors are mixed when it is not. GDAL 3.10.3 (rasterio 1.4.4) reads all as meant.
# Why it matters here: laid on white, such pictures are nothing but white, and a training set would hold them. tifffile
# reads gray with alpha in planes (src/creps/pixels/_tiff.py), and such CMYK is refused in words.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 \
    imagecodecs==2026.3.6 rasterio==1.4.4 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import io
import sys
import warnings

import numpy as np
import PIL
import rasterio
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "GDAL", rasterio.__gdal_version__)
random = np.random.default_rng(0)
gray_alpha = random.integers(1, 256, (2, 24, 40)).astype(np.uint8)
inks = random.integers(0, 65536, (4, 24, 40)).astype(np.uint16)


def content(planes, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, planes, planarconfig="separate", metadata=None, **options)
    return buffer.getvalue()


def by_gdal(file):
    with warnings.catch_warnings(action="ignore"), rasterio.io.MemoryFile(file) as memory, memory.open() as opened:
        return opened.read()


def outcome(file, right):
    try:
        with Image.open(io.BytesIO(file)) as image:
            found = np.moveaxis(np.asarray(image), 2, 0).astype(int)
    except (OSError, ValueError) as error:
        return f"refused ({error})"
    wrong = [f"channel {k} " + ("is 0 everywhere" if not found[k].any() else "is wrong")
             for k in range(len(right)) if np.abs(found[k] - right[k]).max() > 1]
    return ", ".join(wrong) or "right"


alpha = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
found = {}
for packed in (None, "zlib", "lzw"):
    file = content(gray_alpha, compression=packed, **alpha)
    found["gray and alpha", packed] = outcome(file, gray_alpha)
    assert np.array_equal(by_gdal(file), gray_alpha)
    file = content(inks, compression=packed, photometric="separated")
    assert np.array_equal(by_gdal(file), inks)
    found["CMYK of 16 bits", packed] = outcome(file, inks >> 8)
for name, what in found.items():
    print(*name, "-", what)
expected = {
    ("gray and alpha", "zlib"): "channel 1 is 0 everywhere",
    ("gray and alpha", "lzw"): "channel 1 is 0 everywhere",
    ("CMYK of 16 bits", "zlib"): "right",
    ("CMYK of 16 bits", None): "channel 0 is wrong, channel 1 is wrong, channel 2 is wrong, channel 3 is wrong",
}
if any(found[name] != what for name, what in expected.items()) or not found["gray and alpha", None].startswith("refused"):
    sys.exit("the behavior has changed: some kinds could be left to Pillow")
PY
