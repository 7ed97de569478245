"""The ground under trees of a finished run, inferred window by window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.config import load_settings
from landcover_pnp.evidence.ground_objects import GroundObjects, count_kinds, object_kinds
from landcover_pnp.grid import Box, Tile, TileGrid, blocks
from landcover_pnp.inference.filling import VIEW_PX, FillSettings
from landcover_pnp.inference.ground_under_trees import (
    Ground,
    ground_under_trees,
    visible_ground,
)
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.sample_plan import masked_folder, masked_prior
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.tiles import one_thread
from landcover_pnp.pipeline.working_map import WorkingMap
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.rasters import classes
from landcover_pnp.products.under_trees import (
    GROUND_BAND,
    SEEN_PERCENT,
    ground_classes,
    map_hash,
)
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Record, file_hashes, ingredients, make_way
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.version import __version__

if TYPE_CHECKING:
    from landcover_pnp.prior.masked_prior import MaskedPrior

CORE_PX, HALO_PX = 256, 64
"""Windows that the ground is inferred by, and what is seen around them, working pixels."""

_OBJECTS = ("roads", "buildings", "water")


def infer_ground(run: FinishedRun) -> tuple[str, ...]:
    """Infers the ground under the trees of a run's map, unless that was done.

    Writes ``probabilities/ground.tif``, see ``GROUND_BAND``, on the map's grid, and its record.

    Args:
        run: The run.

    Returns:
        What was done, one sentence each; empty where it stands.

    Raises:
        PriorError: If no masked prior serves the run's working grid.
        RunError: If it cannot be written.
    """
    settings = load_settings(MapSettings, RunFolder(run.folder).settings)
    folder, why = masked_folder(settings.inference.prior)
    prior = masked_prior(folder, run.scene.resolution_m, "the ground under trees")
    fill = cast(FillSettings, settings.inference.of("fill"))
    view_px = settings.inference.view_px or VIEW_PX
    paths = RunFolder(run.folder)
    path = paths.sampled.ground_record
    made_of = {
        "map": map_hash(run),
        **ingredients(
            version=__version__,
            scene=run.scene.fingerprint,
            prior=prior.fingerprint,
            fill=fill,
            view_px=view_px,
            seed=settings.seed,
        ),
    }
    with paths.held([paths.name(path), paths.name(paths.sampled.ground)]):
        record, _ = Record.standing(path, made_of)
        if record is not None:
            return ()
        start, said = time.monotonic(), make_way(path)
        one_thread()
        windows = GroundWindows(run, prior, fill, settings.seed, view_px)
        with open_raster(run.probabilities, "probabilities") as source:
            geobox = GeoBox.from_rio(source)
        write_raster(paths.sampled.ground, geobox, GROUND_BAND, windows.parts())
        files = file_hashes(path.parent, [paths.sampled.ground])
        Record("done", made_of, time.monotonic() - start, files=files).write(path)
    return (*said, f"the ground under trees is inferred by {why}")


@dataclass(frozen=True)
class GroundWindows:
    """Windows of a run whose ground is inferred.

    Attributes:
        run: The run.
        prior: The prior.
        fill: How hidden pixels are filled.
        seed: Seed of the run.
        view_px: Side of the crops that the prior sees.
    """

    run: FinishedRun
    prior: MaskedPrior
    fill: FillSettings
    seed: int
    view_px: int

    @cached_property
    def _map(self) -> WorkingMap:
        return WorkingMap(self.run.probabilities, self.run.scene.geobox)

    @cached_property
    def objects(self) -> GroundObjects:
        """What the whole map tells of its ground."""
        return GroundObjects.of(
            count_kinds(
                (self._kinds(box), *visible_ground(self._map.read(box)))
                for box in blocks(self.run.scene.extent, CORE_PX)
            )
        )

    def ground(self, tile: Tile) -> Ground:
        """The ground of a window's core, on the working grid."""
        p, kinds = self._map.read(tile.canvas), self._kinds(tile.canvas)
        found = ground_under_trees(
            self.prior,
            p,
            self.objects.likelihoods(kinds),
            self.objects.expected(kinds, *visible_ground(p)),
            self.fill,
            self.seed,
            (tile.canvas.y0, tile.canvas.x0),
            self.view_px,
        )
        core = tile.core.within(tile.canvas)
        return Ground(found.codes[core], found.hidden[core], found.impervious[core])

    def parts(self) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
        """Windows of the map's grid, each with its (2, y, x) uint8 of ``GROUND_BAND``."""
        trees = WORKING.code("trees and forest")
        overlay = self._map.overlay
        with open_raster(self.run.probabilities, "probabilities") as source:
            for tile in TileGrid(self.run.scene.geobox, CORE_PX, HALO_PX):
                ground, box = self.ground(tile), overlay.box(tile.core)
                codes = classes(decode(read(source, source.indexes, box)))
                below = overlay.spread(ground.codes, tile.core)
                share = overlay.spread(ground.impervious, tile.core)
                hidden = codes == trees
                percent = np.where(hidden, np.rint(100 * share), SEEN_PERCENT)
                seen = ground_classes(np.where(hidden, below, codes), hidden)
                yield box, np.stack([seen, percent.astype(np.uint8)])

    def _kinds(self, box: Box) -> NDArray[np.uint8]:
        scene = self.run.scene
        return object_kinds({n: scene.coverage(n, box) for n in _OBJECTS}, box.shape)
