"""What was made of other inputs is made again: all that the drivers read of them counts."""

import shutil
import sys
from pathlib import Path

import pytest
from fresh import differing, made_again, stamps
from sidecars import CASES, Case

from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings
from landcover_pnp.student.settings import ForestSettings, StudentSettings

pytestmark = pytest.mark.filterwarnings("ignore::landcover_pnp.errors.LandcoverWarning")


def prepared(files: RasterFiles, run: Path) -> tuple[dict[str, bytes], list[str]]:
    """The layers of the scene, and what was told of changes."""
    told: list[str] = []

    def working(*notes: str) -> None:
        told.extend(notes)

    scene = prepare_scene(plan_scene(files, 4.0), run / "scene", working)
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


def law(case: Case, folder: Path) -> list[str]:
    """Maps a scene with a student, changes a part of an input and maps it again.

    Returns:
        What was made again.
    """
    (folder / "inputs").mkdir()
    settings = MapSettings(
        SceneSettings(rasters=case.lay(folder / "inputs")),
        inference=InferenceSettings("evidence"),
        student=StudentSettings(rounds=1, forest=ForestSettings(trees=2, sample_px=500)),
        workers=0,
    )
    run, told = folder / "run", list[str]()

    def tell(progress: Progress) -> None:
        told.append(progress.note)

    map_city(settings, run)
    before = stamps(run)
    case.change(folder / "inputs")
    map_city(settings, run, tell)
    map_city(settings, folder / "fresh")
    assert differing(run, folder / "fresh") == []
    again = made_again(before, stamps(run))
    assert bool(again) == bool(case.named), again
    said = [note for note in told if "changed since the last run" in note and case.named in note]
    assert bool(said) == bool(case.named), told
    return again


def test_the_map_and_its_student_follow_the_mask_of_the_image(tmp_path: Path) -> None:
    again = law(CASES["image mask appears"], tmp_path)
    assert again == ["probabilities", "products", "scene", "student", "tiles"]


@pytest.mark.laws
@pytest.mark.parametrize("name", CASES)
def test_every_part_of_an_input(name: str, tmp_path: Path) -> None:
    again = law(CASES[name], tmp_path)
    sys.stdout.write(f"{name:45} {'made again: ' + ', '.join(again) if again else 'kept'}\n")
