"""The whole measurement with a stub extractor: what is measured, noted, refused and recorded."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from creps._code import code_id
from creps.errors import DataError, GridError, UsageError
from creps.metrics import _extractors as extractors
from creps.metrics import _pictures as pictures
from creps.metrics._comparison import Comparison, common_size, compare, short_names
from creps.metrics._consistency import Consistency
from creps.metrics._diagnosis import diagnose
from creps.metrics._evaluate import Evaluation, evaluate, write_record
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import MEASURING
from creps.metrics._metrics import METRICS, Metric, Protocol, Steps, Task, Value, parse_metrics
from creps.metrics._models import ModelRef, draw, model_ref
from creps.metrics._real_images import real_images
from creps.networks.base import Generator, build_generator
from metric_stubs import Shallow, stub
from smooth_model import CONFIG, SmoothModel


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> ExtractorSpec:
    return stub(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> str:
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(24):
        size = (40 + k, 48, 3)
        smooth = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((20, 20, 1)))[
            : size[0], : size[1]
        ]
        Image.fromarray(smooth.astype(np.uint8)).save(folder / f"{k}.png")
    return str(folder)


def run(protocol: Protocol, data: str | None, extractor: ExtractorSpec, **changes) -> Evaluation:
    model = changes.pop("model", None) or model_ref(SmoothModel())
    return evaluate(
        model,
        None if data is None else real_images(data),
        protocol,
        extractor=extractor,
        workers=0,
        **changes,
    )


def build(family: str, **changes: int) -> Generator:
    """A small network of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        settings = CONFIG if family == "creps" else {"channel_max": 8, "z_dim": 4, "w_dim": 4}
        return build_generator(family, settings | changes)


def values(evaluation: Evaluation) -> dict[str, float]:
    return {value.name: value.value for value in evaluation.values}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_everything_that_suits_is_measured_and_the_rest_noted(data, extractor, cache) -> None:
    found = run(Protocol(n=24, probes=2, sizes=((16, 16), (24, 16))), data, extractor, cache=cache)
    names = set(values(found))
    for size in ("16", "24x16"):
        assert {f"{name}_means@{size}" for name in ("fd", "kid", "precision", "coverage")} <= names
        assert {f"novelty_means@{size}", f"spectrum_db@{size}"} <= names
    assert {"patch_fd_means@16-64", "consistency_db@16", "consistency_db_auto@16"} <= names
    assert {"consistency_db@64", "grid@256", "eq_t_db", "eq_r_db", "path_z_means"} <= names
    assert not any(name.startswith(("grid_real", "floor")) for name in names)
    assert np.isfinite([v for n, v in values(found).items()]).all()


def test_the_record_holds_what_it_takes_to_repeat_it(data, extractor, cache) -> None:
    found = run(Protocol(n=20, probes=2, metrics=("fd", "patches")), data, extractor, cache=cache)
    record = json.loads(json.dumps(found.record, allow_nan=False))
    assert record["values"] == values(found)
    assert record["extractor"] == {"name": "means", "weights": "0", "resize": "none"}
    assert record["code"] == code_id(*MEASURING)
    assert record["protocol"]["n"] == 20
    assert record["protocol"]["seed"] == 0
    assert record["data"]["data"] == real_images(data).identity()["data"]
    assert len(record["model"]["weights_id"]) == 64
    assert record["patches"][0]["largest"] == 64


def test_models_that_learnt_from_the_judge_are_told(data, extractor, cache) -> None:
    for taught in ("means", "effnet"):
        model = SmoothModel()
        model.record = {"training": {"perceptual": taught}}
        protocol = Protocol(n=20, metrics=("fd",))
        found = run(protocol, data, extractor, cache=cache, model=model_ref(model))
        assert any("are void" in note for note in found.notes) == (taught == "means")


def test_models_are_measured_on_the_device_asked_for_and_stay_where_they_are(
    data, cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here another name of the processor: all the same, the model and the features are moved."""
    loaded: list[str] = []
    means = extractors._loaded(stub(monkeypatch))
    monkeypatch.setattr(extractors, "_loaded", lambda spec: loaded.append(spec.device) or means)
    spec, protocol = ExtractorSpec(name="means", sha256="0"), Protocol(n=20, metrics=("fd",))
    model, here = SmoothModel(), torch.device("cpu")
    drawn: list[ModelRef] = []
    monkeypatch.setattr(
        pictures, "draw", lambda ref, *a, **b: drawn.append(ref) or draw(ref, *a, **b)
    )
    plain = run(protocol, data, spec, cache=cache, model=model)
    assert (set(loaded), {ref.device for ref in drawn}) == ({"cpu"}, {"cpu"})
    loaded.clear()
    drawn.clear()
    moved = run(protocol, data, spec, cache=tmp_path / "other", model=model, device="cpu:0")
    assert (set(loaded), {ref.device for ref in drawn}) == ({"cpu:0"}, {"cpu:0"})
    assert values(moved) == values(plain)
    assert model.device == here
    assert drawn[0].generator() is not model


def test_numbers_of_another_kind_of_device_are_kept_apart() -> None:
    ref = ModelRef(path="somewhere", weights_id="0")
    on_gpus = [replace(ref, device=name).identity() for name in ("cuda:0", "cuda:1")]
    assert on_gpus == [{"weights_id": "0", "device": "cuda"}] * 2
    assert ref.identity() == replace(ref, device="cpu:0").identity() == {"weights_id": "0"}
    assert pickle.loads(pickle.dumps(replace(ref, device="cuda:1"))).device == "cuda:1"


def test_extractors_of_another_kind_of_device_are_others(extractor) -> None:
    assert "device" not in extractor.identity()
    assert replace(extractor, device="cuda:1").identity()["device"] == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_a_gpu_measures_what_the_processor_does(metric: str, cache) -> None:
    protocol = Protocol(n=20, probes=2, metrics=(metric,))
    ours, theirs = (
        values(
            evaluate(
                "portraits", "portraits", protocol, extractor="effnet", device=device, cache=cache
            )
        )
        for device in ("cpu", "cuda")
    )
    assert ours.keys() == theirs.keys()
    for name, number in ours.items():
        if "cost" not in name:
            assert theirs[name] == pytest.approx(number, rel=0.05, abs=0.05), name


def test_a_device_that_is_not_here_is_refused(data, extractor, cache) -> None:
    with pytest.raises(UsageError, match="device cuda:99: not here; expected auto or cpu"):
        run(Protocol(n=20, metrics=("fd",)), data, extractor, cache=cache, device="cuda:99")


def test_small_patches_suit_small_pictures(data, extractor, cache) -> None:
    small = Protocol(n=20, metrics=("patches",), patch_side=8, patch_sizes=((8, 12), (40, 40)))
    found = run(small, data, extractor, cache=cache)
    assert [patches["side"] for patches in found.record["patches"]] == [8, 8]
    assert "patches: of 8 px, brought to the 16 px that means sees" in found.notes
    large = Protocol(n=20, metrics=("patches",), patch_side=16, patch_sizes=((40, 40),))
    seen = values(run(large, data, extractor, cache=cache))
    assert values(found)["patch_fd_means@40"] != seen["patch_fd_means@40"]


def test_patches_of_too_small_pictures_are_refused(data, extractor, cache) -> None:
    with pytest.raises(DataError, match="--patch-side"):
        run(Protocol(n=20, metrics=("patches",), patch_side=64), data, extractor, cache=cache)
    with pytest.raises(UsageError, match="patches of 0 px"):
        run(Protocol(n=20, metrics=("patches",), patch_side=0), data, extractor, cache=cache)


def test_a_second_run_gives_the_same_numbers_from_the_cache(data, extractor, cache) -> None:
    protocol = Protocol(n=20, probes=2, metrics=("fd", "kid", "pr", "consistency"))
    first = run(protocol, data, extractor, cache=cache)
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert values(run(protocol, data, extractor, cache=cache)) == values(first)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == kept


def test_seed_and_truncation_change_the_samples(data, extractor, cache) -> None:
    base = {"n": 20, "probes": 2, "metrics": ("fd",)}
    found = [
        values(run(Protocol(**base, **more), data, extractor, cache=cache))["fd_means@32"]
        for more in ({}, {"seed": 5}, {"truncation": 0.2})
    ]
    assert len(set(found)) == 3


def test_a_model_is_as_good_as_its_own_pictures(extractor, tmp_path, cache) -> None:
    from creps.rendering._renderer import render

    folder = tmp_path / "own"
    folder.mkdir()
    model = SmoothModel()
    for seed in range(20):
        Image.fromarray(render(model, seed=seed)).save(folder / f"{seed:02}.png")
    protocol = Protocol(n=20, probes=2, metrics=("fd", "pr", "neighbors", "spectrum"))
    found = values(run(protocol, str(folder), extractor, cache=cache))
    assert found["fd_means@32"] == pytest.approx(0, abs=1e-6)
    assert found["precision_means@32"] == found["recall_means@32"] == 1
    assert found["copies_means@32"] == 1
    assert found["spectrum_db@32"] == pytest.approx(0, abs=1e-9)


def test_references_are_measured_like_the_model(data, extractor, cache) -> None:
    protocol = Protocol(
        n=12, probes=2, metrics=("fd",), sizes=((32, 32), (64, 64)), references=True
    )
    found = values(run(protocol, data, extractor, cache=cache))
    assert {"floor_fd_means@32", "floor_fd_means@64", "enlarged_fd_means@64"} <= set(found)
    assert "enlarged_fd_means@32" not in found
    assert found["floor_fd_means@64"] < found["fd_means@64"]
    for asked in (("fd",), None):
        with pytest.raises(DataError, match=r"24 given, expected 40"):
            run(Protocol(n=20, metrics=asked, references=True), data, extractor, cache=cache)


def test_without_data_only_the_model_is_measured(extractor, cache) -> None:
    found = run(Protocol(n=20, probes=2), None, extractor, cache=cache)
    assert "consistency_db@16" in values(found)
    assert not any(name.startswith("fd") for name in values(found))
    with pytest.raises(UsageError, match=r"fd compares with real pictures.*--data"):
        run(Protocol(metrics=("fd",)), None, extractor, cache=cache)


def test_too_few_pictures_name_the_minimum(data, extractor, cache) -> None:
    with pytest.raises(UsageError, match=r"3 pictures requested are too few for pr.*at least 4"):
        Protocol(n=3, metrics=("pr",))
    few = Path(data)
    for path in sorted(few.iterdir())[3:]:
        path.unlink()
    with pytest.raises(UsageError, match=r"3 real pictures are too few for pr.*at least 4"):
        run(Protocol(n=50, metrics=("pr",)), data, extractor, cache=cache)
    found = run(Protocol(n=12, probes=2, metrics=("fd",)), data, extractor, cache=cache)
    assert "3 real pictures, all there are, against 12 samples" in found.notes


def test_enlarged_images_are_noted(data, extractor, cache) -> None:
    protocol = Protocol(n=20, probes=2, metrics=("fd",), sizes=((48, 48),))
    found = run(protocol, data, extractor, cache=cache)
    assert "8 images are smaller than 48 px and were enlarged" in found.notes


def test_a_model_that_paints_nan_is_refused(data, extractor, cache) -> None:
    broken = model_ref(SmoothModel(broken=True))
    with pytest.raises(DataError, match="paints NaN"):
        run(Protocol(n=20, metrics=("fd",)), data, extractor, cache=cache, model=broken)


def test_families_of_one_grid_are_measured_as_far_as_they_go(data, extractor, cache) -> None:
    class OneSize(SmoothModel):
        def synthesize(self, styles: Tensor, grid) -> Tensor:
            if not hasattr(grid, "ys") or len(grid.ys) != 32 or float(grid.ys[0]) != 1 / 64:
                raise GridError("this family paints one grid of 32x32")
            return super().synthesize(styles, grid)

    model = model_ref(OneSize())
    found = run(Protocol(n=20, probes=2), data, extractor, cache=cache, model=model)
    assert "fd_means@32" in values(found)
    assert not any(name.startswith(("consistency", "patch", "eq_")) for name in values(found))
    assert any("consistency: left out, this family" in note for note in found.notes)
    with pytest.raises(GridError, match="one grid"):
        run(Protocol(n=20, metrics=("patches",)), data, extractor, cache=cache, model=model)


def test_a_metric_of_ones_own_is_measured_and_may_have_nothing_to_say(
    extractor, cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(task: Task) -> Steps:
        yield {Consistency(model=task.model, size=8): 2}

    def loud(task: Task) -> Steps:
        agreement = Consistency(model=task.model, size=8)
        found = yield {agreement: 2}
        yield Value("pairs", np.float32(len(found[agreement]["psnr"])), "", "how many")

    for name, run_of in (("silent", silent), ("loud", loud)):
        monkeypatch.setitem(METRICS, name, Metric("of one's own", 0, run_of))
    found = run(Protocol(metrics=("silent", "loud"), probes=2), None, extractor, cache=cache)
    assert found.values == [Value("pairs", 2.0, "", "how many")]
    assert found["pairs"] == json.loads(json.dumps(found.record))["values"]["pairs"] == 2
    assert found.record["metrics"] == ["silent", "loud"]

    def other(task: Task) -> Steps:
        yield {Consistency(model=task.model, size=8): 3}

    monkeypatch.setitem(METRICS, "other", Metric("as loud, of more", 0, other))
    with pytest.raises(UsageError, match="other measures as another metric"):
        run(Protocol(metrics=("loud", "other"), probes=2), None, extractor, cache=cache)


def test_paths_need_layers(data, cache, monkeypatch: pytest.MonkeyPatch) -> None:
    shallow = stub(monkeypatch, Shallow())
    found = run(Protocol(n=20, probes=2), data, shallow, cache=cache)
    assert not any(name.startswith(("path", "consistency_pd")) for name in values(found))
    with pytest.raises(UsageError, match="no layers"):
        run(Protocol(metrics=("path",)), data, shallow, cache=cache)


def test_words_for_metrics() -> None:
    assert parse_metrics("all") is None
    assert parse_metrics("kid, fd,kid") == ("kid", "fd")
    with pytest.raises(UsageError, match=r"unknown metric 'fid'"):
        Protocol(metrics=parse_metrics("fid"))
    with pytest.raises(UsageError, match="no metrics"):
        Protocol(metrics=parse_metrics(","))
    with pytest.raises(UsageError, match="size 4x9"):
        Protocol(sizes=((4, 9),))
    assert all(measure.about for measure in METRICS.values())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n": 10**30}, r"0 pictures: expected 2 to 1,000,000"),
        ({"n": 1}, "1 pictures: expected 2 to"),
        ({"probes": 10**30}, r"0 probes: expected 2 to 1,000,000"),
        ({"probes": 0}, "0 probes: expected 2 to"),
        ({"seed": -1}, "seed -1: expected 0 to"),
        ({"seed": 2**32 - 20, "n": 21}, "expected 0 to"),
        ({"truncation": 1e38}, "truncation 1e\\+38"),
        ({"truncation": float("nan")}, "truncation nan"),
        ({"patch_sizes": ((1, 2),)}, "patches of pictures of 1 to 2 px"),
        ({"patch_sizes": ((64, 32),)}, "the smaller size first"),
        ({"patch_sizes": ((64, 10**30),)}, "below 10"),
        ({"patch_side": 10**30}, "below 10"),
    ],
)
def test_absurd_protocols_are_refused_before_any_work(given, told) -> None:
    with pytest.raises(UsageError, match=told):
        Protocol(**given)


def test_records_are_files_or_lines(tmp_path: Path) -> None:
    write_record(tmp_path / "a" / "one.json", {"x": 1})
    assert json.loads((tmp_path / "a" / "one.json").read_text()) == {"x": 1}
    for k in range(2):
        write_record(tmp_path / "all.jsonl", {"x": k})
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["x"] for line in lines] == [0, 1]


def test_the_best_of_a_line_goes_by_what_is_better(data, extractor, cache) -> None:
    protocol = Protocol(n=20, probes=2, metrics=("fd", "pr"))
    models = [model_ref(SmoothModel(waves=waves)) for waves in (1.3, 9)]
    found = [run(protocol, data, extractor, cache=cache, model=model) for model in models]
    for like, numbers, best in Comparison(models=models, evaluations=found).rows:
        pick = min if like.better == "lower" else max
        assert best is not None
        assert numbers[best] == pick(numbers)


def test_models_of_different_sizes_are_compared_at_a_common_one(data, extractor, cache) -> None:
    small, large = model_ref(SmoothModel()), model_ref(build("creps", resolution=64))
    protocol = Protocol(n=20, probes=2, metrics=("fd",))
    how = {"extractor": extractor, "cache": cache}
    found = compare([small, large], real_images(data), protocol, **how)
    assert found.size == (64, 64)
    (row,) = [row for row in found.rows if row.like.name.startswith("fd")]
    assert row.like.name.endswith("@64")
    assert row.best is not None
    asked = compare([small, large], real_images(data), replace(protocol, sizes=((32, 32),)), **how)
    assert [row.like.name for row in asked.rows] == ["fd_means@32"]
    assert compare([small, small], real_images(data), protocol, **how).size is None
    fixed = model_ref(build("stylegan2", resolution=16))
    assert common_size([small, large, fixed]) == (16, 16)


@pytest.mark.slow
def test_conditional_models_are_measured_through_all_classes(data, extractor, cache) -> None:
    model = model_ref(build("creps", label_dim=3))
    protocol = Protocol(n=20, probes=3, metrics=("fd", "consistency"))
    names = values(run(protocol, data, extractor, cache=cache, model=model))
    assert any(name.startswith("psnr") or "consistency" in name for name in names)
    found = diagnose(model, real_images(data), count=4, size=(32, 32), workers=0)
    assert found.findings


def test_short_names_tell_models_apart() -> None:
    assert short_names(["a/m", "b/m", "c"]) == ["a/m", "b/m", "c"]
    assert short_names(["x/y/one", "x/y/two"]) == ["one", "two"]
