"""A page that draws by itself, in a real browser: from a static host, and from `creps serve`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsing import SOFTWARE_GPU, browser, complaints, in_chromium, rest, seen, show_on
from creps.networks.base import Generator
from creps.rendering import Latent, Renderer
from creps.serving import ServeSettings, build_app
from creps.serving._views import RenderedSource, UpsampledSource, ViewSpec
from live_modules import export
from patience import wait_until
from served import on_loopback, static_host
from tiny_creps import tiny_creps
from visiting import address, assert_alike, assert_says, click, press, set_slider, visit

pytestmark = [pytest.mark.slow, in_chromium]
pytest_plugins = ["live_page", "viewer_page"]

WEIGHTS = Path("weights") / "tiny.safetensors"


@pytest.fixture(scope="module")
def live_models() -> dict[str, Generator]:
    models = {"tiny": tiny_creps().float(), "kinds": tiny_creps(label_dim=3).float()}
    models["tiny"].record = {"credits": "Drawn by Nobody", "license": "CC0"}
    return models


def drawn(shape: tuple[int, ...], view: dict[str, float], by: str = "", **latent: Any) -> Any:
    """What Python draws of a view of the model tiny: center y, x, span, turn, mirror."""
    height, width = shape[:2]
    unit = view.get("span", 1.0) / min(height, width)
    y, x = view.get("y", 0.5), view.get("x", 0.5)
    edges = y - height * unit / 2, x - width * unit / 2, y + height * unit / 2, x + width * unit / 2
    model = Renderer(tiny_creps().float(), Latent(**latent))
    spec = ViewSpec(
        window=edges,
        height=height,
        width=width,
        mirror=bool(view.get("mirror")),
        turn=view.get("turn", 0.0),
        grows=False,
    )
    source = UpsampledSource(model.picture(supersample="auto"), by) if by else RenderedSource(model)

    def run(jobs: Any) -> None:
        for job in jobs:
            job()

    return source.draw(spec, samples=2**22, side_by_side=run)[0]


def way(page: Any) -> str:
    return str(page.find_element("id", "way").get_attribute("textContent"))


def test_the_first_picture(page: Any, hosted: str) -> None:
    visit(page, hosted)
    shown = seen(page)
    assert_alike(shown, drawn(shown.shape, {}, seed=7))
    assert page.title == "Seed 7 · tiny · creps"
    assert "WebAssembly" in way(page)
    assert page.find_element("id", "evaluated").text.endswith(" % of the pixels evaluated")
    assert "Drawn by Nobody · CC0" in page.find_element("id", "credit").text
    script = "return [...document.querySelectorAll('#gallery img')].every((each) => each.complete)"
    wait_until(lambda: page.execute_script(script), "a gallery")


def test_ten_octaves_in_and_back(page: Any, hosted: str) -> None:
    visit(page, hosted, "#tiny:7&at=0.3,0.6&span=1")
    for _ in range(10):
        click(page, "#zoom-in")
    view = {"y": 0.3, "x": 0.6, "span": 2.0**-10}
    assert float(address(page)["span"]) == pytest.approx(view["span"], rel=1e-3)
    shown = seen(page)
    assert_alike(shown, drawn(shown.shape, view, seed=7))
    click(page, "#gallery [data-seed='3']")
    assert_says(page, "id", "tiny:3")
    page.back()
    assert_says(page, "id", "tiny:7")
    assert float(address(page)["span"]) == pytest.approx(view["span"], rel=1e-3)
    press(page, "0")
    assert "span" not in address(page)


def test_mixing_turning_and_links(page: Any, hosted: str) -> None:
    link = "#tiny:7..2@0.3+5:1-2;t=0.6&at=0.41234,0.56789&span=0.4&turn=30&mirror=1"
    visit(page, hosted, link)
    assert page.execute_script("return location.hash") == link
    shown = seen(page)
    view = {"y": 0.41234, "x": 0.56789, "span": 0.4, "turn": 30, "mirror": 1}
    assert_alike(shown, drawn(shown.shape, view, styles="7..2@0.3+5:1-2", truncation=0.6))
    set_slider(page, "truncation", 0.2)
    click(page, "#tab-mix")
    click(page, "#mix-clear")
    assert_says(page, "id", "tiny:7..2@0.3;t=0.2")
    shown = seen(page)
    assert_alike(shown, drawn(shown.shape, view, styles="7..2@0.3", truncation=0.2))


@pytest.mark.parametrize("by", ["lanczos", "bicubic", "nearest"])
def test_comparing_with_an_enlargement(page: Any, hosted: str, by: str) -> None:
    visit(page, hosted, f"#tiny:7&at=0.5,0.5&span=0.5&with={by}&layout=beside")
    shown = seen(page, "other")
    assert_alike(shown, drawn(shown.shape, {"span": 0.5}, by, seed=7))
    assert_alike(seen(page), drawn(shown.shape, {"span": 0.5}, seed=7))


def test_another_model(page: Any, hosted: str) -> None:
    visit(page, hosted, "#kinds:3;c=2")
    assert_says(page, "id", "kinds:3;c=2")
    assert seen(page).std() > 1
    click(page, "#compare")
    page.execute_script("""
        const rival = document.getElementById('rival');
        rival.value = 'model tiny';
        rival.dispatchEvent(new Event('change', { bubbles: true }));
    """)
    assert_says(page, "with", "model:tiny")
    shown = seen(page, "other")
    assert_alike(shown, drawn(shown.shape, {}, seed=3))


def test_a_download_is_drawn_here(page: Any, hosted: str, window: Any) -> None:
    visit(page, hosted, "#tiny:7&at=0.4,0.5&span=0.5&turn=40&mirror=1")
    downloads = Path(window.capabilities["chrome"]["userDataDir"]).parent / "downloads"
    press(page, "d")
    field = page.find_element("id", "longest")
    wait_until(lambda: page.find_element("id", "download-preview").is_displayed(), "a preview")
    field.clear()
    field.send_keys("9000")
    assert "drawn here" in page.find_element("id", "download-sum").text
    field.clear()
    field.send_keys("500")
    click(page, "#download-go")
    (file,) = wait_until(lambda: list(downloads.glob("tiny-7*.png")), "a download")
    with Image.open(file) as picture:
        shape = (picture.height, picture.width)
        view = {"y": 0.4, "x": 0.5, "span": 0.5, "turn": 40, "mirror": 1}
        assert_alike(np.asarray(picture.convert("RGB")), drawn(shape, view, seed=7))


def test_a_phone_in_the_dark(page: Any, hosted: str) -> None:
    show_on(page, width=390, height=740, phone=True, dark=True)
    visit(page, hosted)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    shown = seen(page)
    assert_alike(shown, drawn(shown.shape, {}, seed=7))


@pytest.mark.parametrize(
    "link",
    ["#tiny:4294967296", "#tiny:<img src=x onerror=alert(1)>", "#tiny:7~8@0.5+99999999999:1"],
)
def test_links_to_nothing_are_told(page: Any, hosted: str, link: str) -> None:
    visit(page, hosted, link)
    toast = page.find_element("id", "toast")
    assert "There is no picture" in toast.get_attribute("textContent")
    assert page.find_elements("css selector", "img[src=x]") == []
    assert_says(page, "id", "tiny:7")  # what is shown instead
    assert seen(page).std() > 1


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("at=0.4,0.4&span=1e-40", {"at": "0.4,0.4", "span": 1.2e-8}),
        ("at=-1e9,5&span=0.5", {"at": "-8,5", "span": 0.5}),
        ("at=0.5,0.5&span=1000", {"at": "0.5,0.5", "span": 8}),
    ],
)
def test_links_go_as_far_as_pictures_do(
    page: Any, hosted: str, link: str, shown: dict[str, Any]
) -> None:
    visit(page, hosted, f"#tiny:7&{link}")
    found = address(page)
    assert found["at"] == shown["at"]
    assert float(found["span"]) == pytest.approx(shown["span"], rel=0.3)
    assert complaints(page) == []


def test_a_recipe_that_the_model_has_not_is_told(page: Any, hosted: str) -> None:
    page.get("about:blank")
    page.get(f"{hosted}/#tiny:7+3:0-99+5:1")
    line = page.find_element("id", "wait")
    wait_until(lambda: "no layers" in line.text, "a word")
    click(page, "#gallery [data-seed='3']")
    rest(page)
    assert not line.is_displayed()


@pytest.fixture
def damaged(tmp_path: Path, live_models: dict[str, Generator]) -> Iterator[tuple[Path, str]]:
    """A page of its own, to be damaged."""
    export(tmp_path, {"tiny": live_models["tiny"]})
    with static_host(tmp_path) as base:
        yield tmp_path, base


@pytest.mark.parametrize("damage", ["missing", "cut", "another version"])
def test_a_model_that_does_not_arrive_is_told(
    page: Any, damaged: tuple[Path, str], damage: str
) -> None:
    folder, base = damaged
    content = (folder / WEIGHTS).read_bytes()
    if damage == "missing":
        (folder / WEIGHTS).unlink()
    elif damage == "cut":
        (folder / WEIGHTS).write_bytes(content[:1000])
    else:
        old, new = rb"\"version\": 1", rb"\"version\": 9"
        assert old in content
        (folder / WEIGHTS).write_bytes(content.replace(old, new))
    page.get("about:blank")
    page.get(f"{base}/")
    line = page.find_element("id", "wait")
    said = {"missing": "does not arrive (404)", "cut": "is cut", "another version": "another ver"}
    wait_until(lambda: said[damage] in line.text, "a word")
    assert line.text.endswith(".")
    log = complaints(page)  # the browser itself tells of a 404
    assert all("404" in each for each in log) if damage == "missing" else log == []


def test_without_webassembly_it_takes_longer(page: Any, damaged: tuple[Path, str]) -> None:
    folder, base = damaged
    (folder / "static" / "js" / "live" / "kernel.wasm").write_bytes(b"no code")
    visit(page, base, "#tiny:7&at=0.5,0.5&span=0.5")
    shown = seen(page)
    assert_alike(shown, drawn(shown.shape, {"span": 0.5}, seed=7))
    assert "takes longer" in way(page)


def test_opened_as_a_file_it_says_what_helps(page: Any, damaged: tuple[Path, str]) -> None:
    folder, _ = damaged
    page.get(f"file://{folder}/index.html")
    line = page.find_element("id", "wait")
    assert "python -m http.server" in line.text
    page.get("about:blank")
    complaints(page)  # modules from files are refused: that is what the line is about


def test_with_a_graphics_card(hosted: str, tmp_path: Path) -> None:
    with browser(tmp_path, SOFTWARE_GPU) as page:
        show_on(page, width=420, height=300)  # software takes seconds for what a card does at once
        visit(page, hosted, "?draw=gpu#tiny:7")
        wait_until(lambda: "WebGPU" in way(page), "WebGPU")
        press(page, "n")
        assert_says(page, "id", "tiny:8")
        shown = seen(page)
        assert_alike(shown, drawn(shown.shape, {}, seed=8))
        assert complaints(page) == []


def test_a_server_may_let_its_visitors_draw(page: Any, live_models: dict[str, Generator]) -> None:
    settings = ServeSettings(workers=1, live=True)
    with on_loopback(build_app(live_models, settings=settings), settings) as port:
        server = f"http://127.0.0.1:{port}"
        visit(page, server)
        assert "WebAssembly" in way(page)
        shown = seen(page)
        assert_alike(shown, drawn(shown.shape, {}, seed=7))
        script = "return performance.getEntriesByType('resource').map((each) => each.name)"
        asked = page.execute_script(script)
        assert any(each.endswith("weights/tiny.safetensors") for each in asked)
        assert not any("/plane/" in each for each in asked)


def test_a_server_draws_for_those_who_cannot(page: Any, live_models: dict[str, Generator]) -> None:
    settings = ServeSettings(workers=1, live=True)
    with on_loopback(build_app(live_models, settings=settings), settings) as port:
        page.execute_cdp_cmd("Network.enable", {})
        page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/weights/*"]})
        try:
            visit(page, f"http://127.0.0.1:{port}")
            shown = seen(page)
            assert_alike(shown, drawn(shown.shape, {}, seed=7))
            assert "The server draws" in way(page)
        finally:
            page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
            page.execute_cdp_cmd("Network.disable", {})
            complaints(page)
