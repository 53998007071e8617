"""Pictures as arrays over HTTP: each reader gets the pixels that `render` draws."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from starlette.testclient import TestClient

import creps
from creps.serving import ServeSettings, build_app
from creps.serving._settings import Limits
from served import in_memory, on_loopback
from tiny_creps import tiny_creps

SIDE = 512
WEB = Path(__file__).parent.parent / "web"
MODEL = tiny_creps()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    settings = ServeSettings(workers=2, size=SIDE)
    with on_loopback(build_app({"tiny": MODEL}, settings=settings), settings) as port:
        yield port


@pytest.fixture(scope="module")
def address(port: int) -> str:
    return f"http://127.0.0.1:{port}/zarr/tiny:7"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    models = {"tiny": MODEL, "gray": tiny_creps(img_channels=1), "kinds": tiny_creps(label_dim=3)}
    with in_memory(models, size=SIDE) as client:
        yield client


def drawn(size: int, **options: Any) -> np.ndarray:
    picture = creps.render(MODEL, seed=7, size=size, supersample="auto", **options)
    return picture.transpose(2, 0, 1)


def test_a_chunk_is_drawn_when_it_is_asked_for(client: TestClient) -> None:
    answer = client.get("/zarr/tiny:7/0/c/0/1/0")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["access-control-allow-origin"] == "*"
    chunk = np.frombuffer(answer.content, np.uint8).reshape(3, 256, 256)
    np.testing.assert_array_equal(chunk, drawn(SIDE)[:, 256:, :256])
    again = client.get("/zarr/tiny:7/0/c/0/1/0", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head("/zarr/tiny:7/0/c/0/1/0")
    assert (head.headers["content-length"], head.content) == (str(3 * 256**2), b"")


def test_every_reader_finds_all_in_one_document(client: TestClient) -> None:
    document = client.get("/zarr/tiny:7/zarr.json").json()
    inside = document["consolidated_metadata"]["metadata"]
    assert sorted(inside) == ["0", "1"]
    assert inside["1"] == client.get("/zarr/tiny:7/1/zarr.json").json()
    settings = document["attributes"]["creps"]["settings"]
    assert (settings["seed"], settings["size"]) == (7, [SIDE, SIDE])


def test_views_of_the_address_are_parts_of_the_plane(client: TestClient) -> None:
    identifier = "tiny:7;t=0.5;w=0.25,0.5,0.5,1"
    about = client.get(f"/zarr/{identifier}/0/zarr.json").json()
    assert about["shape"] == [3, 256, 512]
    content = client.get(f"/zarr/{identifier}/0/c/0/0/1").content
    window = (0.25, 0.5, 0.5, 1.0)
    picture = creps.render(
        MODEL, seed=7, truncation=0.5, size=(256, 512), window=window, supersample="auto"
    )
    chunk = np.frombuffer(content, np.uint8).reshape(3, 256, 256)
    np.testing.assert_array_equal(chunk.transpose(1, 2, 0), picture[:, 256:])
    other = client.get("/zarr/tiny:7;t=0.5/0/c/0/0/1").content
    assert other != content


def test_gray_models(client: TestClient) -> None:
    assert client.get("/zarr/gray:7/0/zarr.json").json()["shape"] == [1, SIDE, SIDE]
    assert len(client.get("/zarr/gray:7/0/c/0/0/0").content) == 256**2


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("tiny:7/0/c/0/2/0", 404, "no object '0/c/0/2/0' in tiny:7"),
        ("tiny:7/2/zarr.json", 404, "no object"),
        ("tiny:7/.zattrs", 404, "no object"),
        ("tiny:7/", 404, "no object"),
        ("tiny/zarr.json", 404, "expected MODEL:SEED"),
        ("tinny:7/zarr.json", 404, "did you mean tiny"),
        ("tiny:seven/zarr.json", 400, "seven"),
        ("tiny:99999999999/zarr.json", 400, "invalid walk"),
        ("tiny@00000000:7/zarr.json", 404, "this server draws"),
        ("tiny:7;by=lanczos/zarr.json", 400, "no arrays"),
        ("kinds:7/zarr.json", 400, "expected ;c=0"),
        ("tiny:7;w=0.5,0.5,0.50000000000002,0.50000000000002/zarr.json", 400, "too small"),
        ("tiny:7;w=1,1,0,0/0/c/0/0/0", 400, "empty"),
    ],
)
def test_what_is_not_there_is_one_line(
    client: TestClient, path: str, status: int, told: str
) -> None:
    answer = client.get(f"/zarr/{path}")
    assert answer.status_code == status
    assert told in answer.json()["error"]


def test_nothing_can_be_written(client: TestClient) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert client.request(method, "/zarr/tiny:7/0/c/0/0/0", content=b"x").status_code == 405


def test_the_limits_of_the_server_hold() -> None:
    limits = Limits(pixels=2**12, side=1024, samples=2**14)
    with in_memory({"tiny": MODEL}, size=128, limits=limits) as client:
        about = client.get("/zarr/tiny:7;w=-50,-50,50,50/1/zarr.json").json()
        assert about["chunk_grid"]["configuration"]["chunk_shape"] == [3, 64, 64]
        content = client.get("/zarr/tiny:7;w=-50,-50,50,50/1/c/0/0/0").content
        wide = creps.render(MODEL, seed=7, size=64, window=(-50, -50, 50, 50), supersample=2)
        chunk = np.frombuffer(content, np.uint8).reshape(3, 64, 64)
        np.testing.assert_array_equal(chunk, wide.transpose(2, 0, 1))


def test_a_token_is_asked_for() -> None:
    with in_memory({"tiny": MODEL}, size=64, token="a long secret") as client:
        assert client.get("/zarr/tiny:7/zarr.json").status_code == 401
        given = {"Authorization": "Bearer a long secret"}
        assert client.get("/zarr/tiny:7/zarr.json", headers=given).status_code == 200


def test_answers_are_kept(tmp_path: Path) -> None:
    with in_memory({"tiny": MODEL}, size=64, cache=tmp_path) as client:
        first = client.get("/zarr/tiny:7/0/c/0/0/0").content
        assert len(list(tmp_path.rglob("*.answer"))) == 1
        assert client.get("/zarr/tiny:7/0/c/0/0/0").content == first


def test_zarr_python_reads_it(address: str) -> None:
    zarr, _ = pytest.importorskip("zarr"), pytest.importorskip("aiohttp")
    group = zarr.open_group(address, mode="r")
    assert sorted(group.array_keys()) == ["0", "1"]
    np.testing.assert_array_equal(group["0"][:], drawn(SIDE))
    np.testing.assert_array_equal(group["1"][:], drawn(SIDE // 2))


def test_ome_zarr_py_reads_it(address: str) -> None:
    io, _ = pytest.importorskip("ome_zarr.io"), pytest.importorskip("aiohttp")
    from ome_zarr.reader import Reader

    location = io.parse_url(address)
    assert location is not None
    (node,) = list(Reader(location)())
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "y", "x"]
    full, half = node.data
    np.testing.assert_array_equal(np.asarray(full[:, 250:260]), drawn(SIDE)[:, 250:260])
    np.testing.assert_array_equal(np.asarray(half), drawn(SIDE // 2))


def test_tensorstore_reads_it(address: str) -> None:
    ts = pytest.importorskip("tensorstore")
    store = ts.open(
        {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": f"{address}/", "path": "0/"}}
    ).result()
    assert store.domain.labels == ("c", "y", "x")
    np.testing.assert_array_equal(store[:, 250:260].read().result(), drawn(SIDE)[:, 250:260])


def node(package: str, script: str, *arguments: str) -> Any:
    """What a JavaScript module prints as JSON; skipped where the package it needs is not there."""
    if shutil.which("node") is None or not (WEB / "node_modules" / package).is_dir():
        pytest.skip(f"{package} is not installed: npm ci in web/")
    command = ["node", "--input-type=module", "-e", script, *arguments]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_zarrita_reads_it(address: str) -> None:
    script = """
        import * as zarr from "zarrita";
        const store = await zarr.withConsolidatedMetadata(new zarr.FetchStore(process.argv[1]));
        const group = await zarr.open(store, { kind: "group" });
        const [{ datasets }] = group.attrs.ome.multiscales;
        const open = ({ path }) => zarr.open(group.resolve(path), { kind: "array" });
        const [full, half] = await Promise.all(datasets.map(open));
        const part = await zarr.get(full, [null, zarr.slice(250, 260), 9]);
        console.log(JSON.stringify({ shapes: [full.shape, half.shape], data: [...part.data] }));
    """
    found = node("zarrita", script, address)
    assert found["shapes"] == [[3, SIDE, SIDE], [3, SIDE // 2, SIDE // 2]]
    np.testing.assert_array_equal(found["data"], drawn(SIDE)[:, 250:260, 9].ravel())


def test_the_loader_of_viv_reads_it(address: str) -> None:
    """What vizarr and other viewers on Viv load pictures with."""
    script = """
        import { loadOmeZarr } from "@vivjs/loaders";
        const { data } = await loadOmeZarr(process.argv[1], { type: "multiscales" });
        const tile = await data[0].getTile({ x: 1, y: 0, selection: { c: 2 } });
        console.log(JSON.stringify({
            levels: data.map(({ shape, labels, tileSize }) => [shape, labels.join(), tileSize]),
            tile: [...tile.data],
        }));
    """
    found = node("@vivjs/loaders", script, address)
    assert found["levels"] == [[[3, side, side], "c,y,x", 256] for side in (SIDE, SIDE // 2)]
    tile = np.reshape(found["tile"], (256, 256))
    np.testing.assert_array_equal(tile, drawn(SIDE)[2, :256, 256:])


def test_pages_of_other_sites_may_read_it(port: int) -> None:
    asked = Request(f"http://127.0.0.1:{port}/zarr/tiny:7/zarr.json", method="OPTIONS")
    with urlopen(asked) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
