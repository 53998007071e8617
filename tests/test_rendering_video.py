"""Films: a stopped render goes on to the same film; files hold what was rendered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creps.errors import CrepsError, GridError, MissingExtraError, UsageError
from creps.rendering._painter import Picture
from creps.rendering.output._images import read_settings
from creps.rendering.video._files import FrameFolder, VideoFile, write_video

SIZE = (32, 48)
COUNT = 7
COLORS = np.array([[220, 40, 40], [40, 180, 60], [50, 70, 210]], dtype=float)


def frame(index: int) -> Picture:
    """Smooth waves of strong colors that move on with the index."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 24
    phases = index / 3 + np.stack([y + x, y - x, 2 * y])
    weights = 0.5 + 0.5 * np.sin(phases)
    weights /= weights.sum(0)
    return np.rint(np.moveaxis(weights, 0, -1) @ COLORS).astype(np.uint8)


def write(path: Path, *, settings=None, make=frame, count=COUNT, **options) -> int:
    film = VideoFile(path=path, count=count, **options)
    return write_video(film, make, size=SIZE, settings=settings or {"seed": 7})


def stopping_at(last: int, error: type[BaseException]) -> Callable[[int], Picture]:
    def make(index: int) -> Picture:
        if index == last:
            raise error
        return frame(index)

    return make


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def decoded(path: Path) -> Iterator[np.ndarray]:
    """(H, W, 3) frames of a film, as a player shows them."""
    if path.suffix == ".gif":
        with Image.open(path) as image:
            for index in range(image.n_frames):
                image.seek(index)
                yield np.asarray(image.convert("RGB"))
        return
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            yield picture.to_ndarray(format="rgb24")


@pytest.mark.parametrize(("suffix", "error"), [(".mp4", 6), (".webm", 7), (".gif", 8)])
def test_a_film_shows_its_frames_in_order(tmp_path, suffix, error):
    if suffix != ".gif":
        pytest.importorskip("av")
    path = tmp_path / f"clip{suffix}"
    assert write(path, fps=12.5) == COUNT
    assert names(tmp_path) == {path.name}
    shown = list(decoded(path))
    assert len(shown) == COUNT
    for index, picture in enumerate(shown):
        assert picture.shape == (*SIZE, 3)
        distances = [np.abs(picture - frame(k).astype(float)).mean() for k in range(COUNT)]
        assert np.argmin(distances) == index
        assert distances[index] < error


def test_colors_of_a_film_do_not_shift(tmp_path):
    """Matrix and range are what the file says they are: plain colors come back as they were."""
    pytest.importorskip("av")
    plain = np.broadcast_to(np.uint8([200, 30, 60]), (*SIZE, 3))
    write(tmp_path / "clip.mp4", make=lambda _: plain, count=2)
    for picture in decoded(tmp_path / "clip.mp4"):
        assert np.abs(picture.mean((0, 1)) - [200, 30, 60]).max() < 3


def test_a_film_says_its_pace_its_colors_and_how_it_was_made(tmp_path):
    av = pytest.importorskip("av")
    settings = {"seed": 7, "credits": "Art by A"}
    write(tmp_path / "clip.mp4", fps=29.97, settings=settings)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001)
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.colorspace == 1  # BT.709
        assert stream.codec_context.color_range == 1  # 16 to 235
        assert json.loads(container.metadata["comment"]) == settings
        assert container.metadata["copyright"] == "Art by A"
    start = (tmp_path / "clip.mp4").read_bytes()
    assert start.index(b"moov") < start.index(b"mdat")  # plays before all of it is there


def test_a_lower_crf_is_closer(tmp_path):
    pytest.importorskip("av")
    errors = []
    for crf in (5, 45):
        write(tmp_path / f"{crf}.mp4", crf=crf)
        shown = np.stack(list(decoded(tmp_path / f"{crf}.mp4"))).astype(float)
        errors.append(np.abs(shown - np.stack([frame(k) for k in range(COUNT)])).mean())
    assert errors[0] < errors[1] / 2


def test_gifs_keep_the_time(tmp_path):
    write(tmp_path / "clip.gif", fps=30, count=6)
    with Image.open(tmp_path / "clip.gif") as image:
        durations = []
        for index in range(6):
            image.seek(index)
            durations.append(image.info["duration"])
        assert image.info["loop"] == 0
    assert durations == [30, 40, 30, 30, 40, 30]  # 0.2 s in all, in hundredths


def test_gray_frames_become_films(tmp_path):
    write(tmp_path / "clip.gif", make=lambda k: frame(k)[:, :, :1], count=2)
    first = next(decoded(tmp_path / "clip.gif"))
    assert np.abs(first - frame(0)[:, :, :1].astype(float)).max() < 8
    assert (first == first[:, :, :1]).all()


def test_frames_with_opacity_lie_on_white(tmp_path):
    def make(index):
        opacity = np.zeros((*frame(index).shape[:2], 1), np.uint8)
        opacity[:10] = 255
        return np.concatenate([frame(index), opacity], 2)

    write(tmp_path / "clip.gif", make=make, count=2)
    first = next(decoded(tmp_path / "clip.gif"))
    assert (first[10:] == 255).all()
    assert np.abs(first[:10] - frame(0)[:10].astype(float)).max() < 24


def test_a_name_without_suffix_keeps_the_frames(tmp_path):
    folder = tmp_path / "new" / "clip"
    assert write(folder) == COUNT
    pictures = {f"frame-{k:06d}.png" for k in range(COUNT)}
    assert names(folder) == {*pictures, "settings.json"}
    for k in range(COUNT):
        path = folder / f"frame-{k:06d}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(path)), frame(k))
        assert read_settings(path) == {"seed": 7, "frame": k}


@pytest.mark.parametrize("suffix", ["", ".gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_a_stopped_film_goes_on_to_the_same_film(tmp_path, suffix, error):
    stopped, unbroken = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    with pytest.raises(error):
        write(stopped, make=stopping_at(4, error))
    rendered: list[int] = []

    def make(index: int) -> Picture:
        rendered.append(index)
        return frame(index)

    assert write(stopped, make=make) == 3
    assert rendered == [4, 5, 6]
    write(unbroken)
    if suffix:
        assert stopped.read_bytes() == unbroken.read_bytes()
        assert names(tmp_path) == {"a.gif", "b.gif"}
    else:
        assert {p.name: p.read_bytes() for p in stopped.iterdir()} == {
            p.name: p.read_bytes() for p in unbroken.iterdir()
        }


@pytest.mark.slow
def test_a_killed_process_loses_no_whole_frame(tmp_path):
    pytest.importorskip("av")
    code = """
import sys, time
from pathlib import Path
from test_rendering_video import frame, write
def make(index):
    print(index, flush=True)
    if index == 5:
        time.sleep(3600)
    return frame(index)
write(Path(sys.argv[1]), make=make)
"""
    path = tmp_path / "clip.mp4"
    search = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "5\n":
                break
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == {"clip.mp4.frames"}
    assert write(path) == 2
    write(tmp_path / "unbroken.mp4")
    assert [p.tobytes() for p in decoded(path)] == [
        p.tobytes() for p in decoded(tmp_path / "unbroken.mp4")
    ]


def test_damaged_frames_are_rendered_again(tmp_path):
    folder = tmp_path / "clip"
    write(folder)
    files = sorted(folder.glob("frame-*.png"))
    whole = [path.read_bytes() for path in files]
    files[0].write_bytes(b"")
    files[1].write_bytes(whole[1][: len(whole[1]) // 2])
    files[2].write_bytes(whole[2].replace(b"IDAT", b"IDAT\0", 1))
    Image.new("RGB", (3, 3)).save(files[3])
    files[4].unlink()
    (folder / ".frame-000004.png.123.part").write_bytes(b"half")
    assert write(folder) == 5
    assert [path.read_bytes() for path in files] == whole
    assert names(folder) == {*(path.name for path in files), "settings.json"}


def test_a_film_that_is_there_is_not_rendered_again(tmp_path):
    write(tmp_path / "clip")
    assert write(tmp_path / "clip") == 0
    assert write(tmp_path / "clip", overwrite=True) == COUNT


def test_frames_of_another_film_are_refused_by_name(tmp_path):
    path = tmp_path / "clip.gif"
    with pytest.raises(KeyboardInterrupt):
        write(path, make=stopping_at(2, KeyboardInterrupt), settings={"seed": 7, "loop": True})
    with pytest.raises(UsageError) as refusal:
        write(path, settings={"seed": 8, "easing": "linear"}, count=5)
    message = str(refusal.value)
    for words in (
        "clip.gif.frames",
        "seed 7, not 8",
        "frames 7, not 5",
        "loop True, not None",
        "easing None, not linear",
        "overwrite",
    ):
        assert words in message
    assert "\n" not in message
    assert "size" not in message
    assert len(list((tmp_path / "clip.gif.frames").glob("frame-*"))) == 2
    assert write(path, settings={"seed": 8}, count=5, overwrite=True) == 5
    assert names(tmp_path) == {"clip.gif"}


def test_overwriting_goes_on_with_a_stopped_film(tmp_path):
    path = tmp_path / "clip.gif"
    write(path, settings={"seed": 1})
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"clip.gif exists: .*overwrite"):
        write(path)
    with pytest.raises(KeyboardInterrupt):
        write(path, make=stopping_at(3, KeyboardInterrupt), overwrite=True)
    assert path.read_bytes() == before  # until the new one is whole
    assert write(path, overwrite=True) == COUNT - 3
    assert path.read_bytes() != before


def test_a_folder_of_other_things_is_kept(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    (folder / "frame-1.png").write_text("mine")
    with pytest.raises(UsageError, match="other things than frames"):
        write(folder)
    write(folder, overwrite=True)
    write(folder, overwrite=True, settings={"seed": 8})
    assert (folder / "letter.txt").read_text() == "dear"
    assert (folder / "frame-1.png").read_text() == "mine"


def test_a_failed_encoding_keeps_the_frames(tmp_path, monkeypatch):
    av = pytest.importorskip("av")

    def refuse(*_: object, **__: object) -> None:
        raise av.error.InvalidDataError(1, "Invalid data")

    with monkeypatch.context() as patch:
        patch.setattr("av.VideoFrame.from_image", refuse)
        with pytest.raises(CrepsError, match=r"clip.mp4 could not be encoded .*clip.mp4.frames"):
            write(tmp_path / "clip.mp4")
    assert names(tmp_path) == {"clip.mp4.frames"}
    assert write(tmp_path / "clip.mp4") == 0
    assert names(tmp_path) == {"clip.mp4"}


def test_a_full_disk_names_the_frame_and_keeps_the_others(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(RuntimeError):
        write(tmp_path / "clip", make=stopping_at(2, RuntimeError))
    with monkeypatch.context() as patch:
        patch.setattr("creps.rendering.output._save.write_atomically", full)
        with pytest.raises(OSError, match=r"No space left.*frame-000002.png"):
            write(tmp_path / "clip")
    assert write(tmp_path / "clip") == COUNT - 2


def test_progress_counts_frames_that_were_there(tmp_path):
    reports: list[tuple[int, int]] = []
    with pytest.raises(RuntimeError):
        write(tmp_path / "clip", make=stopping_at(5, RuntimeError))
    film = VideoFile(path=tmp_path / "clip", count=COUNT)
    write_video(
        film,
        frame,
        size=SIZE,
        settings={"seed": 7},
        progress=lambda done, count: reports.append((done, count)),
    )
    assert reports == [(5, 7), (6, 7), (7, 7)]


def test_frames_of_another_size_are_refused(tmp_path):
    with pytest.raises(CrepsError, match="frame 3 is 4x4: expected 32x48"):
        write(tmp_path / "clip", make=lambda k: frame(k) if k < 3 else frame(k)[:4, :4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "clip.avi"}, r"clip.avi: unknown kind of film, expected .mp4, .webm, .gif, or"),
        ({"path": "clip.gif", "count": 0}, "0 frames: expected 1 to 100,000"),
        ({"path": "clip.gif", "fps": 60}, "60 frames a second: gif takes 0.01 to 50"),
        ({"path": "clip.gif", "fps": float("nan")}, "nan frames a second"),
        ({"path": "clip", "fps": -1}, "-1 frames a second"),
        ({"path": "clip.gif", "crf": 3}, "crf 3: gif takes none"),
        ({"path": "clip.mp4", "crf": 52}, "crf 52: mp4 takes 0 to 51"),
    ],
)
def test_films_that_make_no_sense_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        VideoFile(**{"count": 3, **options, "path": Path(options["path"])})


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("clip.mp4", (31, 48), "31x48: H.264 needs even sides such as 32x48"),
        ("clip.mp4", (8194, 2), "8194x2: mp4 holds at most 8192"),
        ("clip.gif", (0, 4), "0x4: both sides"),
        ("clip.webm", (31, 47), None),
        ("clip", (9001, 1), None),
    ],
)
def test_sizes_that_a_film_cannot_hold_are_refused(name, size, words):
    if name != "clip":
        pytest.importorskip("av")
    film = VideoFile(path=Path(name), count=1)
    if words is None:
        film.refuse(*size)
    else:
        with pytest.raises(GridError, match=words):
            film.refuse(*size)


def test_odd_sizes_are_filmed_where_they_can_be(tmp_path):
    pytest.importorskip("av")
    film = VideoFile(path=tmp_path / "clip.webm", count=2)
    write_video(film, lambda k: frame(k)[:31, :47], size=(31, 47))
    assert [picture.shape for picture in decoded(film.path)] == [(31, 47, 3)] * 2


def test_a_folder_in_the_way_of_a_file_is_refused(tmp_path):
    (tmp_path / "clip.gif").mkdir()
    with pytest.raises(UsageError, match="is a folder: expected the name of a file"):
        write(tmp_path / "clip.gif", overwrite=True)
    (tmp_path / "clip").write_text("a file")
    with pytest.raises(UsageError, match="is a file: expected a folder"):
        write(tmp_path / "clip", overwrite=True)


def test_without_pyav_only_video_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"creps\[video\]"):
        VideoFile(path=tmp_path / "clip.mp4", count=3)
    write(tmp_path / "clip.gif")


def test_missing_frames_are_those_that_are_not_there(tmp_path):
    folder = FrameFolder(tmp_path, 4, SIZE)
    folder.open()
    assert folder.missing() == [0, 1, 2, 3]
    folder.fill(frame)
    folder.frame(2).unlink()
    assert folder.missing() == [2]
