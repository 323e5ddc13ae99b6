"""Facts about the repository: sizes, versions, and a README tree that tells the truth."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from itertools import chain
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PICKLE_SUFFIXES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}
# A path into somebody's own machine. Built from pieces, so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:" + "|".join(["work", "root", "home", "Users"]) + ")/")
# What torch adds by itself on a machine whose build of it drives a GPU.
GPU_PACKAGES = re.compile(r"nvidia-|cuda-|triton")


def repository_files() -> list[Path]:
    """Every file git keeps or would keep: tracked, or new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> list[Requirement]:
    table = project()
    extras = table["optional-dependencies"]
    lines = dict.fromkeys([*table["dependencies"], *chain.from_iterable(extras.values())])
    # "dev" asks for the other extras by this package's own name.
    return [one for one in map(Requirement, lines) if one.name != table["name"]]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in pins}


def test_no_file_is_larger_than_15_megabytes():
    assert [p for p in repository_files() if p.stat().st_size >= 15_000_000] == []


def test_trained_folder_is_smaller_than_80_megabytes():
    sizes = [p.stat().st_size for p in repository_files() if p.is_relative_to(ROOT / "trained")]
    assert sizes, "trained/ holds no files, but the package ships its checkpoints from there"
    assert sum(sizes) < 80_000_000


def test_no_pickles():
    assert [p for p in repository_files() if p.suffix.lower() in PICKLE_SUFFIXES] == []


def test_no_machine_paths():
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # safetensors and pictures
        found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_declared_range_admits_the_tested_version(requirement: Requirement):
    assert requirement.specifier.contains(constraints()[canonicalize_name(requirement.name)])


def test_every_installed_dependency_is_pinned():
    pinned = constraints()
    if not version("torch").startswith(pinned["torch"]):
        pytest.skip("these are not the pinned versions")
    pending, seen, unpinned = requirements(), set(), set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # for another platform or Python
        if name not in pinned and not GPU_PACKAGES.match(name):
            unpinned.add(name)
        wanted = [Requirement(line) for line in needs]
        pending += [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert {"torch", "numpy", "pluggy"} <= seen
    assert unpinned == set()


def test_the_tests_have_every_extra():
    extras = dict(project()["optional-dependencies"])
    own = [one for one in map(Requirement, extras.pop("dev")) if one.name == project()["name"]]
    assert {extra for one in own for extra in one.extras} == set(extras)


def test_constraints_run_on_any_machine():
    pinned = constraints()
    assert pinned["torch"] == "2.13.0"
    assert {name: pin for name, pin in pinned.items() if Version(pin).local} == {}
    assert [name for name in pinned if GPU_PACKAGES.match(name)] == []


def readme_tree() -> list[PurePosixPath]:
    """Paths named by the README's tree: the first word of each line, nested by indentation."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    trees = [block for block in blocks if block.startswith("lt_interp/")]
    assert len(trees) == 1, "README.md needs one fenced block that begins with lt_interp/"
    paths: list[PurePosixPath] = []
    above: list[tuple[int, PurePosixPath]] = []  # folders we are inside of, with their indents
    for line in trees[0].translate(str.maketrans("│├└─", "    ")).splitlines():
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        above = [(depth, folder) for depth, folder in above if depth < indent]
        name = line.split()[0]
        path = (above[-1][1] if above else PurePosixPath()) / name
        if name.endswith("/"):
            above.append((indent, path))
        paths.append(path)
    return paths


def test_readme_tree_names_only_what_exists():
    assert [str(path) for path in readme_tree() if not (ROOT / path).exists()] == []


def test_readme_tree_names_every_module():
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lt_interp").rglob("*.py")}
    modules = {path for path in modules if not path.endswith("__init__.py")}
    assert modules - {str(path) for path in readme_tree()} == set()
