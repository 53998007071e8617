"""Sparse pictures are those of exact evaluation, within a gray level, however they are cut."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import creps
from creps.coordinates import Canvas
from creps.errors import CrepsError, UsageError
from creps.networks.base import Generator, build_generator
from creps.rendering import Latent, Renderer, StyleField, Tile, View, to_uint8
from creps.rendering import _painter as painting
from creps.rendering._blends import Mask
from creps.rendering._line_series import LineSeries
from creps.rendering._sampling import sparsity_of
from creps.rendering._sparse import (
    BLOCK,
    COARSEST,
    SMALLEST,
    BlockPlan,
    Known,
    Sparsity,
    _halved,
    _halving,
    _predicted,
    _reach,
    _Side,
    sparse_block,
)
from creps.rendering._tiles import TilePlan

LEVEL = 2 / 255
SHARP: dict[str, Any] = {
    "resolution": 32, "channel_max": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2,
    "thickness": 4, "line_channels": 8, "decoder_widths": (16,), "refinement_widths": (16, 8),
    "bandwidth": 10.0,
}  # fmt: skip
"""A small network with the paper's frequencies: all its weights are random."""


def random_network(family: str = "creps", **changes: Any) -> Generator:
    """The same in every call; its pictures fill the range of colors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        if family == "cips":
            config: dict[str, Any] = {
                "resolution": 32, "features": 16, "widths": [16, 16], "z_dim": 8, "w_dim": 8,
                "mapping_layers": 2, "bandwidth": 10.0,
            }  # fmt: skip
            return build_generator("cips", config | changes)
        network = build_generator(family, SHARP | changes)
        network.to_rgb.weight.mul_(4)
    return network


def differences(generator: Generator, *, seed: int = 7, **view: Any) -> tuple[Tensor, float]:
    """By how many levels each pixel is off, and the share of pixels that was evaluated."""
    renderer = Renderer(generator, seed=seed)
    painter = renderer.painter(**view)
    assert painter._sparsity is not None
    quick = painter.pixels()
    exact = renderer.picture(**view, tolerance=0)
    share = painter.evaluations.share
    assert share is not None
    return torch.from_numpy(np.abs(quick.astype(int) - exact)), share


@pytest.fixture(scope="module")
def portraits() -> Generator:
    return creps.load("portraits")


VIEWS: list[dict[str, Any]] = [
    {"size": (512, 580)},
    {"size": (300, 520), "zoom": 4, "pan": (0.4, 0.5)},
    {"size": (256, 320), "zoom": 2**20, "pan": (0.41, 0.52)},
    {"size": (520, 300), "window": (0.2, 0.3, 0.7, 0.6), "warp": "rotate:30"},
    {"size": (256, 300), "zoom": 5, "warp": "swirl:120"},
    {"size": (260, 513), "supersample": 2, "window": (0.2, 0.2, 0.7, 0.8)},
]


@pytest.mark.parametrize("view", VIEWS)
def test_no_pixel_is_off_by_more_than_a_level(portraits: Generator, view: dict[str, Any]) -> None:
    off, share = differences(portraits, **view)
    assert int(off.max()) <= 1
    assert share < 0.65


@pytest.mark.parametrize("family", ["creps", "cips"])
@pytest.mark.parametrize("zoom", [5, 60, 2**16])
def test_random_networks_keep_the_promise(family: str, zoom: int) -> None:
    off, share = differences(random_network(family), size=(300, 400), zoom=zoom)
    assert int(off.max()) <= 1
    assert share < 1.1


@pytest.mark.parametrize("composition", ["dense", "once", "sum"])
def test_every_composition_keeps_the_promise(composition: str) -> None:
    network = random_network(composition=composition, bandwidth=3.0)
    off, _ = differences(network, size=(400, 300), zoom=2)
    assert int(off.max()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2, 7, 16])
@pytest.mark.parametrize("zoom", [1, 1.7, 8, 60, 1000, 2**20])
def test_many_pictures_keep_the_promise(portraits: Generator, seed: int, zoom: float) -> None:
    off, _ = differences(portraits, seed=seed, size=(1024, 1100), zoom=zoom, pan=(0.42, 0.55))
    assert int(off.max()) <= 1


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 18),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(64, 600),
    st.sampled_from([None, "rotate:30", "swirl:100,0.3", "barrel:0.3", "elastic:0.05"]),
)
def test_any_picture_keeps_the_promise(
    seed: int, octaves: float, y: float, x: float, width: int, warp: str | None
) -> None:
    generator = random_network() if seed % 2 else creps.load("portraits")
    view = {"size": (300, width), "zoom": 2**octaves, "pan": (y, x), "warp": warp}
    renderer = Renderer(generator, seed=seed)
    exact = renderer.picture(**view, tolerance=0)
    assert np.abs(renderer.picture(**view).astype(int) - exact).max() <= 1


def blended(generator: Generator) -> list[Latent]:
    """Pictures of several styles, with hard edges too."""
    styles = torch.cat([generator.map(creps.latents([seed], generator)) for seed in (1, 2)])
    mask = torch.zeros(2, 5, 7)
    mask[0, :, :3] = mask[1, :, 3:] = 1
    return [
        Latent(styles="1/2", blend="gradient:30,softness=0.3"),
        Latent(styles="1/2/3", blend="stripes:width=0.2,softness=0"),
        Latent(styles=StyleField(styles, Mask(mask))),
        Latent(styles="1/2", blend="panorama"),
    ]


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("family", ["creps", "cips"])
def test_blends_keep_the_promise(kind: int, family: str) -> None:
    generator = random_network(family, bandwidth=2.0)
    latent = blended(generator)[kind]
    renderer = Renderer(generator, latent)
    view = {"size": (300, 300 * latent.across), "across": latent.across}
    quick = renderer.painter(View(**view))
    off = np.abs(quick.pixels().astype(int) - renderer.picture(View(**view, tolerance=0)))
    assert off.max() <= 1
    assert quick.evaluations.share is not None
    assert quick.evaluations.share < 1.1


def jumping(points: Tensor) -> Tensor:
    """A line of two pixels, far from any lattice, is moved elsewhere; below, nothing is shown."""
    moved = points.clone()
    line = (points[..., 1] > 0.4037) & (points[..., 1] < 0.4072)
    moved[..., 0] = torch.where(line, points[..., 0] + 0.21, points[..., 0])
    return torch.where((points[..., :1] > 0.8013) & (points[..., :1] < 0.8033), math.nan, moved)


def test_what_a_warp_does_between_samples_is_seen(portraits: Generator) -> None:
    view = {"size": (256, 400), "window": (0.7, 0.3, 0.87, 0.55)}
    off, share = differences(portraits, **view, warp=jumping)
    assert int(off.max()) <= 1
    assert share < 0.6
    shown = creps.render(portraits, seed=7, **view, warp=jumping)
    assert (shown[155] == 0).all()  # y of 0.803


@pytest.mark.parametrize("warp", [None, "rotate:20"])
@pytest.mark.parametrize("samples", [1, 2])
def test_parts_are_the_picture_to_the_last_bit(
    portraits: Generator, warp: str | None, samples: int
) -> None:
    view = View(size=(330, 520), warp=warp, supersample=samples, window=(0.3, 0.3, 0.5, 0.6))
    renderer = Renderer(portraits, seed=2)
    whole = renderer.picture(view)
    for edge in (512, 200):
        alone = Renderer(portraits, seed=2, keep=None)
        for part in reversed(TilePlan(330, 520, edge)):
            alone_there = alone.painter(view)
            assert np.array_equal(alone_there.pixels(part), whole[part.rows, part.columns])
    assert np.array_equal(renderer.region(Tile(250, 17, 20, 400), view), whole[250:270, 17:417])


def test_pictures_do_not_depend_on_threads(
    portraits: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = creps.render(portraits, seed=1, size=(520, 700))
    monkeypatch.setattr(painting, "worker_count", lambda device: 3)
    assert np.array_equal(creps.render(portraits, seed=1, size=(520, 700)), alone)


def test_pixels_beyond_the_picture_are_evaluated(portraits: Generator) -> None:
    renderer = Renderer(portraits, seed=1)
    whole = renderer.picture(size=(300, 520))
    beyond = renderer.region(Tile(-10, 500, 60, 40), size=(300, 520)).astype(int)
    assert np.abs(beyond[10:, :20] - whole[:50, 500:]).max() <= 1


class Noise:
    """Pixels that nothing foretells, and how many of them were asked for."""

    def __init__(self, height: int, width: int, *, border: int = 4 * COARSEST) -> None:
        draw = torch.Generator().manual_seed(0)
        self.border, self.asked = border, 0
        shape = 3, height + 2 * border, width + 2 * border
        self.values = torch.rand(shape, generator=draw) * 2 - 1

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> Tensor:
        down, across = (torch.tensor(each) + self.border for each in (rows[i], columns[j]))
        self.asked += len(down) * len(across)
        return self.values[:, down][:, :, across]

    def chosen(self, rows: range, columns: range, i: Tensor, j: Tensor) -> Tensor:
        self.asked += len(i)
        down, across = (torch.tensor(each) + self.border for each in (rows, columns))
        return self.values[:, down[i], across[j]]

    def known(self, rows: range, columns: range) -> Known | None:
        return None


@pytest.mark.parametrize("spacing", [2, 4, 8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(256, 256), (256, 100), (64, 319)])
def test_noise_costs_little_more_than_all_its_pixels(spacing: int, height: int, width: int) -> None:
    noise = Noise(height, width)
    spacing = min(spacing, 2 ** int(math.log2(min(height, width) / 8)))
    block = sparse_block(noise, Tile(0, 0, height, width), Sparsity(spacing, LEVEL / 2, 1.0))
    b = noise.border
    assert torch.equal(block.image, noise.values[:, b : b + height, b : b + width])
    assert block.evaluated == noise.asked <= 1.15 * height * width


def test_smooth_pictures_cost_next_to_nothing() -> None:
    waves = Noise(256, 256)
    place = torch.arange(waves.values.shape[1]) / 200
    waves.values = (place[:, None].sin() * (1.3 * place).cos()).expand(3, -1, -1)
    block = sparse_block(waves, Tile(0, 0, 256, 256), Sparsity(32, LEVEL / 2, 1.0))
    b = waves.border
    assert block.evaluated < 0.01 * 256 * 256
    off = block.image - waves.values[:, b : b + 256, b : b + 256]
    assert float(off.abs().max()) < LEVEL / 2


def test_subdivision_reproduces_cubics_and_keeps_samples() -> None:
    matrix = _halving(-2, 6, -3, 11)
    x = torch.arange(-2, 7, dtype=torch.float64)
    fine = torch.arange(-3, 12, dtype=torch.float64) / 2
    for power in range(4):
        torch.testing.assert_close(matrix @ x**power, fine**power)
    assert torch.equal((matrix @ x)[1::2], x[1:-1])
    # Between the second and the third of four: -1/16, 9/16, 9/16, -1/16.
    assert matrix[4, :4].tolist() == [0.0, -0.0625, 0.5625, 0.5625][:4]


@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([2, 4, 8, 16, 32]))
@settings(max_examples=30)
def test_halving_in_place_is_subdivision_by_matrices(height: int, width: int, step: int) -> None:
    down, across = _Side(64, height), _Side(-128, width)
    size = 2, len(down.lattice(step)), len(across.lattice(step))
    values = torch.rand(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = values
    for side, axis in ((height, 1), (width, 2)):
        (first, last), (new_first, new_last) = _reach(side, step), _reach(side, step // 2)
        matrix = _halving(-first, last, -new_first, new_last)
        expected = torch.tensordot(matrix, expected, ([1], [axis])).movedim(0, axis)
    torch.testing.assert_close(_halved(values, down, across, step), expected)


@given(st.integers(1, 2000), st.integers(1, 2000), st.data())
def test_blocks_cover_a_part_once(height: int, width: int, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    part = Tile(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    every = list(BlockPlan(height, width, Tile(0, 0, height, width)))
    assert sum(block.height * block.width for block in every) == height * width
    touched = list(BlockPlan(height, width, part))
    assert set(touched) == {block for block in every if block.within(part) is not None}
    for block in every:
        assert block.top % BLOCK == block.left % BLOCK == 0
        assert block.height >= min(height, SMALLEST)
        assert block.width >= min(width, SMALLEST)


@given(st.integers(-100, 100), st.sampled_from([1, 2, 4]), st.integers(1, 90), st.integers(1, 2))
def test_a_series_computes_each_line_once(first: int, step: int, count: int, samples: int) -> None:
    asked: list[int] = []

    def make(pixels: range) -> Tensor:
        asked.extend(pixels)
        values = torch.tensor([samples * p + k for p in pixels for k in range(samples)])
        return values[None, None, :, None].double()

    series = LineSeries(make, 8, samples=samples)
    pixels = range(first * step, (first + count) * step, step)
    for part in (slice(None), slice(None, None, 2), slice(None)):
        wanted = [samples * p + k for p in pixels[part] for k in range(samples)]
        assert series.lines(pixels, part)[0, 0, :, 0].tolist() == wanted
    if count > 1:
        odd = slice(1 - first % 2, None, 2)
        wanted = [samples * p + k for p in pixels[odd] for k in range(samples)]
        assert series.lines(pixels, odd)[0, 0, :, 0].tolist() == wanted
    assert len(asked) == len(set(asked))


def test_the_first_lattice_follows_the_detail_of_the_model(portraits: Generator) -> None:
    def spacing(generator: Generator, size: int, **view: Any) -> int:
        canvas = View(size=size, **view).canvas(generator)
        sparsity = sparsity_of(generator, canvas, tolerance=0.5)
        return 1 if sparsity is None else sparsity.spacing

    assert [spacing(portraits, side) for side in (256, 512, 1024, 4096, 2**14, 2**20)] == [
        1, 2, 4, 16, 32, 32,
    ]  # fmt: skip
    assert spacing(portraits, 256, zoom=16) == 16
    assert spacing(portraits, 63, zoom=2**10) == 1
    # 32 pixels of training, but 8 samples for each of 4 * 10 waves.
    assert spacing(random_network(), 640) == 2
    assert sparsity_of(portraits, Canvas(512, 4096), tolerance=0.5).spacing == 2


def test_zero_and_exact_evaluate_every_pixel(portraits: Generator) -> None:
    for view in ({"tolerance": 0}, {"exact": True}, {"tolerance": 9, "exact": True}):
        painter = Renderer(portraits, seed=7).painter(size=(512, 600), **view)
        pixels = painter.pixels()
        assert painter.evaluations.share == 1
        assert "tolerance" not in painter.about()
        styles = portraits.map(creps.latents([7], portraits))
        canvas = View(size=(512, 600)).canvas(portraits)
        plain = to_uint8(portraits.synthesize(styles, canvas.grid())[0])
        assert np.abs(pixels.astype(int) - plain).max() <= 1
        assert (pixels != plain).mean() < 1e-3


def test_a_larger_tolerance_takes_fewer_pixels(portraits: Generator) -> None:
    shares = []
    for tolerance in (0.1, 0.5, 2, 8):
        renderer = Renderer(portraits, seed=7)
        off = np.abs(
            renderer.picture(size=(256, 300), zoom=3, tolerance=tolerance).astype(int)
            - renderer.picture(size=(256, 300), zoom=3, tolerance=0)
        )
        assert off.max() <= max(2 * tolerance, 1)
        painter = Renderer(portraits, seed=7).painter(size=(256, 300), zoom=3, tolerance=tolerance)
        painter.pixels()
        assert painter.about()["tolerance"] == tolerance
        shares.append(painter.evaluations.share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1.2 * shares[-1]


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf, 65, "much", None])
def test_impossible_tolerances_are_refused_in_one_line(tolerance: Any) -> None:
    with pytest.raises(UsageError, match=r"tolerance .* expected 0 .every pixel. to 64 gray") as it:
        View(tolerance=tolerance)
    assert "\n" not in str(it.value)


def test_a_renderer_counts_what_it_evaluates(portraits: Generator) -> None:
    renderer = Renderer(portraits, seed=7)
    assert renderer.evaluations.share is None
    renderer.picture(size=(256, 300), zoom=100)
    assert renderer.evaluations.painted == 256 * 300
    assert renderer.evaluations.share < 0.5
    before = renderer.evaluations.evaluated
    renderer.picture(size=(20, 30), exact=True)
    assert renderer.evaluations.evaluated == before + 600
    assert str(renderer.evaluations).endswith("% of the pixels evaluated")


def test_colors_that_are_no_numbers_are_evaluated() -> None:
    noise = Noise(64, 64)
    noise.values[:, noise.border + 20, noise.border + 22] = math.nan
    block = sparse_block(noise, Tile(0, 0, 64, 64), Sparsity(8, LEVEL / 2, 1.0))
    assert block.image.isnan().sum() == 3


@pytest.mark.parametrize("step", [2, 8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(512, 512), (300, 130)])
def test_a_lattice_carried_on_at_once_is_that_halved_again_and_again(
    step: int, height: int, width: int
) -> None:
    down, across = _Side(512, height), _Side(0, width)
    size = 3, len(down.lattice(step)), len(across.lattice(step))
    values = torch.rand(size, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    halved, spacing = values, step
    while spacing > 1:
        halved = _halved(halved, down, across, spacing)
        spacing //= 2
    carried = _predicted(values, down, across, step)
    assert carried.shape == (3, height, width)
    torch.testing.assert_close(carried, halved, rtol=0, atol=1e-13)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Threads of torch, and so workers that draw."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("view", [{}, {"tolerance": 0}, {"warp": "rotate:30"}, {"depth": 16}])
def test_parts_drawn_side_by_side_are_those_drawn_alone(
    portraits: Generator, monkeypatch: pytest.MonkeyPatch, threads: int, view: dict[str, Any]
) -> None:
    drawing: set[int] = set()
    block = painting.sparse_block
    monkeypatch.setattr(
        painting,
        "sparse_block",
        lambda *given: (drawing.add(threading.get_ident()), block(*given))[1],
    )
    size = (300, 420) if view else (700, 1300)
    parts = TilePlan(*size, 256)
    first, second = (Renderer(portraits, seed=7).painter(View(size=size, **view)) for _ in "ab")
    together = list(first.each(iter(parts)))
    assert len(together) == len(parts)
    for part, pixels in zip(parts, together, strict=True):
        assert np.array_equal(pixels, second.pixels(part))
    assert first.evaluations.share == second.evaluations.share
    if not view:
        assert (threading.get_ident() in drawing) is (threads == 1)


def test_an_error_while_drawing_ahead_comes_where_its_part_would(
    portraits: Generator, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    painter = Renderer(portraits, seed=7).painter(View(size=1024))
    parts, drawn = TilePlan(1024, 1024, 256), painter.pixels

    def failing(part: Tile, **more: Any) -> Any:
        if part == parts[5]:
            raise CrepsError("no")
        return drawn(part, **more)

    monkeypatch.setattr(painter, "pixels", failing)
    ahead = painter.each(parts)
    assert [next(ahead).shape for _ in range(5)] == [(256, 256, 3)] * 5
    with pytest.raises(CrepsError, match="no"):
        next(ahead)
