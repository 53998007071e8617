"""Small picture files of the kinds that people have, and what other programs read in them.

`python tests/foreign_files.py` prints the table of docs/data.md.
"""

import importlib.util
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import Image, ImageCms

from icc_profiles import (
    ADOBE,
    D50,
    D65,
    G18,
    G22,
    P3,
    WIDE,
    adapted_matrix,
    gray_profile,
    rgb_profile,
    vips_profile,
)
from image_files import png_16

H, W = 6, 9
_RANDOM = np.random.default_rng(18)
COLOR = _RANDOM.integers(0, 256, (H, W, 3), dtype=np.uint8)
ALPHA = _RANDOM.integers(0, 256, (H, W, 1), dtype=np.uint8)
ALPHA[0] = 0
DEEP = _RANDOM.integers(0, 65536, (H, W, 4)).astype(np.uint16)
SMOOTH = np.stack(
    [np.add.outer(np.arange(32), np.arange(48)) * k % 200 + 20 for k in (1, 2, 3)], 2
).astype(np.uint8)
"""What JPEG, HEIC and AVIF keep well."""


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: of the kind.
        group: the row of the table that it belongs to.
        by: whose reading is right.
        make: its content, and that reading: (H, W, 3) on the scale 0 .. 255, on white.
        needs: packages without which the test is skipped.
    """

    name: str
    group: str
    by: str
    make: Callable[[], tuple[bytes, np.ndarray]]
    needs: tuple[str, ...] = ()

    @property
    def missing(self):
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, metadata=None, **options)
    return buffer.getvalue()


def lcms(image, profile):
    """(H, W, 3): lcms' own conversion to sRGB, by its perceptual intent."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    made = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return np.asarray(made, np.float64)


def vips(content, *, convert=False, opaque=255):
    """(H, W, 3): as libvips reads a file, on white."""
    import pyvips

    image = pyvips.Image.new_from_buffer(content, "")
    if convert:
        image = image.icc_transform(
            "srgb", embedded=True, intent="perceptual", black_point_compensation=True, depth=16
        )
    image = image.colourspace("rgb16" if image.format == "ushort" else "srgb")
    if image.hasalpha():
        full = 65535 if image.format == "ushort" else 255
        image = image.flatten(background=full, max_alpha=full)
    values = image.numpy().astype(np.float64)
    return values / 257 if image.format == "ushort" else values


def on_white(color, alpha):
    """Colors (H, W, C) on white, alpha of 0 to 1."""
    return np.broadcast_to(color * alpha + 255 * (1 - alpha), (*color.shape[:2], 3))


def gray_of(values):
    return np.repeat(np.asarray(values, np.float64)[..., None], 3, 2)


def linear_matrix(values, primaries, gamma, *, white=D65):
    """Deep RGB of 0 to 1 in sRGB, 0 .. 255, by the formulas, without lcms."""

    srgb = adapted_matrix(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65)
    light = values**gamma @ (np.linalg.inv(srgb) @ adapted_matrix(primaries, white)).T
    return as_srgb(light)


def as_srgb(light):
    """Linear light of 0 to 1 by sRGB's curve, 0 .. 255."""
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


KINDS: list[Kind] = []


def kind(name, group, by, *needs):
    def note(make):
        KINDS.append(Kind(name, group, by, make, needs))
        return make

    return note


_P3 = rgb_profile("Hand-made P3", P3, G22)
_ADOBE = rgb_profile("Hand-made Adobe", ADOBE, G22)
_WIDE = rgb_profile("Hand-made wide", WIDE, G18, white=D50)
_GRAY = gray_profile("Hand-made gray 1.8", G18)
_RGB, _SMOOTH = Image.fromarray(COLOR), Image.fromarray(SMOOTH)
_RGBA = Image.fromarray(np.concatenate([COLOR, ALPHA], 2))

_ROW = "8 bits, an RGB profile"
for form, options in (("png", {}), ("tiff", {}), ("webp", {"lossless": True}), ("jpeg2000", {})):

    @kind(f"{form}, P3", _ROW, "lcms")
    def _(form=form, options=options):
        if form == "jpeg2000":  # Pillow writes no profile into it
            return with_profile(saved(_RGB, form), _P3), lcms(_RGB, _P3)
        return saved(_RGB, form, icc_profile=_P3, **options), lcms(_RGB, _P3)


@kind("jpeg, P3 of libvips", _ROW, "libvips", "pyvips")
def _():
    content = saved(_SMOOTH, "jpeg", quality=95, icc_profile=vips_profile("p3"))
    return content, vips(content, convert=True)


@kind("jpeg, Adobe", _ROW, "libvips", "pyvips")
def _():
    content = saved(_SMOOTH, "jpeg", quality=95, icc_profile=_ADOBE)
    return content, vips(content, convert=True)


@kind("avif, P3", _ROW, "lcms")
def _():
    content = saved(_SMOOTH, "avif", quality=100, subsampling="4:4:4", icc_profile=_P3)
    return content, lcms(Image.open(io.BytesIO(content)).convert("RGB"), _P3)


@kind("heic, P3", _ROW, "lcms", "pillow_heif")
def _():
    import pillow_heif

    file = pillow_heif.from_pillow(_SMOOTH)
    buffer = io.BytesIO()
    file.info["icc_profile"] = _P3
    file.save(buffer, quality=-1, icc_profile=_P3)
    with io.BytesIO(buffer.getvalue()) as stream:
        plain = pillow_heif.open_heif(stream).to_pillow().convert("RGB")
    return buffer.getvalue(), lcms(plain, _P3)


@kind("png, P3, alpha", _ROW, "lcms")
def _():
    return saved(_RGBA, "png", icc_profile=_P3), on_white(lcms(_RGB, _P3), ALPHA / 255)


@kind("png, P3, palette", _ROW, "lcms")
def _():
    image = _RGB.quantize(16)
    return saved(image, "png", icc_profile=_P3), lcms(image.convert("RGB"), _P3)


@kind("png, P3, palette with a transparent color", _ROW, "lcms")
def _():
    image = _RGB.quantize(16)
    clear = np.asarray(image) == 3
    right = lcms(image.convert("RGB"), _P3)
    right[clear] = 255
    return saved(image, "png", icc_profile=_P3, transparency=3), right


@kind("png, P3, a transparent color", _ROW, "lcms")
def _():
    key = tuple(int(v) for v in COLOR[2, 3])
    right = lcms(_RGB, _P3)
    right[(key == COLOR).all(2)] = 255
    return saved(_RGB, "png", icc_profile=_P3, transparency=key), right


@kind("png, P3, gray", _ROW, "lcms")
def _():
    image = _RGB.getchannel(0)
    return saved(image, "png", icc_profile=_P3), lcms(image.convert("RGB"), _P3)


_ROW = "8 bits, a gray profile"
for form in ("png", "tiff"):

    @kind(f"{form}, gray", _ROW, "lcms")
    def _(form=form):
        image = _RGB.getchannel(0)
        return saved(image, form, icc_profile=_GRAY), lcms(image, _GRAY)


@kind("jpeg, gray", _ROW, "libvips", "pyvips")
def _():
    content = saved(_SMOOTH.getchannel(0), "jpeg", quality=95, icc_profile=_GRAY)
    return content, vips(content, convert=True)


@kind("png, gray, alpha", _ROW, "lcms")
def _():
    image = Image.merge("LA", [_RGB.getchannel(0), _RGBA.getchannel(3)])
    right = on_white(lcms(_RGB.getchannel(0), _GRAY), ALPHA / 255)
    return saved(image, "png", icc_profile=_GRAY), right


_ROW = "CMYK with a profile"
for form, options in (("jpeg", {"quality": 95}), ("tiff", {})):

    @kind(f"{form}, cmyk", _ROW, "lcms", "pyvips")
    def _(form=form, options=options):
        profile = vips_profile("cmyk")
        content = saved(_SMOOTH.convert("CMYK"), form, icc_profile=profile, **options)
        return content, lcms(Image.open(io.BytesIO(content)), profile)


_ROW = "CMYK without a profile"


@kind("tiff, cmyk, no profile", _ROW, "(255 - C)(255 - K) / 255, as browsers")
def _():
    inks = np.asarray(_RGBA, np.float64)
    right = (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:]) / 255
    return saved(Image.fromarray(np.asarray(_RGBA), "CMYK"), "tiff"), right


@kind("jpeg, cmyk, no profile", _ROW, "(255 - C)(255 - K) / 255, as browsers")
def _():
    content = saved(Image.new("CMYK", (16, 8), (255, 0, 51, 51)), "jpeg", quality=100)
    return content, np.broadcast_to([0.0, 204.0, 163.2], (8, 16, 3))


_ROW = "a profile that changes nothing, is broken or of other colors"


@kind("png, sRGB", _ROW, "the values")
def _():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(_RGB, "png", icc_profile=profile), COLOR.astype(np.float64)


@kind("png, broken profile", _ROW, "the values")
def _():
    return saved(_RGB, "png", icc_profile=b"no profile" * 20), COLOR.astype(np.float64)


@kind("png, gray profile on color", _ROW, "the values")
def _():
    return saved(_RGB, "png", icc_profile=_GRAY), COLOR.astype(np.float64)


@kind("png, cmyk profile on rgb", _ROW, "the values", "pyvips")
def _():
    return saved(_RGB, "png", icc_profile=vips_profile("cmyk")), COLOR.astype(np.float64)


def _png_parts(*parts):
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def png_with(content, name, data):
    """A PNG file with one more chunk, before its pixels."""
    place = content.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(data)) + name + data
    return content[:place] + chunk + struct.pack(">I", zlib.crc32(name + data)) + content[place:]


def _icc(profile):
    return b"icc\0\0" + zlib.compress(profile)


_ROW = "16 bits or float, a profile"
for name, profile, primaries, gamma, white in (
    ("P3", _P3, P3, G22, D65),
    ("Adobe", _ADOBE, ADOBE, G22, D65),
    ("wide", _WIDE, WIDE, G18, D50),
):

    @kind(f"png of 16 bits, {name}", _ROW, "the formulas")
    def _(profile=profile, primaries=primaries, gamma=gamma, white=white):
        content = png_with(png_16(DEEP[:, :, :3]), b"iCCP", _icc(profile))
        return content, linear_matrix(DEEP[:, :, :3] / 65535, primaries, gamma, white=white)

    @kind(f"tiff of 16 bits, {name}", _ROW, "the formulas")
    def _(profile=profile, primaries=primaries, gamma=gamma, white=white):
        content = tiff(DEEP[:, :, :3], photometric="rgb", iccprofile=profile)
        return content, linear_matrix(DEEP[:, :, :3] / 65535, primaries, gamma, white=white)


@kind("png of 16 bits, P3, alpha", _ROW, "the formulas")
def _():
    content = png_with(png_16(DEEP), b"iCCP", _icc(_P3))
    return content, on_white(linear_matrix(DEEP[:, :, :3] / 65535, P3, G22), DEEP[:, :, 3:] / 65535)


@kind("tiff of 16 bits, wide, dark", _ROW, "the formulas")
def _():
    content = tiff(DEEP[:, :, :3] // 8, photometric="rgb", iccprofile=_WIDE)
    return content, linear_matrix(DEEP[:, :, :3] // 8 / 65535, WIDE, G18, white=D50)


@kind("float tiff, P3", _ROW, "the formulas", "imagecodecs")
def _():
    values = DEEP[:, :, :3] / np.float32(65535)
    content = tiff(values, photometric="rgb", iccprofile=_P3, compression="lzw")
    return content, linear_matrix(values.astype(np.float64), P3, G22)


@kind("gray png of 16 bits, gray profile", _ROW, "libvips", "pyvips")
def _():
    content = png_with(png_16(DEEP[:, :, :1]), b"iCCP", _icc(_GRAY))
    return content, vips(content, convert=True)


_ROW = "16 bits and more in a TIFF"
for pressed in (None, "zlib", "lzw"):
    _needs = ("imagecodecs",) if pressed == "lzw" else ()
    _how = {"compression": pressed}
    _said = f", {pressed}" if pressed else ""

    @kind(f"16 bits, RGB{_said}", _ROW, "the values")
    def _(how=_how):
        return tiff(DEEP[:, :, :3], photometric="rgb", **how), DEEP[:, :, :3] / 257

    @kind(f"16 bits, RGB in planes{_said}", _ROW, "libvips", "pyvips", *_needs)
    def _(how=_how):
        planes = DEEP[:, :, :3].transpose(2, 0, 1)
        content = tiff(planes, photometric="rgb", planarconfig="separate", **how)
        return content, vips(content)

    @kind(f"16 bits, white is 0{_said}", _ROW, "libvips", "pyvips", *_needs)
    def _(how=_how):
        content = tiff(DEEP[:, :, 0], photometric="miniswhite", **how)
        return content, vips(content)

    @kind(f"32 bits, unsigned gray{_said}", _ROW, "the values", *_needs)
    def _(how=_how):
        values = DEEP[:, :, 0].astype(np.uint32) * 65537
        return tiff(values, photometric="minisblack", **how), gray_of(DEEP[:, :, 0] / 257)

    @kind(f"32 bits, unsigned RGB{_said}", _ROW, "the values", *_needs)
    def _(how=_how):
        values = DEEP[:, :, :3].astype(np.uint32) * 65537
        return tiff(values, photometric="rgb", **how), DEEP[:, :, :3] / 257

    @kind(f"float, gray{_said}", _ROW, "the values")
    def _(how=_how):
        values = DEEP[:, :, 0] / np.float32(65535)
        return tiff(values, photometric="minisblack", **how), gray_of(255.0 * values)

    @kind(f"float, RGB{_said}", _ROW, "the values", *_needs)
    def _(how=_how):
        values = DEEP[:, :, :3] / np.float32(65535)
        return tiff(values, photometric="rgb", **how), 255.0 * values

    @kind(f"half, RGB{_said}", _ROW, "the values", *_needs)
    def _(how=_how):
        values = (DEEP[:, :, :3] / 65535).astype(np.float16)
        return tiff(values, photometric="rgb", **how), 255 * values.astype(np.float64)


@kind("16 bits, big-endian, tiled", _ROW, "the values")
def _():
    return (
        tiff(DEEP[:, :, :3], photometric="rgb", byteorder=">", tile=(16, 16)),
        DEEP[:, :, :3] / 257,
    )


for _type in (np.uint16, np.int16, np.int32, np.float32):
    for _order in "<>":

        @kind(f"{_order}{np.dtype(_type).name}, deflated", _ROW, "the values")
        def _(dtype=_type, order=_order):
            values = DEEP[:, :, 0] >> 1
            how = {"photometric": "minisblack", "byteorder": order, "compression": "zlib"}
            if dtype == np.float32:
                return tiff((values / 65535).astype(dtype), **how), gray_of(values / 257)
            return tiff(values.astype(dtype), **how), gray_of(values / 257)


@kind("16 bits, RGB with alpha", _ROW, "libvips", "pyvips")
def _():
    content = tiff(DEEP, photometric="rgb", extrasamples=["unassalpha"])
    return content, vips(content)


@kind("16 bits, gray with alpha", _ROW, "libvips", "pyvips")
def _():
    content = tiff(DEEP[:, :, 2:], photometric="minisblack", extrasamples=["unassalpha"])
    return content, vips(content)


@kind("16 bits, RGB in planes with alpha", _ROW, "libvips", "pyvips")
def _():
    content = tiff(
        DEEP.transpose(2, 0, 1),
        photometric="rgb",
        planarconfig="separate",
        extrasamples=["unassalpha"],
    )
    return content, vips(content)


@kind("float, white is 0", _ROW, "the values")
def _():
    values = DEEP[:, :, 0] / np.float32(65535)
    return tiff(values, photometric="miniswhite"), gray_of(255 * (1.0 - values))


@kind("double, RGB in planes", _ROW, "the values")
def _():
    values = DEEP[:, :, :3] / 65535
    planes = values.transpose(2, 0, 1)
    return tiff(planes, photometric="rgb", planarconfig="separate"), 255 * values


_ROW = "a transparent color in a PNG"


@kind("16 bits, RGB", _ROW, "the values")
def _():
    content = png_with(png_16(DEEP[:, :, :3]), b"tRNS", DEEP[2, 3, :3].astype(">u2").tobytes())
    right = DEEP[:, :, :3] / 257
    right[(DEEP[:, :, :3] == DEEP[2, 3, :3]).all(2)] = 255
    return content, right


@kind("16 bits, gray", _ROW, "libvips", "pyvips")
def _():
    content = png_with(png_16(DEEP[:, :, :1]), b"tRNS", DEEP[2, 3, :1].astype(">u2").tobytes())
    return content, vips(content)


@kind("8 bits, gray", _ROW, "libvips", "pyvips")
def _():
    content = saved(_RGB.getchannel(0), "png", transparency=int(COLOR[2, 3, 0]))
    return content, vips(content)


for bits in (1, 2, 4):

    @kind(f"{bits} bits, gray", _ROW, "libvips", "pyvips")
    def _(bits=bits):
        values = COLOR[:, :8, 0] >> (8 - bits)
        spread = values[:, :, None] >> np.arange(bits)[::-1] & 1
        rows = np.packbits(spread.reshape(H, -1), axis=1)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        header = struct.pack(">IIBBBBB", 8, H, bits, 0, 0, 0, 0)
        clear = struct.pack(">H", 1)
        content = _png_parts((b"IHDR", header), (b"tRNS", clear), (b"IDAT", data), (b"IEND", b""))
        return content, vips(content)


_ROW = "alpha, or signs, of 8 bits in a TIFF"
_LA = np.dstack([COLOR[:, :, 0], ALPHA])
_MULTIPLIED = np.rint(COLOR * np.float64(128 / 255)).astype(np.uint8)
"""Colors times an opacity of 128 of 255."""
_HALF = np.full((H, W, 1), 128, np.uint8)
_GRAY_ON_WHITE = on_white(COLOR[:, :, :1].astype(np.float64), ALPHA / 255)

for how in ({}, {"compression": "zlib"}, {"compression": "lzw", "tile": (16, 16)}):

    @kind(f"gray and alpha in planes, {how.get('compression')}", _ROW, "the values")
    def _(how=how):
        planes = {"planarconfig": "separate", "extrasamples": ["unassalpha"], **how}
        return tiff(_LA.transpose(2, 0, 1), photometric="minisblack", **planes), _GRAY_ON_WHITE

    @kind(f"RGB times alpha in planes, {how.get('compression')}", _ROW, "the values")
    def _(how=how):
        values = np.concatenate([_MULTIPLIED, _HALF], 2).transpose(2, 0, 1)
        planes = {"planarconfig": "separate", "extrasamples": ["assocalpha"], **how}
        return tiff(values, photometric="rgb", **planes), on_white(COLOR * 1.0, 128 / 255)

    @kind(f"signed gray, {how.get('compression')}", _ROW, "the values")
    def _(how=how):
        values = COLOR[:, :, 0].view(np.int8)
        return tiff(values, photometric="minisblack", **how), gray_of(values.clip(0) * (255 / 127))


@kind("gray times alpha", _ROW, "the values")
def _():
    values = np.concatenate([_MULTIPLIED[:, :, :1], _HALF], 2)
    content = tiff(values, photometric="minisblack", extrasamples=["assocalpha"])
    return content, on_white(COLOR[:, :, :1] * 1.0, 128 / 255)


@kind("BigTIFF, big-endian", _ROW, "the values")
def _():
    return tiff(COLOR, photometric="rgb", bigtiff=True, byteorder=">"), COLOR * 1.0


_ROW = "JPEG 2000 of other than 8 bits"


def jpeg_2000(values, **options):
    """Without loss; white, black and all between are in the corners of the pictures below."""
    from imagecodecs import jpeg2k_encode

    return jpeg2k_encode(values, level=0, reversible=True, **options)


for bits, form in ((16, "jp2"), (12, "jp2"), (12, "j2k"), (10, "jp2")):

    @kind(f"{bits} bits, {form}", _ROW, "the values", "imagecodecs")
    def _(bits=bits, form=form):
        values = DEEP[:, :, :3] >> (16 - bits)
        values[0, :3] = np.eye(3) * (2**bits - 1)
        content = jpeg_2000(values, codecformat=form, bitspersample=bits)
        return content, values * (255 / (2**bits - 1))


@kind("16 bits, signed", _ROW, "the values", "imagecodecs")
def _():
    values = (DEEP[:, :, :3].astype(np.int32) - 32768).astype(np.int16)
    return jpeg_2000(values, codecformat="jp2"), DEEP[:, :, :3] / 257


for channels in (2, 4):

    @kind(f"16 bits, {channels} channels", _ROW, "the values", "imagecodecs")
    def _(channels=channels):
        values = DEEP[:, :, -channels:].copy()
        values[0, :, -1], values[1, :, -1] = 65535, 0
        right = on_white(values[:, :, :-1] / 257, values[:, :, -1:] / 65535)
        return jpeg_2000(values, codecformat="jp2"), right


for bits in (1, 4, 12, 16):

    @kind(f"{bits} bits, gray", _ROW, "the values", "imagecodecs")
    def _(bits=bits):
        values = DEEP[:, :, 0] >> (16 - bits)
        values[0, :2] = 0, 2**bits - 1
        values = values.astype(np.uint8) if bits < 8 else values
        content = jpeg_2000(values, codecformat="jp2", bitspersample=bits)
        return content, gray_of(values * (255 / (2**bits - 1)))


def box(name, content):
    """A box of a JPEG 2000 file."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def with_profile(content, profile):
    """A JPEG 2000 file that says by a profile what its colors are."""
    start = content.index(b"jp2h") - 4
    stop = start + int.from_bytes(content[start : start + 4], "big")
    header = content[start + 8 : stop]
    colr = header.index(b"colr") - 4
    length = int.from_bytes(header[colr : colr + 4], "big")
    told = box(b"colr", b"\2\0\0" + profile)
    return (
        content[:start]
        + box(b"jp2h", header[:colr] + told + header[colr + length :])
        + content[stop:]
    )


@kind("16 bits, a profile", _ROW, "the formulas", "imagecodecs")
def _():
    content = with_profile(jpeg_2000(DEEP[:, :, :3], codecformat="jp2"), _WIDE)
    return content, linear_matrix(DEEP[:, :, :3] / 65535, WIDE, G18, white=D50)


_ROW = "alpha that is none, or another (BMP, TGA, ICO, PSD, GIF)"
_BGR = np.ascontiguousarray(COLOR[:, :, ::-1])
_NONE = np.zeros_like(ALPHA)


def tga(alpha, bits):
    """A TGA of 32 bits whose header says how many are alpha."""
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, W, H, 32, 32 | bits)
    return header + np.concatenate([_BGR, alpha], 2).tobytes()


def bmp(alpha):
    """A BMP of 32 bits that has a mask of alpha."""
    pixels = np.concatenate([_BGR, alpha], 2)[::-1].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, W, H, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header = (header + masks + b"BGRs").ljust(108, b"\0")
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


def psd(planes, layers=None):
    """A PSD of RGB and further channels, (C, H, W); `layers` is how many it says that it has."""
    count, height, width = planes.shape
    inside = b""
    if layers is not None:
        layer = struct.pack(">iiiiH4s4sBBBBI", 0, 0, 0, 0, 0, b"8BIM", b"norm", 255, 0, 0, 0, 12)
        info = struct.pack(">h", layers) + layer + struct.pack(">II", 0, 0) + b"\1L\0\0"
        inside = struct.pack(">I", len(info)) + info + bytes(4)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, count, height, width, 8, 3) + bytes(8)
    return head + struct.pack(">I", len(inside)) + inside + b"\0\0" + planes.tobytes()


@kind("TGA, no bits of alpha", _ROW, "the values")
def _():
    return tga(ALPHA, 0), COLOR * 1.0


@kind("TGA, alpha", _ROW, "the values")
def _():
    return tga(ALPHA, 8), on_white(COLOR * 1.0, ALPHA / 255)


@kind("TGA, alpha that nobody set", _ROW, "the values")
def _():
    return tga(_NONE, 8), COLOR * 1.0


@kind("BMP, alpha", _ROW, "the values")
def _():
    return bmp(ALPHA), on_white(COLOR * 1.0, ALPHA / 255)


@kind("BMP, alpha that nobody set", _ROW, "the values")
def _():
    return bmp(_NONE), COLOR * 1.0


for layers in (None, 1):

    @kind(f"PSD, a selection, {layers} layers", _ROW, "the values")
    def _(layers=layers):
        return psd(np.concatenate([COLOR, ALPHA], 2).transpose(2, 0, 1), layers), COLOR * 1.0


@kind("PSD, transparent", _ROW, "the values")
def _():
    right = on_white(COLOR * 1.0, ALPHA / 255)
    laid = np.rint(right).astype(np.uint8)
    return psd(np.concatenate([laid, ALPHA], 2).transpose(2, 0, 1), -1), right


@kind("GIF, larger than its frame", _ROW, "the values")
def _():
    image = Image.new("P", (4, 3), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    content = bytearray(saved(image, "gif"))
    content[6:10] = struct.pack("<HH", W, H)
    place = content.index(b",\0\0\0\0")
    content[place + 1 : place + 5] = struct.pack("<HH", 2, 1)
    right = np.full((H, W, 3), 255.0)
    right[1:4, 2:6] = 0, 255, 0
    return bytes(content), right


def table():
    """The rows of docs/data.md: kinds, how many files, whose reading is right, differences."""
    from creps.pixels import decode

    rows = {}
    for each in KINDS:
        content, right = each.make()
        read = decode(io.BytesIO(content), precise=True)
        far = float(np.abs(read - right).max())
        row = rows.setdefault(each.group, [0, [], 0.0])
        row[0] += 1
        row[1] += [each.by] * (each.by not in row[1])
        row[2] = max(row[2], far)
    lines = ["| In the file | Files | Checked against | Largest difference, of 255 |"]
    lines += ["|---|---|---|---|"]
    for group, (count, by, far) in rows.items():
        lines.append(f"| {group} | {count} | {', '.join(by)} | {far:.2f} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
