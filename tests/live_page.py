"""Fixtures for tests of pages that draw by themselves: a static host, and browsers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browsing import SOFTWARE_GPU, WITHOUT_GPU, browser
from creps.networks.base import Generator
from live_modules import LivePage, export
from served import static_host


@pytest.fixture(scope="module")
def hosted(
    tmp_path_factory: pytest.TempPathFactory, live_models: dict[str, Generator]
) -> Iterator[str]:
    """A page of the test's models, in a folder of a plain static host."""
    root = tmp_path_factory.mktemp("host")
    export(root / "some" / "where", live_models)
    with static_host(root) as base:
        yield f"{base}/some/where"


@pytest.fixture(scope="module")
def live(hosted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePage]:
    with browser(tmp_path_factory.mktemp("browser"), WITHOUT_GPU) as driver:
        yield LivePage(driver, hosted)


@pytest.fixture(scope="module")
def live_gpu(hosted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePage]:
    with browser(tmp_path_factory.mktemp("gpu-browser"), SOFTWARE_GPU) as driver:
        driver.set_script_timeout(600)  # software compiles kernels for seconds, busy for minutes
        yield LivePage(driver, hosted)
