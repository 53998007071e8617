"""Sets of strangers: their numbers allocate nothing, and whatever is wrong is one short line."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from creps._files import MOST_SHARDS, expand_braces, open_regular, read_regular
from creps.data import open_images
from creps.data._archives import open_store
from creps.data._checking import check
from creps.errors import CrepsError, DataError, LabelError, UsageError
from image_files import noise, png, write_tar

PICTURE = png(noise(6, 5))


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def one_line(error: BaseException) -> bool:
    text = str(error)
    return text.isprintable() and len(text) < 300


def outcome(path: Path) -> str:
    """The names of a set's pictures, or that it is refused in one line."""
    try:
        return " ".join(open_images(path).names)
    except CrepsError as error:
        return "one line" if one_line(error) else ""


# Files that are none.


def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    os.mkfifo(tmp_path / "z.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere.png")
    source = open_images(tmp_path)
    assert source.names == ("a.png",)
    assert source.passed_over == {
        "leading out of the folder": 1,
        "of no content (pipe, device, dead link)": 2,
    }
    (remark,) = source.remarks()
    assert remark.startswith("3 files passed over: ")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "z.zip"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place = Path("/dev/zero")
    else:
        place.mkdir()
    with pytest.raises(OSError, match=r"a pipe or a device|Is a directory") as failed:
        open_regular(place)
    assert failed.value.filename == str(place)
    if kind != "folder":
        with pytest.raises(DataError, match="is a pipe or a device: expected a file"):
            open_images(place)


def test_links_out_of_a_folder_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, root = tmp_path / "other", tmp_path / "set"
    (other / "inner").mkdir(parents=True)
    (other / "inner" / "secret.png").write_bytes(PICTURE)
    (other / "ATTRIBUTION.txt").write_text("secret")
    (root / "own").mkdir(parents=True)
    (root / "a.png").write_bytes(PICTURE)
    (root / "own" / "b.png").write_bytes(PICTURE)
    (root / "again.png").symlink_to(root / "a.png")
    (root / "c.png").symlink_to(other / "inner" / "secret.png")
    (root / "ATTRIBUTION.txt").symlink_to(other / "ATTRIBUTION.txt")
    (root / "more").symlink_to(other, target_is_directory=True)
    source = open_images(root)
    assert source.names == ("a.png", "again.png", "own/b.png")
    assert source.attribution == ""
    assert "3 leading out of the folder (CREPS_FOLLOW_LINKS=1 follows links)" in source.remarks()[0]
    monkeypatch.setenv("CREPS_FOLLOW_LINKS", "1")
    followed = open_images(root)
    assert followed.names == ("a.png", "again.png", "c.png", "more/inner/secret.png", "own/b.png")
    assert followed.attribution == "secret"


def test_a_snapshot_in_hugging_faces_cache_may_link_to_its_blobs(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123" / "data"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "ab12").write_bytes(PICTURE)
    (snapshot / "a.png").symlink_to(blobs / "ab12")
    assert open_images(snapshot).names == ("a.png",)


# Numbers that are read.


def test_patterns_of_shards_have_a_limit() -> None:
    assert len(expand_braces("a-{0..99999}.tar")) == MOST_SHARDS
    for pattern in ("data-{0..99999999}.tar", "{0..999}-{0..999}.tar"):
        with pytest.raises(UsageError, match=r"names .* files: expected at most 100,000"):
            expand_braces(pattern)
        with pytest.raises(UsageError):
            open_images(pattern)
    with pytest.raises(UsageError, match=r"counts down: expected the smaller number first"):
        expand_braces("a-{5..2}.tar")
    assert expand_braces("a-{0..1" + "0" * 5000 + "}.tar")  # no pattern, a name


@pytest.mark.parametrize("number", [10_000_000_000, 10**30])
def test_numbers_of_classes_allocate_nothing(tmp_path: Path, number: int) -> None:
    labels = json.dumps({"labels": [["a.png", number], ["b.png", 3]]}).encode()
    path = zipped(tmp_path / "s.zip", {"a.png": PICTURE, "b.png": PICTURE, "dataset.json": labels})
    source = open_images(path, labels=True)
    assert source.class_names == ("3", str(number))
    files = [("a.png", PICTURE), ("a.cls", str(number).encode()), ("b.png", PICTURE)]
    write_tar(tmp_path / "s.tar", [*files, ("b.cls", b"3")])
    assert open_images(tmp_path / "s.tar", labels=True).num_classes == 2


@pytest.mark.parametrize("name", ["9" * 5000, "\N{SUPERSCRIPT TWO}", "٣", "1" * 19])
def test_folders_named_by_odd_numbers_are_classes(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "s.zip", {f"{name}/a.png": PICTURE, "7/b.png": PICTURE})
    assert set(open_images(path, labels=True).class_names) == {name, "7"}


def test_a_class_of_a_book_is_none(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", [("a.png", PICTURE), ("a.cls", b"x" * 300)])
    with pytest.raises(LabelError, match="no class label for 1 of 1 images"):
        open_images(tmp_path / "s.tar", labels=True)


# Archives.


def test_an_entry_that_unpacks_to_many_times_its_size_is_not_read(tmp_path: Path) -> None:
    bomb = bytes(20 << 20)
    path = zipped(tmp_path / "s.zip", {"a.png": PICTURE, "b.bmp": bomb, "ATTRIBUTION.txt": b"me"})
    source = open_images(path)
    assert source.names == ("a.png",)
    assert source.broken["b.bmp"].startswith("it unpacks to 1,0")
    path = zipped(tmp_path / "t.zip", {"a.png": PICTURE, "ATTRIBUTION.txt": bomb})
    with pytest.raises(DataError, match=r"cannot read ATTRIBUTION\.txt: 21 MB: at most 4 are read"):
        open_images(path)
    path = zipped(tmp_path / "u.zip", {"a.png": PICTURE, "dataset.json": bomb})
    with pytest.raises(LabelError, match=r"cannot read dataset\.json: it unpacks to 1,0"):
        open_images(path, labels=True)
    assert "dataset.json" in check(path).labels_problem


def test_files_of_a_folder_are_read_up_to_a_limit(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.write(PICTURE)
        file.truncate(1 << 40)
    with pytest.raises(DataError, match=r"cannot read a\.png: 1,099,512 MB: at most 536 are read"):
        open_images(tmp_path).image(0)
    with pytest.raises(OSError, match="1,099,512 MB"):
        read_regular(tmp_path / "a.png", 100)
    (tmp_path / "b").write_bytes(b"123")
    assert read_regular(tmp_path / "b", 3) == b"123"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_named(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "s.zip", {"a.png": PICTURE}, method)
    with pytest.raises(DataError, match=f"packed by method {method}, expected deflate or none"):
        open_images(path)


def changed(path: Path, name: str = "", **fields: int) -> Path:
    """A ZIP file whose directory says something else of an entry: version, flags, method, size."""
    content = bytearray(path.read_bytes())
    places = {"version": 6, "flags": 8, "method": 10, "size": 24}
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        if content[at + 46 :].startswith(name.encode()):
            for field, value in fields.items():
                form = "<I" if field == "size" else "<H"
                struct.pack_into(form, content, at + places[field], value)
        at = content.find(b"PK\x01\x02", at + 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"flags": 1}, "it is encrypted"),
        ({"method": 99}, "packed by method 99"),
        ({"version": 200}, "zip file version 20.0"),
        ({"size": 0xFFFFFFF0}, "4,295 MB: at most"),
        ({"flags": 0x20}, "compressed patched data"),
        ({"flags": 0x40}, "strong encryption"),
    ],
)
def test_entries_that_cannot_be_read_are_named(
    tmp_path: Path, fields: dict[str, int], words: str
) -> None:
    path = changed(zipped(tmp_path / "s.zip", {"a.png": PICTURE}), **fields)
    with pytest.raises(DataError, match=words) as failed:
        open_images(path)
    assert one_line(failed.value)


@pytest.mark.parametrize("name", ["ATTRIBUTION.txt", "dataset.json"])
@pytest.mark.parametrize("fields", [{"flags": 1}, {"method": 93}, {"size": 9}])
def test_side_files_that_cannot_be_read_end_in_one_line(
    tmp_path: Path, name: str, fields: dict[str, int]
) -> None:
    files = {"a.png": PICTURE, name: b'{"labels": [["a.png", 0]]}'}
    path = changed(zipped(tmp_path / "s.zip", files), name, **fields)
    with pytest.raises((DataError, LabelError)) as failed:
        open_images(path, labels=name == "dataset.json")
    assert str(failed.value).startswith(f"cannot read {name}: ")
    assert one_line(failed.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"labels":' * 50_000,
        '{"labels": [["a.png", ' + "1" * 5000 + "]]}",
        '{"labels": [["a.png", 1e999]]}',
        '{"labels": [["a.png"]]}',
        '{"labels": 5}',
        '{"labels": [[["a.png"], 1]]}',
        "[]",
        "nothing",
        '{"labels": [["a.png", "\\u001b[31m"]]}',
    ],
)
def test_malformed_lists_of_labels_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(LabelError) as failed:
        open_images(tmp_path, labels=True)
    assert one_line(failed.value)
    assert check(tmp_path).labels_problem == str(failed.value)


# Tar files.


def header(kind: bytes, size: bytes, name: bytes = b"a.png") -> bytes:
    """A header of a tar file that says what it wants."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


NEGATIVE = b"\xff" * 11 + b"\0"  # in base 256, less than nothing
ENORMOUS = b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7


@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"K", b"S", b"1", b"5", b"Z"])
@pytest.mark.parametrize("size", [NEGATIVE, ENORMOUS, b"zzz", b"77777777777\0"])
def test_impossible_lengths_in_tar_files_end_in_one_line(
    tmp_path: Path, kind: bytes, size: bytes
) -> None:
    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w") as archive:
        member = tarfile.TarInfo("good.png")
        member.size = len(PICTURE)
        archive.addfile(member, io.BytesIO(PICTURE))
    path = tmp_path / "s.tar"
    path.write_bytes(good.getvalue()[:1024] + header(kind, size) + bytes(2048))
    assert outcome(path) in ("s/good.png", "one line")


@pytest.mark.parametrize(
    "records",
    [
        b"x" * 512,
        b"99999999999999999999 path=a.png\n",
        b"0 path=a\n",
        b"17 size=-5000000\n",
        b"30 GNU.sparse.major=1\n30 GNU.sparse.minor=0\n",
        b"24 GNU.sparse.map=x,y\n\n",
        b"14 path=\xff\xfe\n",
    ],
)
def test_broken_extended_headers_end_in_one_line(tmp_path: Path, records: bytes) -> None:
    path = tmp_path / "s.tar"
    records = records.ljust(512, b"\0")
    picture = header(b"0", b"%011o\0" % len(PICTURE)) + PICTURE.ljust(512, b"\0")
    path.write_bytes(header(b"x", b"%011o\0" % 512) + records + picture + bytes(1024))
    assert outcome(path)


def test_deep_notes_in_tar_files_say_nothing(tmp_path: Path) -> None:
    note = ("a.json", b'{"label":' + b"[" * 100_000)
    write_tar(tmp_path / "s.tar", [("a.png", PICTURE), note])
    assert open_images(tmp_path / "s.tar").names == ("s/a.png",)
    with pytest.raises(LabelError, match="no class label"):
        open_images(tmp_path / "s.tar", labels=True)


def test_links_to_labels_are_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, content in [("a.png", PICTURE), ("a.cls", b"3"), ("b.png", PICTURE)]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in [("b.cls", "a.cls"), ("c.cls", "c.cls"), ("d.cls", "nowhere")]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    source = open_images(tmp_path / "s.tar", labels=True)
    assert source.class_names == ("3",)
    assert source.passed_over == {".link": 2}


def test_parquet_that_promises_rows_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    many = pyarrow.nulls(10_000_000, pyarrow.binary())
    parquet.write_table(pyarrow.table({"image": many}), tmp_path / "s.parquet")
    with pytest.raises(DataError, match="10,000,000 rows in"):
        open_store(tmp_path / "s.parquet").listing()


def test_parquet_that_unpacks_to_many_times_its_size_is_not_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    cells = pyarrow.array([bytes(8 << 20)] * 4, pyarrow.binary())
    table = pyarrow.table({"image": cells})
    parquet.write_table(table, tmp_path / "s.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match="it unpacks to"):
        open_images(tmp_path / "s.parquet")


def test_reading_takes_a_thread(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    for workers in (0, -1):
        with pytest.raises(UsageError, match="workers: expected 1 or more"):
            check(tmp_path, workers=workers)
