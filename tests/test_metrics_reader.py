"""The portrait reader as a judge: what it reads, what it cannot, and that damage costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.data import portrait_truth
from creps.data.portraits._truth import DRAWINGS
from creps.errors import UsageError
from creps.metrics import (
    Protocol,
    RealImages,
    evaluate,
    extract,
    frechet_distance,
    portrait_features,
    read_portraits,
)
from creps.metrics._attributes import total_variation
from creps.metrics._extractors import extractor_spec
from creps.metrics._models import model_ref
from creps.metrics._reader import SIDE, WEIGHTS, portrait_reader, reader_record, seen
from creps.metrics._real_images import HELD_OUT, real_images
from smooth_model import SmoothModel

COUNT = 60


@pytest.fixture(scope="module")
def real() -> RealImages:
    return real_images("portraits")


@pytest.fixture(scope="module")
def pictures(real: RealImages) -> list[np.ndarray]:
    """Real portraits that no training saw."""
    return [real.picture(HELD_OUT + number, (64, 64)) for number in range(COUNT)]


def test_the_weights_are_small_and_loaded_alike_each_time() -> None:
    assert WEIGHTS.stat().st_size < 1_500_000
    first = portrait_reader()
    portrait_reader.cache_clear()
    again = portrait_reader()
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_the_record_says_where_it_comes_from_and_how_good_it_is() -> None:
    record = reader_record()
    assert Path(record["script"]).name == "training.py"
    assert set(record["sure"]) == set(DRAWINGS)
    for size, least in (("32", 0.6), ("64", 0.8), ("128", 0.85)):
        assert min(record["right"][size].values()) > least
    assert "Johan Melin" in record["credit"]


def test_it_reads_what_is_drawn(pictures: list[np.ndarray]) -> None:
    read = read_portraits(pictures)
    for part in DRAWINGS:
        names = read.names(part)
        truth = [portrait_truth(HELD_OUT + number).drawings[part] for number in range(COUNT)]
        right = np.mean([a == b for a, b in zip(names, truth, strict=True) if a])
        assert right > 0.85, part
        assert read.readable[part].mean() > 0.6, part


def test_nothing_can_be_read_where_nothing_is(pictures: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((64, 64, 3), rng.integers(256, size=3), np.uint8) for _ in range(20)]
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(20)]
    clear = np.mean(list(read_portraits(pictures).readable.values()))
    for unreadable in (flat, noise):
        assert np.mean(list(read_portraits(unreadable).readable.values())) < 0.5 * clear


def test_features_do_not_depend_on_the_batch(pictures: list[np.ndarray]) -> None:
    network = portrait_features()
    batch = torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1) for p in pictures[:4]])
    alone = torch.cat([network(each[None]) for each in batch])
    torch.testing.assert_close(alone, network(batch), rtol=1e-4, atol=1e-4)


def test_any_size_and_gray_are_read(real: RealImages) -> None:
    small, wide = real.picture(0, (32, 32)), real.picture(0, (96, 144))
    assert extract([small], portrait_features()).shape == (1, portrait_features().width)
    assert np.isfinite(extract([wide[:, :, :1]], portrait_features())).all()


def test_pictures_of_its_own_size_are_seen_as_they_are() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    torch.testing.assert_close((seen(x) + 1) * 127.5, x.float())
    torch.testing.assert_close(seen(x[:, :1, :40, :60]).amax(), seen(x[:, :1, :40, :60]).amax())


def test_spec_is_told_apart_by_the_weights_and_takes_none() -> None:
    spec = extractor_spec("portraits")
    assert len(spec.identity()["weights"]) == 64
    assert "128x128" in spec.identity()["resize"]
    with pytest.raises(UsageError, match="portraits brings its own weights: leave --weights out"):
        extractor_spec("portraits", weights="file")
    with pytest.raises(UsageError, match="portraits shows no layers"):
        spec.layered()


def test_total_variation_of_shares() -> None:
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])
    assert total_variation(a, b, 3) == pytest.approx(0.5)
    assert total_variation(a, a[::-1], 3) == 0
    assert np.isnan(total_variation(a[:0], b, 3))


def test_the_report_names_parts_and_sizes_beside_real_ones(tmp_path: Path) -> None:
    protocol = Protocol(n=12, metrics=("fd", "attributes"), sizes=((32, 32), (32, 48)))
    found = evaluate(
        model_ref(SmoothModel()), "portraits", protocol, extractor="portraits", cache=tmp_path
    )
    values = {value.name: value for value in found.values}
    assert {"fd_portraits@32", "readable_mouth@32", "tv_hair@32x48", "readable_all@32"} <= set(
        values
    )
    about = values["readable_mouth@32"].about
    assert about.startswith("samples whose mouth can be read; real portraits: 0.")
    # Colored waves are no portraits.
    assert values["readable_all@32"].value <= 0.2
    assert values["fd_portraits@32"].value > 0
    assert found.record["extractor"]["name"] == "portraits"


def test_attributes_of_other_pictures_are_refused_by_name_and_left_out_else(
    tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    from PIL import Image

    folder = tmp_path / "set"
    folder.mkdir()
    for k, picture in enumerate(pictures[:8]):
        Image.fromarray(picture).save(folder / f"{k}.png")
    model, cache = model_ref(SmoothModel()), tmp_path / "cache"
    for data in (str(folder), "portraits:micah"):
        with pytest.raises(UsageError, match=r"portraits of the default style.*--data portraits"):
            evaluate(model, data, Protocol(n=8, metrics=("attributes",)), cache=cache)
    with pytest.raises(UsageError, match="patches need another extractor"):
        evaluate(
            model,
            "portraits",
            Protocol(n=8, metrics=("patches",)),
            extractor="portraits",
            cache=cache,
        )


@pytest.mark.slow
def test_it_orders_damages_by_their_strength(real: RealImages) -> None:
    """More of a damage is farther from real portraits, each kind by itself."""
    from reproduce.judge.damages import DAMAGES, DamagedFeatures

    count, size, network = 150, (64, 64), portrait_features()
    known = extract((real.picture(number, size) for number in range(2 * count)), network)
    others = extract((real.picture(HELD_OUT + n, size) for n in range(count)), network)
    floor = frechet_distance(others, known)
    spoilt = DamagedFeatures(size=size, first=HELD_OUT).run(0, count)
    for kind, damage in DAMAGES.items():
        columns = [spoilt[f"{kind}/{strength:g}"] for strength in damage.strengths]
        found = [frechet_distance(column, known) for column in columns]
        # The weakest are hardly seen: they may count as nothing, but never as an improvement.
        assert found[0] > 0.97 * floor, (kind, floor, found)
        assert found[0] < 1.02 * found[1], (kind, floor, found)
        assert found[1] < found[2], (kind, floor, found)
        assert found[2] > 1.2 * floor, (kind, floor, found)
