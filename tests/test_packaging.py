"""The wheel: whole, and enough for a server in an empty folder, without Node or this source."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from creps.serving._pages import MEDIA_TYPES, static_folder
from patience import PATIENCE

pytestmark = pytest.mark.slow

pytest.importorskip("hatchling", reason="builds the wheel; the extra dev has it")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("creps-*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel's files are; a pure wheel needs no more than that."""
    folder = tmp_path_factory.mktemp("site-packages")
    wheel.extractall(folder)
    return folder


def run(installed: Path, place: Path, *words: str) -> subprocess.Popen[str]:
    """`creps` of the wheel in an empty folder; no program but Python is to be found."""
    environment = {"PYTHONPATH": str(installed), "HOME": str(place), "PATH": str(place)}
    environment |= {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "SYSTEMROOT"))}
    return subprocess.Popen(
        [sys.executable, "-m", "creps", *words],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_wheel_has_the_page_the_model_and_all_licenses(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    page = [path for path in static_folder().rglob("*") if path.suffix in MEDIA_TYPES]
    for path in page:
        assert f"creps/serving/static/{path.relative_to(static_folder()).as_posix()}" in names
    assert "creps/serving/static/vendor/openseadragon.min.js" in names
    assert "creps/serving/static/vendor/openseadragon-LICENSE.txt" in names
    for model in ("portraits", "textures"):
        for name in ("model.safetensors", "config.json"):
            assert f"creps/models/{model}/{name}" in names
    licenses = {Path(name).name for name in names if "/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= licenses
    strangers = [
        name
        for name in names
        if "node_modules" in name or name.startswith(("tests", "reproduce", "faults"))
    ]
    assert strangers == []
    assert wheel.testzip() is None


def test_licenses_of_all_packages_are_stated() -> None:
    """docs/licenses.md names every package that an extra brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    lines = [*project["dependencies"], *(each for n in groups for each in groups[n] if n != "dev")]
    names = {re.split(r"[^\w.-]", line)[0] for line in lines} - {"creps"}
    page = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", page)) == []


def test_the_extra_serve_names_what_the_server_imports(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(name).decode().splitlines()
    needed = {line.split()[1].split(">")[0] for line in lines if "extra == 'serve'" in line}
    assert needed == {"starlette", "uvicorn", "prometheus-client"}


@contextmanager
def served(installed: Path, place: Path) -> Iterator[str]:
    process = run(installed, place, "serve", "--port", "0", "--folder", str(place / "kept"))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The viewer is at"), process.communicate()[1]
        yield line.split()[4]
    finally:
        process.terminate()
        process.communicate()


def test_the_wheel_serves_pictures_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    def get(path: str) -> bytes:
        with urlopen(base + path, timeout=PATIENCE) as answer:
            return answer.read()

    with served(installed, tmp_path) as base:
        page = get("").decode()
        for name in ("static/js/main.js", "static/css/viewer.css", "static/icons.svg"):
            assert name in page
            assert get(name)
        assert b"openseadragon" in get("static/vendor/openseadragon.min.js")[:200]
        (model,) = json.loads(get("api/models"))["models"]
        assert model["name"] == "portraits"
        assert json.loads(get("iiif/portraits:7/info.json"))["profile"] == "level2"
        assert get("plane/portraits:7/0/0_0.jpg").startswith(b"\xff\xd8")
        assert b"<Image" in get("dzi/portraits:7.dzi")
        assert get("dzi/portraits:7_files/8/0_0.jpg").startswith(b"\xff\xd8")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_wheel_writes_a_site(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    words = ("export-site", "--seeds", "0", "--size", "64", "--out", "site")
    process = run(installed, tmp_path, *words)
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    site = tmp_path / "site"
    assert "openseadragon.min.js" in (site / "index.html").read_text()
    assert (site / "static" / "vendor" / "openseadragon.min.js").is_file()
    assert json.loads((site / "site.json").read_text())["model"]
