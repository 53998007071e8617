"""Materials: maps beside the colors, cut from the same place, trained together, drawn as files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import creps
from creps.checkpoints import save
from creps.cli import app, main
from creps.cli._train import parse_channels
from creps.data import Textures, open_images
from creps.errors import ConfigError, DataError, UsageError
from creps.networks.base import Generator, build_generator, family_config
from creps.pixels import read_picture
from creps.rendering import Renderer, View
from creps.training import preset
from test_networks_families import TINY
from training_pictures import TINY as SHORT

MAPS = {"img_channels": 7, "maps": "normal,height", "period": [1, 1]}
SIZES = [(40, 71), (33, 50)]


def network(family: str = "creps", **changes: object) -> Generator:
    torch.manual_seed(3)
    known = family_config(family).__dataclass_fields__
    return build_generator(family, {k: v for k, v in TINY.items() if k in known} | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colors that say where they are, (row, column, picture); so do their maps."""
    path = tmp_path_factory.mktemp("materials")
    for name in ("albedo", "normal", "height"):
        (path / name).mkdir()
    for k, (height, width) in enumerate(SIZES):
        y, x = np.mgrid[:height, :width].astype(np.uint8)
        shown = {
            "albedo": np.stack([y, x, np.full_like(y, k)], axis=2),
            "normal": np.stack([100 + x, 100 + y, np.full_like(y, 255)], axis=2),
            "height": 200 - x,
        }
        for name, pixels in shown.items():
            Image.fromarray(pixels).save(path / name / f"wall{k}.png")
    return path


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("material")
    save(network(**MAPS), path)
    return path


def textures(folder: Path, *, size: tuple[int, int] = (12, 16), mirror: bool = False) -> Textures:
    maps = {
        "normal": open_images(folder / "normal", keep_colors=True),
        "height": open_images(folder / "height", channels=1, keep_colors=True),
    }
    return Textures(open_images(folder / "albedo"), size=size, mirror=mirror, maps=maps)


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["render", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["creps", "train", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_maps_are_cut_where_their_colors_are(folder: Path) -> None:
    window, _, broken = textures(folder)[1, 0.7, 0.4, 1.0]
    assert window.shape == (7, 12, 16)
    assert broken == -1
    y, x, which, normal_x, normal_y, up, height = window
    assert (which == 1).all()
    assert (up == 255).all()
    assert y[0, 0] > 0
    assert x[0, 0] > 0
    for found, expected in ((normal_x, 100 + x), (normal_y, 100 + y), (height, 200 - x)):
        np.testing.assert_array_equal(found, expected)


def test_normals_of_mirror_images_lean_to_the_other_side(folder: Path) -> None:
    both = textures(folder, mirror=True)
    plain, mirrored = both[0, 0.2, 0.5, 1.0][0], both[2, 0.2, 0.5, 1.0][0]
    expected = plain[:, :, ::-1].copy()
    expected[3] = 255 - expected[3]
    np.testing.assert_array_equal(mirrored, expected)


def test_another_map_is_another_set(folder: Path, tmp_path: Path) -> None:
    source = open_images(folder / "albedo")
    alone, with_maps = Textures(source, size=8), textures(folder)
    assert alone.fingerprint == source.fingerprint
    swapped = dict(reversed(with_maps.maps.items()))
    other = Textures(source, size=8, maps=swapped)
    assert len({alone.fingerprint, with_maps.fingerprint, other.fingerprint}) == 3


def test_maps_that_do_not_fit_are_named(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (70, 40)).save(tmp_path / "wall0.jpg")
    maps = {"normal": open_images(tmp_path)}
    with pytest.raises(DataError, match=r"wall0.jpg has 40x70 pixels, its picture 40x71"):
        Textures(open_images(folder / "albedo"), size=8, maps=maps)
    (tmp_path / "wall0.jpg").rename(tmp_path / "walls.jpg")
    maps = {"height": open_images(tmp_path)}
    with pytest.raises(DataError, match=r"wall0.png has no height map: .*which has walls.jpg"):
        Textures(open_images(folder / "albedo"), size=8, maps=maps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": "normals"}, "maps names 'normals': expected normal, height, roughness"),
        ({"maps": "height,height", "img_channels": 5}, "each name once"),
        ({"maps": "normal,height"}, "img_channels 3 .*: expected 7"),
        ({"maps": "height", "img_channels": 3}, "img_channels 3 .*: expected 4"),
    ],
)
def test_maps_that_no_network_has_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(**changes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["normal"], "channels 'normal': expected normal=FOLDER, height=FOLDER"),
        (["normal="], "channels 'normal='"),
        (["bump=here"], "channels 'bump=here': expected normal=FOLDER"),
        (["height=here", "height=there"], "channels height given twice"),
    ],
)
def test_channels_that_are_none_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_channels(words)


def test_ways_to_train_that_know_no_maps_are_refused() -> None:
    channels = [f"{net}.img_channels=4" for net in ("generator", "discriminator")]
    textures = ["data.textures=true", "generator.period=[1,1]"]
    with pytest.raises(ConfigError, match="only textures have them, give --tile"):
        preset("smoke", "generator.maps=height", *channels)
    with pytest.raises(ConfigError, match="turns a material without its normals"):
        preset("smoke", *textures, "generator.maps=height", *channels, "augment.kind=ada")


@pytest.mark.parametrize("family", ["creps", "cips", "stylegan3"])
def test_maps_are_channels_of_the_same_picture(family: str) -> None:
    generator = network(family, **MAPS)
    renderer = Renderer(generator, seed=5)
    size = (16, 32)
    drawn = {
        name: renderer.painter(View(size=size, map=name, depth=16, exact=True))
        for name in ("", "albedo", "normal", "height")
    }
    pixels = {name: painter.pixels().astype(np.float64) for name, painter in drawn.items()}
    assert [each.shape[2] for each in pixels.values()] == [3, 3, 3, 1]
    np.testing.assert_array_equal(pixels[""], pixels["albedo"])
    vectors = pixels["normal"] / 65535 * 2 - 1
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-4)
    assert pixels["height"].std() > 0
    with torch.inference_mode():
        styles = generator.map(creps.latents([5], generator))
        whole = generator.synthesize(styles, drawn[""].canvas.grid())[0]
    raw = whole[3:6].double()
    expected = (raw / raw.norm(dim=0, keepdim=True)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    assert drawn["height"].about()["map"] == "height"


def test_a_folder_of_maps_tiles_and_is_of_sixteen_bits(material: Path, tmp_path: Path) -> None:
    out = tmp_path / "wall"
    run("--model", material, "--tile", "2", "--size", "48", "--map", "all", "--out", out)
    assert sorted(path.name for path in out.iterdir()) == ["albedo.png", "height.png", "normal.png"]
    for path in out.iterdir():
        channels = 1 if path.name == "height.png" else 3
        pixels = read_picture(path, channels=channels, precise=True, keep_colors=True)
        assert pixels.shape == (48, 48, channels)
        np.testing.assert_array_equal(pixels, np.tile(pixels[:24, :24], (2, 2, 1)))
        assert (pixels != pixels.round()).any()  # finer than 8 bits
    run("--model", material, "--size", "24", "--map", "normal", "--out", tmp_path / "n.png")
    normal = read_picture(tmp_path / "n.png", precise=True).astype(np.float64) / 127.5 - 1
    np.testing.assert_allclose(np.linalg.norm(normal, axis=2), 1, atol=0.02)
    # Whoever asks for no map gets the colors.
    assert creps.render(material, seed=7, size=(8, 12)).shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("out", "words", "message"),
    [
        ("a.png", ["--map", "bump"], "map 'bump': .* this model have albedo, normal, height"),
        ("wall.png", ["--map", "all"], "writes files into a folder: .*wall.png names a file"),
        ("wall", ["--map", "all", "--depth", "16"], "--map and --depth given"),
        ("wall", ["--map", "all", "--foveated", "0.5"], "--map and --foveated given"),
        ("a.png", ["--map", "normal", "--foveated", "0.5"], "--map and --foveated given"),
        ("a.png", ["--map", "height", "--blend", "gradient", "--styles", "7/12"], "and --blend"),
    ],
)
def test_maps_that_cannot_be_drawn_are_refused(
    material: Path, tmp_path: Path, out: str, words: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run("--model", material, "--out", tmp_path / out, *words)
    assert not list(tmp_path.iterdir())


def test_maps_are_no_urls(material: Path) -> None:
    with pytest.raises(UsageError, match="writes files, not to s3://bucket/wall"):
        run("--model", material, "--map", "all", "--out", "s3://bucket/wall")


def test_a_model_of_colors_alone_says_how_to_train_maps(tmp_path: Path) -> None:
    save(network(), tmp_path / "model")
    words = ["--model", tmp_path / "model", "--map", "all", "--out", tmp_path / "wall"]
    with pytest.raises(UsageError, match=r"colors alone: train .* --channels normal=FOLDER"):
        run(*words)


def test_materials_are_trained_and_resumed_by_the_same_command(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words: list[object] = ["--data", folder / "albedo", "--preset", "smoke", "--tile", "--mirror"]
    words += ["--out", tmp_path / "run", *(w for c in [*SHORT, "images=8"] for w in ("--set", c))]
    maps = [
        "--channels",
        f"normal={folder / 'normal'}",
        "--channels",
        f"height={folder / 'height'}",
    ]
    assert exit_code(monkeypatch, *words, *maps) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())["train"]
    assert (config["generator"]["maps"], config["generator"]["img_channels"]) == (
        "normal,height",
        7,
    )
    with Image.open(next((tmp_path / "run/previews").glob("*.png"))) as preview:
        assert preview.mode == "RGB"
    assert exit_code(monkeypatch, *words, *maps) == 0
    assert "is complete" in capsys.readouterr().out
    look = [
        "data",
        "show",
        folder / "albedo",
        "--run",
        tmp_path / "run",
        "--out",
        tmp_path / "seen",
    ]
    seen = CliRunner().invoke(app, list(map(str, look)))
    assert "colors alone: not normal and height" in seen.output
    for file in (tmp_path / "seen").glob("*.png"):
        with Image.open(file) as image:
            assert (image.mode, image.size) == ("RGB", (8, 8))
    assert len(list((tmp_path / "seen").iterdir())) == 2
    assert exit_code(monkeypatch, *words) != 0  # maps are part of the set
    assert "was started with" in capsys.readouterr().err
    other = ["--channels", f"normal={folder / 'albedo'}", "--channels", maps[3]]
    assert exit_code(monkeypatch, *words, *other) != 0
    assert "other pictures" in capsys.readouterr().err
