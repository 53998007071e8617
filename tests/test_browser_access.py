"""The viewer for everybody: fingers, keys alone, all colors, links, and servers in trouble."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse

from browsing import complaints, in_chromium, rest, seen, show_on
from creps.serving._app import build_app
from creps.serving._settings import ServeSettings
from patience import wait_until
from served import on_loopback
from tiny_creps import tiny_creps
from visiting import address, assert_alike, click, drawn, press, visit

pytestmark = [pytest.mark.slow, in_chromium]
pytest_plugins = ["viewer_page"]

PHONE = {"width": 390, "height": 740}
SERVING = Path(__file__).resolve().parent.parent / "docs" / "serving.md"
LINKS = re.findall(r"^#portraits:.*$", SERVING.read_text(), flags=re.M)

Finger = tuple[float, float]


def touch(page: Any, kind: str, fingers: list[Finger]) -> None:
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def gesture(page: Any, start: list[Finger], end: list[Finger], steps: int = 8) -> None:
    """Fingers go from where they start, a little at a time; they rest before they leave."""
    touch(page, "touchStart", start)
    for step in [*range(1, steps + 1), steps]:
        share = step / steps
        places = [
            (x + share * (to_x - x), y + share * (to_y - y))
            for (x, y), (to_x, to_y) in zip(start, end, strict=True)
        ]
        touch(page, "touchMove", places)
    page.execute_async_script("setTimeout(arguments[0], 300)")  # no flick
    touch(page, "touchEnd", [])


@pytest.fixture
def phone(page: Any) -> Iterator[Any]:
    """A phone with fingers; a tab of its own, as Chromium feels one hand on each page only."""
    before = page.current_window_handle
    page.switch_to.new_window("tab")
    show_on(page, **PHONE, phone=True)
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    yield page
    assert complaints(page) == []
    page.close()
    page.switch_to.window(before)


def middle(page: Any) -> Finger:
    box = page.find_element("id", "pane-main").rect
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def center(page: Any) -> tuple[float, float, float]:
    """y, x and the span of what is seen."""
    link = address(page)
    y, x = map(float, link.get("at", "0.5,0.5").split(","))
    return y, x, float(link.get("span", 1))


def test_two_fingers_zoom(phone: Any, server: str) -> None:
    visit(phone, server, "#tiny:7&at=0.4,0.5&span=0.5")
    x, y = middle(phone)
    gesture(phone, [(x - 30, y), (x + 30, y)], [(x - 120, y), (x + 120, y)])
    at_y, at_x, span = center(phone)
    assert span == pytest.approx(0.5 / 4, rel=0.2)  # a little is spent until it is a gesture
    assert (at_y, at_x) == pytest.approx((0.4, 0.5), abs=0.03)
    shown = seen(phone)
    assert_alike(shown, drawn(server, "tiny:7", shown.shape, y=at_y, x=at_x, span=span))
    gesture(phone, [(x, y - 120), (x, y + 120)], [(x, y - 60), (x, y + 60)])
    assert center(phone)[2] == pytest.approx(2 * span, rel=0.2)


@pytest.mark.parametrize(("fingers", "mirror"), [(1, 0), (2, 0), (1, 1), (2, 1)])
def test_fingers_drag_the_picture_with_them(
    phone: Any, server: str, fingers: int, mirror: int
) -> None:
    visit(phone, server, f"#tiny:7&at=0.5,0.5&span=0.5&mirror={mirror}")
    x, y = middle(phone)
    places = [(x - 40, y), (x + 40, y)][:fingers]
    gesture(phone, places, [(px - 60, py + 90) for px, py in places])
    at_y, at_x, span = center(phone)
    unit = 0.5 / PHONE["width"]
    right = -60 if mirror else 60
    assert span == pytest.approx(0.5, rel=0.05)
    assert (at_y, at_x) == pytest.approx((0.5 - 90 * unit, 0.5 + right * unit), abs=8 * unit)


@pytest.mark.parametrize("mirror", [0, 1])
def test_two_fingers_turn_as_far_as_they_go(phone: Any, server: str, mirror: int) -> None:
    visit(phone, server, f"#tiny:7&mirror={mirror}")
    x, y = middle(phone)
    places = []
    for degrees in range(0, 43, 3):
        a, b = 100 * np.cos(np.radians(degrees)), 100 * np.sin(np.radians(degrees))
        places.append([(x - a, y - b), (x + a, y + b)])
    touch(phone, "touchStart", places[0])
    for each in places:
        touch(phone, "touchMove", each)
    touch(phone, "touchEnd", [])
    assert float(address(phone)["turn"]) == pytest.approx(42, abs=2)  # clockwise
    assert center(phone) == pytest.approx((0.5, 0.5, 1), abs=0.02)


def test_a_finger_moves_the_curtain_and_presses_buttons(phone: Any, server: str) -> None:
    visit(phone, server, "#tiny:7&with=lanczos")
    box = phone.find_element("id", "divider").rect
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    gesture(phone, [(x, y)], [(x - 78, y)])
    assert float(address(phone)["split"]) == pytest.approx(0.3, abs=0.01)
    for name in ("compare-close", "zoom-in"):
        box = phone.find_element("id", name).rect
        assert min(box["width"], box["height"]) >= 36
        assert box["x"] + box["width"] <= PHONE["width"]
        place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch(phone, "touchStart", [place])
        touch(phone, "touchEnd", [])
    link = address(phone)
    assert "with" not in link
    assert link["span"] == "0.5"


def test_a_phone_on_its_side_reaches_everything(phone: Any, server: str) -> None:
    show_on(phone, width=740, height=360, phone=True)
    visit(phone, server, "#tiny:7&with=lanczos")
    script = """
        const kinds = '.stage button, .stage select, #gallery button';
        const covered = [...document.querySelectorAll(kinds)]
            .filter((each) => each.checkVisibility({ visibilityProperty: true }))
            .filter((each) => {
                each.scrollIntoView({ block: 'center' });
                const { x, y, width, height } = each.getBoundingClientRect();
                const top = document.elementFromPoint(x + width / 2, y + height / 2);
                return !each.contains(top);
            });
        return covered.map((each) => each.id || each.textContent);
    """
    assert phone.execute_script(script) == []


def test_full_screen_shows_the_picture_alone(page: Any, server: str) -> None:
    def alone() -> bool:
        return not page.find_element("id", "panel").is_displayed()

    def pressed() -> str:
        return page.find_element("id", "full").get_attribute("aria-pressed")

    visit(page, server, "#tiny:7&at=0.4,0.4&span=0.5")
    small = seen(page).shape
    click(page, "#full")
    wait_until(alone, "a full screen")
    assert page.execute_script("return document.fullscreenElement !== null")
    assert pressed() == "true"
    wait_until(lambda: seen(page).shape[1] > small[1], "a larger picture")
    assert center(page) == pytest.approx((0.4, 0.4, 0.5), rel=1e-3)
    click(page, "#full")
    wait_until(lambda: not alone(), "the panel again")
    assert pressed() == "false"
    rest(page)
    page.execute_script(  # where a page may not have it, as on some phones
        "Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('no'))"
    )
    press(page, "f")
    wait_until(alone, "the picture in the whole window")
    assert pressed() == "true"
    press(page, "f")
    wait_until(lambda: not alone(), "the panel again")


STOPS = """
    const usable = (each) => each.tabIndex >= 0 && !each.disabled
        && each.checkVisibility({ visibilityProperty: true });
    const kinds = 'a[href], button, input, select, [tabindex]';
    return [...document.querySelectorAll(kinds)].filter(usable).filter((each) => {
        if (each.type !== 'radio') return true;  // of a group, only the chosen one
        return each.checked;
    }).length;
"""
FOCUSED = """
    const each = document.activeElement;
    if (each === document.body) return { name: '' };
    const shown = (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const label = each.closest('label')?.querySelector('span');
    return {
        place: [...document.querySelectorAll('*')].indexOf(each),
        name: each.id || each.getAttribute('aria-label') || each.textContent.trim() || each.value,
        ring: shown(getComputedStyle(each))
            || (each.type === 'radio' && shown(getComputedStyle(label))),
        seen: each.checkVisibility({ visibilityProperty: true }),
    };
"""


def test_the_tab_key_visits_every_control_in_order(page: Any, server: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    visit(page, server, "#tiny:7..3@0.5&with=lanczos&layout=curtain")
    expected = page.execute_script(STOPS)
    page.execute_script("document.activeElement.blur(); window.getSelection().empty()")
    visited: list[dict[str, Any]] = []
    for _ in range(expected + 5):
        ActionChains(page).send_keys(Keys.TAB).perform()
        now = page.execute_script(FOCUSED)
        if now["name"] == "" or now["place"] in [each["place"] for each in visited]:
            break  # once round
        visited.append(now)
    names = [each["name"] for each in visited]
    assert [each["name"] for each in visited if not (each["ring"] and each["seen"])] == []
    assert [each["place"] for each in visited] == sorted(each["place"] for each in visited)
    assert len(visited) == expected, names
    assert {"model", "surprise", "divider", "rival", "zoom", "full", "tab-picture"} <= set(names)
    assert {"truncation", "seed", "Seed 0"} <= set(names)


def test_all_is_done_with_keys_alone(page: Any, server: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def keys(*words: str) -> None:
        ActionChains(page).send_keys(*words).perform()

    def focus(name: str) -> None:
        page.execute_script("document.getElementById(arguments[0]).focus()", name)

    visit(page, server)
    focus("zoom-in")
    keys(Keys.ENTER, Keys.SPACE)
    assert float(address(page)["span"]) == pytest.approx(0.25, rel=1e-3)
    focus("tab-picture")
    keys(Keys.ARROW_RIGHT, Keys.TAB)  # to "Blend", then past its slider, which is off
    assert page.find_element("id", "set-blend").is_displayed()
    keys(Keys.TAB)
    page.execute_script("document.querySelector('#gallery [data-seed=\"2\"]').focus()")
    keys(Keys.ENTER)
    focus("amount")
    keys(Keys.ARROW_RIGHT)
    assert address(page)["id"] == "tiny:7..2@0.51"
    keys("c")
    assert address(page)["with"] == "lanczos"
    focus("rival")
    keys(Keys.ARROW_DOWN)
    wait_until(lambda: address(page)["with"] == "bicubic", "another rival")
    focus("compare-close")
    keys(Keys.ENTER)
    assert "with" not in address(page)
    keys("d")
    dialog = page.find_element("id", "download-dialog")
    wait_until(dialog.is_displayed, "the dialog")
    inside = "return document.getElementById('download-dialog').contains(document.activeElement)"
    assert page.execute_script(inside)
    keys(Keys.ESCAPE)
    wait_until(lambda: not dialog.is_displayed(), "no dialog")


CONTRASTS = """
    const channels = (color) => {
        const spot = document.createElement('canvas').getContext('2d');
        spot.fillStyle = color;
        spot.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = spot.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((k) => top[k] * top[3] + below[k] * (1 - top[3]));
    const light = (color) => {
        const [r, g, b] = color.map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const ground = (element, picture) => {
        const layers = [];
        for (let each = element; each; each = each.parentElement) {
            if (each.classList.contains('stage')) break;
            layers.push(channels(getComputedStyle(each).backgroundColor));
            if (layers.at(-1)[3] === 1) break;
        }
        return layers.reverse().reduce((below, top) => over(top, below), picture);
    };
    const own = (each) => [...each.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const found = [];
    for (const each of document.querySelectorAll('body *')) {
        const text = own(each) || each.matches('input[type=number], select');
        if (!text || each.closest(':disabled, .hidden, .skip, .toast, svg, option')) continue;
        if (!each.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
        const ink = channels(getComputedStyle(each).color);
        for (const picture of each.closest('.stage') ? arguments[0] : [[0, 0, 0]]) {
            const below = ground(each, picture);
            found.push([each.id || each.textContent.trim() || each.tagName,
                ratio(over(ink, below), below)]);
        }
    }
    return found;
"""
GRAYS = [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
"""Pictures that may lie below what is written on them."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out(page: Any, server: str, dark: bool) -> None:
    """WCAG's 4.5 : 1, for what is written beside the picture and on it, whatever it shows."""
    show_on(page, width=1200, height=700, dark=dark)
    visit(page, server, "#tiny:7..2@0.5&with=lanczos")
    for step in ("nothing", "#tab-blend", "#tab-mix", "#download"):
        if step != "nothing":
            click(page, step)
        found = page.execute_script(CONTRASTS, GRAYS)
        assert len(found) > 30
        assert [each for each in found if each[1] < 4.5] == []


@pytest.mark.parametrize("link", LINKS)
def test_documented_links_bring_back_exactly_the_view(page: Any, server: str, link: str) -> None:
    link = link.replace("portraits:", "tiny:").replace("model:mine", "model:kinds")
    visit(page, server, link)
    rest(page)
    assert page.execute_script("return location.hash") == link
    before = seen(page)
    visit(page, server, link)
    assert np.array_equal(seen(page), before)


def test_a_view_that_was_found_by_hand_comes_back(page: Any, server: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    visit(page, server, "#tiny:7&with=bicubic")
    stage = page.find_element("id", "stage")
    here = ScrollOrigin.from_element(stage, 37, -61)
    for _ in range(20):
        ActionChains(page).scroll_from_origin(here, 0, -100).perform()
    pane = page.find_element("id", "pane-main")
    ActionChains(page).move_to_element_with_offset(pane, -200, 0).click_and_hold().move_by_offset(
        33, -18
    ).release().perform()
    press(page, "r", "m")
    divider = page.find_element("id", "divider")
    ActionChains(page).drag_and_drop_by_offset(divider, -77, 0).perform()
    rest(page)
    before = [seen(page), seen(page, "other")]
    link = page.execute_script("return location.hash")
    split = divider.rect["x"]
    visit(page, server, link)
    rest(page)
    assert page.execute_script("return location.hash") == link
    for one, other in zip(before, [seen(page), seen(page, "other")], strict=True):
        difference = np.abs(one.astype(int) - other)
        assert hypot(float(difference.max()), float(difference.mean())) < 8
    assert page.find_element("id", "divider").rect["x"] == pytest.approx(split, abs=0.5)


def line_of(page: Any) -> str:
    """What is told above the picture."""
    return page.execute_script(
        "const line = document.getElementById('wait'); return line.hidden ? '' : line.textContent"
    )


def test_a_server_that_is_gone_leaves_the_picture_and_is_found_again(page: Any) -> None:
    settings = ServeSettings(workers=2)
    models = {"tiny": tiny_creps()}
    with on_loopback(build_app(models, settings=settings), settings) as port:
        home = f"http://127.0.0.1:{port}"
        visit(page, home)
        before = seen(page)
    click(page, "#gallery [data-seed='3']")
    wait_until(lambda: "does not answer" in line_of(page), "a word of the matter")
    page.execute_async_script("setTimeout(arguments[0], 4500)")  # beyond all patience of the page
    assert np.array_equal(seen(page), before)
    press(page, "d")
    trouble = page.find_element("id", "download-trouble")
    wait_until(
        lambda: trouble.text == "No preview: The server does not answer.", "a word in the dialog"
    )
    click(page, "#download-go")
    toast = page.find_element("id", "toast")
    wait_until(
        lambda: toast.text == "Not saved. The server does not answer.", "a word of the download"
    )
    assert all("ERR_CONNECTION" in each for each in complaints(page))
    with on_loopback(build_app(models, settings=settings), settings, port=port):
        wait_until(lambda: line_of(page) == "", "no more trouble")
        rest(page)
        shown = seen(page)
        assert_alike(shown, drawn(home, "tiny:3", shown.shape))
        assert all("ERR_CONNECTION" in each for each in complaints(page))
        page.get("about:blank")  # nothing asks any more


def test_a_busy_server_is_waited_for(page: Any) -> None:
    settings = ServeSettings(workers=2)
    app = build_app({"tiny": tiny_creps()}, settings=settings)
    open_door = threading.Event()

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        drawing = scope["type"] == "http" and scope["path"].startswith("/plane/")
        if drawing and not open_door.is_set():
            refusal = JSONResponse({"error": "too much"}, 503, headers={"Retry-After": "1"})
            await refusal(scope, receive, send)
        else:
            await app(scope, receive, send)

    with on_loopback(busy, settings) as port:
        page.get(f"http://127.0.0.1:{port}/")
        busy_line = "The server is busy; the picture follows."
        wait_until(lambda: line_of(page) == busy_line, "a word of the matter")
        assert all("503" in each for each in complaints(page))
        open_door.set()
        rest(page)
        assert line_of(page) == ""
        shown = seen(page)
        assert_alike(shown, drawn(f"http://127.0.0.1:{port}", "tiny:7", shown.shape))
        assert all("503" in each for each in complaints(page))
        page.get("about:blank")  # nothing asks any more


def test_a_slow_server_is_said_to_draw(page: Any) -> None:
    settings = ServeSettings(workers=2)
    app = build_app({"tiny": tiny_creps()}, settings=settings)
    doors = {"/api/": threading.Event(), "/plane/": threading.Event()}

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        for start, door in doors.items():
            while scope["type"] == "http" and scope["path"].startswith(start):
                if door.is_set():
                    break
                await asyncio.sleep(0.05)
        await app(scope, receive, send)

    with on_loopback(slow, settings) as port:
        page.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: line_of(page) == "Looking for pictures", "a first word")
        doors["/api/"].set()
        wait_until(lambda: line_of(page) == "Drawing the picture", "a second word")
        doors["/plane/"].set()
        rest(page)
        assert line_of(page) == ""
        page.get("about:blank")  # nothing asks any more
