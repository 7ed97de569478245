"""What is handed on: the wheel, the container, the citation, the workflows."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from distributions import ROOT, built, copied_source, unpacked

import landcover_pnp as lc
from landcover_pnp.version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(source, "wheel", tmp_path_factory.mktemp("dist"))


def test_the_wheel_holds_all_that_the_package_reads(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "landcover_pnp").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there <= held
    assert {name for name in held if not name.startswith("landcover_pnp")} == set()
    licences = [ROOT / "LICENSE", *(ROOT / "landcover_pnp").rglob("LICENSE*")]
    assert {path.relative_to(ROOT).as_posix() for path in licences} == {
        name.partition("/licenses/")[2] for name in held if "/licenses/" in name
    }


def test_without_tags_the_version_is_the_next_one(wheel: Path) -> None:
    fallback = PROJECT["tool"]["hatch"]["version"]["raw-options"]["fallback_version"]
    assert wheel.name.split("-")[1] == fallback
    assert fallback in (ROOT / "landcover_pnp" / "version.py").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fallback
    assert lc.__version__ == __version__


def test_the_source_distribution_makes_the_same_wheel(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    handed_on = unpacked(built(source, "sdist", tmp_path), tmp_path / "unpacked")
    again = built(handed_on, "wheel", tmp_path)
    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())
    readme = (handed_on / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme)
    assert pictures
    assert all((handed_on / picture).exists() for picture in pictures)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.png")), ids=lambda p: p.name)
def test_pictures_are_quickly_loaded(picture: Path) -> None:
    assert picture.stat().st_size <= 600_000


def test_the_container_is_well_written() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_copies_what_its_context_lets_through() -> None:
    let = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for words in re.findall(r"^COPY (?!--)(.*)$", recipe, re.MULTILINE):
        for name in words.split()[:-1]:
            assert f"!{name}" in let
            assert (ROOT / name).exists()


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=str)
def test_workflows_call_targets_that_there_are(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}, "the least; a job asks for more"
    targets = re.findall(r"^([\w./]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    called = [word for s in steps for word in re.findall(r"make (\w+)", s.get("run", ""))]
    assert set(called) <= set(targets)
    assert all(
        job.get("timeout-minutes") for job in workflow["jobs"].values() if "needs" not in job
    )


def test_workflows_hold_to_their_schema_and_the_linter() -> None:
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    for tool, *options in (
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
        ("zizmor", "--offline", "--quiet", "--no-progress"),
    ):
        command = [Path(sys.executable).with_name(tool), *options, *workflows]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_requirement_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in re.findall(r'^    "[a-z][\w.-]*(?:\[\w+\])?>=.*$', text, re.MULTILINE):
        assert re.search(r'", # [\w`]|"hatchling>=', line), f"no reason: {line}"
