"""Color profiles made by hand: RGB by primaries and a curve, and gray; and those libvips has."""

import struct

import numpy as np
import pytest

D50 = (0.9642, 1.0, 0.8249)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
WIDE = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))  # ROMM, as of ProPhoto RGB
D65 = (0.9505, 1.0, 1.0891)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _fixed(values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _described(text):
    words = text.encode("ascii") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(words)) + words + bytes(78)


def _file(space, tags):
    """A profile of version 2 with these tags."""
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(">I4sI", start + len(data), bytes(4), 0x02400000)
    header += b"mntr" + space + b"XYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


G22, G18 = 563 / 256, 461 / 256
"""Exponents as profiles keep them."""


def _curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def adapted_matrix(primaries, white):
    """(3, 3) linear RGB of primaries (x, y) to XYZ, adapted from their white to D50."""
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    cone = np.diag(_BRADFORD @ np.array(D50) / (_BRADFORD @ np.array(white)))
    matrix = columns * np.linalg.solve(columns, np.array(white))
    return np.linalg.solve(_BRADFORD, cone @ _BRADFORD) @ matrix


def rgb_profile(name, primaries, gamma, *, white=D65):
    """An RGB profile of primaries (x, y) and a power curve."""
    adapted = adapted_matrix(primaries, white)
    tags = [(b"desc", _described(name)), (b"wtpt", b"XYZ " + bytes(4) + _fixed(D50))]
    for k, letter in enumerate(b"rgb"):
        tags.append((bytes([letter]) + b"XYZ", b"XYZ " + bytes(4) + _fixed(adapted[:, k])))
        tags.append((bytes([letter]) + b"TRC", _curve(gamma)))
    return _file(b"RGB ", tags)


def gray_profile(name, gamma):
    """A gray profile of a power curve."""
    white = b"XYZ " + bytes(4) + _fixed(D50)
    return _file(b"GRAY", [(b"desc", _described(name)), (b"wtpt", white), (b"kTRC", _curve(gamma))])


def vips_profile(name):
    """One of the profiles that libvips brings: "p3", "cmyk" or "srgb"."""
    pyvips = pytest.importorskip("pyvips")
    return bytes(pyvips.Operation.call("profile_load", name))
