"""The viewer used as any page is: keys, links, frames, "back", and small screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from browsing import complaints, in_chromium, rest, seen, show_on
from patience import wait_until
from visiting import address, assert_alike, assert_says, click, drawn, press, visit

pytestmark = [pytest.mark.slow, in_chromium]
pytest_plugins = ["viewer_page"]


def line_of(page: Any) -> str:
    """What is told above the picture."""
    return page.execute_script(
        "const line = document.getElementById('wait'); return line.hidden ? '' : line.textContent"
    )


def keys(page: Any, *words: str) -> None:
    """Press keys, whatever has the focus."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).send_keys(*words).perform()


def hold(page: Any, key: str, times: int) -> None:
    """Hold a letter's key down until it has come so many times."""
    for k in range(times):
        event = {"type": "keyDown", "key": key, "text": key, "autoRepeat": k > 0}
        page.execute_cdp_cmd("Input.dispatchKeyEvent", event)
    page.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})


def entries(page: Any) -> int:
    """Places that "back" and "forward" lead to."""
    return int(page.execute_script("return history.length"))


def test_enter_in_the_size_downloads(page: Any, server: str, window: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(page, server)
    downloads = Path(window.capabilities["chrome"]["userDataDir"]).parent / "downloads"
    press(page, "d")
    click(page, "#download-cancel")
    dialog = page.find_element("id", "download-dialog")
    wait_until(lambda: not dialog.is_displayed(), "no dialog")
    press(page, "d")
    field = page.find_element("id", "longest")
    field.clear()
    field.send_keys("333", Keys.ENTER)
    (file,) = wait_until(lambda: list(downloads.glob("*-333x*.png")), "a download")
    with Image.open(file) as picture:
        assert max(picture.size) == 333


def test_sliders_keep_their_own_keys(page: Any, server: str) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(page, server, "#tiny:7&at=0.5,0.5&span=0.25")
    page.execute_script("document.getElementById('truncation').focus()")
    keys(page, Keys.HOME)
    assert_says(page, "id", "tiny:7;t=0")
    assert address(page)["span"] == "0.25"


def test_the_zoom_slider_follows_while_it_has_the_focus(page: Any, server: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    visit(page, server, "#tiny:7&at=0.5,0.5&span=0.5")
    slider = page.find_element("id", "zoom")
    page.execute_script("arguments[0].focus()", slider)
    before = float(slider.get_property("value"))
    pane = ScrollOrigin.from_element(page.find_element("id", "pane-main"))
    ActionChains(page).scroll_from_origin(pane, 0, -400).perform()
    closer = 0.5 / float(address(page)["span"])
    assert closer > 1.2
    assert 2 ** (float(slider.get_property("value")) - before) == pytest.approx(closer, rel=1e-2)


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        ("7+3:0-99+5:1", "layers 0 to 6"),
        ("1~2@7", "Position 7.0"),
        ("7..8@1.2.3", "1.2.3"),
        ("7;t=9", "Truncation 9: expected -4 to 4"),
    ],
)
def test_what_the_server_refuses_is_told_until_there_is_another_picture(
    page: Any, server: str, recipe: str, word: str
) -> None:
    visit(page, server)
    click(page, "#gallery [data-seed='3']")
    rest(page)
    page.execute_script("location.hash = arguments[0]", f"#tiny:{recipe}")
    wait_until(lambda: word in line_of(page), "a word of the matter")
    assert all("400" in each for each in complaints(page))
    page.back()  # whose tiles are at hand: nothing is asked for
    wait_until(lambda: line_of(page) == "", "no more trouble")
    assert_says(page, "id", "tiny:3")
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:3", shown.shape))
    assert all("400" in each for each in complaints(page))


@pytest.mark.parametrize("rival", ["constructor", "model:tiny", "model:nobody"])
def test_a_comparison_that_there_is_not_is_none(page: Any, server: str, rival: str) -> None:
    visit(page, server, f"#tiny:7&at=0.4,0.4&span=0.5&with={rival}")
    assert address(page) == {"id": "tiny:7", "at": "0.4,0.4", "span": "0.5"}
    assert seen(page).std() > 1


def test_the_model_that_one_is_compared_with_can_be_chosen(page: Any, server: str) -> None:
    from selenium.webdriver.support.select import Select

    visit(page, server, "#tiny:7&with=model:kinds")
    Select(page.find_element("id", "model")).select_by_value("kinds")
    assert_says(page, "id", "kinds:7;c=0")
    assert address(page)["with"] == "model:tiny"
    assert page.find_element("id", "rival").get_property("value") == "model tiny"
    shown = seen(page, "other")
    assert_alike(shown, drawn(server, "tiny:7", shown.shape))


def test_back_undoes_what_was_done(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7")
    before = entries(page)
    for _ in range(2):
        click(page, "#gallery [data-seed='7']")  # which is shown already
    assert entries(page) == before
    hold(page, "n", 4)
    assert_says(page, "id", "tiny:11")
    assert entries(page) == before + 1
    page.back()
    assert_says(page, "id", "tiny:7")


def test_a_browser_that_has_had_enough_addresses_shows_pictures_on(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7")
    page.execute_script("""
        history.replaceState = history.pushState = () => {
            throw new DOMException("too many calls", "SecurityError");
        };
    """)
    press(page, "n")
    wait_until(lambda: page.title.startswith("Seed 8 "), "the next picture")
    rest(page)
    shown = seen(page)
    assert_alike(shown, drawn(server, "tiny:8", shown.shape))
    page.execute_script("delete history.replaceState; delete history.pushState")
    assert_says(page, "id", "tiny:8")


def test_a_key_that_is_held_switches_once(page: Any, server: str) -> None:
    visit(page, server)
    hold(page, "c", 4)
    assert_says(page, "with", "lanczos")
    hold(page, "+", 3)
    assert float(address(page)["span"]) == pytest.approx(1.5**-3, rel=1e-3)


def test_escape_brings_everything_back(page: Any, server: str) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(page, server)
    panel = page.find_element("id", "panel")
    press(page, "h")
    wait_until(lambda: not panel.is_displayed(), "the picture alone")
    press(page, Keys.ESCAPE)
    wait_until(panel.is_displayed, "everything")


def test_a_picture_that_is_let_go_stays_where_nothing_is_to_move(page: Any, server: str) -> None:
    visit(page, server, "#tiny:7&at=0.5,0.5&span=0.5")
    box = page.find_element("id", "pane-main").rect
    x, y = box["x"] + 250, box["y"] + 250

    def mouse(kind: str, right: int) -> None:
        event = {"type": kind, "x": x + right, "y": y, "button": "left", "clickCount": 1}
        down = int(kind != "mouseReleased")
        page.execute_cdp_cmd("Input.dispatchMouseEvent", {**event, "buttons": down})

    mouse("mousePressed", 0)
    for step in range(1, 11):  # fast
        mouse("mouseMoved", -10 * step)
    mouse("mouseReleased", -100)
    at = float(address(page)["at"].split(",")[1])
    assert at == pytest.approx(0.5 + 100 * 0.5 / min(box["width"], box["height"]), abs=0.01)


def test_a_frame_that_is_hidden_at_first_shows_its_picture_later(page: Any, server: str) -> None:
    visit(page, server)  # any page of the same origin
    link = "#tiny:7&at=0.4,0.4&span=0.5&turn=30"
    page.execute_script(
        "document.body.innerHTML = arguments[0]",
        f'<iframe src="/{link}" style="display: none; width: 700px; height: 500px"></iframe>',
    )
    frame = page.find_element("css selector", "iframe")
    page.switch_to.frame(frame)
    try:
        wait_until(
            lambda: page.execute_script("return document.title") == "Seed 7 · tiny · creps",
            "a picture's name",
        )
        for _ in range(2):  # the second time it was hidden again
            page.switch_to.default_content()
            page.execute_script("arguments[0].style.display = 'block'", frame)
            page.switch_to.frame(frame)
            rest(page)
            assert page.execute_script("return location.hash") == link
            shown = seen(page)
            view = {"y": 0.4, "x": 0.4, "span": 0.5, "turn": 30}
            assert_alike(shown, drawn(server, "tiny:7", shown.shape, **view))
            page.switch_to.default_content()
            page.execute_script("arguments[0].style.display = 'none'", frame)
            page.execute_async_script("setTimeout(arguments[0], 300)")
            page.switch_to.frame(frame)
    finally:
        page.switch_to.default_content()


REACHED = """
    const kinds = '.stage button, .stage select, .panel [role=tab], .panel button, .panel input';
    const all = [...document.querySelectorAll(kinds)]
        .filter((each) => each.checkVisibility({ visibilityProperty: true }));
    const covered = all.filter((each) => {
        each.scrollIntoView({ block: 'center', inline: 'center' });
        const { x, y, width, height } = each.getBoundingClientRect();
        const top = document.elementFromPoint(x + width / 2, y + height / 2);
        return !each.contains(top);
    });
    return [all.map((each) => each.id), covered.map((each) => each.id || each.textContent)];
"""


@pytest.mark.parametrize("size", [(667, 331), (568, 320), (375, 553), (320, 454)])
@pytest.mark.parametrize("layout", ["curtain", "beside"])
def test_a_small_phone_reaches_everything(
    page: Any, server: str, size: tuple[int, int], layout: str
) -> None:
    width, height = size
    show_on(page, width=width, height=height, phone=True)
    visit(page, server, f"#tiny:7&with=lanczos&layout={layout}")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    found, covered = page.execute_script(REACHED)
    assert {"tab-picture", "tab-blend", "tab-mix", "truncation", "seed", "zoom-in"} <= set(found)
    assert covered == []
    assert min(seen(page).shape[:2]) >= 100


def test_downloads_that_were_written_down_badly_are_forgotten(page: Any, server: str) -> None:
    for kept in ("null", "{}", "[", '["of another server"]'):
        visit(page, server)
        page.execute_script("localStorage.setItem('creps-downloads', arguments[0])", kept)
        visit(page, server)
        assert seen(page).std() > 1
        assert not page.find_element("id", "downloads").is_displayed()
    assert all("404" in each for each in complaints(page))
