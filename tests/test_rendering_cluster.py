"""Pictures by dask: arrays block by block, and whole pictures on a cluster that loses a worker."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import creps
from creps.cli import app
from creps.errors import CrepsError, UsageError
from creps.rendering import Renderer, View, VirtualPicture
from creps.rendering.output import _save
from tiny_creps import tiny_creps

da = pytest.importorskip("dask.array")

MODEL = tiny_creps()
SIZE = (37, 52)


def drawn(**options: Any) -> np.ndarray:
    return creps.render(MODEL, seed=7, **options).transpose(2, 0, 1)


def test_a_dask_array_is_the_picture() -> None:
    array = creps.dask_array(MODEL, seed=7, size=SIZE, chunk=16)
    assert array.chunks == ((3,), (16, 16, 5), (16, 16, 16, 4))
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array.compute(), drawn(size=SIZE))
    np.testing.assert_array_equal(array[:, 5:9, ::3].compute(), drawn(size=SIZE)[:, 5:9, ::3])


def test_equal_pictures_have_equal_names() -> None:
    names = [
        creps.dask_array(MODEL, seed=seed, size=SIZE, chunk=chunk).name
        for seed, chunk in ((7, 16), (7, 16), (8, 16), (7, 8))
    ]
    assert len(set(names)) == 3
    assert names[0] == names[1]


def test_the_picture_is_one_task_that_blocks_depend_on() -> None:
    array = creps.dask_array(MODEL, seed=7, size=64, chunk=8)
    graph = dict(array.__dask_graph__())
    wholes = [key for key, task in graph.items() if "picture" in str(key)]
    assert len(wholes) == 1
    assert len(graph) == 64 + 1
    others = [task for key, task in graph.items() if key not in wholes]
    assert max(len(pickle.dumps(task)) for task in others) < 2000


def test_a_hundred_thousand_blocks_and_no_more() -> None:
    array = creps.dask_array(MODEL, seed=7, size=2**20, chunk=4096)
    assert array.npartitions == 2**16
    part = array[:, 2**19 : 2**19 + 2, 2**19 : 2**19 + 3]
    assert part.shape == (3, 2, 3)
    with pytest.raises(CrepsError, match=r"1,048,576 blocks.*give chunk=4096"):
        creps.dask_array(MODEL, seed=7, size=2**20)


def test_renderers_travel_with_their_styles(tmp_path: Path) -> None:
    from creps.rendering import save_styles

    styles = tmp_path / "found.safetensors"
    save_styles(styles, Renderer(MODEL, seed=9).styles)
    renderer = Renderer(MODEL, styles=str(styles))
    again = pickle.dumps(renderer)
    styles.unlink()  # it need not be where the other process is
    np.testing.assert_array_equal(pickle.loads(again).picture(size=20), renderer.picture(size=20))
    blended = Renderer(MODEL, styles="7/8", blend="gradient")
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(blended)).picture(size=20), blended.picture(size=20)
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


def save(cluster: Any, path: Path | str, **options: Any) -> Any:
    from creps.rendering.arrays._cluster import save_on_cluster

    renderer = Renderer(MODEL, seed=7)
    view = View(size=options.pop("size", SIZE))
    return save_on_cluster(cluster.scheduler_address, renderer, view, path, **options)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_what_one_process_writes(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    told: list[tuple[int, int]] = []
    path, size = tmp_path / "a" / "cluster.zarr", (1100, 1300)
    outcome = save(cluster, path, size=size, progress=lambda *done: told.append(done))
    assert outcome.path == path
    assert (told[0], told[-1]) == ((0, 1100 * 1300), (1100 * 1300, 1100 * 1300))
    one = tmp_path / "b" / "cluster.zarr"
    _save.save_picture(Renderer(MODEL, seed=7).painter(size=size), one)
    assert files(path) == files(one)
    assert not path.with_name("cluster.zarr.part").exists()
    with pytest.raises(CrepsError, match="exists: choose another name, or --overwrite it"):
        save(cluster, path, overwrite=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    path, size = tmp_path / "killed.zarr", (4096, 4608)
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if not killed and done > total // 3:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    assert save(cluster, path, size=size, progress=kill).path == path
    assert killed
    one = tmp_path / "one" / "killed.zarr"
    _save.save_picture(Renderer(MODEL, seed=7).painter(size=size), one)
    assert files(path) == files(one)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_goes_on_where_it_was_stopped(cluster: Any, tmp_path: Path) -> None:
    path, size = tmp_path / "stopped.zarr", (2048, 2048)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(cluster, path, size=size, progress=stop)
    part = tmp_path / "stopped.zarr.part"
    assert not path.exists()
    assert (part / "picture.json").exists()
    told: list[tuple[int, int]] = []
    save(cluster, path, size=size, progress=lambda *done: told.append(done))
    assert told[0][0] > 2**21
    assert path.exists()
    assert len(cluster.workers) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_arrays_on_a_cluster(cluster: Any) -> None:
    from distributed import Client

    with Client(cluster) as client:
        array = creps.dask_array(MODEL, seed=7, size=SIZE, chunk=16)
        total = client.compute(array.astype(np.int64).sum()).result()
        group = creps.open_zarr(MODEL, seed=7, size=SIZE, chunk=16)
        again = client.compute(da.from_zarr(group["0"]).astype(np.int64).sum()).result()
    assert total == again == drawn(size=SIZE).astype(np.int64).sum()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_workers_cannot_do_is_one_line(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from creps.rendering.arrays import _cluster

    for path, told in (
        (tmp_path / "a.tif", "a cluster writes a .zarr"),
        ("s3://pictures/a.tif", "only a .zarr"),
    ):
        with pytest.raises(UsageError, match=told):
            save(cluster, path)
    with monkeypatch.context() as patch:
        patch.setattr(_cluster, "_identity", lambda: "0.0.9 (00000000)")
        with pytest.raises(UsageError, match=r"2 of 2 workers .* have creps .*; here it is 0.0.9"):
            save(cluster, tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr.part").exists()
    work = _cluster._Work(Renderer(MODEL, seed=7), View(size=16), _shared(tmp_path))
    sent = pickle.dumps(work)
    with monkeypatch.context() as patch:
        patch.setattr(_cluster, "_identity", lambda: "0.0.9 (00000000)")
        with pytest.raises(UsageError, match="install the same"):
            pickle.loads(sent)
    assert len(cluster.workers) == 2


def _shared(folder: Path) -> Any:
    source = Renderer(MODEL, seed=7).painter(size=16)
    return _save.shared_zarr(source, str(folder / "work.zarr"), {})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_without_creps_are_one_line(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr(
        Client, "run", lambda *_args, **_more: {"tcp://far:1": ModuleNotFoundError("creps")}
    )
    with pytest.raises(UsageError, match=r"1 of 1 workers .*tcp://far:1, have no creps"):
        save(cluster, tmp_path / "a.zarr")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://here", "127.0.0.1", ""])
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from creps.rendering.arrays import _cluster

    monkeypatch.setattr(_cluster, "PATIENCE", 1)
    before = set(threading.enumerate())
    arguments = ["render", "--size", "64", "--out", str(tmp_path / "a.zarr"), "--dask", address]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UsageError)
    assert "no dask scheduler answers" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not list(tmp_path.iterdir())
    assert before  # the client's threads end with it


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_draws_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    out = tmp_path / "seven.zarr"
    address = cluster.scheduler_address
    arguments = ["render", "--size", "600", "--out", str(out), "--dask", address]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{out}: 600x600 pixels" in done.output
    for more in (["--shard", "1/2"], ["--foveated", "0.5"]):
        refused = CliRunner().invoke(app, [*arguments, *more])
        assert isinstance(refused.exception, UsageError)
        assert "--dask" in str(refused.exception)


def test_virtual_pictures_are_told_apart() -> None:
    picture = VirtualPicture(Renderer(MODEL, seed=7), View(size=SIZE))
    assert pickle.loads(pickle.dumps(picture)).about() == picture.about()
