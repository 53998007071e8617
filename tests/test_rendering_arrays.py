"""Pictures as arrays: what is read is what `render` draws, whoever reads it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import creps
from creps.coordinates import Canvas
from creps.errors import CrepsError, GridError, UsageError
from creps.rendering import Renderer, Tile, View
from creps.rendering.arrays._objects import drawn_chunk, layout_of
from creps.rendering.arrays._picture import VirtualLevel, VirtualPicture, level_view
from tiny_creps import tiny_creps

zarr = pytest.importorskip("zarr")

SIZE, CHUNK = (37, 52), 16
MODEL = tiny_creps()


@pytest.fixture(scope="module")
def group() -> Any:
    return creps.open_zarr(MODEL, seed=7, size=SIZE, chunk=CHUNK)


@pytest.fixture(scope="module")
def picture() -> VirtualPicture:
    return VirtualPicture(Renderer(MODEL, seed=7), View(size=SIZE), chunk=CHUNK)


def drawn(**options: Any) -> np.ndarray:
    """(C, H, W) as `render` draws it."""
    return creps.render(MODEL, seed=7, **options).transpose(2, 0, 1)


def test_the_full_size_is_the_picture(group: Any) -> None:
    level = group["0"]
    assert level.metadata.dimension_names == ("c", "y", "x")
    assert (level.shape, level.chunks) == ((3, *SIZE), (3, CHUNK, CHUNK))
    np.testing.assert_array_equal(level[:], drawn(size=SIZE))


@pytest.mark.parametrize("size", [(32, 64), (16, 24), (7, 5), (1, 1)])
def test_every_level_is_the_picture_at_its_own_size(size: tuple[int, int]) -> None:
    group = creps.open_zarr(MODEL, seed=7, size=size, chunk=8)
    window = View(size=size).canvas(MODEL).window
    levels = [group[str(k)] for k in range(len(list(group.array_keys())))]
    assert max(levels[-1].shape[1:]) <= 8
    for k, level in enumerate(levels):
        if all(side % 2**k == 0 for side in size):
            expected = drawn(size=level.shape[1:], window=window)
            np.testing.assert_array_equal(level[:], expected)


@pytest.mark.parametrize("sampling", ["centers", "corners"])
@pytest.mark.parametrize("size", [(37, 52), (6, 3), (1, 9)])
def test_pixels_of_a_level_lie_amid_those_they_stand_for(
    sampling: Any, size: tuple[int, int]
) -> None:
    """What OME-Zarr says of them: scale 2**k, moved by (2**k - 1) / 2 pixels."""
    canvas = Canvas(*size, (0.25, -1.0, 1.5, 2.0), sampling)
    for k in range(1, 4):
        view = level_view(View(size=size), canvas, k)
        assert view.pixels is not None
        assert view.window is not None
        level = Canvas(*view.pixels, view.window, sampling)
        for axis in ("rows", "columns"):
            full, few = getattr(canvas, axis), getattr(level, axis)()
            places = torch.arange(len(few)) * 2**k + (2**k - 1) / 2
            below, above = (
                torch.cat([full(int(i), 1) for i in rounded])
                for rounded in (places.floor(), places.ceil())
            )
            torch.testing.assert_close(few, (below + above) / 2, rtol=0, atol=1e-12)


def test_chunks_beyond_the_border_are_filled_up(picture: VirtualPicture) -> None:
    objects = layout_of(picture, "tiny")
    last = objects.find("0/c/0/2/3")
    assert last is not None
    assert not isinstance(last, bytes)
    chunk = drawn_chunk(picture, last).reshape(3, CHUNK, CHUNK)
    np.testing.assert_array_equal(chunk[:, :5, :4], drawn(size=SIZE)[:, 32:, 48:])
    assert not chunk[:, 5:].any()
    assert not chunk[:, :, 4:].any()


@pytest.mark.parametrize(
    "key",
    ["0/c/0/3/0", "0/c/0/0/4", "9/c/0/0/0", "0/c/1/0/0", "0/c/0/-1/0", "0/c/0/00/0", "0/c/0/0",
     "zarr.json/", ".zgroup", ".zattrs", "9/zarr.json", "", "0", "0/c/0/0/0/0", "0/c/0/٣/0"],
)  # fmt: skip
def test_nothing_lies_under_other_keys(picture: VirtualPicture, key: str) -> None:
    assert layout_of(picture, "tiny").find(key) is None


def test_the_description_is_that_of_a_written_picture(group: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    place = tmp_path / "tiny.zarr"
    creps.save_picture(Renderer(MODEL, seed=7).painter(size=SIZE), place)
    written = dict(zarr.open_group(place, mode="r").attrs)
    told = dict(group.attrs)
    assert told["creps"] == written["creps"]
    names = ("axes", "name", "type")
    (ours,), (theirs,) = (each["ome"]["multiscales"] for each in (told, written))
    assert [ours[name] for name in names] == [theirs["axes"], "creps", ours["type"]]
    assert ours["datasets"][0] == theirs["datasets"][0]
    assert told["ome"]["omero"] == written["ome"]["omero"]


def test_it_lists_what_it_holds(group: Any, picture: VirtualPicture) -> None:
    from zarr.core.sync import sync

    from creps.rendering.arrays._store import PictureStore

    async def listed(names: Any) -> list[str]:
        return sorted([name async for name in names])

    store, objects = PictureStore(picture, "tiny"), layout_of(picture, "tiny")
    keys = sync(listed(store.list()))
    assert all(objects.find(key) is not None for key in keys)
    assert len(keys) == 1 + 3 + 12 + 4 + 1
    for prefix in ("", "0", "0/", "0/c", "0/c/0", "1/c/0/1", "2"):
        inside = {
            key.removeprefix(prefix).strip("/").split("/")[0]
            for key in keys
            if key.startswith(prefix.rstrip("/") + "/" if prefix else "")
        }
        assert sync(listed(store.list_dir(prefix))) == sorted(inside), prefix
    for prefix in ("7", "0/d", "0/c/1", "1/c/0/2", "0/c/0/0/0"):
        assert sync(listed(store.list_dir(prefix))) == []
    assert [name for name, _ in group.members()] == ["0", "1", "2"]
    assert sync(store.getsize("0/c/0/2/3")) == 3 * CHUNK**2


def test_ranges_of_bytes(picture: VirtualPicture) -> None:
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    from creps.rendering.arrays._store import PictureStore

    store, prototype = PictureStore(picture, "tiny"), default_buffer_prototype()
    whole = sync(store.get("0/c/0/0/0", prototype))
    assert whole is not None
    content = whole.to_bytes()
    wanted = [
        (RangeByteRequest(10, 20), content[10:20]),
        (RangeByteRequest(760, 999), content[760:]),
        (OffsetByteRequest(700), content[700:]),
        (SuffixByteRequest(9), content[-9:]),
        (SuffixByteRequest(9999), content),
    ]
    for request, expected in wanted:
        part = sync(store.get("0/c/0/0/0", prototype, request))
        assert part is not None
        assert part.to_bytes() == expected
    parts = sync(store.get_partial_values(prototype, [("0/c/0/0/0", None), ("nothing", None)]))
    assert [part and part.to_bytes() for part in parts] == [content, None]


@pytest.mark.parametrize(
    "write",
    [
        lambda group: group["0"].__setitem__((0, 0, 0), 1),
        lambda group: group.attrs.update(mine=1),
        lambda group: group.create_array("mine", shape=(3,), dtype="uint8"),
        lambda group: group["0"].resize((3, 1, 1)),
        lambda group: group.__delitem__("0"),
        lambda group: zarr.open_group(group.store, mode="w"),
        lambda group: group.store.with_read_only(False),
    ],
)
def test_writing_is_refused_in_one_line(group: Any, write: Any) -> None:
    before = group["0"][:, :2, :2]
    with pytest.raises((UsageError, ValueError)) as refusal:
        write(group)
    assert "\n" not in str(refusal.value)
    assert "read" in str(refusal.value)
    np.testing.assert_array_equal(group["0"][:, :2, :2], before)


def test_another_process_can_have_it(group: Any, picture: VirtualPicture) -> None:
    for each in (group["0"], picture[0]):
        again = pickle.loads(pickle.dumps(each))
        np.testing.assert_array_equal(again[:, 3:9, 40:], each[:, 3:9, 40:])
    assert pickle.loads(pickle.dumps(group.store)) == group.store
    assert creps.open_zarr(MODEL, seed=8, size=SIZE, chunk=CHUNK).store != group.store


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 0}, "at least 1 pixel"),
        ({"size": "big"}, "expected whole pixels"),
        ({"chunk": 0}, "chunk 0: expected whole pixels a side"),
        ({"chunk": -3}, "chunk -3"),
        ({"chunk": 2.5}, "chunk 2.5"),
        ({"chunk": 10**9}, "chunk 1000000000"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "expected one of seed, z, styles"),
        ({"size": 2**60}, "too small for float64"),
        ({"zise": 64}, "unknown zise"),
        ({"view": View(size=3)}, "a view and size given"),
        ({"window": (0, 0, 0, 1)}, "empty"),
    ],
)
def test_what_cannot_be_opened_is_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(CrepsError, match=told) as refusal:
        creps.open_zarr(MODEL, **{"seed": 7, "size": 64, **options})
    assert "\n" not in str(refusal.value)


def test_deep_colors_are_arrays_of_16_bits() -> None:
    group = creps.open_zarr(MODEL, seed=7, size=(20, 31), chunk=16, depth=16)
    assert group["0"].dtype == np.uint16
    np.testing.assert_array_equal(group["0"][:], drawn(size=(20, 31), depth=16))


def test_an_unknown_model_is_one_line() -> None:
    with pytest.raises(CrepsError, match="did you mean portraits"):
        creps.open_zarr("portrats", seed=7)


def test_more_than_memory_at_once_is_refused() -> None:
    group = creps.open_zarr(MODEL, seed=7, size=2**30)
    assert group["0"][:, 2**29, 2**29].shape == (3,)
    big = VirtualPicture(Renderer(MODEL, seed=7), View(size=2**30))
    with pytest.raises(GridError, match="memory"):
        big[0][...]


def test_options_of_pictures_are_taken() -> None:
    given: dict[str, Any] = {"size": (20, 31), "warp": "rotate:30", "truncation": 0.7}
    group = creps.open_zarr(MODEL, seed=7, chunk=16, **given)
    np.testing.assert_array_equal(group["0"][:], drawn(**given))
    assert group.attrs["creps"]["settings"]["warp"].startswith("rotate")


INDEX = st.one_of(
    st.integers(-5, 4),
    st.builds(
        slice,
        st.none() | st.integers(-60, 60),
        st.none() | st.integers(-60, 60),
        st.none() | st.integers(-7, 7).filter(bool),
    ),
)


@given(st.lists(INDEX, max_size=3), st.integers(0, 3), st.sampled_from(["cyx", "yxc"]))
def test_levels_are_indexed_as_numpy_arrays_are(keys: list[Any], dots: int, axes: Any) -> None:
    whole = WHOLE if axes == "cyx" else WHOLE.transpose(1, 2, 0)
    level = VirtualLevel(SMALL, 0, axes=axes)
    key = (*keys[:dots], ..., *keys[dots:])
    try:
        expected = whole[key]
    except IndexError:
        with pytest.raises(IndexError):
            level[key]
        return
    np.testing.assert_array_equal(level[key], expected)
    assert level[key].flags.c_contiguous


SMALL = VirtualPicture(Renderer(MODEL, seed=7), View(size=(9, 14)), chunk=4)
WHOLE = SMALL.pixels(0, Tile(0, 0, 9, 14)).transpose(2, 0, 1)


def test_planes_are_the_pixels_turned_round(picture: VirtualPicture) -> None:
    for level, part in ((0, Tile(3, 5, 20, 9)), (2, Tile(0, 0, 10, 13)), (1, Tile(-2, 20, 5, 9))):
        pixels = picture.pixels(level, part)
        np.testing.assert_array_equal(picture.planes(level, part), pixels.transpose(2, 0, 1))


def test_levels_are_arrays_to_numpy(picture: VirtualPicture) -> None:
    level = picture[1]
    assert (level.shape, level.size, len(level)) == ((3, 19, 26), 3 * 19 * 26, 3)
    assert np.asarray(level).shape == level.shape
    assert np.asarray(level, dtype=np.float32).dtype == np.float32
    for key in ([0, 1], "c", (0, 0, 0, 0), (..., ...), 1.5, None):
        with pytest.raises(IndexError):
            _ = level[key]


def test_documents_are_json_of_nothing_secret(picture: VirtualPicture) -> None:
    documents = layout_of(picture, "tiny").documents
    assert sorted(documents) == ["0/zarr.json", "1/zarr.json", "2/zarr.json", "zarr.json"]
    root = json.loads(documents["zarr.json"])
    for key in ("0", "1", "2"):
        inside = root["consolidated_metadata"]["metadata"][key]
        assert inside == json.loads(documents[f"{key}/zarr.json"])


def test_ome_zarr_reads_it(group: Any) -> None:
    reader = pytest.importorskip("ome_zarr_models.v05")
    image = reader.Image.from_zarr(group)
    assert [axis.name for axis in image.attributes.ome.multiscales[0].axes] == ["c", "y", "x"]


def test_dask_reads_it(group: Any) -> None:
    array = pytest.importorskip("dask.array").from_zarr(group["0"])
    assert array.chunksize == (3, CHUNK, CHUNK)
    np.testing.assert_array_equal(array[:, 5:, ::3].compute(), drawn(size=SIZE)[:, 5:, ::3])


def test_tensorstore_reads_it() -> None:
    """The recipe of docs/arrays.md."""
    ts = pytest.importorskip("tensorstore")
    level = VirtualPicture(Renderer(MODEL, seed=7), View(size=SIZE), chunk=CHUNK)[0]

    def read(domain: Any, chunk: Any, _parameters: Any) -> None:
        chunk[...] = level[domain.index_exp]

    store = ts.virtual_chunked(
        read,
        dtype=ts.uint8,
        domain=ts.IndexDomain(shape=level.shape, labels=["c", "y", "x"]),
        chunk_layout=ts.ChunkLayout(read_chunk_shape=level.chunks),
        context=ts.Context({"cache_pool": {"total_bytes_limit": 2**28}}),
    )
    np.testing.assert_array_equal(store.read().result(), drawn(size=SIZE))
    np.testing.assert_array_equal(
        store[:, 30:37, 4:9].read().result(), drawn(size=SIZE)[:, 30:, 4:9]
    )
