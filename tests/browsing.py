"""A real browser for tests: Debian's Chromium, driven by Selenium, silent and without a window."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from patience import PATIENCE, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

in_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and find_spec("selenium")),
    reason="needs the extra dev, and Chromium: apt-get install chromium chromium-driver",
)

FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WITHOUT_GPU = ("--headless", "--disable-gpu")
SOFTWARE_GPU = ("--headless=new", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""WebGPU without a graphics card: slow, and its canvases cannot be read back, but buffers can."""
AT_REST = """
    const panes = [...document.querySelectorAll('.pane:not([hidden])')];
    return panes.length > 0 && panes.every((each) => each.getAttribute('aria-busy') === 'false');
"""
CANVAS = "return document.querySelector(`#pane-${arguments[0]} canvas`).toDataURL('image/png')"
FOREIGN = """
    return performance.getEntriesByType('resource').map((each) => each.name)
        .filter((name) => !name.startsWith(location.origin) && !/^(data|blob):/.test(name));
"""


@contextmanager
def browser(folder: Path, gpu: tuple[str, ...] = WITHOUT_GPU) -> Iterator[Any]:
    """A Selenium driver; downloads go to `folder`/downloads."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    downloads = folder / "downloads"
    downloads.mkdir(parents=True)
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, *gpu, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    try:
        behavior = {"behavior": "allow", "downloadPath": str(downloads)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
        yield driver
    finally:
        driver.quit()


def show_on(
    driver: Any, *, width: int, height: int, phone: bool = False, dark: bool = False
) -> None:
    """Let the page have a screen of so many pixels; nothing moves by itself."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = {
        "prefers-reduced-motion": "reduce",
        "prefers-color-scheme": "dark" if dark else "light",
    }
    media = [{"name": name, "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})


def rest(driver: Any) -> None:
    """Wait until every picture is complete and the address has followed."""
    # The page changes its address after 0.3 s of quiet; a later timer of its own comes after that.
    driver.execute_async_script("setTimeout(arguments[0], 400)")
    wait_until(lambda: driver.execute_script(AT_REST), "a complete picture")


def seen(driver: Any, pane: str = "main") -> np.ndarray:
    """(H, W, 3): what a pane shows."""
    content = driver.execute_script(CANVAS, pane).partition(",")[2]
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))).convert("RGB"))


def complaints(driver: Any) -> list[str]:
    """Errors in the browser's console since the last call, and requests to other hosts."""
    severe = [each["message"] for each in driver.get_log("browser") if each["level"] == "SEVERE"]
    return severe + driver.execute_script(FOREIGN)
