"""Scenes with truth, mapped as a newcomer does, and corrections of their worst places.

A correction is a square of 20 m that somebody who looks at the image would draw: at least three
quarters of its truth are of one class, which it is given, and more than 40 % of it are mapped as
another. No two are nearer to each other than 20 m. Seed 0 takes those with most wrong pixels,
others take them at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from choosing_runs import Variant, settings_on
from choosing_scenes import TruthScene, truth_scenes
from numpy.typing import NDArray
from rasterio.enums import Resampling

from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.grid import Box
from landcover_pnp.legend import LEGENDS, WORKING, to_working
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.storage.raster import on_grid, open_raster, read, read_labels
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.student.mapped_scene import MappedScene

SIDE_M = 20.0
PURE, WRONG = 0.75, 0.4

CHOSEN_ON = (
    "Pittsburgh",
    "humid_east 53",
    "piedmont 67",
    "hill_country 79",
    "desert 83",
    "humid_east 97 RGB",
    "desert 97 RGB",
)
"""Scenes that defaults are chosen on."""

SHOWN = ("Durham", "oem-austin", "WV patches")
"""Scenes that figures are shown of besides."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class CorrectedScene:
    """A finished run of a scene with truth.

    Attributes:
        name: Name of the scene.
        run: The run folder.
    """

    name: str
    run: Path

    @cached_property
    def mapped(self) -> MappedScene:
        """The run as a student sees it."""
        return open_mapped_scene(self.run)

    @cached_property
    def truth(self) -> Labels:
        """Truth at the image's resolution, (y, x) uint8."""
        truth = self.mapped.fine.files.truth
        if truth is None:
            raise ValueError(f"{self.name} has no truth")
        geobox = self.mapped.fine.overlay.geobox
        with (
            open_raster(truth.path, "truth") as source,
            on_grid(source, geobox, Resampling.nearest) as view,
        ):
            return to_working(read_labels(view, self.everything), LEGENDS[truth.legend])

    @property
    def everything(self) -> Box:
        """All pixels of the map."""
        return self.mapped.fine.overlay.box(self.mapped.scene.extent)

    @property
    def pixel_m(self) -> float:
        """Side of the map's pixels, metres."""
        return abs(self.mapped.fine.overlay.geobox.resolution.x)

    def labels(self, path: Path | None = None) -> Labels:
        """Classes of a map of the run, (y, x) uint8; by default its own."""
        with open_raster(path or RunFolder(self.run).landcover, "class map") as source:
            return np.asarray(read(source, 1, self.everything))

    def outside(self, labels: Labels, edits: Labels) -> Scores:
        """Scores of a map outside of edits."""
        truth = np.where(edits > 0, 0, self.truth)
        return score(labels, truth.astype(np.uint8), "five_classes")

    def places(self, count: int, seed: int) -> list[tuple[int, int, int]]:
        """Row, column and class of the squares to correct, see the module."""
        px, rng = max(2, round(SIDE_M / self.pixel_m)), np.random.default_rng(seed)
        found = []
        labels, (height, width) = self.labels(), self.truth.shape
        for y in range(0, height - px + 1, max(px // 2, 1)):
            for x in range(0, width - px + 1, max(px // 2, 1)):
                window = slice(y, y + px), slice(x, x + px)
                truth, mapped = self.truth[window], labels[window]
                if not (truth.all() and mapped.all()):
                    continue
                counts = np.bincount(truth.ravel(), minlength=6)
                code = int(counts.argmax())
                wrong = float(((mapped != truth) & (truth == code)).mean())
                if counts[code] >= PURE * px * px and wrong > WRONG:
                    found.append((wrong, y, x, code))
        rng.shuffle(found)
        if seed == 0:
            found.sort(key=lambda place: -place[0])
        chosen: list[tuple[int, int, int]] = []
        for _, y, x, code in found:
            apart = all(abs(y - b) >= 2 * px or abs(x - a) >= 2 * px for b, a, _ in chosen)
            if apart and len(chosen) < count:
                chosen.append((y, x, code))
        return chosen

    def write_edits(self, path: Path, count: int, seed: int) -> int:
        """Writes the squares to correct as a user would draw them; returns their number."""
        px, transform = (
            max(2, round(SIDE_M / self.pixel_m)),
            self.mapped.fine.overlay.geobox.transform,
        )
        places = self.places(count, seed)
        squares = [
            shapely.box(*(transform * (x, y + px)), *(transform * (x + px, y)))
            for y, x, _ in places
        ]
        names = [WORKING.names[code - 1] for _, _, code in places]
        frame = gpd.GeoDataFrame({"class": names}, geometry=squares)
        frame.set_crs(str(self.mapped.scene.geobox.crs)).to_file(path)
        return len(places)


def corrected_scenes(folder: Path, wanted: list[str]) -> list[CorrectedScene]:
    """Runs of scenes, made once each and kept in a folder.

    Args:
        folder: Where scenes and runs lie.
        wanted: Names of scenes; none is all.
    """
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    there = truth_scenes(folder / "scenes")
    names = [name for name in (*CHOSEN_ON, *SHOWN) if name in there]
    return [_mapped(there[name], folder) for name in names if not wanted or name in wanted]


def _mapped(scene: TruthScene, folder: Path) -> CorrectedScene:
    run = folder / scene.name.replace(" ", "_")
    map_city(settings_on(scene, Variant("newcomer", ()).settings), run)
    return CorrectedScene(scene.name, run)
