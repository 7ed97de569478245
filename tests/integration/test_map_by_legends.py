"""Whole maps with other coarse maps than NLCD."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import NLCD, two_halves, write_scene, write_tif

from landcover_pnp.cli.main import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import SettingsError, WeakLabelsWarning
from landcover_pnp.evidence.matrix_sources import matrices_from_source
from landcover_pnp.evidence.settings import RefinementSettings, WeakLabelSettings
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import CoarseFile, EnviroAtlasTile, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.run_folder import RunFolder

WORLDCOVER = "coarse: wc.tif, legend: worldcover,"


def with_worldcover(folder: Path, left: int = 10, right: int = 50) -> Path:
    """The standard scene with WorldCover in NLCD's place: forest, and built-up ground."""
    config = write_scene(folder)
    write_tif(folder / "wc.tif", two_halves(left, right))
    config.write_text(config.read_text().replace("nlcd: nlcd.tif,", WORLDCOVER))
    return config


def test_a_map_by_worldcover_and_nlcd_together(tmp_path: Path) -> None:
    config = with_worldcover(tmp_path)
    more = "more_coarse: [{path: nlcd.tif, legend: nlcd}], truth:"
    config.write_text(config.read_text().replace("truth:", more))
    summary = map_city(load_settings(MapSettings, config, ["--workers", "0"]), tmp_path / "run")
    assert summary.exit_code == 0
    assert {"WorldCover read as codes", "NLCD read as codes"} <= set(summary.notes)
    assert summary.scores["map"].accuracy > 0.95


@pytest.mark.parametrize("source", ["target", "source"])
def test_truth_says_what_any_legend_means(source: str, tmp_path: Path) -> None:
    # Here WorldCover's grassland is forest: its texts do not say so, but the truth of a city does.
    config = with_worldcover(tmp_path / "city", left=30)
    words = ["--weak_labels.matrix_source", source, "--workers", "0"]
    if source == "source":
        words += ["--weak_labels.source_scenes", f"[{with_worldcover(tmp_path / 'other', 30)}]"]
    settings = load_settings(MapSettings, config, words)
    map_city(settings, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    scene = Scene.open(run.scene)
    (matrix,) = matrices_from_source(
        settings.weak_labels, scene, plan_map(settings).sources, tmp_path / "sources"
    )
    grassland, built = (scene.legends[0].codes.index(code) for code in (30, 50))
    np.testing.assert_allclose(matrix[grassland], [0, 0, 0, 1, 0])
    np.testing.assert_allclose(matrix[built], [0, 1, 0, 0, 0])
    crops = scene.legends[0].codes.index(40)  # never seen: as the texts say
    np.testing.assert_array_equal(matrix[crops], scene.legends[0].definitions[crops])


def test_the_matrix_of_every_map_is_refined(tmp_path: Path) -> None:
    """A desert city whose maps say that what is not paved is vegetation."""
    city = write_city(SyntheticSettings("desert", 256, 4), tmp_path)
    files = replace(tile_files(EnviroAtlasTile(tmp_path, city.city)), truth=None)
    with rasterio.open(files.coarse) as source:
        nlcd, profile = source.read(), source.profile
    table = np.zeros(256, np.uint8)
    worldcover = {"developed": 50, "shrub": 20, "grass": 30, "cultivated": 40, "barren": 60}
    for number, role in enumerate(NLCD.roles, start=1):
        table[number] = worldcover.get(role, 10)
    with rasterio.open(tmp_path / "wc.tif", "w", **profile) as target:
        target.write(table[nlcd])
    files = replace(files, more_coarse=[CoarseFile(tmp_path / "wc.tif", "worldcover")])
    scene = prepare_scene(plan_scene(files, 4.0), tmp_path / "scene")
    settings = WeakLabelSettings(refinement=RefinementSettings())
    with pytest.warns(WeakLabelsWarning) as said:
        refined = matrices_from_source(settings, scene, {}, tmp_path)
    soil = WORKING.index("soil and barren")
    for legend, matrix in zip(scene.legends, refined, strict=True):
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        built = legend.roles.index("developed")
        assert matrix[built, soil] > legend.definitions[built, soil] + 0.05
        np.testing.assert_array_equal(
            matrix[legend.roles.index("forest")],
            legend.definitions[legend.roles.index("forest")],
        )
        assert any(f"p(class | {legend.title})" in str(w.message) for w in said)


def test_a_source_city_needs_a_map_of_the_same_legend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, other = with_worldcover(tmp_path / "city"), write_scene(tmp_path / "other")
    words = ["--weak_labels.matrix_source=source", f"--weak_labels.source_scenes=[{other}]"]
    with pytest.raises(SettingsError, match=r"legend worldcover; they have nlcd"):
        plan_map(load_settings(MapSettings, config, words))
    assert main(["map", str(config), "--out", str(tmp_path / "run"), *words]) == 2
    assert not (tmp_path / "run").exists()


def test_check_names_what_a_coarse_map_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_worldcover(tmp_path)
    assert main(["check", str(config)]) == 0
    said = capsys.readouterr().out
    assert "legend worldcover: 10 tree cover 50.0%, 50 built-up 50.0%" in said
    assert main(["check", str(config), "--weak_labels.legend", "esri"]) == 2
    assert "50 (1800 px)" in capsys.readouterr().err
