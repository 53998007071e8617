"""The camera: turned, bent and averaged pictures agree with plain ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from creps.errors import GridError
from creps.networks.base import Generator, build_generator
from creps.rendering._painter import Picture
from creps.rendering._renderer import Renderer, render
from creps.rendering._styles import latents
from creps.rendering.video._film import Film, PartialWarp, frame_warp, partly
from creps.rendering.video._motion import DistortMotion, Frame
from creps.rendering.warps import Chain, Identity, parse_warp

WINDOW = (0.0, 0.25, 1.0, 0.75)
SIZE = (40, 20)  # square pixels


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    config = {"resolution": 8, "channel_base": 64, "w_dim": 6, "z_dim": 5, "bandwidth": 1.5}
    return build_generator("creps", config)


@pytest.fixture(scope="module")
def styles(generator: Generator) -> torch.Tensor:
    return generator.map(latents([7], generator))


def shown(styles_of: Renderer, frame: Frame, *, size=SIZE, warp=None, **view) -> Picture:
    """The picture of a frame."""
    bent = frame_warp(frame, warp)
    return styles_of.picture(size=size, window=frame.window, warp=bent, **view)


def plain(generator: Generator, styles: torch.Tensor, window=WINDOW, size=SIZE) -> Picture:
    return render(generator, styles=styles, size=size, window=window)


def assert_alike(one: Picture, other: Picture) -> None:
    """But for the last bit of the rounding; and there is something to see."""
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).max() <= 1
    assert one.std() > 5


@pytest.mark.parametrize("degrees", [0.0, 360.0, -720.0])
def test_whole_turns_change_nothing(generator, styles, degrees):
    picture = shown(Renderer(generator, styles=styles), Frame(WINDOW, degrees=degrees), size=SIZE)
    np.testing.assert_array_equal(picture, plain(generator, styles))


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_quarter_turns_are_anticlockwise(generator, styles, quarters):
    square = (-0.5, 0.0, 0.5, 1.0)
    shot = Frame(square, degrees=90 * quarters)
    turned = shown(Renderer(generator, styles=styles), shot, size=(24, 24))
    assert_alike(turned, np.rot90(plain(generator, styles, square, (24, 24)), quarters))


def test_a_half_turn_is_about_the_middle_of_the_window(generator, styles):
    turned = shown(Renderer(generator, styles=styles), Frame(WINDOW, degrees=180), size=SIZE)
    assert_alike(turned, plain(generator, styles)[::-1, ::-1])


def test_no_amount_of_a_warp_changes_nothing(generator, styles):
    shot = Frame(WINDOW, amount=0)
    picture = shown(
        Renderer(generator, styles=styles), shot, size=SIZE, warp=parse_warp("swirl:90")
    )
    np.testing.assert_array_equal(picture, plain(generator, styles))


@pytest.mark.parametrize("text", ["swirl:90", "barrel:0.3", "polar", "rotate:30+elastic:0.1"])
def test_amounts_go_from_nothing_to_the_warp_itself(text):
    points = torch.rand(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    warp = parse_warp(text)
    assert torch.equal(partly(warp, 1)(points), warp(points))
    torch.testing.assert_close(partly(warp, 0)(points), points, rtol=0, atol=1e-15)
    step = (partly(warp, 0.501)(points) - partly(warp, 0.5)(points)).abs().max()
    assert 0 < step < 0.01  # on the way too, and without a jump


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("rotate:180", "rotate:90"),
        ("swirl:180,0.3", "swirl:90,0.3"),
        ("elastic:0.1,seed=3", "elastic:0.05,seed=3"),
        ("barrel:0.4,0.2", "barrel:0.2,0.1"),
        ("translate:1,2+rotate:60", "translate:0.5,1+rotate:30"),
    ],
)
def test_half_of_a_warp_is_one_of_half_the_strength(text, half):
    points = torch.rand(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(partly(parse_warp(text), 0.5)(points), parse_warp(half)(points))


def test_half_of_a_shift_is_a_shift_by_half(generator, styles):
    shot = Frame(WINDOW, amount=0.5)
    moved = shown(
        Renderer(generator, styles=styles), shot, size=SIZE, warp=parse_warp("translate:0.2,-0.5")
    )
    shifted = (-0.1, 0.5, 0.9, 1.0)  # the picture goes down and left, the window up and right
    assert_alike(moved, plain(generator, styles, shifted))


def test_a_shot_is_bent_before_it_is_turned():
    warp = parse_warp("translate:0.25")
    both = frame_warp(Frame(WINDOW, degrees=90, amount=1), warp)
    assert isinstance(both, Chain)
    # What is seen a quarter right of the middle: turned clockwise a quarter below it; 0.25 shifted
    # down is what was in the middle.
    place = torch.tensor([[0.5, 0.75]], dtype=torch.float64)
    torch.testing.assert_close(both(place), torch.tensor([[0.5, 0.5]], dtype=torch.float64))


def test_maps_without_a_window_of_their_own_get_that_of_the_shot():
    class Own(Identity):
        def over(self, window):
            return parse_warp(f"translate:{window[3]}")

    points = torch.zeros(1, 2, dtype=torch.float64)
    moved = PartialWarp(Own(), 1.0).over(WINDOW)(points)
    assert moved.tolist() == [[-0.75, 0.0]]


def test_what_a_warp_does_not_show_is_black(generator, styles):
    def left(points):
        """Nothing right of the middle."""
        return torch.where(points[..., 1:] < 0.5, points, torch.nan)

    picture = render(generator, styles=styles, size=SIZE, window=WINDOW, warp=left)
    half = SIZE[1] // 2
    assert (picture[:, half:] == 0).all()
    assert_alike(picture[:, :half], plain(generator, styles)[:, :half])


@pytest.mark.parametrize("degrees", [0.0, 180.0])
def test_supersampled_pixels_are_means(generator, styles, degrees):
    shot = Frame(WINDOW, degrees=degrees)
    picture = shown(Renderer(generator, styles=styles), shot, size=(10, 5), supersample=4)
    fine = shown(Renderer(generator, styles=styles), shot, size=SIZE)
    means = fine.reshape(10, 4, 5, 4, 3).mean((1, 3))
    assert np.abs(picture - means).max() < 0.7  # its samples are rounded as well: 0.29 / 4


def test_the_picture_does_not_depend_on_tiles(generator, styles, monkeypatch):
    shot = Frame(WINDOW, degrees=30)
    whole = shown(Renderer(generator, styles=styles), shot, size=SIZE)
    monkeypatch.setattr("creps.rendering._painter.POINT_TILE", 7)
    assert_alike(shown(Renderer(generator, styles=styles), shot, size=SIZE), whole)


def test_impossible_sizes_are_refused(generator, styles):
    with pytest.raises(GridError, match="at least 1"):
        shown(Renderer(generator, styles=styles), Frame(WINDOW, degrees=3), size=(0, 4))


def test_a_film_tells_which_map_bends_it(generator, tmp_path):
    def told() -> dict:
        motion = DistortMotion((0.0, 0.0, 1.0, 1.0))
        film = Film(motion=motion, size=(8, 8), warp=f"map:{tmp_path / 'map.npy'}")
        return film.about(generator)

    maps = []
    for seed in (0, 0, 1):
        np.save(tmp_path / "map.npy", np.random.RandomState(seed).rand(3, 4, 2))
        maps.append(told()["maps"])
    assert maps[0] == maps[1] != maps[2]
    assert told()["warp"] == f"map:{tmp_path / 'map.npy'}"
