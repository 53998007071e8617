"""SSIM against scikit-image's, PSNR by hand, box reduction, and the perceptual distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor

from creps.errors import UsageError
from creps.metrics._extractors import effnet
from creps.metrics._similarity import box_reduce, perceptual_distance, psnr, ssim


def pair(shape: tuple[int, ...], *, seed: int, noise: float = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, shape).astype(np.float64)
    return a, (a + rng.normal(size=shape) * noise).clip(0, 255)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(11, 30),
    width=st.integers(11, 30),
    channels=st.sampled_from([0, 1, 3]),
    noise=st.floats(0, 100),
)
def test_ssim_equals_scikit_image(
    seed: int, height: int, width: int, channels: int, noise: float
) -> None:
    shape = (height, width, channels) if channels else (height, width)
    a, b = pair(shape, seed=seed, noise=noise)
    expected = structural_similarity(
        a,
        b,
        data_range=255,
        channel_axis=2 if channels else None,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_equal_pictures_is_one_and_is_symmetric() -> None:
    a, b = pair((16, 20, 3), seed=1)
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)
    assert ssim(a, b) == ssim(b, a) < 1
    assert ssim(a.astype(np.uint8), a.astype(np.uint8)) == pytest.approx(1, abs=1e-12)


def test_ssim_by_hand_of_flat_pictures() -> None:
    # No structure: (2 x y + c1) / (x^2 + y^2 + c1) with c1 = (0.01 * 255)^2.
    c1 = 2.55**2
    found = ssim(np.full((12, 12), 100.0), np.full((12, 12), 50.0))
    assert found == pytest.approx((2 * 5000 + c1) / (12500 + c1))


def test_psnr_by_hand() -> None:
    a = np.array([[0, 10]], dtype=np.uint8)
    b = np.array([[255, 10]], dtype=np.uint8)  # would wrap around in 8 bits
    assert psnr(a, b) == pytest.approx(10 * math.log10(2))
    assert psnr(a / 255, b / 255, peak=1.0) == pytest.approx(psnr(a, b))
    assert psnr(a, a) == math.inf


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_pictures_that_do_not_match_are_refused(measure) -> None:
    with pytest.raises(UsageError, match=r"\(12, 13\) and \(13, 12\)"):
        measure(np.zeros((12, 13)), np.zeros((13, 12)))
    with pytest.raises(UsageError, match="peak 0"):
        measure(np.zeros((12, 13)), np.zeros((12, 13)), peak=0)


def test_ssim_says_how_large_pictures_must_be() -> None:
    with pytest.raises(UsageError, match="at least 11 pixels"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))


class Colors:
    """An extractor whose layers are the picture itself and its mean colors."""

    name = "colors"

    def layers(self, images: Tensor, /) -> list[Tensor]:
        return [images, images.mean((2, 3), keepdim=True)]


def test_perceptual_distance_by_hand() -> None:
    # Directions (1, 0) and (0, 1) are 2 apart, squared; in both layers, at every place.
    a = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 3, 4)
    b = torch.tensor([0.0, 0.5])[None, :, None, None].expand(1, 2, 3, 4)
    assert float(perceptual_distance(a, b, extractor=Colors())) == pytest.approx(4, rel=1e-5)
    assert float(perceptual_distance(a, 3 * a, extractor=Colors())) == pytest.approx(0, abs=1e-6)


def test_perceptual_distance_of_the_network_grows_with_noise_and_has_gradients() -> None:
    extractor = effnet()
    draw = torch.Generator().manual_seed(0)
    a = torch.rand(1, 3, 20, 24, generator=draw) - 0.5
    noise = torch.randn(1, 3, 20, 24, generator=draw)
    b = (a + 0.1 * noise).requires_grad_()
    near = perceptual_distance(a, b, extractor=extractor)
    near.sum().backward()
    far = perceptual_distance(a, a + 0.3 * noise, extractor=extractor)
    assert float(perceptual_distance(a, a, extractor=extractor)) == 0
    assert 0 < float(near.detach()) < float(far)
    assert b.grad is not None
    assert float(b.grad.abs().max()) > 0


def test_perceptual_distance_refuses_pictures_of_two_sizes() -> None:
    with pytest.raises(UsageError, match="expected one"):
        perceptual_distance(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 5, 4), extractor=Colors())


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.sampled_from([(), (1,), (3,)]))
def test_box_reduction_means_each_block(
    height: int, width: int, factor: int, channels: tuple[int, ...]
) -> None:
    shape = (height * factor, width * factor, *channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    reduced = box_reduce(image, factor)
    assert reduced.shape == (height, width, *channels)
    for i in range(height):
        for j in range(width):
            rows, columns = slice(i * factor, (i + 1) * factor), slice(j * factor, (j + 1) * factor)
            np.testing.assert_allclose(reduced[i, j], image[rows, columns].mean((0, 1)), rtol=1e-12)


def test_box_reduction_in_two_steps_is_one() -> None:
    image = np.random.default_rng(0).normal(size=(12, 24, 3))
    np.testing.assert_allclose(box_reduce(box_reduce(image, 2), 3), box_reduce(image, 6), rtol=1e-9)


@pytest.mark.parametrize("factor", [0, 4, 5])
def test_box_reduction_refuses_broken_blocks(factor: int) -> None:
    with pytest.raises(UsageError, match="size 8x6 cannot be divided"):
        box_reduce(np.zeros((8, 6)), factor)
