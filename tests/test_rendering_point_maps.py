"""A user's own map: interpolated as promised, or refused in one line."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from creps.coordinates import Canvas, pixel_centers
from creps.errors import GridError
from creps.rendering._tiles import Tile
from creps.rendering.warps import (
    Chain,
    Identity,
    PointMap,
    Rotate,
    Warp,
    chain,
    parse_warp,
    warped_grid,
)
from warp_samples import BENT, distance, places, point


def sampled(warp: Warp, height: int, width: int) -> Tensor:
    """(height, width, 2): what the warp does, at the centers of a canvas of the unit square."""
    return warped_grid(Canvas(height, width), warp).points


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "flow.npy"
    np.save(path, BENT.numpy())
    return path


@given(st.integers(2, 6), st.integers(2, 6))
def test_a_map_of_an_affine_warp_is_that_warp(height: int, width: int) -> None:
    warp = Rotate(20, 0.1, 0.2)
    assert distance(PointMap(sampled(warp, height, width))(places()), warp(places())) < 1e-12


def test_a_map_of_the_pictures_size_gives_each_pixel_its_entry() -> None:
    canvas = Canvas(3, 2, (0.0, -0.25, 1.5, 0.75))
    points = warped_grid(canvas, PointMap(BENT)).points
    torch.testing.assert_close(points, BENT.double(), rtol=1e-14, atol=1e-14)
    part = warped_grid(canvas, PointMap(BENT), Tile(1, 1, 2, 1)).points
    assert torch.equal(part, points[1:, 1:])


def test_between_entries_the_map_is_bilinear() -> None:
    """A quarter of the way down from the first row of entries, halfway to the right."""
    warp = PointMap(BENT)
    place = point(float(pixel_centers(0, 1, 3)) + 0.25 / 3, 0.5)
    expected = 0.75 * BENT[0].mean(0) + 0.25 * BENT[1].mean(0)
    assert distance(warp(place), expected.double()) < 1e-7


def test_one_row_of_entries_serves_all_rows() -> None:
    warp = PointMap(BENT[:1])
    assert torch.equal(warp(point(-3.0, 0.3)), warp(point(9.0, 0.3)))


def test_a_map_lies_over_its_own_window_or_the_pictures() -> None:
    grid = sampled(Identity(), 4, 5)
    fixed = PointMap(grid, (0.0, 0.0, 1.0, 2.0))
    assert distance(fixed(point(0.5, 2.0)), point(0.5, 1.0)) < 1e-12
    assert fixed.over((0.0, 0.0, 9.0, 9.0)) == fixed
    moved = PointMap(grid).over((1.0, 1.0, 3.0, 2.0))
    assert distance(moved(point(3.0, 1.5)), point(1.0, 0.5)) < 1e-12
    assert moved == PointMap(grid, (1, 1, 3, 2))
    inside = chain(PointMap(grid), Rotate(30)).over((1.0, 1.0, 3.0, 2.0))
    assert inside == Chain((moved, Rotate(30)))


def test_files_are_read_and_named(flow: Path) -> None:
    warp = parse_warp(f"map:{flow}")
    assert warp == PointMap(BENT)
    assert str(warp) == f"map:{flow}"
    windowed = parse_warp(f"rotate:30+map:{flow},0,0,1,2.5")
    assert windowed == chain(Rotate(30), PointMap(BENT, (0, 0, 1, 2.5)))
    assert parse_warp(str(windowed)) == windowed


def test_awkward_file_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a+b, c=1,2.npy"
    np.save(path, BENT.double().numpy().astype(">f8"))
    assert parse_warp(f"map:{path}") == PointMap(BENT)


def test_equal_maps_are_those_of_equal_entries() -> None:
    assert PointMap(BENT) == PointMap(BENT.double(), source="elsewhere")
    assert hash(PointMap(BENT)) == hash(PointMap(BENT.numpy()))  # type: ignore[arg-type]
    assert PointMap(BENT) != PointMap(BENT + 1e-6)
    assert PointMap(BENT) != PointMap(BENT, (0, 0, 1, 1))
    assert PointMap(BENT.reshape(2, 3, 2)) != PointMap(BENT)
    assert str(PointMap(BENT)) == "map:<array of 3x2>"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5)), "has shape 4x5: expected HxWx2"),
        (np.zeros((4, 5, 3)), "has shape 4x5x3: expected HxWx2"),
        (np.zeros((4, 5, 2), dtype=np.uint8), "holds uint8: expected floats"),
        (np.zeros((4, 5, 2), dtype=np.complex64), "holds complex64: expected floats"),
        (np.full((4, 5, 2), np.nan), "values that are not finite"),
        (np.array([[{}]], dtype=object), "holds object: expected floats"),
    ],
)
def test_arrays_that_are_no_maps_are_refused(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    path = tmp_path / "wrong.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(GridError, match=re.escape(message)) as caught:
        parse_warp(f"map:{path}")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


class Trap:
    """A pickle of it creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickles_in_files_are_never_read(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "trap.npy"
    np.save(path, np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    with pytest.raises(GridError):
        PointMap.read(path)
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(GridError):
        PointMap.read(path)
    assert not sprung.exists()


def test_files_that_are_no_arrays_are_refused(tmp_path: Path, flow: Path) -> None:
    whole = flow.read_bytes()
    huge = whole.replace(b"(3, 2, 2), }         ", b"(99999999999, 9, 2), }")
    broken = {
        "empty.npy": b"",
        "text.npy": b"not an array",
        "cut.npy": whole[:-5],
        "header.npy": whole[:40],
        "damaged.npy": whole.replace(b"False", b"((((("),
        "huge.npy": huge,
    }
    for name, content in broken.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(
            GridError, match=f"map .*{name} (is not an array|is cut short|holds 1,7)"
        ):
            PointMap.read(path)
    np.savez(tmp_path / "archive.npz", BENT.numpy())
    with pytest.raises(GridError, match=r"archive\.npz is not an array of numbers"):
        PointMap.read(tmp_path / "archive.npz")
    with pytest.raises(GridError, match=r"missing\.npy cannot be read: No such file"):
        PointMap.read(tmp_path / "missing.npy")
    with pytest.raises(GridError, match="cannot be read"):
        PointMap.read(tmp_path)


def test_arrays_given_directly_are_checked_too() -> None:
    with pytest.raises(GridError, match="map has shape 3x2: expected HxWx2"):
        PointMap(BENT[..., 0])
    with pytest.raises(GridError, match="map holds int64: expected floating-point"):
        PointMap(BENT.long())
    with pytest.raises(GridError, match=r"window \(0, 0, 0, 1\) is empty"):
        PointMap(BENT, (0, 0, 0, 1))
