"""Every setting of a correction: what depends on it is made again, as in a fresh folder."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from fresh import another, differing, leaves, stamps, value_of
from inputs import ORIGIN, UTM, colours, two_halves, write_scene
from masked_priors import tiny_masked

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.correct import correct_run
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings

SIDE = 128
SMALL = ["--tiles.core_px", "16", "--tiles.halo_px", "8", "--workers", "0", "--student.rounds", "1"]
SMALL += ["--student.forest.trees", "3", "--student.forest.sample_px", "800"]
FIRST: dict[str, Any] = {
    "class_column": "class",
    "layer": "first",
    "point_radius_m": 4.0,
    "learning_reach_m": 6.0,
    "reach_m": 4.0,
    "complete": True,
    "fill_reach_m": 20.0,
    "fill_below": 0.95,
    "workers": 0,
}
OTHERS: dict[str, Any] = {"class_column": "also", "layer": "second", "prior": 1, "fill_below": 0.5}
HARMLESS = {"workers": "tiles come out the same whoever draws them"}
SAMPLE = ("strength", "prior")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corrections")
    image = colours(size=SIDE)
    image[1, :, : SIDE // 2] += 20  # trees are green
    labels = {"nlcd": two_halves(41, 24, SIDE), "truth": two_halves(40, 20, SIDE)}
    config = write_scene(folder, image=image, **labels)
    map_city(load_settings(MapSettings, config, SMALL), folder / "run")
    for number, layer in enumerate(("first", "second")):
        x, y = ORIGIN[0] + 20 + 10 * number, ORIGIN[1] - 40
        shapes = [shapely.box(x, y, x + 12, y + 12), shapely.Point(x + 40, y)]
        columns = {"class": ["water", "water"], "also": ["grass and herbaceous", "impervious"]}
        frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=UTM)
        frame.to_file(folder / "edits.gpkg", layer=layer, engine="pyogrio")
        tiny_masked(number).save(folder / f"prior{number}")
    return folder


def law(name: str, folder: Path, to: Path) -> list[str]:
    """Changes a setting of a corrected run; returns what is made again."""
    first = CorrectSettings(**FIRST, prior=folder / "prior0")
    value = OTHERS.get(name)
    if name == "prior":
        value = folder / "prior1"
    elif value is None:
        value = another(leaves(CorrectSettings)[name], value_of(first, name))
    other = dataclasses.replace(first, **{name: value})
    run, fresh = (Path(shutil.copytree(folder / "run", to / n)) for n in ("run", "fresh"))
    correct_run(run, folder / "edits.gpkg", first)
    before = stamps(run)
    correct_run(run, folder / "edits.gpkg", other)
    correct_run(fresh, folder / "edits.gpkg", other)
    told = "corrected/summary.json", "corrected/products.json"
    assert [n for n in differing(run, fresh) if n not in told] == []
    after = stamps(run)
    return [n for n in after if n.startswith("corrected/") and after[n] != before.get(n)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SAMPLE else pytest.mark.laws)
        for name in leaves(CorrectSettings)
    ],
)
def test_a_changed_setting_makes_again_what_depends_on_it(
    name: str, finished: Path, tmp_path: Path
) -> None:
    again = law(name, finished, tmp_path)
    assert (name in HARMLESS) == (not again), again
    sys.stdout.write(f"{name:20} {len(again)} files made again\n")
