"""The house keeps its shape: who imports whom, how long things are, what is documented."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

import creps

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "creps"
MODULES = sorted(SOURCE.rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

# docs/architecture.md: a room imports only from floors below its own.
FLOORS = (
    {"errors", "_code", "_json"},
    {"coordinates", "config", "_devices", "_files"},
    {"_urls", "pixels"},
    {"networks", "data"},
    {"checkpoints"},
    {"rendering"},
    {"metrics", "serving"},
    {"inversion", "training"},
    {"cli"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Arrows that point down and are still not wanted: pictures are made without training data.
FORBIDDEN = {("rendering", "data"), ("serving", "data")}
FILE_MODULES = {
    "io",
    "json",
    "os",
    "pathlib",
    "pickle",
    "safetensors",
    "shutil",
    "tempfile",
    "zipfile",
}

MOST_MODULES = 210
MOST_PUBLIC_DEFINITIONS = 450
LONGEST_MODULE = 700
LONGEST_FUNCTION = 80
LARGEST_FILE = 13_000_000

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def dotted(module: Path) -> str:
    parts = module.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: Path) -> str:
    """The room a module is in; the public namespace itself is "creps"."""
    if module.stem == "__main__":  # `python -m creps` is the command
        return "cli"
    parts = dotted(module).split(".")
    return parts[1] if len(parts) > 1 else "creps"


def imports(module: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, at any depth."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{dotted(module)} has a relative import: write it in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(module: Path) -> set[str]:
    names = (name.split(".") for name in imports(module))
    return {parts[1] if len(parts) > 1 else "creps" for parts in names if parts[0] == "creps"}


def by_name(module: Path) -> str:
    return dotted(module)


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_imports_point_downwards(module: Path) -> None:
    room = room_of(module)
    if room == "creps":
        return  # the public namespace names what it shows; what nobody may import is tested below
    for other in rooms_imported(module) - {room, "__version__"}:  # the version is nobody's room
        assert other in FLOOR_OF or room == "cli", f"creps.{other} is not a room"
        assert FLOOR_OF.get(other, 0) < FLOOR_OF[room], f"{room} must not import {other}"
        assert (room, other) not in FORBIDDEN, f"{room} must not import {other}"


def test_no_modules_import_each_other() -> None:
    """Not even inside functions, or for type checkers alone."""
    names = {dotted(module) for module in MODULES}
    arrows = {
        dotted(module): {
            name if name in names else name.rpartition(".")[0] for name in imports(module)
        }
        & (names - {"creps"})
        for module in MODULES
    }
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names them


def test_nobody_imports_the_command() -> None:
    assert [dotted(m) for m in MODULES if room_of(m) != "cli" and "cli" in rooms_imported(m)] == []


def test_the_package_knows_nothing_of_what_stands_beside_it() -> None:
    beside = {"reproduce", "benchmarks", "faults", "tests", "docs"}
    for module in MODULES:
        assert not {name.split(".")[0] for name in imports(module)} & beside, dotted(module)


def test_networks_know_no_files() -> None:
    for module in (SOURCE / "networks").rglob("*.py"):
        used = {name.split(".")[0] for name in imports(module)}
        assert not used & FILE_MODULES, f"{dotted(module)} imports {used & FILE_MODULES}"


def test_the_command_starts_without_heavy_imports() -> None:
    modules = [dotted(module) for module in (SOURCE / "cli").glob("*.py")]
    heavy = "{'torch', 'numpy', 'PIL', 'huggingface_hub', 'creps.networks'}"
    code = f"import sys, {', '.join(modules)}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_is_too_long() -> None:
    lines = {dotted(m): len(m.read_text(encoding="utf-8").splitlines()) for m in MODULES}
    assert {name: n for name, n in lines.items() if n > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{dotted(module)}.{node.name}": node.end_lineno - node.lineno + 1
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, Function) and node.end_lineno
    }
    assert {name: n for name, n in long.items() if n > LONGEST_FUNCTION} == {}


def face_of(package: Path) -> Path:
    """Where the public names of a package are said: in its stub, where it is lazy."""
    stub = package.with_suffix(".pyi")
    return stub if stub.exists() else package


FACES = [m for m in MODULES if "\n__all__ = [" in face_of(m).read_text("utf-8")]
"""The packages that say what of them is public."""


def homes_of(face: Path) -> dict[str, str]:
    """The public names of a package, and the modules they come from."""
    tree = ast.parse(face_of(face).read_text("utf-8"))
    return {
        alias.name: f"{dotted(face)}.{node.module}" if node.level else node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        if node.level or node.module.startswith("creps.")
        for alias in node.names
    }


@pytest.mark.parametrize("face", FACES, ids=by_name)
def test_a_face_shows_what_its_modules_define(face: Path) -> None:
    """What type checkers see is what is there: the same names, each the same thing, documented."""
    package, homes = importlib.import_module(dotted(face)), homes_of(face)
    assert sorted(package.__all__) == sorted(homes)
    assert set(homes) <= set(dir(package))
    for name, home in homes.items():
        value = getattr(package, name)
        assert value is getattr(importlib.import_module(home), name), name
        assert inspect.getdoc(value), f"{name} has no docstring"


def test_no_two_rooms_show_different_things_by_one_name() -> None:
    """The top face shows what rooms show; apart from that, a public name is one thing."""
    shown: dict[str, set[str]] = {}
    for face in FACES:
        for name in homes_of(face):
            shown.setdefault(name, set()).add(
                repr(getattr(importlib.import_module(dotted(face)), name))
            )
    assert {name: things for name, things in shown.items() if len(things) > 1} == {}


def imported_in(text: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each `from creps... import ...` in a piece of Python."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "creps":
            yield from ((node.module or "", alias.name) for alias in node.names)


EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


@pytest.mark.parametrize("document", [*DOCUMENTS, *EXAMPLES], ids=lambda path: path.name)
def test_documents_and_examples_import_public_names_only(document: Path) -> None:
    if document.suffix == ".py":
        blocks = [document.read_text(encoding="utf-8")]
    else:
        sessions = map(doctest.script_from_examples, fenced(document, "pycon"))
        blocks = [*fenced(document, "python"), *sessions]
    for module, name in (each for block in blocks for each in imported_in(block)):
        shown = importlib.import_module(module)
        assert not any(part.startswith("_") for part in [*module.split("."), name]), module
        assert name in getattr(shown, "__all__", vars(shown)), f"{module} does not show {name}"


def test_the_files_that_the_architecture_page_names_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_0-9]+\.py)`", page)
    assert named
    missing = [name for name in named if not any((each / name).exists() for each in (SOURCE, ROOT))]
    assert missing == []


def test_the_house_stays_small_enough_to_know() -> None:
    assert len(MODULES) <= MOST_MODULES
    private = [m for m in MODULES if re.search(r"/_(?!_)", m.relative_to(SOURCE.parent).as_posix())]
    shown = [
        f"{dotted(m)}.{n.name}"
        for m in set(MODULES) - set(private)
        for n in public(tree_of(m).body)
    ]
    assert len(shown) <= MOST_PUBLIC_DEFINITIONS


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = creps.no_such_name


def public(nodes: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    for node in nodes:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def undocumented(module: Path) -> Iterator[str]:
    """Public things without a docstring; a method may inherit its base's."""
    if not ast.get_docstring(tree_of(module)):
        yield dotted(module)
    for node in public(tree_of(module).body):
        if not ast.get_docstring(node):
            yield f"{dotted(module)}.{node.name}"
        if isinstance(node, ast.ClassDef):
            kind = getattr(importlib.import_module(dotted(module)), node.name)
            for method in public(node.body):
                if not inspect.getdoc(getattr(kind, method.name)):
                    yield f"{dotted(module)}.{node.name}.{method.name}"


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_everything_public_is_documented(module: Path) -> None:
    assert list(undocumented(module)) == []


def keyword_catchers(module: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, Function) or node.name.startswith("_"):
            continue
        kwarg = node.args.kwarg
        typed = kwarg and kwarg.annotation and ast.unparse(kwarg.annotation).startswith("Unpack[")
        if kwarg and not typed:
            yield f"{dotted(module)}.{node.name}"


def test_no_public_function_takes_any_keyword() -> None:
    """A `TypedDict` says which (PEP 692), and type checkers look."""
    assert [name for module in MODULES for name in keyword_catchers(module)] == []


def project_files() -> Iterator[Path]:
    """What belongs to the project: the files of its folders and of the root."""
    yield from (p for p in ROOT.iterdir() if p.is_file() and p.name != ".git")
    for folder in (".ci", "src", "tests", "docs", "examples", "benchmarks", "faults", "reproduce"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def test_no_file_is_too_large() -> None:
    sizes = {str(p.relative_to(ROOT)): p.stat().st_size for p in project_files()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}


def test_no_file_holds_loose_ends_or_paths_of_a_machine() -> None:
    unwanted = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w|\b(?:TO[D]O|FIX[M]E)\b")
    found = []
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # pictures, weights
        numbered = enumerate(lines, 1)
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in numbered if unwanted.search(line)]
    assert found == []


def fenced(document: Path, language: str) -> list[str]:
    """The fenced code blocks of a document in one language."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_compiles(document: Path) -> None:
    for block in fenced(document, "python"):
        compile(block, document.name, "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_in_documents_run(document: Path) -> None:
    """The ```pycon blocks of a document, one after the other in one session."""
    session = "\n".join(fenced(document, "pycon"))
    test = doctest.DocTestParser().get_doctest(session, {}, document.name, str(document), 0)
    output: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert "".join(output) == ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    inside = [t for t in targets if not t.startswith(("http:", "https:", "mailto:"))]
    assert [t for t in inside if not (document.parent / t).exists()] == []


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table: dict[str, list[str]] = project["optional-dependencies"]
    return table


def test_a_package_has_one_lowest_version() -> None:
    """Tests of the lowest versions have all extras at once: of two bounds they see the higher."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds: dict[str, set[str]] = {}
    for wanted in chain(project["dependencies"], *extras().values()):
        name, _, version = wanted.partition(">=")
        if version:
            bounds.setdefault(name.partition("[")[0], set()).add(version)
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {creps.__version__}\n" in citation
    assert f"\n## [{creps.__version__}]" in changelog


def test_errors_name_extras_that_exist() -> None:
    """`MissingExtraError(feature, extra)` tells people what to install."""
    named = {
        node.args[1].value
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MissingExtraError"
        if len(node.args) == 2 and isinstance(node.args[1], ast.Constant)
    }
    assert named
    assert named <= set(extras())


def test_the_extra_all_is_all_of_them() -> None:
    # Asked for by name: fidelity needs a torchvision that suits the torch that is there, and the
    # loggers of two services bring many packages.
    features = sorted(set(extras()) - {"all", "dev", "fidelity", "trackio", "wandb"})
    (everything,) = extras()["all"]
    assert sorted(re.findall(r"\w+", everything.removeprefix("creps"))) == features
