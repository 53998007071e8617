#!/usr/bin/env bash
# Pillow: in gray PNG files of 2 and 4 bits, another gray than the one that is marked becomes transparent, or none.
#
# One would guess: where a PNG marks gray 1 of 0 .. 3 as transparent (tRNS), pixels of that gray get alpha 0.
# What happens (Pillow 13.0.0): pixels are widened to 0, 85, 170, 255 (or by 17), but `info["transparency"]` stays 1,
# and convert("RGBA") looks for a gray of 1, which no pixel has. With 1 bit and 8 bits it works. libvips and browsers
# make the marked gray transparent.
# Why it matters here: pictures with a transparent ground would be trained with their ground. The mark is widened too
# (src/creps/pixels/_opening.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$place/venv/bin/python" - <<'PY'
import io
import struct
import sys
import zlib

import PIL
from PIL import Image

print("Pillow", PIL.__version__)


def png(bits):
    """A row of all grays, of which 1 is transparent."""
    count = 2**bits
    row = b"".join(format(value, f"0{bits}b").encode() for value in range(count))
    row = row.ljust(-(-len(row) // 8) * 8, b"0")
    data = b"\0" + int(row, 2).to_bytes(len(row) // 8, "big")
    header = struct.pack(">IIBBBBB", count, 1, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"tRNS", struct.pack(">H", 1)), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


found = {}
for bits in (1, 2, 4, 8):
    with Image.open(io.BytesIO(png(bits))) as image:
        alpha = list(image.convert("RGBA").getchannel("A").tobytes())
    found[bits] = [value for value, seen in enumerate(alpha) if not seen]
    print(f"{bits} bits: transparent grays {found[bits]}, expected [1]")
if found != {1: [1], 2: [], 4: [], 8: [1]}:
    sys.exit("the behavior has changed: the mark needs no widening any more")
PY
