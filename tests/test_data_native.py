"""Patches of images at native resolution: where they lie, what they show, in which order."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from creps.coordinates import Canvas
from creps.data import open_images
from creps.data._batches import Batch, take_window
from creps.data._native_patches import (
    NativePatches,
    Scales,
    draw_patches,
    load_patches,
    patch_batch,
)
from creps.data._sources import ImageSource
from creps.errors import DataError, GridError
from image_files import noise, png

SIZES = ((24, 36), (48, 32), (16, 16), (12, 10), (64, 64))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    for k, (height, width) in enumerate(SIZES):
        (folder / f"{k}.png").write_bytes(png(noise(height, width, seed=k)))
    return open_images(folder)


def _shown(patches, image, window):
    return patches.patch(image, window).astype(float)


def test_a_patch_at_a_scale_is_a_crop_of_the_picture_reduced_to_it(source):
    patches = NativePatches(source, size=8, precise=True)
    reduced = noise(64, 64, seed=4).astype(float).reshape(32, 2, 32, 2, 3).mean((1, 3))  # s = 32
    patch = _shown(patches, 4, (5 / 32, 9 / 32, 13 / 32, 17 / 32))
    np.testing.assert_allclose(patch, reduced[5:13, 9:17], atol=1e-4)


def test_at_the_native_scale_a_patch_is_the_files_own_pixels(source):
    patches = NativePatches(source, size=8)
    picture = noise(24, 36, seed=0)[:, 6:30]  # the centered square
    np.testing.assert_array_equal(
        patches.patch(0, (3 / 24, 7 / 24, 11 / 24, 15 / 24)), picture[3:11, 7:15]
    )


def test_patches_are_what_a_step_takes_from_whole_pictures(source):
    patches = NativePatches(source, size=(6, 8), precise=True)
    window = (0.21, 0.08, 0.57, 0.5)
    whole = torch.tensor(noise(24, 36, seed=0)[:, 2:34]).double().permute(2, 0, 1)[None]
    expected = take_window(whole, Canvas(6, 8, window))[0].permute(1, 2, 0)
    np.testing.assert_allclose(_shown(patches, 0, window), expected.numpy(), atol=1e-3)


@given(seed=st.integers(0, 99), step=st.integers(0, 99), log=st.booleans(), wrap=st.booleans())
def test_windows_lie_on_the_plane_and_never_ask_for_more_than_the_image_has(
    source, seed, step, log, wrap
):
    patches = NativePatches(source, size=(6, 8), wrap=wrap)
    scales = Scales(base_share=0.25, spread="log" if log else "uniform")
    drawn = draw_patches(patches, range(5), scales, seed=seed, step=step)
    for asked, (image, window) in enumerate(drawn):
        assert image == asked or min(source.size(asked)) * 8 <= 16 * 6  # a small one gave way
        y0, x0, y1, x1 = window
        rows, columns = source.size(image)
        assert 0 <= y0 < y1 <= 1 + 1e-9
        assert (0 <= x0 < 1) if wrap else (0 <= x0 < x1 <= 1 + 1e-9)
        side = rows if wrap else min(rows, columns * 6 / 8)
        if side >= 6:
            assert (y1 - y0) * side >= 6 - 1e-6
        if wrap:  # pixels of the patch are square in the panorama
            assert (x1 - x0) * columns / 8 == pytest.approx((y1 - y0) * rows / 6)


def test_half_of_the_windows_show_the_whole(source):
    patches = NativePatches(source, size=4)
    windows = [draw_patches(patches, [4], Scales(), seed=0, step=step)[0][1] for step in range(400)]
    whole = np.mean([window == (0, 0, 1, 1) for window in windows])
    assert whole == pytest.approx(0.5, abs=0.1)
    sides = np.array([1 / (y1 - y0) for y0, _, y1, _ in windows if y1 - y0 < 1])
    assert sides.min() < 3 < 13 < sides.max() <= 16
    assert sides.mean() == pytest.approx(8.5, abs=1)  # uniform from 1 to 16


def test_groups_share_a_window_that_all_its_pictures_can_give(source):
    patches = NativePatches(source, size=8)
    scales = Scales(base_share=0, group=2)
    for step in range(40):
        drawn = draw_patches(patches, [4, 2, 0, 1], scales, seed=1, step=step)
        images, windows = zip(*drawn, strict=True)
        assert windows[0] == windows[1] != windows[2] == windows[3]
        assert images[0] == 4  # the first gives the window
        for image, (y0, _, y1, _) in drawn:
            assert (y1 - y0) * min(source.size(image)) >= 8 - 1e-6


def test_patches_are_cut_from_the_large_pictures_however_rare_they_are(tmp_path):
    for k in range(40):
        side = 32 if k in (7, 21) else 8
        (tmp_path / f"{k:02d}.png").write_bytes(png(noise(side, side, seed=k)))
    patches = NativePatches(open_images(tmp_path), size=8, mirror=True)
    scales, cut, whole = Scales(group=4), [], []
    for step in range(60):
        members = [(8 * step + k) % 80 for k in range(8)]
        for asked, (image, (y0, _, y1, _)) in zip(
            members, draw_patches(patches, members, scales, seed=0, step=step), strict=True
        ):
            (cut if y1 - y0 < 1 else whole).append((asked, image))
    assert len(cut) == pytest.approx(len(whole), rel=0.3)
    assert {image % 40 for _, image in cut} == {7, 21}
    assert all((asked < 40) == (image < 40) for asked, image in cut)  # mirrored stays mirrored
    assert all(asked == image for asked, image in whole)


@pytest.mark.parametrize("spread", ["uniform", "log"])
def test_magnifications_lie_in_the_range_asked_for(source, spread):
    patches = NativePatches(source, size=4)
    scales = Scales(base_share=0, smallest=6, largest=9, spread=spread)
    drawn = [draw_patches(patches, [1], scales, seed=0, step=k)[0] for k in range(200)]
    times = np.array([1 / (y1 - y0) for _, (y0, _, y1, _) in drawn])
    assert times.min() == pytest.approx(6, abs=0.1)
    assert times.max() == pytest.approx(8, abs=0.1)  # image 1 has no more: it leads
    with pytest.raises(DataError, match="no picture is 17 times as large as a patch"):
        draw_patches(patches, [1], Scales(smallest=17), seed=0, step=0)
    with pytest.raises(DataError, match="magnifications from 3 to 2: expected at least 1"):
        Scales(smallest=3, largest=2)


def _batches(source, first_step, count, **options):
    patches = NativePatches(source, size=6, mirror=True)
    settings = {"batch": 4, "seed": 3, "workers": 0, "on_broken": pytest.fail} | options
    return list(itertools.islice(load_patches(patches, first_step=first_step, **settings), count))


def test_a_run_that_goes_on_sees_the_same_patches(source):
    whole, later = _batches(source, 0, 5), _batches(source, 3, 2)
    for one, other in zip(whole[3:], later, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert torch.equal(mine, theirs)


def test_processes_share_a_batch(source):
    whole = _batches(source, 0, 2)
    parts = [_batches(source, 0, 2, part=(k, 2)) for k in range(2)]
    for step in range(2):
        for kind in range(3):
            joined = torch.cat([parts[k][step][kind] for k in range(2)])
            assert torch.equal(joined, whole[step][kind])
    with pytest.raises(DataError, match="part 0 of 3 of a batch of 4"):
        _batches(source, 0, 1, part=(0, 3))


def test_workers_give_the_same_patches_with_their_windows(source):
    for one, other in zip(_batches(source, 0, 3), _batches(source, 0, 3, workers=1), strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert torch.equal(mine, theirs)


def test_a_mirrored_patch_shows_what_lies_in_its_window_of_the_mirrored_picture(source):
    patches = NativePatches(source, size=8, mirror=True)
    window = (0.0, 0.125, 0.5, 0.625)
    mirrored = noise(64, 64, seed=4)[:, ::-1].astype(float)
    expected = mirrored[:32, 8:40].reshape(8, 4, 8, 4, 3).mean((1, 3))
    found, _, _ = patches[(len(source) + 4, window)]
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected, atol=0.51)


def test_a_shared_region_is_one_window_for_all(source):
    region = Canvas(6, 6, (0.1, 0.2, 0.6, 0.7))
    images, labels, windows = _batches(source, 0, 1, region=lambda step: region)[0]
    batch = patch_batch(images, windows, labels)
    assert batch.windows is None
    assert batch.region == region
    assert list(batch.parts()) == [(slice(0, 4), region)]


def test_windows_of_their_own_come_in_parts():
    windows = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0.5, 0.5]], dtype=torch.float64)
    batch = patch_batch(torch.full((3, 1, 4, 6), 255, dtype=torch.uint8), windows)
    assert isinstance(batch, Batch)
    assert batch.image.min() == 1.0
    parts = list(batch.parts())
    assert [part for part, _ in parts] == [slice(0, 2), slice(2, 3)]
    assert [canvas.window for _, canvas in parts] == [(0, 0, 1, 1), (0, 0, 0.5, 0.5)]
    assert all((canvas.height, canvas.width) == (4, 6) for _, canvas in parts)
    with pytest.raises(GridError, match=r"expected \(B, 4\)"):
        patch_batch(batch.image, windows[:2])


def test_windows_of_a_panorama_run_across_its_seam(tmp_path):
    panorama = noise(8, 24)
    (tmp_path / "p.png").write_bytes(png(panorama))
    patches = NativePatches(open_images(tmp_path), size=(8, 6), wrap=True, cache=2**20)
    turned = np.roll(panorama, -21, axis=1)
    np.testing.assert_array_equal(patches.patch(0, (0, 21 / 24, 1, 27 / 24)), turned[:, :6])
    right, left = patches.patch(0, (0, 0.75, 1, 1)), patches.patch(0, (0, 1, 1, 1.25))
    both = patches.patch(0, (0, 0.875, 1, 1.125))
    np.testing.assert_array_equal(np.concatenate([right, left], 1)[:, 3:9], both)


WHOLE, CORNER = (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.25, 0.25)


@pytest.fixture
def decoded(monkeypatch):
    """The names of images, as often as they are decoded."""
    names, image = [], ImageSource.image

    def counted(self, index, **how):
        names.append(self.names[index])
        return image(self, index, **how)

    monkeypatch.setattr(ImageSource, "image", counted)
    return names


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_kept_images_give_the_same_patches_and_are_decoded_once(tmp_path, decoded, ending):
    for k in range(3):
        Image.fromarray(noise(96, 64)).save(tmp_path / f"{k}.{ending}")
    fresh, kept = (NativePatches(open_images(tmp_path), size=8, cache=n) for n in (0, 2**20))
    for window in (WHOLE, CORNER, WHOLE, CORNER):
        for image in range(3):
            expected = fresh.patch(image, window)
            np.testing.assert_array_equal(kept.patch(image, window), expected)
    readings = 1 if ending == "png" else 2  # a JPEG is read at a quarter, and whole
    assert len(decoded) == 4 * 3 + readings * 3


def test_only_the_latest_images_are_kept_where_memory_is_short(tmp_path, decoded):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png(noise(20, 20)))  # 1,200 bytes each
    patches = NativePatches(open_images(tmp_path), size=4, cache=2500)
    for image in (0, 1, 0, 2, 0, 1, 1):
        patches.patch(image, WHOLE)
    assert decoded == ["a.png", "b.png", "c.png", "b.png"]
    again = NativePatches(open_images(tmp_path), size=4, cache=2500)
    del decoded[:]
    for image, window in ((0, CORNER), (0, WHOLE), (1, CORNER), (0, CORNER), (0, WHOLE)):
        again.patch(image, window)
    assert decoded == ["a.png", "a.png", "b.png"]  # that `a` is read whole shows the second time
    small = NativePatches(open_images(tmp_path), size=4, cache=1)  # the last one always stays
    del decoded[:]
    for image in (0, 0, 1, 0):
        small.patch(image, WHOLE)
    assert decoded == ["a.png", "b.png", "a.png"]


def test_images_that_lie_on_the_plane_put_their_patches_there(source):
    places = [(0.0, k / 5, 1.0, (k + 1) / 5) for k in range(5)]
    patches = NativePatches(source, size=6, places=places)
    loaded = load_patches(
        patches, batch=5, seed=0, first_step=0, workers=0, on_broken=pytest.fail,
        scales=Scales(base_share=1),
    )  # fmt: skip
    _, _, windows = next(loaded)
    assert sorted(windows[:, 1].tolist()) == pytest.approx([k / 5 for k in range(5)])
    with pytest.raises(DataError, match="4 places of 5 images"):
        NativePatches(source, size=6, places=places[:4])


def test_a_broken_image_is_replaced_and_named(tmp_path):
    content = png(noise(20, 20))
    (tmp_path / "a.png").write_bytes(content[:-300])
    (tmp_path / "b.png").write_bytes(content)
    named = []
    patches = NativePatches(open_images(tmp_path), size=4)
    loaded = load_patches(patches, batch=2, seed=0, first_step=0, workers=0, on_broken=named.append)
    next(loaded), next(loaded)
    assert named == ["a.png"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"base_share": 1.5}, "base_share 1.5"), ({"group": 0}, "group 0"), ({"largest": 0.5}, "0.5")],
)
def test_impossible_scales_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Scales(**settings)
