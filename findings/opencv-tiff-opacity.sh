#!/usr/bin/env bash
# OpenCV: colors of an 8-bit TIFF with opacity come multiplied by it; those of a PNG, and of 16 bits, as they are.
#
# One would guess: IMREAD_UNCHANGED gives the samples of the file, as it does for PNG and as its name says.
# What happens (opencv-python-headless 5.0.0.93): where a TIFF of 8 bits says that its opacity is unassociated
# (ExtraSamples 2), colors are multiplied by it, tiled or not; with 16 bits, or where the tag says nothing (0), they are the
# file's. TIFF that says "associated" (1) is given as it is, too, so that both kinds come out multiplied.
# Why it matters here: `creps render --out a.tif` of a model with opacity writes such a file, as the format wants it.
# Whoever reads it by OpenCV and lays it on a ground by its opacity gets dark edges; `--out a.png` and `--depth 16` do
# not have this. docs/rendering.md says so.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 \
    tifffile==2026.3.3 "numpy<2.6"
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys

import cv2
import numpy as np
import tifffile

print("OpenCV", cv2.__version__)
random = np.random.default_rng(0)
picture = random.integers(0, 256, (64, 64, 4)).astype(np.uint8)
picture[..., 3] = random.choice([64, 128, 192], (64, 64))
multiplied = np.rint(picture[..., :3] * (picture[..., 3:] / 255))


def seen(path, times):
    found = cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    assert np.array_equal(found[..., 3], picture[..., 3] * found.dtype.type(times))
    for what, right in (("as they are", picture[..., :3]), ("multiplied", multiplied)):
        if np.abs(found[..., :3] / times - right).max() <= 1:
            return what
    return "other"


found = {}
for bits, times in ((8, 1), (16, 257)):
    values = picture.astype(f"u{bits // 8}") * np.dtype(f"u{bits // 8}").type(times)
    cv2.imwrite("a.png", values[..., [2, 1, 0, 3]])
    found[bits, "PNG"] = seen("a.png", times)
    for tile in (None, (16, 16)):
        tifffile.imwrite("a.tif", values, photometric="rgb", extrasamples=["unassalpha"], tile=tile)
        found[bits, "TIFF in " + ("tiles" if tile else "strips")] = seen("a.tif", times)
for (bits, name), what in found.items():
    print(f"{bits} bits, {name}: colors {what}")
if {each for each, what in found.items() if what != "as they are"} != {(8, "TIFF in strips"), (8, "TIFF in tiles")}:
    sys.exit("the behavior has changed: the note in the guide can go")
if found[8, "TIFF in tiles"] != "multiplied":
    sys.exit("the behavior has changed: colors are not multiplied")
PY
