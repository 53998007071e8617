"""`render` shows what `synthesize` computes: any size, window and tile, in 8 bits."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import creps
from creps.coordinates import AxisGrid, Canvas, undistorted_window
from creps.errors import GridError, LabelError, UsageError
from creps.networks.base import Generator, Prepared, build_generator
from creps.rendering import _lines as lines
from creps.rendering import _painter as drawing
from creps.rendering import _view as requests
from creps.rendering._latents import Latent
from creps.rendering._lines import LINE_CHUNK, TOGETHER, LineStore
from creps.rendering._painter import to_uint8
from creps.rendering._renderer import Renderer, render, render_tiles
from creps.rendering._styles import latents, slerp
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._workers import worker_count
from creps.rendering.warps import Identity, Translate
from painters import painter_of
from patience import PATIENCE

TINY = {
    "resolution": 16,
    "channel_max": 8,
    "z_dim": 6,
    "w_dim": 5,
    "mapping_layers": 2,
    "thickness": 2,
    "line_channels": 4,
    "decoder_widths": [6],
    "refinement_widths": [5],
    "bandwidth": 2.0,
}


def tiny(**changes: object) -> Generator:
    torch.manual_seed(5)
    generator = build_generator("creps", TINY | changes)
    generator.mapping.average.normal_()
    generator.to_rgb.weight.mul_(8)  # spreads the colors over 8 bits, so that errors show
    return generator


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny()


def reference(generator: Generator, styles: torch.Tensor, canvas: Canvas) -> np.ndarray:
    with torch.no_grad():
        return to_uint8(generator.synthesize(styles, canvas.grid())[0])


def differ(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_picture_has_variety_and_its_size(generator) -> None:
    picture = render(generator, seed=7, size=(12, 19))
    assert picture.shape == (12, 19, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 45))
@settings(max_examples=25)
def test_tiles_agree_with_the_whole(height, width, tile) -> None:
    generator = tiny()
    styles = generator.map(latents([3], generator))
    canvas = Canvas(height, width, (0.1, -0.3, 0.8, 1.2))
    whole = generator.synthesize(styles, canvas.grid())
    stitched = torch.full_like(whole, math.nan)
    for part, image in painter_of(generator, styles, canvas, tile_edge=tile).images():
        stitched[..., part.rows, part.columns] = image
    assert (stitched - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_lines_in_chunks_agree_with_the_whole(generator) -> None:
    canvas = Canvas(3, 2 * LINE_CHUNK + 5)
    styles = generator.map(latents([0], generator))
    picture = render(generator, styles=styles, size=(3, canvas.width), window=(0, 0, 1, 1))
    assert differ(picture, reference(generator, styles, canvas)) <= 1


def test_the_picture_does_not_depend_on_threads(generator, monkeypatch) -> None:
    alone = render(generator, seed=1, size=(70, 150))
    assert worker_count(torch.device("cpu")) == torch.get_num_threads() == 1
    turned = render(generator, seed=1, size=(80, 120), warp="rotate:30")
    for module in (drawing, lines):
        monkeypatch.setattr(module, "worker_count", lambda device: 3)
    assert np.array_equal(render(generator, seed=1, size=(70, 150)), alone)
    assert np.array_equal(render(generator, seed=1, size=(80, 120), warp="rotate:30"), turned)


@pytest.mark.parametrize("composition", ["dense", "once", "sum"])
def test_every_composition_renders(composition) -> None:
    generator = tiny(composition=composition)
    styles = generator.map(latents([2], generator))
    picture = render(generator, styles=styles, size=(9, 14), window=(0, 0, 1, 1), tile_edge=4)
    assert differ(picture, reference(generator, styles, Canvas(9, 14))) <= 1


@pytest.mark.parametrize("warp", ["identity", "rotate:360", "zoom:1", Identity()])
def test_warps_that_change_nothing_leave_every_bit(generator, warp) -> None:
    plain = render(generator, seed=2, size=(9, 14))
    assert np.array_equal(render(generator, seed=2, size=(9, 14), warp=warp), plain)


@pytest.mark.parametrize("composition", ["dense", "layerwise"])
def test_warps_move_the_picture(composition) -> None:
    generator = tiny(composition=composition)
    window, shifted = (0, 0, 1, 1), (-0.25, -0.5, 0.75, 0.5)
    expected = render(generator, seed=2, size=(9, 14), window=shifted)
    assert differ(expected, render(generator, seed=2, size=(9, 14), window=window)) > 10
    shift = torch.tensor([0.25, 0.5], dtype=torch.float64)
    for warp in ("translate:0.25,0.5", Translate(0.25, 0.5), lambda points: points - shift):
        moved = render(generator, seed=2, size=(9, 14), window=window, warp=warp, tile_edge=5)
        assert differ(moved, expected) <= 1


def test_points_and_lines_show_the_same_turn(generator) -> None:
    turned = render(generator, seed=2, size=14, warp="rotate:90")
    assert differ(turned, np.rot90(render(generator, seed=2, size=14))) <= 1


@pytest.mark.parametrize("warp", [None, "swirl:90"])
def test_supersampled_pixels_are_means_of_a_larger_picture(generator, warp) -> None:
    fine = render(generator, seed=2, size=(18, 28), warp=warp)
    means = fine.reshape(9, 2, 14, 2, 3).mean((1, 3))
    picture = render(generator, seed=2, size=(9, 14), warp=warp, supersample=2, tile_edge=5)
    assert np.abs(picture - means).max() <= 1
    assert differ(picture, render(generator, seed=2, size=(9, 14), warp=warp)) > 1


def test_as_many_samples_as_the_detail_needs(generator) -> None:
    plain, box, auto = (
        render(generator, seed=2, size=8, supersample=samples, exact=True)
        for samples in (1, 2, "auto")
    )
    of_plain, of_box = (np.abs(auto.astype(int) - other).max(2) <= 1 for other in (plain, box))
    assert (of_plain | of_box).all()
    assert (of_box & ~of_plain).sum() > 10
    whole = render(generator, seed=2, size=16, supersample="auto")
    assert np.array_equal(whole, render(generator, seed=2, size=16))


@pytest.mark.parametrize("samples", [0, -1, 1.5, "many", None])
def test_impossible_samples_are_refused(generator, samples) -> None:
    with pytest.raises(UsageError, match="supersample"):
        render(generator, seed=0, supersample=samples)


@pytest.mark.parametrize("composition", ["dense", "layerwise"])
@pytest.mark.parametrize("warp", [None, "translate:0.1", "rotate:30"])
@pytest.mark.parametrize("samples", [1, 3])
def test_parts_of_a_picture_agree_with_the_whole(composition, warp, samples) -> None:
    generator = tiny(composition=composition)
    styles = generator.map(latents([2], generator))
    canvas = Canvas(11, 17, (0.1, -0.3, 0.8, 1.2))
    drawer = painter_of(generator, styles, canvas, warp=warp, supersample=samples, tile_edge=4)
    whole = drawer.pixels()
    for part in TilePlan(11, 17, 6):
        assert differ(drawer.pixels(part), whole[part.rows, part.columns]) <= 1


def line_store(generator: Generator, **options: Any) -> tuple[LineStore, list[int], Prepared]:
    """A store of lines, how many were asked of its network call by call, and the network."""
    prepared = generator.prepare(generator.map(latents([2], generator)))
    asked: list[int] = []
    lines = prepared.lines

    def counted(coords, axis, **more):
        asked.append(len(coords))
        return lines(coords, axis, **more)

    prepared.lines = counted
    return LineStore(prepared, **options), asked, prepared


def test_lines_are_kept_as_far_as_they_fit(generator) -> None:
    coords = Canvas(12, 12).columns()
    whole = line_store(generator)[0].lines(coords, "columns")
    half = whole.nbytes // 2
    rounds, bands = [0, 3, 6, 9, 0, 3, 6, 9], [0, 3, 0, 3, 6, 9, 6, 9]
    for keep, order, again in ((2 * half, rounds, 0), (half, bands, 0), (half, rounds, 4)):
        store, asked, _ = line_store(generator, keep=keep)
        for first in order:
            part = slice(first, first + 3)
            torch.testing.assert_close(store.lines(coords[part], "columns"), whole[:, :, part])
        assert len(asked) == 4 + again
        assert store.nbytes <= keep


def test_threads_wait_only_for_lines_that_they_need(generator) -> None:
    """Slow lines are computed once, for all who ask, and hold up nobody else."""
    store, asked, prepared = line_store(generator)
    slow, quick = Canvas(4, 4).rows(), Canvas(5, 5).rows()
    begun, may_end, lines = Event(), Event(), prepared.lines

    def slowly(coords, axis, **more):
        if torch.equal(coords[: len(slow)], slow):
            begun.set()
            assert may_end.wait(PATIENCE)
        return lines(coords, axis, **more)

    prepared.lines = slowly
    with ThreadPoolExecutor(3) as pool:
        together = [pool.submit(store.lines, slow, "rows") for _ in range(2)]
        assert begun.wait(PATIENCE)
        assert store.lines(quick, "rows").shape[2] == 5  # while the slow ones are under way
        assert not any(each.done() for each in together)
        may_end.set()
        first, second = (each.result(PATIENCE) for each in together)
    assert first is second
    assert asked == [TOGETHER, TOGETHER]


def test_lines_that_fail_are_asked_for_again(generator) -> None:
    store, _, prepared = line_store(generator)
    lines = prepared.lines
    prepared.lines = Mock(side_effect=MemoryError)
    with pytest.raises(MemoryError):
        store.lines(Canvas(4, 4).rows(), "rows")
    prepared.lines = lines
    assert store.lines(Canvas(4, 4).rows(), "rows").shape[2] == 4


def test_models_with_corner_sampling_keep_their_rule() -> None:
    generator = tiny(sampling="corners")
    styles = generator.map(latents([2], generator))
    ys, xs = torch.linspace(0, 1, 9).double(), torch.linspace(0, 1, 14).double()
    with torch.no_grad():
        expected = to_uint8(generator.synthesize(styles, AxisGrid(ys, xs))[0])
    picture = render(generator, styles=styles, size=(9, 14), window=(0, 0, 1, 1))
    assert differ(picture, expected) <= 1


def test_gray_models_have_one_channel() -> None:
    assert render(tiny(img_channels=1), seed=0, size=(5, 7)).shape == (5, 7, 1)


def test_the_default_is_the_resolution_of_the_model(generator) -> None:
    assert render(generator, seed=0).shape == (16, 16, 3)
    assert np.array_equal(render(generator, seed=0), render(generator, seed=0, size=16))


def test_a_wide_picture_is_not_distorted(generator) -> None:
    wide = render(generator, seed=0, size=(20, 30))
    window = undistorted_window(20, 30)
    assert np.array_equal(wide, render(generator, seed=0, size=(20, 30), window=window))
    square = render(generator, seed=0, size=20)
    assert differ(wide[:, 5:25], square) <= 1


def test_a_window_is_that_part_of_the_picture(generator) -> None:
    whole = render(generator, seed=0, size=(32, 48), window=(0, 0, 1, 1))
    part = render(generator, seed=0, size=(8, 12), window=(0.5, 0.25, 0.75, 0.5))
    assert differ(part, whole[16:24, 12:24]) <= 1


def test_one_latent_can_be_given_in_three_ways(generator) -> None:
    z = latents([9], generator)
    styles = generator.map(z, truncation=0.6, truncation_cutoff=3)
    by_seed = render(generator, seed=9, truncation=0.6, truncation_cutoff=3)
    by_z = render(generator, z=z, truncation=0.6, truncation_cutoff=3)
    assert np.array_equal(by_seed, by_z)
    assert np.array_equal(by_seed, render(generator, styles=styles))
    assert not np.array_equal(by_seed, render(generator, seed=9))


def test_a_class_can_be_an_index_or_a_row() -> None:
    generator = tiny(label_dim=3)
    by_index = render(generator, seed=0, label=2)
    row = torch.tensor([[0.0, 0.0, 1.0]])
    assert np.array_equal(by_index, render(generator, seed=0, label=row))
    assert not np.array_equal(by_index, render(generator, seed=0, label=1))
    with pytest.raises(LabelError, match="3 classes"):
        render(generator, seed=0)
    with pytest.raises(LabelError, match="class 3"):
        render(generator, seed=0, label=3)


def test_seeds_of_all_classes_need_none_but_one_can_be_chosen() -> None:
    generator = tiny(label_dim=3, class_from_latent=True)
    generator.record = {"classes": ["calm", "shut", "wide"]}
    z = latents([4], generator)
    drawn = int(z[0, :3].argmax())
    free = render(generator, seed=4)
    assert np.array_equal(free, render(generator, seed=4, label=drawn))
    for label, name in enumerate(generator.class_names):
        chosen = render(generator, seed=4, label=name)
        moved = generator.of_class(z, torch.tensor([label]))
        assert np.array_equal(chosen, render(generator, z=moved))
        assert np.array_equal(chosen, free) == (label == drawn)


def test_the_way_between_latents_of_a_class_stays_in_it() -> None:
    generator = tiny(label_dim=3, class_from_latent=True)
    label = torch.tensor([1])
    ends = generator.of_class(latents([4, 5], generator), torch.tensor([1, 1]))
    for t in (0.25, 0.5, 0.75):
        between = slerp(ends[:1], ends[1:], t)
        assert between[0, :3].argmax() == 1
        found = Latent(styles=f"4~5@{t}", label=1).resolve(generator)
        torch.testing.assert_close(found, generator.map(between, label))
        assert torch.equal(generator.map(between, label), generator.map(between))


def test_double_precision_agrees(generator) -> None:
    double = tiny().double()
    assert differ(render(generator, seed=0, size=40), render(double, seed=0, size=40)) <= 1


def test_rendering_leaves_gradients_on_between_tiles(generator) -> None:
    styles = generator.map(latents([0], generator))
    tiles = painter_of(generator, styles, Canvas(4, 6), tile_edge=2).images()
    next(tiles)
    assert not torch.is_inference_mode_enabled()
    tiles.close()


def test_progress_counts_pixels_up_to_all(generator) -> None:
    seen: list[tuple[int, int]] = []
    render(generator, seed=0, size=(5, 7), tile_edge=4, progress=lambda *now: seen.append(now))
    assert seen == [(16, 35), (28, 35), (32, 35), (35, 35)]


VIEWS = [
    {"size": (20, 31)},
    {"size": (9, 14), "window": (0.2, -0.4, 0.7, 0.9), "tile_edge": 5},
    {"size": (90, 110), "warp": "rotate:30"},
    {"size": (70, 120), "warp": "swirl:80", "window": (-1, -1, 1.5, 2)},
    {"size": (12, 18), "warp": "barrel:0.3", "exact": True},
    {"size": (8, 12), "supersample": "auto"},
    {"size": (8, 12), "supersample": "auto", "warp": "rotate:20"},
]


@pytest.mark.parametrize("keep", [0, 2**28])
def test_a_renderer_makes_the_pictures_of_render(generator, keep) -> None:
    renderer = Renderer(generator, seed=4, truncation=0.7, keep=keep)
    for view in VIEWS + VIEWS[::-1]:  # also after the tables have grown for others
        assert np.array_equal(
            renderer.picture(**view), render(generator, seed=4, truncation=0.7, **view)
        )


def test_a_renderer_tells_and_drops_what_it_holds(generator) -> None:
    renderer = Renderer(generator, seed=4)
    bare = renderer.nbytes
    renderer.picture(size=64)
    lines_held = renderer.nbytes - bare
    assert lines_held == 2 * 64 * 2 * 4 * 2 * 4  # coordinates, levels, channels, thickness, bytes
    renderer.picture(size=64)
    assert renderer.nbytes == bare + lines_held
    renderer.picture(size=100, warp="rotate:10")
    assert renderer.nbytes > bare + lines_held + 1000 * 64
    renderer.clear()
    assert renderer.nbytes == bare


def test_threads_share_a_renderer(generator) -> None:
    renderer = Renderer(generator, seed=4)
    views = [view for view in VIEWS if view["size"] != (12, 18)] * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda view: renderer.picture(**view), views))
    for view, picture in zip(views, together, strict=True):
        assert np.array_equal(picture, render(generator, seed=4, **view))


@pytest.mark.parametrize("view", VIEWS)
def test_tiles_for_any_sink_make_the_picture(generator, view) -> None:
    expected = render(generator, seed=2, **view)
    for tiles in (
        render_tiles(generator, seed=2, **view),
        Renderer(generator, seed=2).tiles(**view),
    ):
        picture = np.zeros_like(expected)
        for tile, pixels in tiles:
            picture[tile.rows, tile.columns] = pixels
        assert np.array_equal(picture, expected)


@pytest.mark.parametrize("view", VIEWS)
def test_a_region_is_a_part_of_the_picture(generator, view) -> None:
    whole = render(generator, seed=2, **view)
    part = Tile(1, 3, 6, 5)
    region = Renderer(generator, seed=2).region(part, **view)
    assert differ(region, whole[part.rows, part.columns]) <= 1


def test_regions_of_pictures_too_large_to_be_made(generator) -> None:
    renderer = Renderer(generator, seed=2)
    size, part = 2**40, Tile(2**39 + 5, 2**38, 7, 9)
    y, x = part.top / size, part.left / size
    window = (y, x, y + 7 / size, x + 9 / size)
    expected = render(generator, seed=2, size=(7, 9), window=window)
    assert differ(renderer.region(part, size=size), expected) <= 1
    assert renderer.region(part, size=size, warp="rotate:30").shape == (7, 9, 3)
    with pytest.raises(GridError, match="megapixels"):
        renderer.picture(size=size)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 0), ("float64", 1), ("bfloat16", 40)])
@pytest.mark.parametrize("view", [VIEWS[0], VIEWS[2]])
def test_precision_is_chosen(generator, view, dtype, error) -> None:
    plain = render(generator, seed=2, **view)
    for name in (dtype, getattr(torch, dtype), str(getattr(torch, dtype))):
        assert differ(render(generator, seed=2, dtype=name, **view), plain) <= error
    assert next(generator.parameters()).dtype == torch.float32


def test_devices_and_precisions_that_are_none_are_refused(generator) -> None:
    with pytest.raises(UsageError, match="dtype int8: known: bfloat16, float16, float32, float64"):
        render(generator, seed=0, dtype="int8")
    with pytest.raises(UsageError, match="did you mean bfloat16"):
        render(generator, seed=0, dtype="bfloat")
    for device in ("toaster", "cuda:99"):
        with pytest.raises(UsageError, match=f"device {device}: not here; expected auto or") as it:
            render(generator, seed=0, device=device)
        assert "\n" not in str(it.value)
    with pytest.raises(UsageError, match="mps has none"):
        requests.checked_dtype("float64", torch.device("mps"))


def test_the_device_of_the_model_changes_nothing(generator) -> None:
    plain = render(generator, seed=0)
    assert np.array_equal(render(generator, seed=0, device="cpu"), plain)
    assert np.array_equal(render(generator, seed=0, device=torch.device("cpu")), plain)


def test_rounding_is_to_nearest_and_clipped() -> None:
    levels = torch.tensor([-9.0, -1.0, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1.0, 9.0])
    assert to_uint8(levels.reshape(1, 2, 3)).tolist() == [[[0], [0], [0]], [[1], [255], [255]]]


@pytest.mark.parametrize("size", [0, (0, 4), (4, -1), (3, 4, 5), 2.5, "16", (4, 4.0)])
def test_impossible_sizes_are_refused(generator, size) -> None:
    with pytest.raises(GridError, match="size"):
        render(generator, seed=0, size=size)


def test_absurd_sizes_are_refused_with_the_memory_they_need(generator) -> None:
    with pytest.raises(GridError, match=r"10,000,000,000 megapixels .* 30,000,000\.0 GB") as error:
        render(generator, seed=0, size=10**8)
    assert "\n" not in str(error.value)


def test_pictures_beyond_the_memory_at_hand_are_refused(generator, monkeypatch) -> None:
    monkeypatch.setattr(requests, "available_memory", lambda: 1000)
    with pytest.raises(GridError, match="available"):
        render(generator, seed=0, size=(20, 17))
    assert render(generator, seed=0, size=(20, 16)).shape == (20, 16, 3)


@pytest.mark.parametrize("window", [(0, 0, math.nan, 1), (0, 0, 0, 1), (0, 0, 1, 1e300), (0, 1)])
def test_impossible_windows_are_refused(generator, window) -> None:
    with pytest.raises((GridError, UsageError), match="window"):
        render(generator, seed=0, window=window)


def test_other_nonsense_is_refused(generator) -> None:
    z = latents([0, 1], generator)
    with pytest.raises(UsageError, match="truncation nan"):
        render(generator, seed=0, truncation=math.nan)
    with pytest.raises(UsageError, match="cutoff -1"):
        render(generator, seed=0, truncation_cutoff=-1)
    with pytest.raises(GridError, match="tile_edge of 0"):
        render(generator, seed=0, tile_edge=0)
    with pytest.raises(UsageError, match="nothing given"):
        render(generator)
    with pytest.raises(UsageError, match="seed and z given"):
        render(generator, seed=0, z=z[:1])
    with pytest.raises(UsageError, match="2 latents given"):
        render(generator, z=z)
    with pytest.raises(UsageError, match="already"):
        render(generator, styles=generator.map(z[:1]), truncation=0.5)
    with pytest.raises(LabelError, match="unconditional"):
        render(generator, seed=0, label=1)


def test_latents_are_those_of_the_field(generator) -> None:
    rows = creps.latents([0, 7], generator)
    assert rows.dtype == torch.float32
    assert rows.shape == (2, 6)
    # numpy.random.RandomState(7).randn(), a published constant of the generator
    assert math.isclose(rows[1, 0], 1.690525703800356, rel_tol=1e-6)
    assert torch.equal(rows[1:], latents([7], generator))
    assert latents([], generator).shape == (0, 6)
    assert latents(np.array([2**32 - 1]), generator).shape == (1, 6)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "7"])
def test_seeds_out_of_range_are_refused(generator, seed) -> None:
    with pytest.raises(UsageError, match="seed"):
        latents([seed], generator)
