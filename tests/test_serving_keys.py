"""What changes the bytes of an answer changes its tag, its place on disk and the pinned address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import pytest
import torch
from starlette.testclient import TestClient

import creps.serving._models as models
from creps.networks.base import Generator
from creps.serving._settings import Limits
from served import in_memory
from tiny_creps import tiny_creps

TILE = "/plane/{}/0/0_0.jpg"
ADDRESSES = (TILE, "/view/{}?height=8&width=8", "/iiif/{}/0,0,32,32/16,/0/default.png",
             "/dzi/{}_files/5/0_0.jpg", "/zarr/{}/zarr.json", "/zarr/{}/0/c/0/0/0")  # fmt: skip


@contextmanager
def server(change: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A server in which something is different, over the same folder of answers."""
    generator, settings = tiny_creps(), {"size": 64, "limits": Limits(pixels=2**18)}
    with patch.context() as during:
        for name, apply in CHANGES.items():
            if name == change:
                apply(generator, settings, during)
        with in_memory({"tiny": generator}, cache=folder, **settings) as client:
            yield client


Change = Callable[[Generator, dict[str, Any], pytest.MonkeyPatch], Any]


def _weights(generator: Generator, settings: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        generator.to_rgb.bias += 0.5


def _version_of(module: Any) -> Change:
    return lambda generator, settings, patch: patch.setattr(module, "__version__", "0.0.0")


def _limits(**changed: int) -> Change:
    return lambda generator, settings, patch: settings.update(
        limits=Limits(**({"pixels": 2**18} | changed))
    )


CHANGES: dict[str, Change] = {
    "weights": _weights,
    "credits": lambda generator, settings, patch: setattr(
        generator, "record", {"credits": "Somebody"}
    ),
    "precision asked for": lambda generator, settings, patch: settings.update(dtype="float64"),
    "precision of the weights": lambda generator, settings, patch: generator.float(),
    "samples": _limits(samples=2**12),
    "code": lambda generator, settings, patch: patch.setattr(models, "code_id", lambda *r: "other"),
    "GPU": lambda generator, settings, patch: patch.setattr(models, "_kind", lambda d: "H200"),
    "creps": _version_of(models),
    "torch": _version_of(torch),
    "numpy": _version_of(np),
    "pillow": _version_of(PIL),
    "codec": lambda generator, settings, patch: patch.setattr(
        PIL.features, "version", lambda name: "0"
    ),
}
"""What the bytes of a view depend on."""

MEANINGS: dict[str, Change] = {
    "size": lambda generator, settings, patch: settings.update(size=100),
    "largest answer": _limits(pixels=2**10),
    "longest side": _limits(side=32),
}
"""What an address names, of what is counted in pixels of the whole."""
CHANGES |= MEANINGS


def pinned(client: TestClient) -> str:
    answer: str = client.get("/api/pictures/tiny:3").json()["pinned"]
    return answer


@pytest.mark.parametrize("change", CHANGES)
def test_a_pinned_address_of_another_server_is_not_found(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server("nothing", tmp_path, monkeypatch) as client:
        old = pinned(client)
        assert client.get(TILE.format(old)).status_code == 200
    with server("nothing", tmp_path, monkeypatch) as client:
        assert pinned(client) == old
    with server(change, tmp_path, monkeypatch) as client:
        assert pinned(client) != old
        for address in ADDRESSES:
            assert client.get(address.format(old)).status_code == 404, address


@pytest.mark.parametrize("change", [each for each in CHANGES if each not in MEANINGS])
def test_what_changes_bytes_changes_the_tag_and_finds_nothing_on_disk(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tags(client: TestClient) -> list[str]:
        return [client.get(each.format("tiny:3")).headers["etag"] for each in ADDRESSES]

    with server("nothing", tmp_path, monkeypatch) as client:
        first = tags(client)
        kept = set(tmp_path.rglob("*.answer"))
        assert len(kept) == len(ADDRESSES) - 1  # all but a document are drawn
    with server("nothing", tmp_path, monkeypatch) as client:
        assert tags(client) == first
        assert set(tmp_path.rglob("*.answer")) == kept
    with server(change, tmp_path, monkeypatch) as client:
        assert not set(tags(client)) & set(first)
        assert len(set(tmp_path.rglob("*.answer")) - kept) == len(kept)


@pytest.mark.parametrize("change", MEANINGS)
def test_equal_tags_are_equal_bytes_whatever_the_size(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes are in what is asked for: the same view has the same tag, another has another."""
    found: dict[str, set[bytes]] = {}
    for kind in ("nothing", change):
        with server(kind, tmp_path / kind, monkeypatch) as client:
            for address in ADDRESSES:
                answer = client.get(address.format("tiny:3"))
                if answer.status_code == 200:
                    found.setdefault(answer.headers["etag"], set()).add(answer.content)
    assert all(len(bodies) == 1 for bodies in found.values())


VIEW = "/view/tiny:3?height=8&width=8&format=png&window=0,0,1,1"
QUERIES = (
    VIEW,
    VIEW.replace("tiny:3", "tiny:4"),
    VIEW.replace("tiny:3", "tiny:3..4@0.5"),
    VIEW.replace("tiny:3", "tiny:3~4@0.5"),
    VIEW.replace("tiny:3", "tiny:3+4:0-1"),
    VIEW.replace("tiny:3", "tiny:3;t=0.5"),
    VIEW.replace("tiny:3", "tiny:3;t=0.5;k=1"),
    VIEW.replace("tiny:3", "tiny:3;by=lanczos"),
    VIEW.replace("tiny:3", "tiny:3;by=nearest"),
    VIEW.replace("tiny:3", "same:3"),
    VIEW.replace("height=8", "height=9"),
    VIEW.replace("width=8", "width=9"),
    VIEW.replace("0,0,1,1", "0,0,1,1.0000001"),
    VIEW.replace("png", "jpg"),
    VIEW.replace("png", "webp"),
    VIEW + "&mirror=1",
    VIEW + "&rotation=90",
    VIEW + "&rotation=33",
    VIEW + "&rotation=33.0000001",
    "/iiif/tiny:3/full/8,8/33/default.png",
    "/iiif/tiny:3/full/8,8/!33/default.png",
    "/iiif/tiny:3/full/8,8/33/gray.png",
    "/iiif/tiny:3/full/8,8/33/bitonal.png",
)


def test_every_word_of_an_address_that_changes_bytes_changes_the_tag() -> None:
    with in_memory({"tiny": tiny_creps(), "same": tiny_creps()}, size=64) as client:
        answers = [client.get(each.replace(";", "%3B")) for each in QUERIES]
    assert [each.status_code for each in answers] == [200] * len(QUERIES)
    assert len({each.headers["etag"] for each in answers}) == len(QUERIES)
    assert len({each.content for each in answers}) == len(QUERIES)
