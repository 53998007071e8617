"""Sets as people have them: shards of other writers, archives of Windows, parquet, LMDB."""

import io
import json
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from creps.data import _parquet as _parquet_store
from creps.data import check, open_images
from creps.data._store import passed_over_text
from creps.errors import DataError, LabelError
from image_files import noise, png, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path_factory.mktemp("cache")))


def _png(seed=0, size=(4, 5)):
    return png(noise(*size, seed=seed))


def _tar(tmp_path, *files):
    write_tar(
        tmp_path / "s.tar", [(n, c if isinstance(c, bytes) else c.encode()) for n, c in files]
    )
    return tmp_path / "s.tar"


def _labels(source):
    return [source.class_names[source.label(k)] for k in range(len(source))]


@pytest.mark.parametrize(
    ("keys", "ending"), [(["img.0", "img.1", "img.2"], "png"), (["a.b.c", "b.c", "b.d"], "PNG")]
)
def test_keys_with_dots_are_samples_of_their_own(tmp_path, keys, ending):
    files = [(f"{key}.{ending}", _png(k)) for k, key in enumerate(keys)]
    files += [(f"{key}.cls", str(k)) for k, key in enumerate(keys)]
    source = open_images(_tar(tmp_path, *files), labels=True)
    assert source.names == tuple(f"s/{key}.{ending}" for key in keys)
    assert _labels(source) == ["0", "1", "2"]
    assert source.passed_over == {}


def test_what_webdataset_writes_is_read_in_full(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "w.tar")) as writer:
        for k in range(3):
            writer.write({"__key__": f"img.{k}", "png": _png(k), "cls": str(k).encode()})
    source = open_images(tmp_path / "w.tar", labels=True)
    assert len(source) == 3
    assert _labels(source) == ["0", "1", "2"]
    assert check(tmp_path / "w.tar").images == 3


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["a.png", "a.depth.png", "b.png", "b.depth.png"], ["a.png", "b.png"]),
        (["a.rgb.png", "a.depth.png", "b.rgb.png", "b.depth.png"], ["a.rgb.png", "b.rgb.png"]),
        (["img.0.png", "img.1.png"], ["img.0.png", "img.1.png"]),
        (["a.rgb.png", "a.mask.png", "a.cls"], ["a.rgb.png"]),
        (["a.jpg", "a.png", "a.cls"], ["a.jpg"]),
        (["a.png", "a.cls", "a.b.png", "a.b.cls"], ["a.png", "a.b.png"]),
        (["x.1.png", "x.1.cls", "x.2.png", "x.2.cls", "y.1.png", "y.1.cls"],
         ["x.1.png", "x.2.png", "y.1.png"]),
    ],
)  # fmt: skip
def test_fields_of_a_sample_are_one_picture_and_the_others_are_counted(tmp_path, names, taken):
    files = [(name, "1" if name.endswith(".cls") else _png(k)) for k, name in enumerate(names)]
    source = open_images(_tar(tmp_path, *files))
    assert sorted(source.names) == sorted(f"s/{name}" for name in taken)
    pictures = [name for name in names if not name.endswith(".cls")]
    assert sum(source.passed_over.values()) == len(pictures) - len(taken)


def test_upper_case_companions_count_and_of_one_name_the_last(tmp_path):
    files = [
        ("a.PNG", _png(1)),
        ("a.CLS", "cat"),
        ("b.png", _png(2)),
        ("b.JSON", '{"label": "dog"}'),
    ]
    source = open_images(_tar(tmp_path, *files, ("a.PNG", _png(9))), labels=True)
    assert _labels(source) == ["cat", "dog"]
    np.testing.assert_array_equal(source.image(0), noise(4, 5, seed=9))


def test_links_in_a_tar_are_the_files_that_they_mean_or_are_counted(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "l.tar", "w") as archive:
        for name, kind, target in (
            ("a.png", tarfile.REGTYPE, ""),
            ("b.png", tarfile.LNKTYPE, "a.png"),
            ("c.png", tarfile.SYMTYPE, "a.png"),
            ("d.png", tarfile.LNKTYPE, "none.png"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            content = _png(5) if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    source = open_images(tmp_path / "l.tar")
    assert source.names == ("l/a.png", "l/b.png")
    np.testing.assert_array_equal(source.image(1), noise(4, 5, seed=5))
    assert source.passed_over == {".link": 2}


def test_accents_as_one_character_or_two_are_one_name(tmp_path):
    one, two = "caf\u00e9", "cafe\u0301"
    source = open_images(_tar(tmp_path, (f"{one}.png", _png()), (f"./{two}.cls", "3")), labels=True)
    assert source.class_names == ("3",)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(f"{two}/a.png", _png())
        archive.writestr("dataset.json", json.dumps({"labels": [[f"{one}/a.png", 7]]}))
    assert open_images(tmp_path / "z.zip", labels=True).class_names == ("7",)


def test_archives_and_labels_of_windows_tools_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for kind in ("cat", "dog"):
            for k in range(4):
                archive.writestr(f"set\\{kind}\\{k}.png", _png(k))
        archive.writestr("set\\.hidden\\x.png", _png())
        archive.writestr("set\\cat\\", b"")
    source = open_images(tmp_path / "w.zip", labels=True)
    assert len(source) == 8
    assert sorted(_labels(source)) == ["cat"] * 4 + ["dog"] * 4
    assert source.image(7).shape == (4, 5, 3)
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        archive.writestr("a/1.png", _png())
        archive.writestr("a/2.png", _png(1))
        pairs = [["a\\1.png", 5], [".\\a\\2.png", 6]]
        archive.writestr("dataset.json", json.dumps({"labels": pairs}))
    assert _labels(open_images(tmp_path / "v.zip", labels=True)) == ["5", "6"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_a_name_twice_in_a_zip_the_last_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.png", _png(1))
        archive.writestr("./a.png", _png(2))
        archive.writestr("a.png", _png(3))
    source = open_images(tmp_path / "z.zip")
    assert source.names == ("a.png",)
    np.testing.assert_array_equal(source.image(0), noise(4, 5, seed=3))


def test_classes_with_numbers_come_in_their_order(tmp_path):
    for name in range(12):
        (tmp_path / str(name)).mkdir()
        (tmp_path / str(name) / "a.png").write_bytes(_png(name))
    source = open_images(tmp_path, labels=True)
    assert source.class_names == tuple(map(str, range(12)))
    assert list(check(tmp_path).classes) == list(source.class_names)


@pytest.mark.parametrize("labels", [[1, 2], [100000, 100001], [1000003, 4], [10**30, 0]])
def test_classes_are_those_that_occur_whatever_their_numbers(tmp_path, labels):
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes(_png(k))
    pairs = [[f"{k}.png", label] for k, label in enumerate(labels)]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    source = open_images(tmp_path, labels=True)
    assert source.class_names == tuple(map(str, sorted(labels)))
    assert _labels(source) == [str(label) for label in labels]
    assert list(check(tmp_path).classes) == list(source.class_names)


def test_a_list_of_labels_holds_for_the_folder_that_it_lies_in(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("faces/00000/1.png", _png())
        archive.writestr("faces/00000/2.png", _png(1))
        pairs = [["00000/1.png", 3], ["00000/2.png", 1]]
        archive.writestr("faces/dataset.json", json.dumps({"labels": pairs}))
    source = open_images(tmp_path / "z.zip", labels=True)
    assert _labels(source) == ["3", "1"]
    with zipfile.ZipFile(tmp_path / "z.zip", "a") as archive:
        archive.writestr("others/1.png", _png(2))
    with pytest.raises(LabelError, match=r"dataset\.json has no label for 1 images, as others/1"):
        open_images(tmp_path / "z.zip", labels=True)


def test_what_is_not_taken_is_counted_with_what_to_install(tmp_path):
    for name in ("a.jpg", "b.cr2", "c.jxl", "d.JXL", "notes.txt", "LICENSE", "Licence", "e"):
        (tmp_path / name).write_bytes(_png())
    source = open_images(tmp_path)
    assert len(source) == 1
    assert passed_over_text(source.passed_over) == (
        "4 files passed over: 2 .jxl, 1 .cr2, 1 without ending "
        "(camera raw: develop to TIFF or JPEG first)"
    )
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"none found; 4 files passed over: 2 \.jxl"):
        open_images(tmp_path)


def test_heic_is_read_where_its_package_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray(np.full((32, 48, 3), (200, 100, 50), np.uint8))
    heif.from_pillow(picture).save(tmp_path / "a.heic", quality=100)
    source = open_images(tmp_path)
    assert source.size(0) == (32, 48)
    assert np.abs(source.image(0).astype(int) - (200, 100, 50)).max() <= 3
    assert "HEIC: pip install pillow-heif" in passed_over_text({".heic": 1})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty file"),
        (bytes(100), "nothing but zeros"),
        (b"<!DOCTYPE html><p>quota", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"whatever this is", "no picture of a known format"),
    ],
)
def test_a_broken_file_says_why(tmp_path, content, why):
    (tmp_path / "a.png").write_bytes(_png())
    (tmp_path / "b.png").write_bytes(content)
    assert why in open_images(tmp_path).broken["b.png"]


def test_pictures_of_too_many_pixels_are_read_reduced_or_named(tmp_path, monkeypatch):
    ramp = np.add.outer(np.arange(256), np.arange(384)) * 255 // 640
    for name in ("a.jpg", "b.png"):
        Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)  # twice that are taken
    source = open_images(tmp_path, channels=1)
    assert source.names == ("a.jpg",)
    assert source.size(0) == (128, 192) == source.image(0).shape[:2]
    assert source.image(0, shortest=30).shape[:2] == (32, 48)
    assert source.broken == {"b.png": "more than 40,000 pixels, reduce it first"}
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60_000)  # a warning of Pillow's, not more
    assert len(open_images(tmp_path)) == 2
    assert check(tmp_path).images == 2


def test_profiles_are_counted_and_part_of_the_fingerprint(tmp_path):
    from foreign_files import _P3, saved

    picture = Image.fromarray(noise(4, 5))
    (tmp_path / "a.png").write_bytes(saved(picture, "png", icc_profile=_P3))
    (tmp_path / "b.png").write_bytes(_png())
    source, kept = open_images(tmp_path), open_images(tmp_path, keep_colors=True)
    assert source.converted == kept.converted == {"Hand-made P3": 1}
    assert source.fingerprint != kept.fingerprint
    assert (source.image(0) != kept.image(0)).any()
    np.testing.assert_array_equal(kept.image(0), noise(4, 5))
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.image(0), source.image(0))
    report = check(tmp_path)
    assert (report.converted, report.profiles_left) == ({"Hand-made P3": 1}, 0)
    assert check(tmp_path, keep_colors=True).converted == {}


def _parquet(path, rows, *, names=None, note=True, group=2):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "image": pa.array(
            [{"bytes": c, "path": p} for c, p, _ in rows],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "label": pa.array([label for *_, label in rows], pa.int64()),
    }
    table = pa.table(columns)
    if note:
        about = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        text = json.dumps({"info": {"features": about}})
        table = table.replace_schema_metadata({"huggingface": text})
    parquet.write_table(table, path, row_group_size=group)


def test_parquet_files_hold_pictures_and_classes(tmp_path):
    rows = [(_png(k), f"{k}.png", k % 2) for k in range(5)]
    _parquet(tmp_path / "train-00000-of-00002.parquet", rows, names=["zebra", "ant"])
    _parquet(tmp_path / "train-00001-of-00002.parquet", rows[:1], names=["zebra", "ant"])
    _parquet(tmp_path / "test-00000-of-00001.parquet", rows[:3], names=["zebra", "ant"])
    source = open_images(tmp_path, labels=True)
    assert len(source) == 6
    assert source.class_names == ("zebra", "ant")
    assert _labels(source) == ["zebra", "ant", "zebra", "ant", "zebra", "zebra"]
    assert source.passed_over == {"of the split test": 1}
    for k in (4, 0, 3, 1):
        np.testing.assert_array_equal(source.image(k), noise(4, 5, seed=k))
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.image(5), noise(4, 5, seed=0))
    one = open_images(tmp_path / "train-00001-of-00002.parquet")
    assert (len(one), one.num_classes) == (1, 0)
    assert len(open_images(f"{tmp_path}/train-{{00000..00001}}-of-00002.parquet")) == 6


def _reads(monkeypatch):
    """Groups of rows that are read from now on."""
    parquet = pytest.importorskip("pyarrow.parquet")
    read, groups = parquet.ParquetFile.read_row_group, []

    def counted(self, group, *args, **settings):
        groups.append(group)
        return read(self, group, *args, **settings)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", counted)
    return groups


def test_shuffled_parquet_that_fits_in_memory_is_read_once_by_all_threads(tmp_path, monkeypatch):
    _parquet(tmp_path / "a.parquet", [(_png(k), None, 0) for k in range(24)])
    source = pickle.loads(pickle.dumps(open_images(tmp_path / "a.parquet")))
    groups = _reads(monkeypatch)
    order = np.random.default_rng(0).permutation(24).tolist() * 3
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(source.image, order))
    for k, pixels in zip(order, seen, strict=True):
        np.testing.assert_array_equal(pixels, noise(4, 5, seed=k))
    assert sorted(groups) == list(range(12))


def test_parquet_keeps_no_more_than_its_limit_and_the_last_groups(tmp_path, monkeypatch):
    _parquet(tmp_path / "a.parquet", [(_png(k), None, 0) for k in range(12)])
    source = pickle.loads(pickle.dumps(open_images(tmp_path / "a.parquet")))
    monkeypatch.setattr(_parquet_store, "_KEPT", 5 * len(_png()))  # two groups of two, no three
    groups = _reads(monkeypatch)
    for k in (0, 2, 1, 3, 4, 5, 2, 0):
        np.testing.assert_array_equal(source.image(k), noise(4, 5, seed=k))
    assert groups == [0, 1, 2, 0]
    monkeypatch.setattr(_parquet_store, "_KEPT", 1)  # less than a group, which stays all the same
    for k in (0, 1, 4, 5):
        np.testing.assert_array_equal(source.image(k), noise(4, 5, seed=k))
    assert groups == [0, 1, 2, 0, 2]


def test_parquet_without_a_note_goes_by_types_and_names(tmp_path):
    rows = [(_png(k), None, 3 + k) for k in range(2)]
    _parquet(tmp_path / "a.parquet", rows, note=False)
    source = open_images(tmp_path / "a.parquet", labels=True)
    assert _labels(source) == ["3", "4"]
    _parquet(tmp_path / "b.parquet", [(_png(), None, -1)], note=False)
    with pytest.raises(LabelError, match="no class label for 1 of 1 images"):
        open_images(tmp_path / "b.parquet", labels=True)


@pytest.mark.parametrize("kind", ["category", "text view", "numbers in a category"])
def test_classes_of_parquet_may_be_categories_and_views(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = ["zebra", "ant", "zebra"]
    labels = {
        "category": pa.array(names).dictionary_encode(),
        "text view": pa.array(names, pa.string_view()),
        "numbers in a category": pa.array([7, 3, 7], pa.int64()).dictionary_encode(),
    }
    images = pa.array([_png(k) for k in range(3)], pa.binary_view())
    parquet.write_table(pa.table({"image": images, "label": labels[kind]}), tmp_path / "a.parquet")
    source = open_images(tmp_path / "a.parquet", labels=True)
    expected = ["7", "3", "7"] if kind.startswith("numbers") else names
    assert _labels(source) == expected
    np.testing.assert_array_equal(source.image(1), noise(4, 5, seed=1))


def test_parquet_rows_may_name_files_beside_it_but_no_others(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "in.png").write_bytes(_png(1))
    (tmp_path / "out.png").write_bytes(_png(2))
    rows = [(None, "in.png", 0), (None, "../out.png", 0), (None, None, 0), (_png(3), None, 0)]
    _parquet(tmp_path / "set" / "a.parquet", rows, note=False)
    source = open_images(tmp_path / "set" / "a.parquet")
    assert source.names == ("a/00000000", "a/00000003")
    np.testing.assert_array_equal(source.image(0), noise(4, 5, seed=1))
    assert list(source.broken.values()) == [
        "the row has no bytes, and no file ../out.png",
        "an empty row",
    ]


def test_parquet_without_pictures_or_damaged_is_one_line(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column of pictures .* among text, n"):
        open_images(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="is no parquet file, or damaged"):
        open_images(tmp_path / "b.parquet")


def _lmdb(path, values):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(path), map_size=1 << 22) as opened, opened.begin(write=True) as writer:
        for key, value in values.items():
            writer.put(key, value)


def _webp(seed):
    buffer = io.BytesIO()
    Image.fromarray(noise(4, 5, seed=seed)).save(buffer, "webp", lossless=True)
    return buffer.getvalue()


def test_lsun_as_it_is_shipped_is_read(tmp_path):
    keys = [f"{k:040x}".encode() for k in (7, 3, 255)]
    _lmdb(tmp_path / "church_lmdb", {key: _webp(int(key, 16)) for key in keys})
    for place in (tmp_path / "church_lmdb", tmp_path):
        source = open_images(place)
        assert source.names == tuple(sorted(key.decode() for key in keys))
        np.testing.assert_array_equal(source.image(1), noise(4, 5, seed=7))
    assert open_images(tmp_path / "church_lmdb").passed_over == {}


def test_an_lmdb_of_several_sizes_and_other_values_is_its_largest_pictures(tmp_path):
    values = {b"length": b"2", b"8-00000": _png(8), b"16-00000": _png(0), b"16-00001": _png(1)}
    _lmdb(tmp_path / "set", values)
    source = open_images(tmp_path / "set")
    assert source.names == ("16-00000", "16-00001")
    assert source.passed_over == {
        "values that are no pictures": 1,
        "the same at smaller sizes": 1,
    }


def test_an_lmdb_is_read_by_loading_processes(tmp_path):
    from creps.data._batches import Pictures, load_batches

    _lmdb(tmp_path / "set", {f"{k:04d}".encode(): _webp(k) for k in range(6)})
    pictures = Pictures(open_images(tmp_path / "set"), size=4, mirror=False, labels=False)
    how = {"batch": 3, "seed": 0, "first_step": 0, "on_broken": print}
    for workers in (0, 1):
        images, _ = next(load_batches(pictures, workers=workers, **how))
        assert images.shape == (3, 3, 4, 4)


def test_several_lmdb_sets_in_a_folder_are_named(tmp_path):
    for name in ("a_lmdb", "b_lmdb"):
        _lmdb(tmp_path / name, {b"1": _webp(1)})
    with pytest.raises(DataError, match=r"holds 2 LMDB sets: give one, as .*a_lmdb"):
        open_images(tmp_path)
