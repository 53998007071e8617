"""Which picture an address names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import CrepsError, UsageError
from creps.serving._identifiers import FILTERS, LONGEST, parse_identifier

SEEDS = st.integers(0, 2**32 - 1)
NUMBERS = st.floats(-4, 4).map(lambda x: round(x, 6))
RECIPES = st.one_of(
    SEEDS.map(str),
    st.tuples(SEEDS, SEEDS, st.sampled_from(["..", "~"]), st.floats(0, 1)).map(
        lambda way: f"{way[0]}{way[2]}{way[1]}@{round(way[3], 4)}"
    ),
    st.tuples(SEEDS, SEEDS, st.integers(0, 20)).map(lambda mix: f"{mix[0]}+{mix[1]}:{mix[2]}"),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "t": NUMBERS.map(repr),
        "k": st.integers(0, 30).map(str),
        "c": st.integers(0, 9).map(str),
        "w": st.tuples(NUMBERS, NUMBERS).map(lambda at: f"{at[0]},{at[1]},{at[0] + 1},{at[1] + 2}"),
        "by": st.sampled_from(FILTERS),
    },
)


@given(RECIPES, OPTIONS, st.sampled_from(["", "@0123abcd"]), st.randoms())
def test_the_canonical_form_reads_back_as_the_same_picture(recipe, options, pin, random) -> None:
    words = list(options.items())
    random.shuffle(words)
    text = f"portraits{pin}:{recipe}" + "".join(f";{name}={value}" for name, value in words)
    picture = parse_identifier(text)
    assert parse_identifier(str(picture)) == picture
    assert str(parse_identifier(str(picture))) == str(picture)


def test_equal_pictures_have_one_canonical_form() -> None:
    plain = {"portraits:7", "portraits:007", "portraits:7;t=1", "portraits:7;w=0,0,1,1;t=1.0"}
    assert {str(parse_identifier(text)) for text in plain} == {"portraits:7"}
    mixed = "portraits:7;by=lanczos;t=0.50"
    assert str(parse_identifier(mixed)) == "portraits:7;t=0.5;by=lanczos"


def test_an_address_escapes_what_other_programs_stumble_over() -> None:
    picture = parse_identifier("portraits:7+12:4-8;t=0.7")
    assert picture.in_url == "portraits:7+12:4-8%3Bt=0.7"


@given(st.text(max_size=60))
def test_any_text_is_a_picture_or_refused(text: str) -> None:
    try:
        picture = parse_identifier(text)
    except CrepsError:
        return
    assert parse_identifier(str(picture)) == picture


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("portraits", "portraits:7"),
        ("portraits:", "invalid walk"),
        ("../etc:7", "expected MODEL:RECIPE"),
        ("portraits:7;t=nan", "expected a finite number"),
        ("portraits:7;t=9", "-4 to 4"),
        ("portraits:7;t=1;t=1", "twice"),
        ("portraits:7;x=1", "known: by, c, k, t, w"),
        ("portraits:7;t=1;t=2", "t is given twice"),
        ("portraits:7;w=0,0,0,1", "empty"),
        ("portraits:7;w=0,0,1,1e9", "edges within"),
        ("portraits:7;w=0,0,0.0001,1", "1000 times"),
        ("portraits:7;by=magic", "nearest or bicubic or lanczos"),
        ("portraits:" + "..".join(["1"] * 40) + "@0", "32 seeds"),
        ("portraits:7" + ";" * LONGEST, "expected MODEL:RECIPE"),
    ],
)
def test_nonsense_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_identifier(text)
