"""The page's files fit together, and are what they are said to be; no browser is needed here."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from io import BytesIO
from pathlib import Path

import pytest

from creps.serving._pages import POLICY, static_files

ROOT = Path(__file__).resolve().parent.parent
FILES = static_files()
OWN = {
    name: body.decode()
    for name, body in FILES.items()
    if not name.startswith("vendor/") and not name.endswith(".wasm")
}
PAGES = ("index.html", "gallery.html")


def test_openseadragon_is_the_one_that_is_pinned() -> None:
    asked = json.loads((ROOT / "web" / "package.json").read_text())["dependencies"]
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    (banner,) = re.findall(
        r"^//! openseadragon (\S+)$", FILES["vendor/openseadragon.min.js"].decode(), flags=re.M
    )
    assert asked == {"openseadragon": banner}
    assert lock["node_modules/openseadragon"]["version"] == banner
    assert (
        b"Redistribution and use in source and binary forms"
        in FILES["vendor/openseadragon-LICENSE.txt"]
    )


def test_what_make_web_makes_is_of_these_sources() -> None:
    """After a change of the kernel or of a package, `make web` has to be run again."""
    noted = (ROOT / "web" / "made.sha256").read_text().splitlines()
    assert len(noted) == 5
    for line in noted:
        checksum, name = line.split("  ")
        content = (ROOT / "web" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksum, f"{name}: run `make web`"


def test_the_compiled_kernel_is_called_as_its_plain_twin() -> None:
    imports, functions = wasm_interface(FILES["js/live/kernel.wasm"])
    assert imports == {("env", "memory")}  # what compiledKernel gives
    twin = OWN["js/live/kernel.js"].partition("function plainKernel")[2]
    for name, floats in (("layer", 2), ("compose", 0)):
        (arguments,) = re.findall(rf"^    {name}\(([^)]+)\) {{", twin, flags=re.M)
        count = len(arguments.split(","))
        assert functions[name] == ("i32",) * (count - floats) + ("f32",) * floats


def wasm_interface(code: bytes) -> tuple[set[tuple[str, str]], dict[str, tuple[str, ...]]]:
    """What a WebAssembly module imports, and what its exported functions take.

    For modules that import memories only (WebAssembly 2.0, section 5.5).
    """
    assert code[:8] == b"\0asm\1\0\0\0"
    kinds = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64"}
    file = BytesIO(code[8:])

    def number() -> int:  # LEB128
        value = shift = 0
        while True:
            (byte,) = file.read(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def word() -> str:
        return file.read(number()).decode()

    types: list[tuple[str, ...]] = []
    defined: list[int] = []
    imports: set[tuple[str, str]] = set()
    exports: dict[str, int] = {}
    while section := file.read(1):
        size = number()
        end = file.tell() + size
        count = number() if section[0] in (1, 2, 3, 7) else 0
        for _ in range(count):
            if section == b"\1":  # types
                assert file.read(1) == b"\x60"
                types.append(tuple(kinds[each] for each in file.read(number())))
                file.read(number())
            elif section == b"\2":
                imports.add((word(), word()))
                assert file.read(1) == b"\2"  # a memory
                for _ in range(1 + file.read(1)[0]):
                    number()
            elif section == b"\3":  # types of functions
                defined.append(number())
            else:
                name, kind, index = word(), file.read(1), number()
                if kind == b"\0":
                    exports[name] = index
        file.seek(end)
    return imports, {name: types[defined[index]] for name, index in exports.items()}


def test_every_file_that_is_named_is_there() -> None:
    for name in PAGES:
        named = re.findall(r'(?:src|href)="(static/[^"#]+)', OWN[name])
        assert named
        assert [each for each in named if each.removeprefix("static/") not in FILES] == []
    for name, text in OWN.items():
        named = (
            re.findall(r'(?:from|new URL\()\s*"(\.[^"]+)"', text) if name.endswith(".js") else []
        )
        for each in named:
            whole = posixpath.normpath(posixpath.join(posixpath.dirname(name), each))
            assert whole in FILES, f"{name} names {each}"


def test_every_icon_and_element_that_is_named_is_there() -> None:
    icons = set(re.findall(r'<symbol id="(\w+)"', OWN["icons.svg"]))
    for text in OWN.values():
        assert set(re.findall(r"icons\.svg#(\w+)", text)) <= icons
    for name in PAGES:
        ids = re.findall(r'\bid="([\w-]+)"', OWN[name])
        assert len(ids) == len(set(ids))
        pointed = re.findall(
            r'\b(?:for|aria-(?:labelledby|describedby|controls))="([\w-]+)"', OWN[name]
        )
        assert set(pointed) <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_obeys_its_own_policy(name: str) -> None:
    assert "default-src 'self'" in POLICY
    assert "'unsafe-eval'" not in POLICY
    assert "'unsafe-inline'" not in POLICY.partition("style-src")[0]
    assert re.findall(r"<script(?![^>]*\bsrc=)", OWN[name]) == []
    assert re.findall(r'\bon\w+="', OWN[name]) == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    """Links for people are fine. No path is absolute: a proxy may put a prefix before it."""
    for name, text in OWN.items():
        loads = re.findall(r"""(?:src=|href=|url\(|fetch\(|import )["'(]?(https?:|//|/)""", text)
        assert loads == [], name


def test_colors_are_readable() -> None:
    """WCAG's contrast of text, 4.5, on every ground it stands on, dark and light."""
    palette = {
        name: pair
        for name, *pair in re.findall(
            r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", OWN["css/base.css"]
        )
    }
    for ground in ("ground", "raised", "wash"):
        for ink in ("ink", "soft", "accent"):
            for dark in (0, 1):
                assert contrast(palette[ink][dark], palette[ground][dark]) >= 4.5, (ink, ground)
    for dark in (0, 1):
        assert contrast(palette["on-accent"][dark], palette["accent"][dark]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors (WCAG 2.2)."""
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    """The relative luminance of #rrggbb."""
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
