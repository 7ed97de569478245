"""What was made of other inputs is made again: all that the drivers read of them counts."""

import shutil
from pathlib import Path

import pytest
from sidecars import CASES, Case

from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import RasterFiles


def prepared(files: RasterFiles, run: Path) -> tuple[dict[str, bytes], list[str]]:
    """The layers of the scene, and what was told of changes."""
    told: list[str] = []
    scene = prepare_scene(plan_scene(files, 4.0), run / "scene", told.append)
    return {path.name: path.read_bytes() for path in sorted(scene.folder.glob("*.tif"))}, told


def restore(folder: Path, before: Path) -> None:
    """Makes a folder what it was."""
    shutil.rmtree(folder)
    shutil.copytree(before, folder)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_changed_part_of_an_input_makes_the_scene_again(case: Case, tmp_path: Path) -> None:
    inputs, before, run = tmp_path / "inputs", tmp_path / "before", tmp_path / "run"
    inputs.mkdir()
    files = case.lay(inputs)
    first, told = prepared(files, run)
    shutil.copytree(inputs, before)
    assert prepared(files, run) == (first, told == [] and [])
    case.change(inputs)
    second, told = prepared(files, run)
    assert second == prepared(files, tmp_path / "fresh")[0]
    assert [case.named in text for text in told] == [True] * bool(case.named), told
    assert (second != first) == case.acts
    restore(inputs, before)
    again, told = prepared(files, run)
    assert again == first, "what vanishes counts as what appears does"
    assert [case.named in text for text in told] == [True] * bool(case.named)
