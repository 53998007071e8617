"""Galleries as plain files, and pictures in notebooks."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from creps.errors import LabelError, UsageError
from creps.rendering._renderer import render
from creps.serving import _pages as pages
from creps.serving import _sites as sites
from creps.serving._notebook import view
from creps.serving._sites import SiteSettings, write_site
from tiny_creps import tiny_creps

pytest.importorskip("zarr")

SETTINGS = SiteSettings(name="tiny", title="Tiny pictures", seeds=(3, 8), size=300)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A page instead of the real one."""
    folder = tmp_path / "page"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("the viewer")
    (folder / "gallery.html").write_text("the gallery")
    (folder / "js" / "gallery.js").write_text("1")
    monkeypatch.setattr(pages, "static_folder", lambda: folder)


@pytest.mark.slow
def test_a_site_is_whole(page: None, tmp_path: Path) -> None:
    out = tmp_path / "site"
    told: list[tuple[int, int]] = []
    count = write_site(
        out, tiny_creps(), settings=SETTINGS, progress=lambda *done: told.append(done)
    )
    assert count == 2
    assert (out / "index.html").read_text() == "the gallery"
    assert (out / "static" / "js" / "gallery.js").is_file()
    assert not (out / "static" / "index.html").exists()
    document = json.loads((out / "site.json").read_text())
    assert [each["seed"] for each in document["pictures"]] == [3, 8]
    for each in document["pictures"]:
        assert f'Width="{each["width"]}"' in (out / each["dzi"]).read_text()
        with Image.open(out / each["thumbnail"]) as thumbnail:
            assert thumbnail.size == (300, 300)
    tile = np.asarray(Image.open(out / "seed8_files" / "9" / "0_0.jpg"))
    expected = render(tiny_creps(), seed=8, size=300)[:255, :255]
    assert np.abs(tile.astype(int) - expected).mean() < 2
    assert told[-1] == (2 * 300**2, 2 * 300**2)
    assert told == sorted(told)


@pytest.mark.slow
def test_a_site_shows_the_class_that_is_asked_for(page: None, tmp_path: Path) -> None:
    model = tiny_creps(label_dim=3)
    asked = replace(SETTINGS, seeds=(3,))
    with pytest.raises(LabelError, match="this model has 3 classes: choose with --class 0 to 2"):
        write_site(tmp_path / "site", model, settings=asked)
    assert not (tmp_path / "site").exists()
    assert write_site(tmp_path / "site", model, settings=replace(asked, label="1")) == 1
    expected = render(model, seed=3, label=1, size=300)
    with Image.open(tmp_path / "site" / "seed3.jpg") as thumbnail:
        assert np.abs(np.asarray(thumbnail).astype(int) - expected).mean() < 3
    assert write_site(tmp_path / "site", model, settings=replace(asked, label=1)) == 0
    assert write_site(tmp_path / "site", model, settings=replace(asked, label=2)) == 1


@pytest.mark.slow
def test_what_is_there_is_kept_and_what_differs_is_made_again(page: None, tmp_path: Path) -> None:
    out = tmp_path / "site"
    write_site(out, tiny_creps(), settings=SETTINGS)
    before = (out / "seed3_files" / "9" / "0_0.jpg").stat().st_mtime_ns
    more = SiteSettings(name="tiny", title="More", seeds=(3, 8, 9), size=300)
    assert write_site(out, tiny_creps(), settings=more) == 1
    assert (out / "seed3_files" / "9" / "0_0.jpg").stat().st_mtime_ns == before
    other = SiteSettings(name="tiny", title="Less", seeds=(3,), size=300, truncation=0.5)
    assert write_site(out, tiny_creps(), settings=other) == 1


def test_a_site_refuses_what_makes_no_sense(page: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_site(
            tmp_path / "site",
            tiny_creps(),
            settings=SiteSettings(name="tiny", title="x", seeds=(1,), size=0),
        )
    assert not (tmp_path / "site").exists()


def test_the_page_of_sites_is_in_the_package() -> None:
    files = pages.static_files()
    if "index.html" not in files:
        pytest.skip("this build has no page")
    assert sites.GALLERY in files


def test_a_notebook_shows_a_server_of_its_own() -> None:
    generator = tiny_creps()
    shown = view(generator, 7, height=400)
    markup = shown._repr_html_()
    assert markup.startswith("<iframe")
    assert 'height="400"' in markup
    assert shown.address is not None
    base, _, picture = shown.address.partition("/#id=")
    assert picture == "model%3A7"
    with urlopen(f"{base}/plane/{picture}/0/0_0.png") as answer:
        pixels = np.asarray(Image.open(BytesIO(answer.read())))
    assert np.abs(pixels.astype(int) - render(generator, seed=7, size=256)).max() <= 1
    assert view(generator, 8).address.startswith(base + "/")  # the same server


def test_a_notebook_elsewhere_shows_a_still_picture() -> None:
    shown = view(tiny_creps(), 7, static=True)
    assert shown.address is None
    assert 'src="data:image/png;base64,' in shown._repr_html_()
    with pytest.raises(UsageError):
        view(tiny_creps(), -1)
