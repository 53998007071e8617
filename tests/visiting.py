"""What tests do with the viewer in a browser, and what its server would draw."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
from PIL import Image

from browsing import rest
from patience import wait_until

NAMES = ["bun", "long hair", "a,b <i>", "Zürich ☃"]
"""Of the classes of a model."""


def visit(page: Any, server: str, link: str = "") -> None:
    """Open the viewer anew."""
    page.get("about:blank")
    page.get(f"{server}/{link}")
    rest(page)


def click(page: Any, selector: str) -> None:
    page.find_element("css selector", selector).click()


def set_slider(page: Any, name: str, value: float) -> None:
    script = """
        const slider = document.getElementById(arguments[0]);
        slider.value = arguments[1];
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    """
    page.execute_script(script, name, value)


def press(page: Any, *keys: str) -> None:
    page.find_element("css selector", "#stage .openseadragon-canvas").send_keys(*keys)


def address(page: Any) -> dict[str, str]:
    """The parts of the link to this view; the picture is called `id`."""
    rest(page)
    picture, *words = page.execute_script("return location.hash").removeprefix("#").split("&")
    return {"id": picture, **dict(word.split("=", 1) for word in words)}


def assert_says(page: Any, part: str, value: str) -> None:
    """The address follows within a while, however busy the machine is."""
    wait_until(lambda: address(page).get(part) == value, f"an address with {part} {value}")


def drawn(server: str, picture: str, shape: tuple[int, ...], **view: float) -> np.ndarray:
    """What the server draws of a view: the center y, x and the span of the shorter side."""
    height, width = shape[:2]
    unit = view.get("span", 1.0) / min(height, width)
    y, x = view.get("y", 0.5), view.get("x", 0.5)
    edges = y - height * unit / 2, x - width * unit / 2, y + height * unit / 2, x + width * unit / 2
    words = f"window={','.join(map(repr, edges))}&height={height}&width={width}&format=png"
    words += f"&rotation={view.get('turn', 0)}&mirror={view.get('mirror', 0)}"
    with urlopen(f"{server}/view/{quote(picture)}?{words}") as answer:
        return np.asarray(Image.open(BytesIO(answer.read())).convert("RGB"))


def assert_alike(shown: np.ndarray, expected: np.ndarray) -> None:
    """The same picture, but for JPEG tiles, their scaling, and what lies above the picture."""
    assert shown.shape == expected.shape
    difference = np.abs(shown.astype(int) - expected)
    contrast = expected.std() + 1e-9
    assert difference.mean() < max(0.12 * contrast, 2.0), (difference.mean(), contrast)
