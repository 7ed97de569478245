"""Every setting: what depends on it is made again, as in a fresh folder, or it is harmless."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import yaml
from distributed import LocalCluster
from fresh import another, differing, leaves, made_again, stamps, value_of
from inputs import ORIGIN, UTM, colours, two_halves, write_tif
from legend_files import write_legend
from masked_priors import tiny_masked

from landcover_pnp.config import load_settings, plain
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

SIZE = 96
"""Side of the scene, metres."""

pytestmark = pytest.mark.filterwarnings("ignore::landcover_pnp.errors.LandcoverWarning")

TINY = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)


def tiny_prior(folder: Path, seed: int) -> Path:
    network = build_network(TINY, seed)
    Prior(network, NoiseSchedule(), TINY.resolution_m, TINY.crop_px).save(folder)
    return folder


def write_roads(path: Path, layer: str, y: float) -> None:
    line = shapely.LineString([ORIGIN, (ORIGIN[0] + SIZE, ORIGIN[1] - y)])
    frame = gpd.GeoDataFrame(geometry=[line], crs=UTM)
    frame.to_file(path, layer=layer, driver="GPKG", engine="pyogrio")


def write_labels(path: Path, layer: str, code: int) -> None:
    """Places of two classes; the attribute ``also`` has others."""
    x, y = ORIGIN
    places = [shapely.box(x + at, y - 60, x + at + 20, y - 40) for at in (10, SIZE - 40)]
    labels = {"class": [code, "impervious"], "also": [5, "water"]}
    frame = gpd.GeoDataFrame({k: list(map(str, v)) for k, v in labels.items()}, geometry=places)
    frame.set_crs(UTM).to_file(path, layer=layer, driver="GPKG", engine="pyogrio")


OWN_LEGEND = """
{name: own, title: Own, product: a map, source: nobody, resolution_m: 20, classes: [
  {code: 41, name: wood, colour: [0, 99, 0], role: forest, cover: {trees and forest: 1}},
  {code: 42, name: park, colour: [0, 255, 0], role: grass, cover: {grass and herbaceous: 1}},
  {code: 24, name: town, colour: [255, 0, 0], role: developed, cover: {impervious: 1}}]}
"""


def write_inputs(folder: Path) -> None:
    """All layers twice: the standard ones, and others in the folder ``other``."""
    for number, place in enumerate((folder, folder / "other")):
        place.mkdir(exist_ok=True)
        write_tif(place / "image.tif", colours(4, SIZE, seed=number))
        write_tif(place / "nlcd.tif", two_halves(41 + number, 24, SIZE))
        write_tif(place / "worldcover.tif", two_halves(10, 50, SIZE))
        write_tif(place / "percent.tif", two_halves(20, 70, SIZE))
        (place / "own.yaml").write_text(OWN_LEGEND)
        write_legend(place / "result.yaml")
        write_tif(place / "truth.tif", two_halves(40, 20 + 10 * number, SIZE))
        write_tif(place / "working.tif", two_halves(4, 2, SIZE))
        write_tif(place / "roofs.tif", two_halves(1 + number, 2, SIZE))
        clouds = np.zeros((SIZE, SIZE), np.uint8)
        clouds[20:40, 10:30], clouds[50 + number :, 60:] = 1, 2
        write_tif(place / "clouds.tif", clouds)
        write_tif(place / "ponds.tif", two_halves(0, 1 - number, SIZE))
        (place / "list.txt").write_text("image.tif\n")
        write_roads(place / "roads.gpkg", "main", 20.0 + number)
        write_roads(place / "roads.gpkg", "side", 60.0)
        write_labels(place / "labels.gpkg", "main", 4 + number)
        write_labels(place / "labels.gpkg", "side", 3)
        x, y = ORIGIN
        area = shapely.box(x, y - 80 - 8 * number, x + 80, y)
        gpd.GeoDataFrame(geometry=[area], crs=UTM).to_file(place / "area.geojson")
        tiny_prior(place / "prior", number)
        tiny_masked(number).save(place / "masked")
        (place / "source.yaml").write_text(
            "scene: {rasters: {image: image.tif, nlcd: nlcd.tif, truth: {path: truth.tif}}}\n"
        )
        for city, split, tile in (
            ("a", "test", "1"),
            ("a", "test", "2"),
            ("a", "val", "1"),
            ("b", "test", "1"),
        ):
            atlas = place / "atlas" / f"{city}-{split}_tiles-debuffered"
            atlas.mkdir(parents=True, exist_ok=True)
            seed = sum(map(ord, city + split + tile)) + number
            write_tif(atlas / f"{tile}_a_naip.tif", colours(4, SIZE, seed=seed))
            write_tif(atlas / f"{tile}_b_nlcd.tif", two_halves(8, 6, SIZE))
            for layer in ("c_roads", "e_buildings", "d_water"):
                write_tif(atlas / f"{tile}_{layer}.tif", two_halves(0, 0, SIZE))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


def everything(folder: Path) -> dict[str, Any]:
    """A map in which no block of settings is null."""
    small = {"rounds": 1, "forest": {"trees": 2, "sample_px": 500, "radii_m": [1.5]}}
    small["unet"] = {"channels": [8], "steps": 1, "steps_more": 1, "batch_size": 1, "crop_px": 8}
    return {
        "scene": {
            "rasters": {
                "image": f"{folder}/list.txt",
                "coarse": f"{folder}/nlcd.tif",
                "roads": {"path": f"{folder}/roads.gpkg", "layer": "main"},
                "buildings": {"path": f"{folder}/roofs.tif", "codes": [2]},
                "water": {"path": f"{folder}/ponds.tif"},
                "truth": {"path": f"{folder}/truth.tif"},
                "labels": {"path": f"{folder}/labels.gpkg", "layer": "main"},
                "area": f"{folder}/area.geojson",
                "image_root": str(folder),
                "image_crs": UTM,
            }
        },
        "weak_labels": {"refinement": {"colours": 4, "iterations": 5}},
        "inference": {"engine": "evidence", "prior": f"{folder}/prior"},
        "student": small,
        "tiles": {"core_px": 10, "halo_px": 3},
        "workers": 0,
    }


NO_STUDENT = ("--student", "null")

GUIDED = ("--inference.engine", "guided", "--inference.guided.steps", "2", *NO_STUDENT)

BASES: dict[str, tuple[str, ...]] = {
    "scene.enviroatlas": (
        *("--scene.rasters", "null", "--scene.enviroatlas.root", "{folder}/atlas"),
        *("--scene.enviroatlas.city", "a", "--scene.enviroatlas.tile", "1", *NO_STUDENT),
    ),
    "scene.rasters.percent_resolution_m": ("--scene.rasters.impervious", "{folder}/percent.tif"),
    "scene.rasters.clouds": (
        *("--scene.rasters.clouds.path", "{folder}/clouds.tif"),
        *("--inference.fill.repaint_samples", "1"),
        *("--inference.fill.repaint_steps", "2", "--inference.fill.resamplings", "1", *NO_STUDENT),
    ),
    "weak_labels.source_scenes": (
        *("--weak_labels.matrix_source", "source", *NO_STUDENT),
        *("--weak_labels.source_scenes", "[{folder}/source.yaml]"),
    ),
    "inference.prior": (
        *("--inference.engine", "denoise", "--inference.denoise.draws", "1", *NO_STUDENT),
    ),
    "inference.denoise": (
        *("--inference.engine", "denoise", "--inference.denoise.draws", "1", *NO_STUDENT),
    ),
    "inference.hide_below": ("--inference.prior", "{folder}/masked", *NO_STUDENT),
    "inference.view_px": GUIDED,
    "inference.precision": GUIDED,
    "inference.constraints": GUIDED,
    "inference.guided": GUIDED,
    "inference.algorithm1": (
        *("--inference.engine", "algorithm1", "--inference.algorithm1.steps", "2"),
        *("--inference.algorithm1.clean_up_t", "2", *NO_STUDENT),
    ),
    "inference.fill": (
        *("--scene.rasters.clouds.path", "{folder}/clouds.tif"),
        *("--inference.engine", "fill", "--inference.fill.repaint_steps", "2"),
        *("--inference.fill.resamplings", "1", "--inference.fill.repaint_samples", "1"),
        *NO_STUDENT,
    ),
    "student.unet": ("--student.model", "unet"),
    "samples": ("--inference.prior", "{folder}/masked", *NO_STUDENT),
}
"""Words of a map in which a setting, and those below it, mean something beyond ``everything``."""

OTHERS: dict[str, tuple[str, ...]] = {
    "scene.rasters": BASES["scene.enviroatlas"][1:],
    "scene.enviroatlas.root": ("{folder}/other/atlas",),
    "scene.enviroatlas.city": ("b",),
    "scene.enviroatlas.split": ("val",),
    "scene.enviroatlas.tile": ("2",),
    "scene.rasters.image": ("{folder}/other/image.tif",),
    "scene.rasters.image_root": ("{folder}/other",),
    "scene.rasters.image_crs": ("null",),
    "scene.rasters.bands": ("[green, red, blue, nir]",),
    "scene.rasters.coarse": ("{folder}/other/nlcd.tif",),
    "scene.rasters.legend": ("{folder}/own.yaml",),
    "scene.rasters.more_coarse": ("[{path: {folder}/worldcover.tif, legend: worldcover}]",),
    "scene.rasters.impervious": ("{folder}/percent.tif",),
    "scene.rasters.canopy": ("{folder}/percent.tif",),
    "scene.rasters.roads.path": ("{folder}/other/roads.gpkg",),
    "scene.rasters.roads.layer": ("side",),
    "scene.rasters.roads.codes": ("[1]",),
    "scene.rasters.buildings.path": ("{folder}/other/roofs.tif",),
    "scene.rasters.buildings.codes": ("[1]",),
    "scene.rasters.buildings.layer": ("any",),
    "scene.rasters.clouds.path": ("{folder}/other/clouds.tif",),
    "scene.rasters.clouds.codes": ("[1]",),
    "scene.rasters.clouds.layer": ("any",),
    "scene.rasters.water.path": ("{folder}/other/ponds.tif",),
    "scene.rasters.water.codes": ("[3]",),
    "scene.rasters.water.layer": ("any",),
    "scene.rasters.truth.path": ("{folder}/other/truth.tif",),
    # No file can be read by both legends.
    "scene.rasters.truth.legend": (
        *("working", "--scene.rasters.truth.path", "{folder}/working.tif"),
    ),
    "scene.rasters.labels.path": ("{folder}/other/labels.gpkg",),
    "scene.rasters.labels.layer": ("side",),
    "scene.rasters.labels.attribute": ("also",),
    "scene.rasters.area": ("{folder}/other/area.geojson",),
    "scene.resolution_m": ("6",),
    "scene.attribution": ("[imagery of nobody]",),
    "weak_labels.matrix_source": ("target",),
    "weak_labels.legend": ("{folder}/own.yaml",),
    "weak_labels.source_scenes": ("[{folder}/other/source.yaml]",),
    "inference.prior": ("{folder}/other/prior",),
    "inference.hide_below": ("0.9",),
    "inference.view_px": ("16",),
    "inference.fill.confident": ("0.5",),
    "inference.constraints.weights": ("{mutual_information: 0.5}",),
    "student.forest.radii_m": ("[2.0, 4.0]",),
    "student.unet.channels": ("[16]",),
    "legend": ("{folder}/result.yaml",),
    "samples": ("2",),
    "scheduler": ("{scheduler}",),
}
"""Another value, and words that it takes, where the kind of a setting does not tell one."""

SAMPLE = (
    "scene.rasters.area",
    "weak_labels.source_scenes",
    "weak_labels.refinement",
    "clusters.variance_floor",
    "inference.prior",
    "tiles.halo_px",
    "legend",
    "seed",
    "student",
    "student.forest.trees",
)
"""Settings that every suite changes: one a stage, and those that are no part of the settings'
own fingerprint, but of what they name."""

HARMLESS = {
    "workers": "tiles come out the same whoever makes them",
    "scheduler": "as workers",
    "scene.attribution": "the products carry it, and are published again",
}
"""Settings on which no result depends, and why."""


ALONE = {"legend": ["products"]}
"""Settings on which one stage alone depends."""


def base_of(name: str) -> tuple[str, ...]:
    """Words of the map in which a setting means something."""
    above = (words for part, words in BASES.items() if f"{name}.".startswith(f"{part}."))
    return next(above, ())


def word(value: object) -> str:
    """A value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def placed(words: Iterable[str], **places: object) -> list[str]:
    """Words with places in them; braces of YAML stay."""
    filled = list(words)
    for key, place in places.items():
        filled = [word.replace(f"{{{key}}}", str(place)) for word in filled]
    return filled


class Runs:
    """Finished runs of the bases, each mapped once; tests work on copies."""

    def __init__(self, inputs: Path, folder: Path) -> None:
        self.inputs, self._folder = inputs, folder

    def settings(self, *words: str, **places: object) -> MapSettings:
        config = self._folder / "everything.yaml"
        config.write_text(yaml.safe_dump(everything(self.inputs)))
        return load_settings(MapSettings, config, placed(words, folder=self.inputs, **places))

    def copy_of(self, base: tuple[str, ...], to: Path) -> Path:
        run = self._folder / f"base{abs(hash(base))}"
        if not run.exists():
            map_city(self.settings(*base), run)
        return Path(shutil.copytree(run, to))


@pytest.fixture(scope="module")
def runs(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(inputs, tmp_path_factory.mktemp("runs"))


def law(name: str, base: tuple[str, ...], runs: Runs, folder: Path, **places: object) -> list[str]:
    """Changes a setting of a finished run of some words; returns what is made again."""
    run, first = runs.copy_of(base, folder / "run"), runs.settings(*base)
    kind = leaves(MapSettings)[name]
    if name == "scene.enviroatlas":  # a user's own files take its place
        settings = runs.settings(*NO_STUDENT)
    else:
        other = OTHERS.get(name) or (word(another(kind, value_of(first, name))),)
        settings = runs.settings(*base, f"--{name}", *other, **places)
    assert plain(settings) != plain(first)
    before = stamps(run)
    map_city(settings, run)
    map_city(settings, folder / "fresh")
    assert differing(run, folder / "fresh") == []
    again = made_again(before, stamps(run))
    assert (name in HARMLESS) == (again == []), again
    assert again == ALONE.get(name, again)
    return again


@pytest.mark.parametrize("name", SAMPLE)
def test_a_changed_setting_makes_again_what_depends_on_it(
    name: str, runs: Runs, tmp_path: Path
) -> None:
    quick = base_of(name) if name.startswith("student") else (*base_of(name), *NO_STUDENT)
    assert law(name, quick, runs, tmp_path)


@pytest.mark.laws
@pytest.mark.parametrize("name", leaves(MapSettings))
def test_every_setting(name: str, runs: Runs, tmp_path: Path) -> None:
    with scheduler() if name == "scheduler" else nullcontext("") as address:
        again = law(name, base_of(name), runs, tmp_path, scheduler=address)
    what = "made again: " + ", ".join(again) if again else "harmless: " + HARMLESS[name]
    sys.stdout.write(f"{name:45} {what}\n")


@contextmanager
def scheduler() -> Iterator[str]:
    """A dask scheduler with a worker of its own."""
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address
