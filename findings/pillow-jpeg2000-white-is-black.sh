#!/usr/bin/env bash
# Pillow: in JPEG 2000 files of more than 8 bits a channel white is black, and what is opaque is transparent.
#
# One would guess: RGB of 12 or 16 bits comes out as its high bytes, as that of PNG and TIFF does, or is refused.
# What happens (Pillow 13.0.0, files by imagecodecs 2026.3.6): each value is rounded up to 8 bits without a limit, so
# the topmost half level, 65,408 to 65,535, becomes 0. White is black, a red of 255 is gone, and a picture with alpha that
# is opaque everywhere is transparent everywhere. Gray of 16 bits is right; gray of 1 and 4 bits has 128 and 240 for white.
# Why it matters here: masters of libraries, films and satellites are such files; a training set had black spots in all
# its highlights. imagecodecs reads them (src/creps/pixels/_jpeg2000.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 imagecodecs==2026.3.6 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import io
import sys

import imagecodecs
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__, "imagecodecs", imagecodecs.__version__)
ramp = np.linspace(0, 1, 256).reshape(16, 16)


def read(bits, channels):
    """What Pillow makes of a ramp from black to white, and how far it is from that at most, of 255."""
    values = np.rint(ramp * (2**bits - 1)).astype(np.uint16 if bits > 8 else np.uint8)
    values = values if channels == 1 else np.repeat(values[..., None], channels, 2)
    content = imagecodecs.jpeg2k_encode(
        values, level=0, reversible=True, codecformat="jp2", bitspersample=bits
    )
    assert np.array_equal(imagecodecs.jpeg2k_decode(content), values)
    with Image.open(io.BytesIO(content)) as image:
        found = np.asarray(image).astype(float)
    found /= 257 if image.mode == "I;16" else 1
    far = float(np.abs(found.reshape(16, 16, -1) - 255 * ramp[..., None]).max())
    print(f"{bits} bits, {channels} channels: {image.mode}, white is {found[-1, -1]}, largest error {far:.0f} of 255")
    return far > 100


wrong = {(bits, channels) for bits, channels in ((8, 3), (12, 3), (16, 3), (16, 2), (16, 4), (16, 1), (1, 1)) if read(bits, channels)}
if wrong != {(12, 3), (16, 3), (16, 2), (16, 4), (1, 1)}:
    sys.exit("the behavior has changed: some kinds could be left to Pillow")
PY
