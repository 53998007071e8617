"""Fixtures for tests of the viewer: a server of tiny models, and a browser that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browsing import browser, complaints, show_on
from creps.serving._app import build_app
from creps.serving._settings import Limits, ServeSettings
from served import on_loopback
from tiny_creps import tiny_creps
from visiting import NAMES

WIDTH, HEIGHT = 900, 620
LIMITS = Limits(pixels=2**20, side=2048)
"""Larger pictures are jobs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {
        "tiny": tiny_creps(),
        "kinds": tiny_creps(label_dim=3),
        "drawn": tiny_creps(label_dim=4, class_from_latent=True),
    }
    models["named"] = tiny_creps(label_dim=4, class_from_latent=True)
    models["named"].record = {"classes": NAMES}
    models["usual"] = tiny_creps(label_dim=4)
    models["usual"].record = {"classes": NAMES, "default_class": NAMES[2]}
    models["tiny"].record = {"credits": "Drawn by Nobody\nhttps://example.org", "license": "CC0"}
    settings = ServeSettings(workers=2, limits=LIMITS, jobs=tmp_path_factory.mktemp("jobs"))
    with on_loopback(build_app(models, settings=settings), settings) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def page(window: Any) -> Iterator[Any]:
    """A browser whose console stays empty, and that asks no other host."""
    show_on(window, width=WIDTH, height=HEIGHT)
    yield window
    assert complaints(window) == []
    window.execute_script("try { localStorage.clear() } catch {}")  # about:blank has none
