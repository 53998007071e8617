"""Pictures with opacity, and classes with names: trained, drawn while at it, saved, projected."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import creps
from creps.cli import app
from creps.errors import DataError, LabelError
from creps.inversion import InversionSettings, invert, save_inversion
from creps.metrics._models import model_ref, on_white
from creps.rendering import Latent
from creps.training._run import open_run
from creps.training._state import snapshots
from tiny_creps import tiny_creps
from training_pictures import draw_pictures, run_to, tiny

FOUR = ("generator.img_channels=4", "discriminator.img_channels=4")
RUN = CliRunner()


def _stickers(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(6):
        pixels = random.integers(0, 256, (20, 24, 4), dtype=np.uint8)
        pixels[:5, :, 3] = 0
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def _mode(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


@pytest.mark.slow
def test_a_set_with_opacity_trains_and_its_previews_have_it(tmp_path: Path) -> None:
    data = _stickers(tmp_path / "set")
    run_to(tmp_path / "run", tiny(*FOUR), data)
    previews = sorted((tmp_path / "run" / "previews").glob("*.png"))
    assert previews
    assert {_mode(path) for path in previews} == {"RGBA"}
    model = creps.load(tmp_path / "run" / "model")
    assert creps.render(model, seed=1, size=(6, 9)).shape == (6, 9, 4)
    run_to(tmp_path / "quiet", tiny(*FOUR, "preview_every=0"), data)
    assert snapshots(tmp_path / "quiet" / "snapshots")
    assert (tmp_path / "quiet" / "model" / "model.safetensors").exists()


class _Means:
    """Layers of three-channel pictures: means of blocks."""

    name = "means"

    def layers(self, images: torch.Tensor, /) -> list[torch.Tensor]:
        assert images.shape[1] == 3
        return [torch.nn.functional.avg_pool2d(images, 4)]


def test_a_picture_with_opacity_is_projected_with_features_too(tmp_path: Path) -> None:
    model = tiny_creps(img_channels=4).float()
    picture = creps.render(model, seed=3, size=(16, 24))
    quick = InversionSettings(steps=4, starts=1, perceptual=0.1)
    found = invert(model, picture, settings=quick, extractor=_Means())
    assert found.image.shape == (1, 4, 16, 24)
    save_inversion(found, tmp_path, model, record={})
    assert _mode(tmp_path / "picture.png") == "RGBA"
    assert _mode(tmp_path / "comparison.png") == "RGB"


def test_opacity_is_laid_on_white_to_be_measured() -> None:
    image = torch.tensor([-1.0, -0.5, 1.0, 0.0])[:, None, None].expand(4, 2, 3)
    expected = torch.tensor([0.0, 0.25, 1.0])[:, None, None].expand(3, 2, 3)
    torch.testing.assert_close(on_white(image), expected)
    assert model_ref(tiny_creps(img_channels=4)).channels == 3


@pytest.mark.slow
def test_a_model_knows_the_names_of_its_classes(tmp_path: Path) -> None:
    data = draw_pictures(tmp_path / "set", classes=2)
    for k, name in enumerate(("zebra", "ant")):
        (data / f"class{k}").rename(data / name)
    labeled = ("data.labels=true", "generator.label_dim=2", "discriminator.label_dim=2")
    run_to(tmp_path / "run", tiny(*labeled), data)
    place = tmp_path / "run" / "model"
    assert json.loads((place / "config.json").read_text())["record"]["classes"] == ["ant", "zebra"]
    asked = RUN.invoke(app, ["info", str(place)])
    assert "ant, zebra" in asked.stdout
    for word in ("zebra", "1"):
        made = RUN.invoke(
            app, ["generate", "--model", str(place), "--seeds", "0", "--class", word,
                  "--out", str(tmp_path / word)]
        )  # fmt: skip
        assert made.exit_code == 0, made.output
    by_name, by_number = (tmp_path / word / "seed0000.png" for word in ("zebra", "1"))
    assert by_name.read_bytes() == by_number.read_bytes()
    refused = RUN.invoke(app, ["generate", "--model", str(place), "--seeds", "0"])
    assert "choose with --class ant, zebra (or 0 to 1)" in str(refused.exception)


def test_a_model_may_have_a_default_class() -> None:
    model = tiny_creps(label_dim=3)
    model.record = {"classes": ["dog", "cat", "cow"], "default_class": "cow"}
    assert model.default_class == "cow"
    plain = creps.render(model, seed=1, size=8)
    np.testing.assert_array_equal(plain, creps.render(model, seed=1, size=8, label="cow"))
    assert (plain != creps.render(model, seed=1, size=8, label="dog")).any()
    assert Latent(seed=1).suited(model).label == 2  # what files say of how they were made
    assert Latent(seed=1, label="cat").suited(model).label == 1
    styles = model.map(creps.latents([1], model), torch.tensor([0]))
    assert Latent(styles=styles).suited(model).label is None  # styles are labeled already
    for record in ({"default_class": "cow"}, {"classes": ["a", "b", "c"], "default_class": "d"}):
        model.record = record
        assert model.default_class is None
        with pytest.raises(LabelError, match="choose with --class"):
            creps.render(model, seed=1, size=8)


@pytest.mark.parametrize("label", ["-1", "3", "99", "1.5", "1e0", -1, 3, 1.5, 10**30, [1], "+1"])
@pytest.mark.parametrize("names", [["dog", "cat", "cow"], ["0", "1", "2"]])
def test_numbers_that_are_no_class_are_answered_by_the_range(
    label: int | str, names: list[str]
) -> None:
    model = tiny_creps(label_dim=3)
    model.record = {"classes": names}
    choices = "0 to 2" if names[0] == "0" else r"dog, cat, cow \(or 0 to 2\)"
    with pytest.raises(LabelError, match=rf"^class .* is unknown: expected {choices}$"):
        creps.render(model, seed=1, size=8, label=label)


def test_classes_are_chosen_by_name_or_number() -> None:
    model = tiny_creps(label_dim=3)
    assert model.class_names == ()
    with pytest.raises(LabelError, match="this model has 3 classes: choose with --class 0 to 2"):
        creps.render(model, seed=1, size=8)
    with pytest.raises(LabelError, match="class 'cat' is unknown: expected 0 to 2"):
        creps.render(model, seed=1, size=8, label="cat")
    model.record = {"classes": ["dog", "cat", "7"]}
    first = creps.render(model, seed=1, size=8, label="cat")
    np.testing.assert_array_equal(first, creps.render(model, seed=1, size=8, label=1))
    assert model.class_index("7") == 2  # a name goes before a number
    assert model.class_index("1") == 1
    with pytest.raises(LabelError, match="class 'cta' is unknown: did you mean cat"):
        creps.render(model, seed=1, size=8, label="cta")
    with pytest.raises(LabelError, match=r"'zebra' is unknown: expected dog, cat, 7 \(or 0 to 2\)"):
        creps.render(model, seed=1, size=8, label="zebra")
    with pytest.raises(LabelError, match="class 'cat' given to an unconditional model"):
        creps.render(tiny_creps(), seed=1, size=8, label="cat")


def test_other_numbers_of_classes_than_the_set_has_are_refused(tmp_path: Path) -> None:
    data = draw_pictures(tmp_path / "set", classes=2)
    with pytest.raises(DataError, match="has 2 classes, the networks 3"):
        open_run(
            tmp_path / "run",
            tiny("data.labels=true", "generator.label_dim=3", "discriminator.label_dim=3"),
            data,
        )
