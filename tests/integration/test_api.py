"""The public names: lazy, typed, the same functions as the command line."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from inputs import colours, write_scene

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.errors import LandcoverWarning, RenamedWarning, SettingsError


@pytest.fixture(scope="module")
def scene() -> lc.Scene:
    return lc.synthetic_scene("piedmont", width_m=256, seed=1)


@pytest.fixture(scope="module")
def result(scene: lc.Scene) -> lc.LandCover:
    return lc.map_scene(scene, profile="fast")


def test_importing_costs_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import landcover_pnp\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert new <= {'landcover_pnp', *sys.stdlib_module_names}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there_documented_and_known_to_type_checkers() -> None:
    source = ast.parse(Path(str(lc.__file__)).read_text())
    typed = {
        alias.name
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name in lc.__all__:
        assert getattr(lc, name) is not None
        assert name in typed
        assert name in dir(lc)
        if callable(getattr(lc, name)):
            assert getattr(lc, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'map_scen'"):
        _ = lc.map_scen


def test_a_scene_is_mapped_evaluated_and_published(
    scene: lc.Scene, result: lc.LandCover, tmp_path: Path
) -> None:
    assert scene.files is not None
    assert scene.files.truth is not None
    truth = scene.files.truth.path
    scores = lc.evaluate(result, truth)
    assert scores.mean_iou > 0.2
    assert lc.evaluate(result.landcover, truth).mean_iou == scores.mean_iou
    assert lc.evaluate(result.attrs["run"], truth).mean_iou == scores.mean_iou
    assert (lc.publish(result, title="A: b").folder / "landcover.qgz").is_file()


def test_the_command_line_makes_the_same_bytes(
    scene: lc.Scene, result: lc.LandCover, tmp_path: Path
) -> None:
    settings = Path(result.attrs["run"]) / "settings.json"
    assert main(["map", str(settings), "--run", str(tmp_path / "run")]) == 0
    for name in ("map", "evidence", "weak_labels"):
        path = Path("probabilities") / f"{name}.tif"
        assert (tmp_path / "run" / path).read_bytes() == (settings.parent / path).read_bytes()
    xr.testing.assert_equal(lc.open_run(tmp_path / "run"), result)


def test_a_map_of_a_temporary_scene_can_be_read_as_long_as_it_is_held() -> None:
    keys = {"weak_labels.refinement": None}
    scene = lc.synthetic_scene(width_m=256)
    landcover = lc.map_scene(scene, profile="fast", keys=keys).landcover
    assert (landcover.values > 0).all()


def test_weak_labels_are_probabilities_with_coordinates(scene: lc.Scene) -> None:
    p = lc.weak_labels(scene)
    np.testing.assert_allclose(p.sum("class"), 1, atol=1e-5)
    assert p["class"].values.tolist() == list(lc.WORKING.names)
    part = lc.weak_labels(scene, scene.extent.grow(-20))
    np.testing.assert_allclose(part, p[:, 20:-20, 20:-20], atol=1e-6)
    assert part.y.values.tolist() == p.y.values[20:-20].tolist()


def test_a_canvas_is_inferred_by_any_engine(scene: lc.Scene) -> None:
    observations = lc.observe(scene)
    p = lc.infer(observations, "evidence", iterations=1)
    assert p.shape == (5, 64, 64)
    assert not np.array_equal(p, lc.infer(observations, "evidence"))
    with pytest.raises(SettingsError, match=r"evidence\.iterations"):
        lc.infer(observations, "evidence", iteration=1)
    with pytest.raises(SettingsError, match="'evidence'"):
        lc.infer(observations, "evidense")


def test_warnings_are_errors_in_strict() -> None:
    import warnings

    with lc.strict(), pytest.raises(LandcoverWarning):
        warnings.warn("renamed", RenamedWarning, stacklevel=1)


def test_a_run_s_scene_cannot_be_mapped_anew(result: lc.LandCover) -> None:
    with pytest.raises(SettingsError, match="open_scene"):
        lc.map_scene(lc.Scene.open(Path(result.attrs["run"]) / "scene"))


def test_a_look_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)look is dessert.*did you mean 'desert'"):
        lc.synthetic_scene("dessert", folder=tmp_path / "city")  # type: ignore[arg-type]
    assert not (tmp_path / "city").exists()


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_the_python_of_the_documents_runs(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / document).read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    image = colours()
    image[1, :, :120] += 30  # the forest is green
    write_scene(tmp_path, image=image)
    (tmp_path / "image.tif").rename(tmp_path / "naip.tif")
    shape = shapely.box(586_130, 4_475_950, 586_230, 4_475_960)
    for name in ("roads.gpkg", "buildings.shp"):
        geopandas.GeoDataFrame(geometry=[shape], crs=26917).to_file(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    exec(compile(program, document, "exec"), {})  # noqa: S102
    assert (tmp_path / "runs" / "my_city" / "products" / "landcover.qgz").is_file()
