#!/usr/bin/env bash
# Pillow: a selection saved in a Photoshop file counts as the opacity of the picture, and soft edges are laid on white twice.
#
# One would guess: the fourth channel of an RGB file is opacity if the file says so, and colors are as the format has them.
# What happens (Pillow 13.0.0): four channels are RGBA, whatever the file says. The format says by a negative count of
# layers that the first further channel is the transparency of the whole (Adobe's specification, "Layer info"); without
# that it is a selection that somebody saved, and the picture is opaque. Where it is transparency, colors in the file
# lie on white already. psd-tools 1.26.0 does both as specified.
# Why it matters here: of a photograph with a saved selection everything outside it was white in a training set, and
# edges of cut-outs were too bright. The count of layers is read (src/creps/pixels/_alpha.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 psd-tools==1.26.0 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import io
import struct
import sys
from importlib import metadata

import numpy as np
import PIL
from PIL import Image
from psd_tools import PSDImage

print("Pillow", PIL.__version__, "psd-tools", metadata.version("psd-tools"))
COLOR = (200, 80, 40)


def photoshop(color, fourth, *, layers):
    """A picture of 8 x 8 pixels of one color, with a fourth channel that is `fourth` everywhere."""
    planes = np.repeat(np.array([*color, fourth], np.uint8), 64).tobytes()
    layer = struct.pack(">iiiiH4s4sBBBBI", 0, 0, 0, 0, 0, b"8BIM", b"norm", 255, 0, 0, 0, 12)
    info = struct.pack(">h", layers) + layer + struct.pack(">II", 0, 0) + b"\1L\0\0"
    inside = struct.pack(">I", len(info)) + info + bytes(4)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 4, 8, 8, 8, 3) + bytes(8)
    return head + struct.pack(">I", len(inside)) + inside + b"\0\0" + planes


def on_white(image):
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB").getpixel((3, 3))


half = tuple(round((each + 255) / 2) for each in COLOR)  # at an opacity of one half, on white
files = {
    "a selection (1 layer)": (photoshop(COLOR, 0, layers=1), COLOR),
    "transparency (-1 layers)": (photoshop(half, 128, layers=-1), half),
}
far = {}
for name, (content, right) in files.items():
    with Image.open(io.BytesIO(content)) as image:
        by_pillow = on_white(image)
    by_tools = on_white(PSDImage.open(io.BytesIO(content)).topil())
    print(f"{name}: on white {right} is right; Pillow {by_pillow}, psd-tools {by_tools}")
    far[name] = [max(abs(a - b) for a, b in zip(found, right)) for found in (by_pillow, by_tools)]
if any(pillow < 40 or tools > 2 for pillow, tools in far.values()):
    sys.exit("the behavior has changed: the fourth channel could be left to Pillow")
PY
