"""Whole pictures of one size: frames that are not square, depth, memory, parts of a batch."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from creps.data import fit, open_images, square
from creps.data._batches import Pictures, load_batches
from creps.data._native_patches import NativePatches
from creps.data._textures import Textures
from creps.errors import DataError
from image_files import noise, png, png_16


@pytest.fixture
def folder(tmp_path):
    for k in range(6):
        (tmp_path / f"{k}.png").write_bytes(png(noise(10 + k, 16, seed=k)))
    return tmp_path


def _load(pictures, count, **options):
    settings = {"batch": 4, "seed": 0, "first_step": 0, "workers": 0, "on_broken": pytest.fail}
    return list(itertools.islice(load_batches(pictures, **(settings | options)), count))


def _same(one, other):
    return all(
        torch.equal(a, b)
        for mine, theirs in zip(one, other, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    )


def test_one_number_is_a_square_and_two_are_a_frame(folder):
    source = open_images(folder)
    for size, expected in (
        (8, square(noise(12, 16, seed=2), 8)),
        ((6, 8), fit(noise(12, 16, seed=2), (6, 8))),
    ):
        picture, label, broken = Pictures(source, size=size, mirror=False, labels=False)[2]
        np.testing.assert_array_equal(picture.transpose(1, 2, 0), expected)
        assert (label, broken) == (-1, -1)


def test_the_second_half_is_the_mirror_images(folder):
    pictures = Pictures(open_images(folder), size=(5, 8), mirror=True, labels=False)
    assert len(pictures) == 12
    np.testing.assert_array_equal(pictures[8][0], pictures[2][0][:, :, ::-1])


def test_precise_pictures_are_not_rounded(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (4, 6, 3))
    (tmp_path / "deep.png").write_bytes(png_16(deep))
    pictures = Pictures(
        open_images(tmp_path), size=(2, 3), mirror=False, labels=False, precise=True
    )
    found = pictures[0][0].transpose(1, 2, 0)
    np.testing.assert_allclose(found, deep.reshape(2, 2, 3, 2, 3).mean((1, 3)) / 257, atol=1e-3)


@pytest.mark.parametrize("workers", [0, 1])
def test_remembered_pictures_are_the_same(folder, workers):
    kinds = {
        cache: Pictures(open_images(folder), size=8, mirror=True, labels=False, cache=cache)
        for cache in (0, 1 << 20)
    }
    fresh, kept = (_load(pictures, 8, workers=workers) for pictures in kinds.values())
    assert _same(fresh, kept)
    for path in folder.iterdir():
        path.unlink()
    again = _load(kinds[1 << 20], 8, workers=workers)  # nothing is decoded any more
    assert _same(fresh, again)


def test_without_room_for_all_nothing_is_kept(folder):
    pictures = Pictures(open_images(folder), size=8, mirror=False, labels=False, cache=900)
    _load(pictures, 3)
    (folder / "0.png").unlink()
    with pytest.raises(OSError, match=r"0\.png"):
        pictures.source._store.read("0.png")
    assert pictures[0][2] == 0  # replaced: it is gone


KINDS = {
    "whole": lambda source, k: Pictures(source, size=8, mirror=False, labels=False)[k],
    "native": lambda source, k: NativePatches(source, size=8)[k, (0.0, 0.0, 0.5, 0.5)],
    "textures": lambda source, k: Textures(source, size=8)[k, 0.0, 0.0, 1.0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_another_one_has_replaced_is_left_out(folder, kind):
    source = open_images(folder)
    content = png(noise(13, 16, seed=8) // 64)  # as large, but of other bytes
    assert len(content) != (folder / "3.png").stat().st_size
    (folder / "3.png").write_bytes(content)
    pixels, _, broken = KINDS[kind](source, 3)
    assert broken == 3
    np.testing.assert_array_equal(pixels, KINDS[kind](source, 4)[0])
    with pytest.raises(DataError, match=r"3\.png has changed: it has .* bytes, no longer"):
        source.image(3)


def test_pictures_travel_to_spawned_processes(folder):
    pictures = Pictures(open_images(folder), size=8, mirror=False, labels=False, cache=1 << 20)
    travelled = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(travelled[3][0], pictures[3][0])


def test_processes_share_a_batch(folder):
    pictures = Pictures(open_images(folder), size=8, mirror=False, labels=False)
    whole = _load(pictures, 3)
    halves = [_load(pictures, 3, part=(k, 2)) for k in range(2)]
    joined = [
        tuple(torch.cat(pair) for pair in zip(*step, strict=True))
        for step in zip(*halves, strict=True)
    ]
    assert _same(whole, joined)
    with pytest.raises(DataError, match="part 2 of 2"):
        _load(pictures, 1, part=(2, 2))
