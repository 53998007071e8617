#!/usr/bin/env bash
# imagecodecs: a JPEG 2000 file with a color profile decodes to other values than it holds, gray to three channels.
#
# One would guess: jpeg2k_decode gives the samples that were encoded, whatever the file says of their meaning, as its
# decoders of PNG, JPEG and TIFF do. Without loss, what comes out is what went in.
# What happens (imagecodecs 2026.3.6): where the box "colr" holds an ICC profile, colors are converted to sRGB on the
# way, and gray becomes RGB; nothing in the result says so, and no option turns it off. The bare codestream of the same
# file gives the samples.
# Why it matters here: colors are converted from their profiles once, by one rule for all formats; these were converted
# twice. So the decoder gets the codestream alone (src/creps/pixels/_jpeg2000.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check imagecodecs==2026.3.6 "numpy<2.6"
"$place/venv/bin/python" - <<'PY'
import struct
import sys

import imagecodecs
import numpy as np

print("imagecodecs", imagecodecs.__version__)


def fixed(*numbers):
    return struct.pack(f">{len(numbers)}i", *[round(each * 65536) for each in numbers])


def profile(space):
    """A minimal profile of version 2 with a gamma of 1.8; RGB has the primaries of Adobe RGB, adapted to D50."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"a\0" + bytes(78)
    tags = [(b"desc", text), (b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249))]
    if space == b"GRAY":
        tags += [(b"kTRC", curve)]
    else:
        columns = {"r": (0.6097, 0.3111, 0.0195), "g": (0.2053, 0.6257, 0.0609), "b": (0.1492, 0.0632, 0.7446)}
        for name, column in columns.items():
            tags += [(f"{name}XYZ".encode(), b"XYZ " + bytes(4) + fixed(*column)), (f"{name}TRC".encode(), curve)]
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += struct.pack(">4sII", name, start + len(data), len(content))
        data += content.ljust(-(-len(content) // 4) * 4, b"\0")
    head = bytes(8) + b"\2\x10\0\0" + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return struct.pack(">I", start + len(data)) + head[4:].ljust(124, b"\0") + table + data


def told(content, icc):
    """The same file, which says by a profile what its colors are."""
    start = content.index(b"jp2h") - 4
    stop = start + int.from_bytes(content[start : start + 4], "big")
    box = struct.pack(">I4s", 11 + len(icc), b"colr") + b"\2\0\0" + icc
    header = content[start + 8 : content.index(b"colr") - 4] + box
    return content[:start] + struct.pack(">I4s", 8 + len(header), b"jp2h") + header + content[stop:]


found = {}
for name, space, shape in (("RGB", b"RGB ", (32, 32, 3)), ("gray", b"GRAY", (32, 32))):
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    plain = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, codecformat="jp2")
    with_profile = told(plain, profile(space))
    read = imagecodecs.jpeg2k_decode(with_profile)
    bare = imagecodecs.jpeg2k_decode(with_profile[with_profile.index(b"\xff\x4f\xff\x51") :])
    same = [np.array_equal(imagecodecs.jpeg2k_decode(plain), values), np.array_equal(read, values), np.array_equal(bare, values)]
    found[name] = same
    print(f"{name}: the samples without a profile {same[0]}, with one {same[1]} (shape {read.shape}), bare codestream {same[2]}")
if any(each != [True, False, True] for each in found.values()):
    sys.exit("the behavior has changed: files could be given whole")
PY
