"""WebDataset tar shards: samples by key, any order, an index that is made once."""

import json
import pickle

import numpy as np
import pytest

from creps._files import expand_braces
from creps.data import _archives as stores
from creps.data import _shards as tar_shards
from creps.data import _store as index_cache
from creps.data import open_images
from creps.errors import DataError, LabelError
from image_files import noise, png, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CREPS_CACHE", str(place))
    return place


@pytest.fixture
def shards(tmp_path):
    """Five pictures in two shards, with classes, beside files of other kinds."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard, keys in enumerate(((0, 1, 2), (3, 4))):
        files = []
        for key in keys:
            files += [
                (f"{key:04d}.cls", str(key % 2).encode()),
                (f"{key:04d}.depth.png", png(noise(2, 2, 1))),
                (f"{key:04d}.png", png(noise(4, 3 + key, seed=key))),
                (f"{key:04d}.txt", b"a caption"),
            ]
        write_tar(folder / f"data-{shard:03d}.tar", files)
    (folder / "ATTRIBUTION.txt").write_text("Pictures by Somebody")
    return folder


def test_folder_pattern_and_single_shard_hold_the_samples_in_order(shards):
    names = ("data-000/0000.png", "data-000/0001.png", "data-000/0002.png")
    source = open_images(shards)
    assert source.names == (*names, "data-001/0003.png", "data-001/0004.png")
    assert open_images(f"{shards}/data-{{000..001}}.tar").names == source.names
    assert open_images(shards / "data-000.tar").names == names
    for key in range(5):
        assert source.size(key) == (4, 3 + key)
        np.testing.assert_array_equal(source.image(key), noise(4, 3 + key, seed=key))
    assert source.attribution == "Pictures by Somebody"


def test_classes_lie_beside_the_images(shards):
    source = open_images(shards, labels=True)
    assert [source.label(k) for k in range(5)] == [0, 1, 0, 1, 0]
    assert source.class_names == ("0", "1")


@pytest.mark.parametrize(
    ("notes", "names", "labels"),
    [
        ([("a.json", {"label": 2}), ("b.json", {"cls": 0})], ("0", "2"), [1, 0]),
        ([("a.json", {"label": "dog"}), ("b.json", {"class": "cat"})], ("cat", "dog"), [1, 0]),
    ],
)
def test_json_gives_classes_by_number_or_name(tmp_path, notes, names, labels):
    images = [("a.png", png(noise(2, 2))), ("b.png", png(noise(2, 2)))]
    write_tar(tmp_path / "s.tar", images + [(n, json.dumps(d).encode()) for n, d in notes])
    source = open_images(tmp_path / "s.tar", labels=True)
    assert source.class_names == names
    assert [source.label(k) for k in range(2)] == labels


def test_missing_classes_are_named(tmp_path):
    write_tar(tmp_path / "s.tar", [("a.png", png(noise(2, 2))), ("b.png", png(noise(2, 2))),
                                   ("b.cls", b"1")])  # fmt: skip
    with pytest.raises(LabelError, match=r"no class label for 1 of 2 images, as s/a\.png"):
        open_images(tmp_path / "s.tar", labels=True)


def test_images_beside_tar_files_are_the_set(shards):
    (shards / "a.png").write_bytes(png(noise(2, 2)))
    assert open_images(shards).names == ("a.png",)


def test_braces_count_with_leading_zeros():
    assert expand_braces("a{8..10}b{0..1}") == ["a8b0", "a8b1", "a9b0", "a9b1", "a10b0", "a10b1"]
    assert expand_braces("x{08..10}") == ["x08", "x09", "x10"]


def test_missing_damaged_and_compressed_shards_are_one_line(shards, tmp_path):
    with pytest.raises(DataError, match=r"1 of 3 shards are missing, the first .*data-002\.tar"):
        open_images(f"{shards}/data-{{000..002}}.tar")
    (tmp_path / "bad.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(DataError, match=r"bad\.tar is not a plain tar file.*unpack"):
        open_images(tmp_path / "bad.tar")


def test_a_shard_that_is_cut_short_is_named(tmp_path):
    pictures = [(f"{k}.png", png(noise(40, 40, seed=k))) for k in range(2)]
    write_tar(tmp_path / "s.tar", pictures)
    whole = (tmp_path / "s.tar").read_bytes()
    (tmp_path / "s.tar").write_bytes(whole[:8000])
    with pytest.raises(DataError, match=r"s\.tar is damaged or cut short .*: fetch it again"):
        open_images(tmp_path / "s.tar")


def test_a_damaged_image_is_left_out(tmp_path):
    files = [("a.png", png(noise(4, 4))), ("b.png", b"no picture")]
    write_tar(tmp_path / "s.tar", files)
    source = open_images(tmp_path / "s.tar")
    assert (source.names, source.broken) == (
        ("s/a.png",),
        {"s/b.png": "no picture of a known format"},
    )


def test_the_index_is_made_once_and_again_when_a_shard_changes(shards, cache, monkeypatch):
    monkeypatch.setattr(index_cache, "WORTH_KEEPING", 1)
    first = open_images(shards)
    kept = sorted(path.name.split("-")[0] for path in cache.iterdir())
    assert kept == ["headers", "tar"]
    with monkeypatch.context() as context:
        context.setattr(tar_shards, "_Contents", None)  # a scan would fail
        again = open_images(shards)
    assert again.names == first.names
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.sizes, first.sizes)
    write_tar(shards / "data-001.tar", [("9.png", png(noise(2, 2)))])
    assert open_images(shards).names[-1] == "data-001/9.png"


def test_a_damaged_index_is_made_again(shards, cache, monkeypatch):
    monkeypatch.setattr(index_cache, "WORTH_KEEPING", 1)
    open_images(shards)
    for path in cache.iterdir():
        path.write_text("{")
    assert len(open_images(shards)) == 5


def test_shards_travel_to_other_processes(shards):
    source = pickle.loads(pickle.dumps(open_images(shards)))
    np.testing.assert_array_equal(source.image(4), noise(4, 7, seed=4))
    assert stores.open_store(shards) == stores.open_store(shards)
