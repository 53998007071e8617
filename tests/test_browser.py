"""The viewer in a real browser: what a visitor does, and what they then see."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from browsing import complaints, in_chromium, rest, seen, show_on
from creps.rendering._renderer import render
from creps.serving._sites import SiteSettings, write_site
from patience import wait_until
from served import static_host
from tiny_creps import tiny_creps
from visiting import (
    NAMES,
    address,
    assert_alike,
    assert_says,
    click,
    drawn,
    press,
    set_slider,
    visit,
)

pytestmark = [pytest.mark.slow, in_chromium]
pytest_plugins = ["viewer_page"]

WIDTH, HEIGHT = 900, 620  # of the page


def test_the_picture_fills_the_room(page: Any, server: str) -> None:
    visit(page, server)
    shown = seen(page)
    height, width = shown.shape[:2]
    assert height > 0.85 * HEIGHT
    assert width > 0.6 * WIDTH
    assert_alike(shown, render(tiny_creps(), seed=7, size=(height, width)))
    assert page.title == "Seed 7 · tiny · creps"
    assert "Drawn by Nobody · CC0" in page.find_element("id", "credit").text
    assert "training size" in page.find_element("id", "scale").text


def test_the_size_is_told_by_what_the_model_was_trained_at(page: Any, server: str) -> None:
    visit(page, server)
    script = """
        const [module, cases] = arguments, end = arguments[arguments.length - 1];
        import(module).then(({ inWords }) => end(cases.map((each) => inWords(...each))));
    """
    place = page.execute_script("return new URL('static/js/readout.js', document.baseURI).href")
    windows, whole = {"trained": 32, "detail": 256}, {"trained": 32, "detail": 32}
    cases = [
        (16, windows),
        (32, windows),
        (256, windows),
        (1024, windows),
        (32, whole),
        (64, whole),
        (32 * 157e6, whole),
        (32 * 2.5e9, whole),
    ]
    assert page.execute_async_script(script, place, cases) == [
        "0.50× its training size",
        "Within its training sizes",
        "Within its training sizes",
        "4.0× beyond training size",
        "At its training size",
        "2.0× beyond training size",
        "157 million× beyond training size",
        "2.5 billion× beyond training size",
    ]


def test_what_share_of_the_pixels_was_evaluated_is_told(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&span=1e-6")  # so deep that all is smooth
    told = page.find_element("id", "evaluated").text
    with urlopen(f"{server}/plane/tiny:7/20/{2**19}_{2**19}.jpg") as answer:
        share = float(answer.headers["Creps-Evaluated"])
    assert 0 < share < 0.3
    assert told == f"{100 * share:.1f} % of the pixels evaluated"  # every tile is like this one
    visit(page, server, "#tiny:7&span=1e-6&with=lanczos")
    assert page.find_element("id", "evaluated").text == told  # an enlargement evaluates nothing


def test_ten_octaves_in(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&at=0.3,0.6&span=1")
    for _ in range(10):
        click(page, "#zoom-in")
    link = address(page)
    assert float(link["span"]) == pytest.approx(2.0**-10, rel=1e-3)
    assert [float(each) for each in link["at"].split(",")] == pytest.approx([0.3, 0.6], abs=1e-5)
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:7", shown.shape, y=0.3, x=0.6, span=2.0**-10))
    set_slider(page, "zoom", 30)
    assert float(address(page)["span"]) < 1e-7
    assert seen(page).std(axis=(0, 1)).max() < 60  # there is a picture, and no hole in it
    press(page, "0")
    assert "span" not in address(page)


def test_wheel_and_drag(page: Any, server: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    visit(page, server)
    stage = page.find_element("id", "pane-main")
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(stage), 0, -200).perform()
    closer = address(page)
    assert float(closer["span"]) < 0.9
    ActionChains(page).drag_and_drop_by_offset(stage, -60, 40).perform()
    y, x = map(float, address(page)["at"].split(","))
    assert x > 0.51
    assert y < 0.49


def test_turning_is_clockwise(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&at=0.4,0.5&span=0.6")
    for _ in range(2):
        click(page, "#turn-right")
    link = address(page)
    assert link["turn"] == "30"
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:7", shown.shape, y=0.4, x=0.5, span=0.6, turn=30))
    other_way = drawn(server, "tiny:7", shown.shape, y=0.4, x=0.5, span=0.6, turn=-30)
    with pytest.raises(AssertionError):
        assert_alike(shown, other_way)
    press(page, "R")  # with shift: back again
    press(page, "m")
    link = address(page)
    assert (link["turn"], link["mirror"]) == ("15", "1")
    view = {"y": 0.4, "x": 0.5, "span": 0.6, "turn": 15, "mirror": 1}
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:7", shown.shape, **view))
    press(page, "\ue014")  # the arrow to the right: what is there comes nearer by a fifth
    rest(page)
    step = round(0.2 * min(shown.shape[:2]))
    assert_alike(seen(page)[:, :-step], shown[:, step:])


def test_another_picture_and_back(page: Any, server: str) -> None:
    visit(page, server)
    click(page, "#gallery [data-seed='3']")
    assert_says(page, "id", "tiny:3")
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:3", shown.shape))
    pressed = page.find_element("css selector", "#gallery [aria-pressed='true']")
    assert pressed.get_attribute("data-seed") == "3"
    press(page, "n")
    assert_says(page, "id", "tiny:4")
    page.back()
    assert_says(page, "id", "tiny:3")
    click(page, "#surprise")
    assert address(page)["id"] not in ("tiny:3", "tiny:4")


def test_blending_mixing_and_variety(page: Any, server: str) -> None:
    visit(page, server)
    click(page, "#tab-blend")
    click(page, "#gallery [data-seed='2']")
    set_slider(page, "amount", 0.3)
    assert_says(page, "id", "tiny:7..2@0.3")
    click(page, "#tab-mix")
    click(page, "#gallery [data-seed='5']")
    set_slider(page, "first", 1)
    set_slider(page, "last", 2)
    click(page, "#tab-picture")
    set_slider(page, "truncation", 0.6)
    assert_says(page, "id", "tiny:7..2@0.3+5:1-2;t=0.6")
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:7..2@0.3+5:1-2;t=0.6", shown.shape))
    click(page, "#tab-mix")
    click(page, "#mix-clear")
    click(page, "#tab-blend")
    click(page, "#blend-clear")
    assert_says(page, "id", "tiny:7;t=0.6")


def test_both_sides_of_a_comparison_move_together(page: Any, server: str) -> None:
    from selenium.webdriver.support.ui import Select

    visit(page, server, "#tiny:7&at=0.5,0.5&span=0.5")
    click(page, "#compare")
    assert_says(page, "with", "lanczos")
    Select(page.find_element("id", "rival")).select_by_value("nearest")
    page.execute_script("document.querySelector('[value=beside]').click()")
    press(page, "+")
    press(page, "\ue014")  # the arrow to the right
    link = address(page)
    assert (link["with"], link["layout"]) == ("nearest", "beside")
    y, x = map(float, link["at"].split(","))
    view = {"y": y, "x": x, "span": float(link["span"])}
    shown = seen(page, "other")
    assert_alike(shown, drawn(server, "tiny:7;by=nearest", shown.shape, **view))
    assert_alike(seen(page), drawn(server, "tiny:7", shown.shape, **view))
    click(page, "#compare-close")
    assert "with" not in address(page)


def test_two_models_side_by_side(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&with=model:kinds&layout=curtain&split=0.25")
    shown = seen(page, "other")
    assert_alike(shown, drawn(server, "kinds:7;c=0", shown.shape))
    divider = page.find_element("id", "divider")
    divider.send_keys("\ue014")
    assert_says(page, "split", "0.27")
    assert divider.get_attribute("aria-valuenow") == "27"


def test_a_class_is_chosen_where_latents_decide_on_it_too(page: Any, server: str) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(page, server, "#tiny:7")
    field = page.find_element("id", "class")
    assert not field.is_displayed()
    visit(page, server, "#drawn:7")
    field = page.find_element("id", "class")
    assert (field.get_attribute("value"), field.get_attribute("placeholder")) == ("", "any")
    plain = seen(page)
    assert_alike(plain, drawn(server, "drawn:7", plain.shape))
    for typed, chosen in (("3", ";c=3"), ("9", ";c=3"), ("-1", ";c=0"), ("", "")):
        field.clear()
        field.send_keys(typed, Keys.TAB)
        assert_says(page, "id", f"drawn:7{chosen}")
        assert_alike(seen(page), drawn(server, f"drawn:7{chosen}", plain.shape))
    visit(page, server, "#drawn:5;c=2")
    assert page.find_element("id", "class").get_attribute("value") == "2"
    assert_says(page, "id", "drawn:5;c=2")
    visit(page, server, "#drawn:5;c=3&with=model:kinds")  # which has fewer classes
    assert_alike(seen(page, "other"), drawn(server, "kinds:5;c=2", seen(page, "other").shape))
    visit(page, server, "#kinds:5")  # where one must be chosen
    assert_says(page, "id", "kinds:5;c=0")
    field = page.find_element("id", "class")
    field.clear()
    field.send_keys(Keys.TAB)
    assert_says(page, "id", "kinds:5;c=0")


def test_classes_are_chosen_by_their_names(page: Any, server: str) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    visit(page, server, "#drawn:7")
    assert not page.find_element("id", "class-name").is_displayed()
    visit(page, server, "#named:7")
    names, number = (page.find_element("id", name) for name in ("class-name", "class"))
    assert [each.text for each in Select(names).options] == ["any", *NAMES]
    plain = seen(page)
    for name, chosen in (("Zürich ☃", ";c=3"), ("bun", ";c=0"), ("any", "")):
        Select(names).select_by_visible_text(name)
        assert_says(page, "id", f"named:7{chosen}")
        assert number.get_attribute("value") == chosen.removeprefix(";c=")
        told = f"seed 7, class {name}" if chosen else "seed 7"
        assert page.title == f"S{told[1:]} · named · creps"
        assert_alike(seen(page), drawn(server, f"named:7{chosen}", plain.shape))
    number.send_keys("2", Keys.TAB)
    assert_says(page, "id", "named:7;c=2")
    assert Select(names).first_selected_option.text == "a,b <i>"
    visit(page, server, "#named:5;c=1")
    names = page.find_element("id", "class-name")
    assert Select(names).first_selected_option.text == "long hair"
    assert_says(page, "id", "named:5;c=1")
    visit(page, server, "#usual:5")
    assert_says(page, "id", "usual:5;c=2")
    names = page.find_element("id", "class-name")
    assert [each.text for each in Select(names).options] == NAMES
    assert_alike(seen(page), drawn(server, "usual:5", plain.shape))


def test_a_link_restores_exactly_this_view(page: Any, server: str) -> None:
    link = (
        "#tiny:7..2@0.3+5:1-2;t=0.6&at=0.41234,0.56789&span=0.05&turn=340&mirror=1"
        "&with=bicubic&layout=curtain&split=0.7"
    )
    visit(page, server, link)
    rest(page)
    assert page.execute_script("return location.hash") == link
    assert page.find_element("id", "amount-value").get_attribute("textContent") == "30 %"
    assert page.find_element("id", "mirror").get_attribute("aria-pressed") == "true"
    visit(page, server, "#id=" + quote("kinds:3;c=2", safe=""))
    assert_says(page, "id", "kinds:3;c=2")
    visit(page, server, "#tiny:1~2~3@1.5")  # a recipe that the controls do not know
    assert_says(page, "id", "tiny:1~2~3@1.5")
    visit(page, server, "#nonsense&at=x&span=-3&turn=z")
    assert address(page) == {"id": "tiny:7"}


def ask_for(page: Any, longest: int) -> None:
    """Fill in the download dialog and send it off."""
    press(page, "d")
    field = page.find_element("id", "longest")
    field.clear()
    field.send_keys(str(longest))
    click(page, "#download-go")


def test_a_small_download_comes_at_once(page: Any, server: str, window: Any) -> None:
    visit(page, server, "#tiny:7&at=0.4,0.4&span=0.5")
    downloads = Path(window.capabilities["chrome"]["userDataDir"]).parent / "downloads"
    ask_for(page, 500)
    (file,) = wait_until(lambda: list(downloads.glob("*.png")), "a download")
    shown = seen(page)
    with Image.open(file) as picture:
        height, width = picture.height, picture.width
        assert width == 500
        assert width / height == pytest.approx(shown.shape[1] / shown.shape[0], rel=0.01)
        expected = drawn(server, "tiny:7", (height, width), y=0.4, x=0.4, span=0.5)
        assert_alike(np.asarray(picture.convert("RGB")), expected)


def test_a_large_download_is_a_job_that_outlives_a_reload(page: Any, server: str) -> None:
    visit(page, server)
    ask_for(page, 1200)
    wait_until(lambda: page.find_elements("css selector", "#downloads article"), "a job")
    page.refresh()
    link = wait_until(
        lambda: page.find_elements("css selector", "#downloads a[download]"), "a finished job"
    )[0]
    with urlopen(link.get_attribute("href")) as answer:
        assert max(Image.open(BytesIO(answer.read())).size) == 1200
    click(page, "#downloads article button")
    wait_until(lambda: not page.find_element("id", "downloads").is_displayed(), "an empty tray")


def test_everything_has_a_name_and_keys_are_listed(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&with=lanczos&layout=curtain")
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "slider", "spinbutton", "combobox", "tab", "application", "radio", "link"}
    control = [each for each in nodes if each.get("role", {}).get("value") in roles]
    assert len(control) > 30
    nameless = [each for each in control if not each.get("name", {}).get("value")]
    assert nameless == []
    press(page, "?")
    keys = [each.text for each in page.find_elements("css selector", "#keys kbd")]
    assert {"C", "D", "N", "R", "?"} <= set(keys)


def test_a_field_that_is_filled_in_keeps_its_keys(page: Any, server: str) -> None:
    visit(page, server)
    seed = page.find_element("id", "seed")
    seed.clear()
    seed.send_keys("12\n")
    assert_says(page, "id", "tiny:12")
    seed.send_keys("0")  # would be "the whole picture", and "-" "further away"
    assert "span" not in address(page)


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_the_picture_and_the_panel(page: Any, server: str, width: int) -> None:
    show_on(page, width=width, height=740, phone=True)
    visit(page, server)
    scroll = page.execute_script("return document.documentElement.scrollWidth")
    assert scroll <= width
    assert seen(page).shape[0] > 0.4 * 740
    for name in ("surprise", "download", "tab-mix", "zoom-in", "gallery"):
        box = page.find_element("id", name).rect
        assert box["width"] > 24
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1


def test_dark_and_light(page: Any, server: str) -> None:
    def ground() -> int:
        script = "return getComputedStyle(document.querySelector('.panel')).backgroundColor"
        return sum(
            map(int, page.execute_script(script).removeprefix("rgb(").rstrip(")").split(","))
        )

    visit(page, server)
    assert ground() > 600
    show_on(page, width=WIDTH, height=HEIGHT, dark=True)
    assert ground() < 150
    click(page, "#theme")  # dark, whatever the system says
    show_on(page, width=WIDTH, height=HEIGHT)
    assert ground() < 150
    visit(page, server)  # remembered
    assert ground() < 150


def test_a_static_gallery(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    settings = SiteSettings(name="tiny", title="Tiny pictures", seeds=(3, 8), size=300)
    write_site(tmp_path, tiny_creps(), settings=settings)
    with static_host(tmp_path) as base:
        page.get(f"{base}/")
        pictures = wait_until(
            lambda: page.find_elements("css selector", ".pictures button"), "a wall"
        )
        assert len(pictures) == 2
        pictures[1].click()
        wait_until(lambda: page.find_element("id", "room-title").text == "seed 8", "a room")
        wait_until(
            lambda: "training size" in page.find_element("id", "room-scale").text, "a picture"
        )
        picture = page.find_element("css selector", "#viewer .openseadragon-canvas")
        assert (picture.aria_role, picture.accessible_name) == ("application", "seed 8")
        click(page, "#following")
        wait_until(lambda: page.current_url.endswith("#seed=3"), "the next picture")
        click(page, "#close")
        wait_until(lambda: not page.find_element("id", "room").is_displayed(), "the wall again")
        page.get("about:blank")  # asks for no more tiles when the host is gone


def test_a_gallery_opened_as_a_file_says_what_helps(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    settings = SiteSettings(name="tiny", title="Tiny pictures", seeds=(3,), size=64)
    write_site(tmp_path, tiny_creps(), settings=settings)
    page.get(f"file://{tmp_path}/index.html")
    assert "python -m http.server" in page.find_element("id", "wait").text
    page.get("about:blank")
    complaints(page)  # modules from files are refused: that is what the line is about
