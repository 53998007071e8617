"""Pages that draw by themselves make Python's pictures: seeds, styles, lines, pixels."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import creps
from browsing import in_chromium
from color_squares import ColorSquares, SquaresConfig
from creps.checkpoints import weights_id
from creps.cli._serve import export_site
from creps.errors import ConfigError, UnsupportedError, UsageError
from creps.networks.base import Generator, build_generator
from creps.rendering import Latent, latents
from creps.serving import ServeSettings, build_app, write_live_site
from creps.serving._offer import page_weights
from creps.serving._pages import POLICY
from live_modules import LivePage, array
from served import in_memory
from tiny_creps import tiny_creps

pytestmark = pytest.mark.slow
pytest_plugins = ["live_page"]

SEEDS = [0, 1, 7, 12, 2026, 2**31, 2**32 - 1, *range(100, 160)]
WISHES = [("7", 1.0, None), ("0..12@0.4+3:2-5,7", 0.7, None), ("4~9@0.3", 1.0, 4)]
"""Recipe, truncation, and how many styles are truncated."""
ZOOMS = [1, 2**8, 2**16]
SIZES = [(64, 64), (96, 64)]
SHAPES: dict[str, dict[str, Any]] = {
    "odd": {"line_channels": 5, "thickness": 3, "decoder_widths": (7, 9), "channel_max": 6},
    "once": {"composition": "once", "clamp": 0.5},
    "sum": {"composition": "sum", "img_channels": 1},
    "lowest": {"resolution": 4, "label_dim": 3},
    "classes": {"label_dim": 3, "class_from_latent": True},
    "texture": {"period": (1.0, 2.0), "img_channels": 1},
}
TOTAL = 2_200_000  # bytes that come over the wire, compressed


@pytest.fixture(scope="module")
def live_models() -> dict[str, Generator]:
    tiny = {name: tiny_creps(**changes).float() for name, changes in SHAPES.items()}
    return {"portraits": creps.load("portraits"), **tiny}


def wish(
    recipe: str, truncation: float, cutoff: int | None, label: int | None = None
) -> dict[str, Any]:
    return {"recipe": recipe, "truncation": truncation, "cutoff": cutoff, "label": label}


def fields(zoom: int, size: tuple[int, int]) -> tuple[dict[str, Any], tuple[float, ...]]:
    """A field of the page, and the same as a window."""
    (height, width), pitch = size, 1 / zoom / 64
    y0, x0 = 0.43 - height / 2 * pitch, 0.51 - width / 2 * pitch
    field = {"y0": y0, "x0": x0, "pitch": pitch, "height": height, "width": width}
    return field, (y0, x0, y0 + height * pitch, x0 + width * pitch)


@in_chromium
def test_a_seed_is_the_same_latent(live: LivePage) -> None:
    script = """
        const { latent } = await load("random");
        return given.seeds.map((seed) => base64(latent(seed, given.width)));
    """
    model = tiny_creps(z_dim=513)  # the last number of a pair is left over
    found = live.run(script, seeds=SEEDS, width=513)
    drawn = np.stack([array(each, np.float32) for each in found])
    np.testing.assert_array_equal(drawn, latents(SEEDS, model).numpy())


@in_chromium
@pytest.mark.parametrize("case", WISHES, ids=str)
def test_styles_are_the_same(live: LivePage, case: tuple[str, float, int | None]) -> None:
    script = "return base64(stylesOf(await model(), given.wish));"
    recipe, truncation, cutoff = case
    generator = creps.load("portraits")
    latent = Latent(styles=recipe, truncation=truncation, truncation_cutoff=cutoff)
    expected = latent.resolve(generator)
    assert isinstance(expected, torch.Tensor)
    found = array(live.run(script, "portraits", wish=wish(*case)), np.float32)
    np.testing.assert_allclose(found, expected.flatten().numpy(), rtol=2e-5, atol=2e-5)


@in_chromium
@pytest.mark.parametrize("label", [None, 0, 1, 2])
@pytest.mark.parametrize("recipe", ["7", "4..9@0.3", "4~9@0.3+5:1-2"])
def test_classes_are_chosen_where_latents_decide_on_them(
    live: LivePage, recipe: str, label: int | None
) -> None:
    script = "return base64(stylesOf(await model(), given.wish));"
    generator = tiny_creps(**SHAPES["classes"]).float()
    expected = Latent(styles=recipe, label=label).resolve(generator)
    assert isinstance(expected, torch.Tensor)
    found = array(live.run(script, "classes", wish=wish(recipe, 1.0, None, label)), np.float32)
    np.testing.assert_allclose(found, expected.flatten().numpy(), rtol=2e-5, atol=2e-5)
    with pytest.raises(AssertionError, match=r"There is no class 3: they are 0 to 2\."):
        live.run(script, "classes", wish=wish(recipe, 1.0, None, 3))


@in_chromium
@pytest.mark.parametrize(
    "recipe", ["7..3@0.5", "8..3@-1", "7@0.5", "4294967296", "7+3:9-99", "<b>"]
)
def test_recipes_that_say_nothing_are_told(live: LivePage, recipe: str) -> None:
    script = "return base64(stylesOf(await model(), given.wish));"
    if recipe == "7..3@0.5":
        assert live.run(script, "portraits", wish=wish(recipe, 1.0, None))
        return
    with pytest.raises(AssertionError, match=r"There is no|There are no|Seeds end"):
        live.run(script, "portraits", wish=wish(recipe, 1.0, None))


PIXELS = """
    const drawn = await network(given.wish, given.compiled);
    return given.fields.map((field) => {
        const pixels = toPixels(paintExactly(drawn, field), drawn.folded.colors);
        return base64(pixels);
    });
"""
GPU_PIXELS = """
    const { GpuPainter } = await load("gpu");
    const drawn = await network(given.wish);
    const gpu = await GpuPainter.open(() => {});
    const found = [];
    for (const field of given.fields) found.push(base64(await gpu.paint(drawn, field, true)));
    gpu.close();
    return found;
"""


def assert_same_pixels(found: list[str], expected: list[np.ndarray]) -> None:
    """Every 8-bit value within 1."""
    for text, picture in zip(found, expected, strict=True):
        height, width, bands = picture.shape
        pixels = array(text, np.uint8).reshape(height, width, 4)
        assert (pixels[..., 3] == 255).all()
        shown = pixels[..., :bands]
        assert np.abs(shown.astype(int) - picture).max() <= 1


def every_window(case: tuple[str, float, int | None]) -> tuple[list[Any], list[np.ndarray]]:
    recipe, truncation, cutoff = case
    generator = creps.load("portraits")
    latent = {"styles": recipe, "truncation": truncation, "truncation_cutoff": cutoff}
    asked, expected = [], []
    for zoom in ZOOMS:
        for size in SIZES:
            field, window = fields(zoom, size)
            asked.append(field)
            expected.append(creps.render(generator, **latent, size=size, window=window, exact=True))
    return asked, expected


@in_chromium
@pytest.mark.parametrize("case", WISHES, ids=str)
@pytest.mark.parametrize("compiled", [True, False], ids=["WebAssembly", "JavaScript"])
def test_pixels_are_the_same(
    live: LivePage, case: tuple[str, float, int | None], compiled: bool
) -> None:
    asked, expected = every_window(case)
    found = live.run(PIXELS, "portraits", wish=wish(*case), fields=asked, compiled=compiled)
    assert_same_pixels(found, expected)


@in_chromium
@pytest.mark.parametrize("case", WISHES, ids=str)
def test_pixels_of_webgpu_are_the_same(
    live_gpu: LivePage, case: tuple[str, float, int | None]
) -> None:
    asked, expected = every_window(case)
    found = live_gpu.run(GPU_PIXELS, "portraits", wish=wish(*case), fields=asked)
    assert_same_pixels(found, expected)


@in_chromium
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("way", ["WebAssembly", "JavaScript", "WebGPU"])
def test_networks_of_other_shapes_too(request: pytest.FixtureRequest, name: str, way: str) -> None:
    label = 2 if name == "lowest" else None
    field, window = fields(3, (13, 21))
    generator = tiny_creps(**SHAPES[name]).float()
    latent = {"seed": 3, "label": label, "truncation": 0.8}
    expected = creps.render(generator, **latent, size=(13, 21), window=window, exact=True)
    page = request.getfixturevalue("live_gpu" if way == "WebGPU" else "live")
    script = GPU_PIXELS if way == "WebGPU" else PIXELS
    asked = wish("3", 0.8, None, label)
    found = page.run(script, name, wish=asked, fields=[field], compiled=way == "WebAssembly")
    assert_same_pixels(found, [expected])


@in_chromium
@pytest.mark.parametrize("way", ["WebAssembly", "WebGPU"])
def test_textures_repeat_to_the_last_bit(request: pytest.FixtureRequest, way: str) -> None:
    page = request.getfixturevalue("live_gpu" if way == "WebGPU" else "live")
    here = {"y0": 0.25, "x0": -0.5, "pitch": 2.0**-7, "height": 24, "width": 40}
    places = [(0, 0), (1, 0), (-3, 2), (1000, -500), (0, 1)]  # the period is (1, 2)
    asked = [here | {"y0": 0.25 + y, "x0": x - 0.5} for y, x in places]
    script = GPU_PIXELS if way == "WebGPU" else PIXELS
    once, *again, other = page.run(
        script, "texture", wish=wish("3", 1.0, None), fields=asked, compiled=way == "WebAssembly"
    )
    assert again == [once] * 3
    assert other != once


@in_chromium
def test_smooth_parts_are_interpolated_within_the_tolerance(live: LivePage) -> None:
    script = """
        const drawn = await network(given.wish);
        return given.fields.map((field) => {
            const exact = paintExactly(drawn, field);
            const { colors, evaluated } = paint(drawn, field);
            let worst = 0;
            for (let k = 0; k < exact.length; k++)
                worst = Math.max(worst, Math.abs(exact[k] - colors[k]));
            return { levels: worst * 127.5, share: evaluated / (field.height * field.width) };
        });
    """
    sides = [(0, (0, 1), 0.8), (2, (2, 1), 0.7), (4, (6, 9), 0.3), (9, (300, 170), 0.1)]
    asked = [
        {"y0": y / 2**k, "x0": x / 2**k, "pitch": 2.0**-k / 256, "height": 128, "width": 120}
        for k, (y, x), _ in sides
    ]
    found = live.run(script, "portraits", wish=wish("7", 1.0, None), fields=asked)
    for each, (_, _, most) in zip(found, sides, strict=True):
        assert each["levels"] < 2
        assert each["share"] < most


@in_chromium
def test_the_kernel_is_short(live: LivePage) -> None:
    script = """
        const { shader } = await load("shader");
        return shader((await network(given.wish)).folded);
    """
    code = live.run(script, "portraits", wish=wish("7", 1.0, None))
    assert len(code.splitlines()) <= 250
    assert max(map(len, code.splitlines())) <= 120


@in_chromium
def test_files_that_are_no_model_are_told(live: LivePage) -> None:
    script = """
        const whole = await file("weights/portraits.safetensors");
        const length = Number(new DataView(whole).getBigUint64(0, true));
        const header = new TextDecoder().decode(new Uint8Array(whole, 8, length));
        const changed = (from, to) => {
            const text = new TextEncoder().encode(header.replace(from, to).padEnd(length));
            const copy = whole.slice(0);
            new Uint8Array(copy).set(text.subarray(0, length), 8);
            return copy;
        };
        const files = {
            cut: whole.slice(0, 5000),
            shorter: whole.slice(0, whole.byteLength - 2),
            empty: new ArrayBuffer(0),
            page: new TextEncoder().encode("<!doctype html><p>not found").buffer,
            version: changed('\\\\"version\\\\": 1', '\\\\"version\\\\": 2'),
            family: changed('\\\\"creps\\\\"', '\\\\"crips\\\\"'),
            tensor: changed('"to_rgb.bias"', '"to_rgb.blas"'),
        };
        const said = {};
        for (const [name, content] of Object.entries(files)) {
            try {
                const read = readModel(content);
                fold(read, stylesOf(read, given.wish));
                said[name] = "";
            } catch (error) {
                said[name] = error.message;
            }
        }
        return said;
    """
    said = live.run(script, "portraits", wish=wish("7", 1.0, None))
    for name in ("cut", "shorter", "empty", "page"):
        assert "is cut or damaged" in said[name]
    assert "another version" in said["version"]
    assert "the model is a crips" in said["family"]
    assert "has no to_rgb.bias" in said["tensor"]
    assert all(each.endswith(".") for each in said.values())


@in_chromium
def test_a_lost_device_and_denied_memory_are_recovered_from(live_gpu: LivePage) -> None:
    script = """
        const { Studio } = await load("studio");
        const said = [];
        const studio = new Studio((way) => said.push(way));
        const code = await file("static/js/live/kernel.wasm");
        const whole = await file("weights/portraits.safetensors");
        await studio.open({ model: whole, code, gpu: "always" });
        const drawn = async () => base64((await studio.paint({ ...given, exact: true })).pixels);
        const until = async (way) => {
            while (said.at(-1) !== way) await new Promise((resolve) => setTimeout(resolve, 20));
        };
        const pictures = [await drawn()];
        await until("gpu");
        pictures.push(await drawn());
        studio.gpu.device.destroy();
        pictures.push(await drawn());
        await until("gpu");
        pictures.push(await drawn());
        studio.gpu.device.popErrorScope = async () => ({ message: "no memory" });
        pictures.push(await drawn());
        await until("gpu");
        pictures.push(await drawn());
        return { said, pictures };
    """
    field, window = fields(4, (16, 24))
    asked = wish("7", 1.0, None)
    found = live_gpu.run(script, "portraits", wish=asked, field=field)
    assert found["said"] == ["compiled", "gpu"] * 3
    expected = creps.render(creps.load("portraits"), seed=7, size=(16, 24), window=window)
    assert_same_pixels(found["pictures"], [expected] * 6)


def test_a_page_is_small_and_whole(tmp_path: Path) -> None:
    total = write_live_site(tmp_path, creps.load("portraits"), name="portraits")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert total == sum(path.stat().st_size for path in files)
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= TOTAL
    (offered,) = json.loads((tmp_path / "site.json").read_text())["models"]
    address, _, version = offered["weights"].partition("?")
    assert (tmp_path / address).is_file()
    assert weights_id(creps.load(tmp_path / address)).startswith(version)
    assert [path for path in files if path.stem in ("gallery", "login")] == []
    index = (tmp_path / "index.html").read_text()
    assert 'content="site.json"' in index
    assert POLICY in index
    assert "://" not in index.replace("http://localhost:8000", "")
    before = {path: path.read_bytes() for path in files}
    write_live_site(tmp_path, creps.load("portraits"), name="portraits")
    assert {path: path.read_bytes() for path in files} == before


def test_weights_that_half_precision_would_change_stay_as_they_are(tmp_path: Path) -> None:
    model = tiny_creps().float()
    write_live_site(tmp_path, model, name="tiny")
    again = creps.load(tmp_path / "weights" / "tiny.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("family", "config", "expected"),
    [
        ("stylegan2", {"resolution": 8, "channel_max": 4}, "family stylegan2 cannot be drawn"),
        ("creps", {"resolution": 8, "composition": "dense"}, "creps .not dense."),
        ("creps", {"resolution": 8, "img_channels": 4}, "4 color channels"),
    ],
)
def test_models_that_a_page_cannot_draw_are_refused(
    family: str, config: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    small = {"z_dim": 4, "w_dim": 4, "channel_base": 16, **config}
    with pytest.raises(UnsupportedError, match=expected):
        write_live_site(tmp_path / "site", build_generator(family, small), name="small")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("name", ["", "../up", "a b", "<b>"])
def test_names_that_no_link_can_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model name"):
        write_live_site(tmp_path / "site", tiny_creps().float(), name=name)
    assert not (tmp_path / "site").exists()


def test_a_server_gives_weights_to_those_it_lets_draw() -> None:
    models: dict[str, Generator] = {
        "tiny": tiny_creps().float(),
        "squares": ColorSquares(SquaresConfig(resolution=10)),
    }
    with in_memory(models, live=True) as client:
        offered = {
            each["name"]: each["weights"] for each in client.get("/api/models").json()["models"]
        }
        assert offered == {"tiny": "weights/tiny.safetensors", "squares": None}
        answer = client.get("/weights/tiny.safetensors")
        assert answer.content == page_weights(models["tiny"])
        again = client.get(
            "/weights/tiny.safetensors", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304
        for name in ("squares.safetensors", "..%2f..%2fetc%2fpasswd"):
            assert client.get(f"/weights/{name}").status_code == 404
    with in_memory(models) as client:
        assert client.get("/weights/tiny.safetensors").status_code == 404
        assert client.get("/api/models").json()["models"][0]["weights"] is None
    with pytest.raises(UnsupportedError, match="by a page itself"):
        build_app({"squares": models["squares"]}, settings=ServeSettings(live=True))
    with in_memory(models, live=True, token="a-long-secret") as client:
        assert client.get("/weights/tiny.safetensors").status_code == 401


def test_export_site_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "site"
    export_site(model="portraits", live=True, out=out)
    assert "portraits, drawn by the visitor, 2.6 MB" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "index.html",
        "site.json",
        "static",
        "weights",
    ]
    with pytest.raises(UsageError, match="--seeds with --live"):
        export_site(model="portraits", live=True, seeds="0-3", out=out)
    with pytest.raises(UsageError, match="--truncation with --live"):
        export_site(model="portraits", live=True, truncation=0.7, out=out)
    with pytest.raises(UsageError, match="--class with --live: visitors choose"):
        export_site(model="portraits", live=True, label="1", out=out)
