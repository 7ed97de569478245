"""The conda recipe: rattler-build reads it, and it requires what pyproject.toml requires."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from rattler_build import (
    RattlerBuildError,
    RenderConfig,
    SingleOutputRecipe,
    Stage0Recipe,
    VariantConfig,
)

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipe" / "recipe.yaml"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

CONDA = {
    "dask": "dask-core",
    "docstring-parser": "docstring_parser",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}
"""Conda's names where they are not PyPI's."""

OF_EXTRAS = {"jsonargparse[shtab]": "shtab"}
"""What an extra brings: conda packages have none."""


def _rendered() -> dict[str, Any]:
    (variant,) = Stage0Recipe.from_file(RECIPE).render(VariantConfig(), RenderConfig())
    return variant.recipe.to_dict()


def _floors(lines: list[str]) -> dict[str, str]:
    return {name: floor for name, _, floor in (line.partition(" ") for line in lines)}


def _of_pyproject(lines: list[str]) -> dict[str, str]:
    floors = {}
    for line in lines:
        requirement = Requirement(line)
        floors[CONDA.get(requirement.name, requirement.name)] = str(requirement.specifier)
        for extra in requirement.extras:
            floors[OF_EXTRAS[f"{requirement.name}[{extra}]"]] = ""
    return floors


def test_it_requires_what_the_project_requires() -> None:
    recipe = _rendered()["requirements"]
    python = f"python >={PROJECT['requires-python'].removeprefix('>=')}"
    assert _floors(recipe["run"]) == _of_pyproject(PROJECT["dependencies"]) | _floors([python])
    host = _of_pyproject(PYPROJECT["build-system"]["requires"]) | {"pip": ""} | _floors([python])
    assert _floors(recipe["host"]) == host


def test_it_says_what_the_project_says() -> None:
    recipe = _rendered()
    assert recipe["package"] == {
        "name": PROJECT["name"],
        "version": PYPROJECT["tool"]["hatch"]["version"]["raw-options"]["fallback_version"],
    }
    assert recipe["build"]["python"]["entry_points"] == [
        f"{name} = {target}" for name, target in PROJECT["scripts"].items()
    ]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["license_file"] == PROJECT["license-files"]


def test_a_wrong_key_would_be_found() -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert isinstance(Stage0Recipe.from_yaml(text).as_single_output(), SingleOutputRecipe)
    with pytest.raises(RattlerBuildError, match="noarh"):
        Stage0Recipe.from_yaml(text.replace("noarch:", "noarh:"))
