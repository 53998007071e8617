"""The arithmetic of the IIIF Image API 3.0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import CrepsError, UsageError
from creps.rendering._tiles import Tile
from creps.serving._iiif import (
    ImageRequest,
    information,
    parse_image_request,
    turned_size,
)
from creps.serving._settings import Limits

LIMITS = Limits(pixels=600 * 600, side=1000)
WIDTH, HEIGHT = 600, 400


def asked(
    region: str = "full", size: str = "max", rotation: str = "0", tail: str = "default.jpg"
) -> ImageRequest:
    words = region, size, rotation, tail
    return parse_image_request(words, width=WIDTH, height=HEIGHT, limits=LIMITS)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("full", Tile(0, 0, 400, 600)),
        ("square", Tile(0, 100, 400, 400)),
        ("10,20,30,40", Tile(20, 10, 40, 30)),
        ("590,390,100,100", Tile(390, 590, 10, 10)),  # cut at the border
        ("pct:25,50,50,50", Tile(200, 150, 200, 300)),
        ("pct:41.6,7.5,40,70", Tile(30, 250, 280, 240)),
        ("pct:0,0,200,200", Tile(0, 0, 400, 600)),
        ("pct:99.9,0,0.0001,1", Tile(0, 599, 4, 1)),  # never less than a pixel
    ],
)
def test_regions(text: str, region: Tile) -> None:
    assert asked(text).region == region


@pytest.mark.parametrize(
    ("text", "width", "height"),
    [
        ("max", 600, 400),
        ("^max", 734, 489),  # 360,000 pixels are the limit
        ("150,", 150, 100),
        (",100", 150, 100),
        ("pct:50", 300, 200),
        ("200,10", 200, 10),
        ("!200,200", 200, 133),
        ("!2000,3000", 600, 400),  # not larger than the region
        ("^!700,2000", 700, 467),
        ("^700,", 700, 467),
        ("^pct:110", 660, 440),
        ("1,", 1, 1),
    ],
)
def test_sizes(text: str, width: int, height: int) -> None:
    wanted = asked(size=text)
    assert (wanted.width, wanted.height) == (width, height)


@pytest.mark.parametrize("text", ["601,", ",401", "pct:101", "601,10", "10,401"])
def test_larger_sizes_need_a_caret(text: str) -> None:
    with pytest.raises(CrepsError, match=r"larger than the region: write \^"):
        asked(size=text)
    assert asked(size=f"^{text}").canonical.split("/")[1].startswith("^")


def test_the_largest_size_is_within_the_limits_for_any_region() -> None:
    limits = Limits(pixels=1000, side=50)
    for w, h in ((10_000, 3), (3, 10_000), (4000, 4000), (1, 1)):
        for size in ("max", "^max"):
            words = "full", size, "0", "default.jpg"
            wanted = parse_image_request(words, width=w, height=h, limits=limits)
            assert 1 <= max(wanted.width, wanted.height) <= 50
            assert wanted.width * wanted.height <= 1000


@pytest.mark.parametrize(
    ("words", "canonical"),
    [
        (("0,0,600,400", "600,", "0", "color.png"), "full/max/0/default.png"),
        (("square", "200,200", "360", "gray.jpg"), "100,0,400,400/200,200/0/gray.jpg"),
        (
            ("pct:0,0,50,50", "!150,500", "!022.50", "default.webp"),
            "0,0,300,200/150,100/!22.5/default.webp",
        ),
        (("full", "^max", "0", "default.jpg"), "full/^max/0/default.jpg"),
    ],
)
def test_canonical_addresses(words: tuple[str, str, str, str], canonical: str) -> None:
    wanted = asked(*words)
    assert wanted.canonical == canonical
    assert asked(*canonical.split("/")).canonical == canonical


@pytest.mark.parametrize(
    "words",
    [
        {"region": "0,0,0,10"},
        {"region": "600,0,10,10"},
        {"region": "-1,0,10,10"},
        {"region": "pct:0,0,0,0"},
        {"region": "1,2,3"},
        {"region": "FULL"},
        {"size": "full"},
        {"size": ","},
        {"size": "0,"},
        {"size": ",0"},
        {"size": "pct:0"},
        {"size": "!10,"},
        {"size": "pct:-5"},
        {"size": "^1001,1"},
        {"size": "^999999999,"},
        {"rotation": "-1"},
        {"rotation": "360.1"},
        {"rotation": "1e2"},
        {"rotation": "!"},
        {"tail": "default"},
        {"tail": "default.bmp"},
        {"tail": "grey.jpg"},
        {"tail": "default.jpg.png"},
    ],
    ids=str,
)
def test_nonsense_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        asked(**words)


def test_turned_pictures_count_with_their_corners_and_twice() -> None:
    assert asked(size="^600,600", rotation="90").width == 600
    assert turned_size(299, 299, asked(size="299,299", rotation="45").turn) == (423, 423)
    with pytest.raises(CrepsError, match="180,000 in all, corners included"):
        asked(size="301,301", rotation="45")


@given(st.integers(1, 900), st.integers(1, 900), st.floats(0, 360))
def test_the_box_of_a_turned_picture_holds_it(height: int, width: int, degrees: float) -> None:
    down, across = turned_size(height, width, degrees)
    assert max(down, across) <= height + width + 1
    assert down * across >= height * width * (1 - 1e-6)
    assert turned_size(height, width, 90) == (width, height)
    assert turned_size(height, width, 180) == (height, width)


WORDS = st.text("0123456789.,:!^pctmaxfulsqre-", max_size=20)


@given(WORDS, WORDS, WORDS, st.sampled_from(["default.jpg", "gray.png", "x.y"]))
def test_any_words_are_a_picture_within_the_limits_or_refused(
    region: str, size: str, rotation: str, tail: str
) -> None:
    try:
        wanted = asked(region, size, rotation, tail)
    except UsageError:
        return
    height, width = wanted.turned_size
    assert height * width <= LIMITS.pixels
    assert asked(*wanted.canonical.split("/")).canonical == wanted.canonical


def test_offered_sizes_are_those_that_viewers_compute() -> None:
    """Rounded up, as tiles are: some viewers take their levels from `sizes`."""
    document = information("http://x/iiif/a:1", width=1001, height=777, limits=Limits())
    found = [(size["width"], size["height"]) for size in document["sizes"]]
    assert found == [(251, 195), (501, 389), (1001, 777)]
    (tiles,) = document["tiles"]
    assert len(found) == len(tiles["scaleFactors"])


@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_every_offered_size_and_tile_can_be_had(width: int, height: int) -> None:
    document = information("http://x/iiif/a:1", width=width, height=height, limits=LIMITS)

    def ask(region: str, size: str) -> ImageRequest:
        words = region, size, "0", "default.jpg"
        return parse_image_request(words, width=width, height=height, limits=LIMITS)

    for size in document["sizes"]:
        wanted = ask("full", f"{size['width']},{size['height']}")
        assert (wanted.width, wanted.height) == (size["width"], size["height"])
    (tiles,) = document["tiles"]
    for scale in tiles["scaleFactors"]:  # the last tile of each level, by the implementation notes
        edge = tiles["width"] * scale
        left, top = (width - 1) // edge * edge, (height - 1) // edge * edge
        region = f"{left},{top},{width - left},{height - top}"
        ask(region, f"{-(-(width - left) // scale)},{-(-(height - top) // scale)}")
