"""Films to files: MP4 (H.264), WebM (VP9), GIF, or a folder of PNG frames.

Frames are first rendered into a folder next to the film, `clip.mp4.frames`, which is kept until the
film is whole: a render that was stopped resumes from there. Encoding takes little of the time.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image, PngImagePlugin

from creps._files import flush, replacing, write_atomically
from creps._json import parse_json
from creps.errors import CrepsError, GridError, MissingExtraError, UsageError
from creps.rendering._painter import Picture, Progress
from creps.rendering.output._images import on_white, refuse_other_settings
from creps.rendering.output._save import save_picture
from creps.rendering.video._motion import MOST_FRAMES

SETTINGS_NAME = "settings.json"
FRAMES = f"frame-{'[0-9]' * 6}.png"
LEFTOVERS = ".*.part"
"""What a run leaves behind that was killed while it wrote."""


@dataclass(frozen=True)
class FrameFolder:
    """Frames `frame-000000.png` onwards in a folder that fills up.

    Each is written atomically, and `settings.json` says what they show. So a stopped film resumes,
    and frames of different films never mix.
    """

    path: Path  # need not exist yet
    count: int  # of the whole film
    size: tuple[int, int]  # (height, width) of each
    settings: Mapping[str, Any] = field(default_factory=dict)

    def frame(self, index: int) -> Path:
        """Where a frame is, or will be."""
        return self.path / f"frame-{index:06d}.png"

    def missing(self) -> list[int]:
        """Frames that are still to be rendered: not there, damaged, or of another size."""
        return [k for k in range(self.count) if not _is_sound(self.frame(k), self.size)]

    def read(self, index: int) -> Image.Image:
        """A frame as RGB, on white, of any size: our own files are no bombs to decompress."""
        with PngImagePlugin.PngImageFile(self.frame(index)) as image:
            return on_white(image)

    def open(self, *, start_over: bool = False) -> None:
        """Create the folder or resume it; frames of another film are refused or deleted."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file: expected a folder for frames")
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(LEFTOVERS):
            leftover.unlink(missing_ok=True)
        about = {**self.settings, "frames": self.count, "size": self.size}
        wanted = json.loads(json.dumps(about))
        stored = self._stored()
        if stored == wanted:
            return
        if any(not path.name.startswith(".") for path in self.path.iterdir()):
            if not start_over and stored is None:
                raise UsageError(
                    f"{self.path} holds other things than frames: give another name, or overwrite "
                    "(which removes nothing but frames)"
                )
            if not start_over:
                refuse_other_settings(self.path, stored or {}, wanted)
            self.discard()
            self.path.mkdir(exist_ok=True)
        write_atomically(self.path / SETTINGS_NAME, (json.dumps(wanted, indent=2) + "\n").encode())

    def fill(self, frame: Callable[[int], Picture], *, progress: Progress | None = None) -> int:
        """Render what is missing, in order; how many that was."""
        missing = self.missing()
        for done, index in enumerate(missing):
            if progress is not None:
                progress(self.count - len(missing) + done, self.count)
            picture = frame(index)
            if picture.shape[:2] != self.size:
                height, width = self.size
                raise CrepsError(
                    f"frame {index} is {picture.shape[0]}x{picture.shape[1]}: "
                    f"expected {height}x{width}, one size for the whole film"
                )
            save_picture(picture, self.frame(index), settings={**self.settings, "frame": index})
        if progress is not None:
            progress(self.count, self.count)
        return len(missing)

    def discard(self) -> None:
        """Remove the frames and the settings; the folder too, if nothing else is in it."""
        for pattern in (FRAMES, LEFTOVERS, SETTINGS_NAME):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds other files
            self.path.rmdir()

    def _stored(self) -> dict[str, Any] | None:
        """What `settings.json` holds."""
        try:
            return parse_json((self.path / SETTINGS_NAME).read_bytes())
        except (OSError, ValueError):
            return None


def _is_sound(path: Path, size: tuple[int, int]) -> bool:
    """Whether a file is a whole PNG of that (height, width); checks sums, decodes nothing."""
    try:
        with path.open("rb") as file:
            image: Image.Image = PngImagePlugin.PngImageFile(file)
            image.verify()
            return (image.height, image.width) == size
    except (OSError, SyntaxError, ValueError):
        return False


Kind = Literal["mp4", "webm", "gif", "frames"]

KINDS: dict[str, Kind] = {".mp4": "mp4", ".webm": "webm", ".gif": "gif", "": "frames"}
"""Kinds of films by file suffix; a name without one is a folder that keeps the frames."""

LONGEST_SIDE: dict[Kind, int] = {"mp4": 8192, "webm": 8192, "gif": 65_535}
"""Pixels of a side; the limits of H.264 and VP9 are higher, those of players are not."""

FASTEST: dict[Kind, int] = {"mp4": 240, "webm": 240, "gif": 50}
"""Frames a second. GIF counts hundredths of a second; viewers slow down frames of just one."""

BT709 = 1
"""The code of BT.709, the colors of HD video, for matrix, primaries and transfer (ITU-T H.273)."""


class _Codec(NamedTuple):
    """FFmpeg's name of an encoder, its default and highest crf, its and its container's options."""

    encoder: str
    crf: int  # at which artifacts are hard to see
    worst: int
    options: dict[str, str]
    container: dict[str, str]


CODECS: dict[Kind, _Codec] = {
    # The index is moved to the front, so that a browser plays what it has of the file.
    "mp4": _Codec("libx264", 18, 51, {"preset": "medium"}, {"movflags": "faststart"}),
    "webm": _Codec("libvpx-vp9", 24, 63, {"deadline": "good", "cpu-used": "3", "row-mt": "1"}, {}),
}


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """Which file to write; checked before anything is rendered.

    Args:
        path: .mp4, .webm, .gif, or a name without suffix: a folder of frames.
        count: frames, 1 to `MOST_FRAMES`.
        fps: frames a second; a folder of frames has none.
        crf: quality of MP4 (0 to 51, by default 18) and WebM (0 to 63, by default 24); the lower
            the better.
        overwrite: replace an existing film, and frames of another one.
    Raises:
        UsageError: for an unknown suffix, or numbers that the kind does not take.
        MissingExtraError: if the encoder is not installed.
    """

    path: Path
    count: int
    fps: float = 30
    crf: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in KINDS:
            known = ", ".join(suffix for suffix in KINDS if suffix)
            raise UsageError(
                f"{self.path.name}: unknown kind of film, expected {known}, "
                "or a name without suffix for a folder of frames"
            )
        if not 1 <= self.count <= MOST_FRAMES:
            raise UsageError(f"{self.count:,} frames: expected 1 to {MOST_FRAMES:,}")
        fastest = FASTEST.get(self.kind, math.inf)
        if not (math.isfinite(self.fps) and 0.01 <= self.fps <= fastest):
            raise UsageError(f"{self.fps:g} frames a second: {self.kind} takes 0.01 to {fastest:g}")
        codec = CODECS.get(self.kind)
        if self.crf is not None and (codec is None or not 0 <= self.crf <= codec.worst):
            takes = f"0 to {codec.worst}" if codec else "none, it is for mp4 and webm"
            raise UsageError(f"crf {self.crf}: {self.kind} takes {takes}")
        if codec is not None:
            _import_av()

    @property
    def kind(self) -> Kind:
        """What kind of file it is."""
        return KINDS[self.path.suffix.lower()]

    @property
    def frames_path(self) -> Path:
        """The folder of its frames: next to the film until that is complete, or the film itself."""
        if self.kind == "frames":
            return self.path
        return self.path.with_name(f"{self.path.name}.frames")

    def refuse(self, height: int, width: int) -> None:
        """Raise if this kind of film cannot hold frames of that size, or a file exists there."""
        size, kind = f"size {height}x{width}", self.kind
        longest = LONGEST_SIDE.get(kind)
        if min(height, width) < 1:
            raise GridError(f"{size}: both sides must be at least 1 pixel")
        if longest is not None and max(height, width) > longest:
            raise GridError(
                f"{size}: {kind} holds at most {longest} pixels a side, "
                "write a folder of frames instead"
            )
        if kind == "mp4" and (height % 2 or width % 2):
            raise GridError(
                f"{size}: H.264 needs even sides such as "
                f"{height + height % 2}x{width + width % 2}; webm, gif and frames take any"
            )
        if kind != "frames" and self.path.is_dir():
            raise UsageError(f"{self.path} is a folder: expected the name of a file")
        if kind != "frames" and self.path.exists() and not self.overwrite:
            raise UsageError(f"{self.path} exists: give another name, or --overwrite it")


def write_video(
    file: VideoFile,
    frame: Callable[[int], Picture],
    *,
    size: tuple[int, int],
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> int:
    """Render the frames of a film and write it, or resume one that was stopped.

    Existing frames are not rendered again, if they were rendered with the same `settings`.
    So whatever changes the pixels belongs in there; fps and crf do not. Neither a stop nor a
    failure loses frames, and the film is written atomically.

    Args:
        file: where to, and how.
        frame: the picture of a frame, (H, W, C) uint8 as `save_picture` takes it; depends on its
            index alone.
        size: (height, width) of every frame.
        settings: JSON values that say what the frames show; stored in the film and in each frame.
        progress: called at once and after each frame, with the frames there and those in all.
    Returns:
        how many frames were rendered; 0 if all existed.
    Raises:
        UsageError: if the file exists, or frames of another film do.
        GridError: if the film cannot hold frames of this size.
        CrepsError: if encoding fails; the frames are kept.
        OSError: if a file cannot be written, with its name; the frames are kept.
    """
    file.refuse(*size)
    folder = FrameFolder(file.frames_path, file.count, size, settings or {})
    whole = file.kind == "frames" and file.overwrite and not folder.missing()
    if whole:  # a finished film is what overwriting replaces; an unfinished one resumes
        folder.discard()
    folder.open(start_over=file.overwrite)
    rendered = folder.fill(frame, progress=progress)
    if file.kind != "frames":
        _encode(file, folder)
        folder.discard()
    return rendered


def _encode(file: VideoFile, folder: FrameFolder) -> None:
    """Frames to one file."""
    with replacing(file.path) as temporary:
        (_encode_gif if file.kind == "gif" else _encode_video)(file, folder, temporary)
        flush(temporary)  # the frames are removed next


def _encode_video(file: VideoFile, folder: FrameFolder, temporary: Path) -> None:
    """H.264 or VP9 at constant quality, with the colors of HD video."""
    av = _import_av()
    codec = CODECS[file.kind]
    crf = codec.crf if file.crf is None else file.crf
    height, width = folder.size
    try:
        with av.open(
            str(temporary), "w", format=file.kind, container_options=codec.container
        ) as container:
            container.metadata["comment"] = json.dumps(dict(folder.settings))
            if credits := folder.settings.get("credits"):
                container.metadata["copyright"] = str(credits)
            stream = container.add_stream(codec.encoder, rate=_rate(file.fps))
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.bit_rate = 0  # leaves it all to crf
            stream.options = {"crf": str(crf), **codec.options}
            context = stream.codec_context
            context.color_range = av.video.reformatter.ColorRange.MPEG
            context.colorspace = context.color_primaries = context.color_trc = BT709
            for image in map(folder.read, range(folder.count)):
                frame = av.VideoFrame.from_image(image).reformat(
                    format="yuv420p",
                    dst_colorspace=av.video.reformatter.Colorspace.ITU709,
                    dst_color_range=av.video.reformatter.ColorRange.MPEG,
                )
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise CrepsError(
            f"{file.path.name} could not be encoded ({error.strerror}): its frames are kept in "
            f"{folder.path}, the same command resumes"
        ) from None


def _encode_gif(file: VideoFile, folder: FrameFolder, temporary: Path) -> None:
    """A GIF that runs round and round; every frame has the 256 colors that suit it, dithered."""

    def with_palette(image: Image.Image) -> Image.Image:
        own = image.quantize(256)
        return image.quantize(palette=own, dither=Image.Dither.FLOYDSTEINBERG)

    images = (with_palette(folder.read(index)) for index in range(folder.count))
    next(images).save(
        temporary,
        "GIF",
        save_all=True,
        append_images=images,
        duration=_durations(file.count, file.fps),
        loop=0,
        comment=json.dumps(dict(folder.settings)).encode(),
    )


def _durations(count: int, fps: float) -> list[int]:
    """Milliseconds of each frame, in GIF's steps of ten, such that no error adds up."""
    ends = [round(100 * frame / fps) for frame in range(count + 1)]
    return [10 * (end - start) for start, end in pairwise(ends)]


def _rate(fps: float) -> Fraction:
    """Frames a second as a ratio: 29.97 is 30000/1001, as broadcasters have it."""
    broadcast = Fraction(round(fps) * 1000, 1001)
    if abs(fps - broadcast) < 0.005 and fps != round(fps):
        return broadcast
    return Fraction(fps).limit_denominator(10_000)


def _import_av() -> Any:
    """PyAV, or an error that says how to get it."""
    try:
        import av
        import av.video.reformatter
    except ImportError:
        raise MissingExtraError("video", "video") from None
    return av
