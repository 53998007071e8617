"""Kinds of files that pictures come in: sets, lists of labels, pictures, masks, arrays."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from creps.cli._data import _print as print_report
from creps.data import open_images
from creps.data._checking import check
from creps.pixels import read_numbers, read_picture
from creps.rendering._blends import load_mask
from creps.rendering.warps import parse_warp
from faults.kinds import Kind, Seed, register
from faults.mutation import damaged, twisted

_PILLOW: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain.png": ("RGB", "PNG", {}),
    "palette.png": ("P", "PNG", {"transparency": 3}),
    "gray-alpha.png": ("LA", "PNG", {}),
    "deep.png": ("I;16", "PNG", {}),
    "bits.png": ("1", "PNG", {}),
    "plain.jpg": ("RGB", "JPEG", {"comment": "no comment"}),
    "scans.jpg": ("RGB", "JPEG", {"progressive": True}),
    "print.jpg": ("CMYK", "JPEG", {}),
    "plain.webp": ("RGBA", "WEBP", {}),
    "plain.avif": ("RGB", "AVIF", {}),
    "plain.jp2": ("RGB", "JPEG2000", {}),
    "plain.gif": ("P", "GIF", {}),
    "plain.bmp": ("RGB", "BMP", {}),
    "plain.tga": ("RGBA", "TGA", {"compression": "tga_rle"}),
    "plain.ppm": ("RGB", "PPM", {}),
    "plain.pcx": ("RGB", "PCX", {}),
    "plain.ico": ("RGBA", "ICO", {"sizes": [(8, 8)]}),
    "plain.sgi": ("RGB", "SGI", {}),
    "plain.dds": ("RGBA", "DDS", {}),
    "plain.tif": ("RGB", "TIFF", {}),
    "lzw.tif": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "zip.tif": ("RGBA", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "jpeg.tif": ("RGB", "TIFF", {"compression": "jpeg"}),
    "fax.tif": ("1", "TIFF", {"compression": "group4"}),
    "float.tif": ("F", "TIFF", {}),
}
"""Pictures that Pillow writes: their color modes, formats and settings."""


def _noise(height: int = 13, width: int = 17, channels: int = 3) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (height, width, channels), dtype=np.uint8)


def _picture(mode: str, kind: str, settings: dict[str, Any]) -> bytes:
    stream, image = io.BytesIO(), Image.fromarray(_noise())
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    image.save(stream, kind, **settings)
    return stream.getvalue()


def _pictures(place: Path) -> list[Seed]:
    import tifffile

    seeds = []
    for name, made_of in _PILLOW.items():
        (place / name).write_bytes(_picture(*made_of))
        seeds.append(Seed(place / name, place / name))
    planes = _noise().transpose(2, 0, 1).astype(np.uint16) * 257
    deep: dict[str, tuple[Any, dict[str, Any]]] = {
        "planes.tif": (planes, {"photometric": "rgb", "planarconfig": "separate"}),
        "long.tif": (planes[0].astype(np.uint32) << 16, {"compression": "zlib"}),
        "white.tif": (planes[0], {"photometric": "miniswhite", "tile": (16, 16)}),
    }
    for name, (pixels, settings) in deep.items():
        tifffile.imwrite(place / name, pixels, **settings)
        seeds.append(Seed(place / name, place / name))
    return seeds


def _look_at(picture: Path) -> None:
    """What is done with a picture: it is read for training, and with all of its digits."""
    read_picture(picture, shortest=4)
    read_picture(picture, channels=4, precise=True)


def _masks(place: Path) -> list[Seed]:
    seeds = [seed for seed in _pictures(place) if seed.file.suffix in (".png", ".tif", ".webp")]
    for shape in ((5, 7), (2, 5, 7)):
        file = place / f"maps-{len(shape)}.npy"
        np.save(file, np.ones(shape))
        seeds += [Seed(file, file)] * 4
    return seeds


_FLOATS = {"double": "<f8", "float": ">f4"}


def _arrays(place: Path) -> list[Seed]:
    seeds = []
    for name, kind in {**_FLOATS, "short": "<i2", "byte": "|u1"}.items():
        file = place / f"{name}.npy"
        np.save(file, np.linspace(0, 1, 60).reshape(5, 6, 2).astype(kind))
        seeds.append(Seed(file, file))
    return seeds


def _number_damage(content: bytes, random: Random) -> bytes:
    """Damage anywhere, or in the header's text, which is parsed as Python."""
    if random.random() < 0.5:
        return damaged(content, random)
    length = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + length].rstrip()
    words: tuple[bytes, ...] = (
        b"(",
        b"[",
        b"-" * 50,
        b"9" * 5000,
        b"1e9",
        b"1if 1else 2",
        b"'",
        b"{",
        b"\\",
        b"|O",
    )
    words = (*words, b"<U99999999", b"99999999999,", b"-1,", b"0,", b"<M8[s]", b"#", b"\x1b[31m")
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(header) + 1)
        header = header[:at] + random.choice(words) + header[at + random.randrange(3) :]
    return content[:8] + len(header).to_bytes(2, "little") + header + content[10 + length :]


def _use_numbers(file: Path) -> None:
    read_numbers(file)
    if file.stem in _FLOATS:
        parse_warp(f"map:{file}")


NAMES = ("cat/a.png", "cat/b.jpg", "dog/ü.webp", "dog/" + "long" * 15 + ".png")
"""Pictures of a set."""
LABELS = {"labels": [[name, number % 2] for number, name in enumerate(NAMES)]}


def _files() -> dict[str, bytes]:
    """The files of a set: pictures of several formats, labels, credits, something else."""
    made = {"png": "plain.png", "jpg": "plain.jpg", "webp": "plain.webp"}
    files = {name: _picture(*_PILLOW[made[name.rpartition(".")[2]]]) for name in NAMES}
    return {**files, "dataset.json": json.dumps(LABELS).encode(), "ATTRIBUTION.txt": b"whoever"}


def _zips(place: Path) -> list[Seed]:
    seeds = []
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("packed.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(place / name, "w", method) as archive:
            archive.comment = b"no comment"
            for inside, content in _files().items():
                archive.writestr(inside, content)
        seeds.append(Seed(place / name, place / name))
    return seeds


def _tars(place: Path) -> list[Seed]:
    seeds = []
    notes = {f"{name.rpartition('.')[0]}.cls": b"cat" for name in NAMES[:2]}
    notes["again.cls"] = b"3"
    notes |= {f"{name.rpartition('.')[0]}.json": b'{"label": 3}' for name in NAMES[1:]}
    kinds = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    for name, kind in kinds.items():
        with tarfile.open(place / f"{name}.tar", "w", format=kind) as archive:
            for inside, content in {**_files(), **notes}.items():
                member = tarfile.TarInfo(inside)
                member.size, member.mtime = len(content), 1.5 if name == "pax" else 1
                archive.addfile(member, io.BytesIO(content))
            link = tarfile.TarInfo("again.png")
            link.type, link.linkname = tarfile.LNKTYPE, "cat/a.png"
            archive.addfile(link)
        seeds.append(Seed(place / f"{name}.tar", place / f"{name}.tar"))
    return seeds


def _tar_damage(content: bytes, random: Random) -> bytes:
    """Damage anywhere, or in a header whose checksum is right again."""
    if random.random() < 0.3:
        return damaged(content, random)
    data = bytearray(content)
    start = 512 * random.randrange(len(data) // 512)
    header = bytearray(damaged(bytes(data[start : start + 512]), random)[:512].ljust(512, b"\0"))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[start : start + 512] = header
    return bytes(data)


def _labels(place: Path) -> list[Seed]:
    seeds = []
    for inner in ("", "cat"):
        folder = place / f"set-{inner or 'root'}"
        for name, content in _files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if inner:
            inside = {"labels": {"a.png": 1, "b.jpg": 0}}
            (folder / inner / "dataset.json").write_text(json.dumps(inside))
        seeds.append(Seed(folder / inner / "dataset.json", folder))
    return seeds


def _open_set(place: Path) -> None:
    """What is done with a set: it is opened with its labels, every picture read, and reported."""
    open_images(place, labels=True)
    print_report(check(place, workers=1))


register(Kind(name="pictures", seeds=_pictures, use=_look_at))
register(Kind(name="masks", seeds=_masks, use=lambda file: load_mask(file, 2)))
register(Kind(name="npy", seeds=_arrays, use=_use_numbers, damage=_number_damage))
register(Kind(name="zip", seeds=_zips, use=_open_set))
register(Kind(name="tar", seeds=_tars, use=_open_set, damage=_tar_damage))
register(Kind(name="labels", seeds=_labels, use=_open_set, damage=twisted))
