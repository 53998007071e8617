"""Whatever is asked for, the answer is a picture or a clear refusal, and nothing piles up."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from creps.serving._settings import Limits
from served import in_memory
from tiny_creps import tiny_creps

LIMITS = Limits(pixels=40 * 40, side=64, samples=2**12, cache=200_000, jobs=2, job_pixels=5000)
EXPECTED = {200, 202, 303, 304, 400, 404, 405, 409, 413, 414, 415, 421, 503}

JUNK = st.text(max_size=30) | st.sampled_from(
    ["..", "%2e%2e", "\x00", "nan", "-1", "1e999", "0" * 300, "9" * 30, "😀", "[]", "'", "{{7*7}}"]
)
NUMBER = st.integers(-3, 10**12).map(str) | st.floats().map(str)
SEED = st.integers(0, 2**33).map(str)
RECIPE = st.one_of(
    SEED,
    st.builds("{}..{}@{}".format, SEED, SEED, NUMBER),
    st.builds("{}~{}@0.5".format, SEED, SEED),
    st.builds("{}+{}:{}-{}".format, SEED, SEED, st.integers(0, 9), st.integers(0, 10**9)),
    JUNK,
)
OPTION = st.one_of(
    st.builds("t={}".format, NUMBER),
    st.builds("w={},{},{},{}".format, NUMBER, NUMBER, NUMBER, NUMBER),
    st.builds("k={}".format, NUMBER),
    st.sampled_from(["by=lanczos", "by=nearest", "c=0", "by="]),
    JUNK,
)
IDENTIFIER = st.builds(
    "{}:{}{}".format,
    st.sampled_from(["tiny", "tiny", "tiny", "tiny@00000000", "nobody"]) | JUNK,
    RECIPE,
    st.lists(OPTION, max_size=3).map(lambda options: "".join(f";{each}" for each in options)),
)
REGION = st.one_of(
    st.sampled_from(["full", "square"]),
    st.builds("{},{},{},{}".format, NUMBER, NUMBER, NUMBER, NUMBER),
    st.builds("pct:{},{},{},{}".format, NUMBER, NUMBER, NUMBER, NUMBER),
    JUNK,
)
SIZE = st.one_of(
    st.sampled_from(["max", "^max", "20,", "^40,40", "!9,30"]),
    st.builds("{},{}".format, NUMBER, NUMBER),
    st.builds("^!{},{}".format, NUMBER, NUMBER),
    st.builds("pct:{}".format, NUMBER),
    JUNK,
)
ROTATION = st.one_of(st.sampled_from(["0", "90", "!180", "33.3", "!7"]), NUMBER, JUNK)
TAIL = st.sampled_from(["default.jpg", "gray.png", "bitonal.webp", "color.gif"]) | JUNK
TILE = st.builds("{}_{}.{}".format, NUMBER, NUMBER, st.sampled_from(["jpg", "png", "exe"])) | JUNK
QUERY = st.dictionaries(
    st.sampled_from(["window", "height", "width", "rotation", "mirror", "format", "download"])
    | JUNK,
    st.sampled_from(["30", "0,0,1,1", "png", "1"]) | NUMBER | JUNK,
    max_size=4,
)
ADDRESS = st.one_of(
    st.builds("/iiif/{}/{}/{}/{}/{}".format, IDENTIFIER, REGION, SIZE, ROTATION, TAIL),
    st.builds("/iiif/{}/info.json".format, IDENTIFIER),
    st.builds("/iiif/{}".format, IDENTIFIER),
    st.builds("/plane/{}/{}/{}".format, IDENTIFIER, NUMBER, TILE),
    st.builds("/dzi/{}_files/{}/{}".format, IDENTIFIER, NUMBER, TILE),
    st.builds("/dzi/{}.dzi".format, IDENTIFIER),
    st.builds("/view/{}".format, IDENTIFIER),
    st.builds("/api/pictures/{}".format, IDENTIFIER),
    st.builds("/api/jobs/{}".format, JUNK),
    st.builds("/static/{}".format, JUNK),
    st.lists(JUNK, max_size=4).map(lambda words: "/" + "/".join(words)),
)
HEADERS = st.dictionaries(
    st.sampled_from(["If-None-Match", "Accept", "Range", "Authorization", "Cookie", "Host"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    max_size=2,
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=5,
)
BODY = st.dictionaries(
    st.sampled_from(["id", "window", "height", "width", "rotation", "mirror", "format", "x"]),
    VALUE | st.sampled_from(["tiny:3", "png", 30, 2.5]),
    max_size=7,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("server")
    models = {"tiny": tiny_creps()}
    places = {"cache": folder / "answers", "jobs": folder / "jobs"}
    with in_memory(models, size=2**17, limits=LIMITS, **places) as client:
        yield client


@pytest.mark.slow
@settings(max_examples=300)
@given(address=ADDRESS, query=QUERY, headers=HEADERS)
def test_any_address_is_answered(
    address: str, query: dict[str, str], headers: dict[str, str], client: TestClient
) -> None:
    answer = client.get(
        f"http://testserver{quote(address, safe='/%:;=@,+~!^')}", params=query, headers=headers
    )
    assert answer.status_code in EXPECTED, answer.text
    if answer.status_code in (400, 503):
        assert answer.json()["error"]


@pytest.mark.slow
@settings(max_examples=100)
@given(body=BODY)
def test_any_body_is_answered(body: dict[str, object], client: TestClient) -> None:
    try:
        answer = client.post("/api/jobs", json=body)
    except ValueError:  # infinite numbers, which JSON has not
        return
    assert answer.status_code in EXPECTED, answer.text


@pytest.mark.slow
def test_nothing_piles_up(tmp_path: Path) -> None:
    """Many pictures, each new: what the process holds stays as it is."""
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    limits = Limits(pixels=4096, pictures=200_000, cache=100_000)
    with in_memory({"tiny": tiny_creps()}, limits=limits, cache=tmp_path) as client:

        def visit(seeds: range) -> int:
            for seed in seeds:
                turn = 30 if seed % 10 == 0 else 0
                client.get(f"/iiif/tiny:{seed}/full/24,/{turn}/default.jpg")
                client.get(f"/iiif/tiny:{seed}/nonsense/24,/{turn}/default.jpg")
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = visit(range(30))
            after = visit(range(30, 110))
        finally:
            tracemalloc.stop()
        held = float(client.get("/metrics").text.split("creps_prepared_bytes ")[-1].split()[0])
    assert after - before < 400_000
    assert held < 400_000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.answer")) <= 100_000
