"""The rasters of a corrected map, and its summary: what makes it the newest map of a run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.evidence.matrix_sources import matrices_from_source
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA
from landcover_pnp.pipeline.correction_summary import CorrectSummary
from landcover_pnp.pipeline.doubt import DoubtSources, write_doubt
from landcover_pnp.pipeline.doubt_summary import summarise_doubt
from landcover_pnp.pipeline.evaluate import evaluate_run
from landcover_pnp.pipeline.map_stages import stage
from landcover_pnp.pipeline.plan import files_of, plan_sources
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import CORRECTED, FILLED, SEEN, ground_hectares, write_ground
from landcover_pnp.products.rasters import drawn_by, products_of, write_products
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.checked_json import json_text, read_object
from landcover_pnp.storage.journal import command_line
from landcover_pnp.storage.newest import ORIGINAL, RASTERS
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.records import Ingredients, fingerprint, now
from landcover_pnp.storage.run_folder import DRAWN, STUDENT, RunFolder, with_sidecars
from landcover_pnp.storage.run_folder import FILLED as FILLED_STEM
from landcover_pnp.student.known_ground import KnownGround


@dataclass(frozen=True)
class CorrectedMap:
    """A corrected map whose probabilities are there.

    Attributes:
        finished: The run.
        settings: Its settings.
        known: The edits.
        edits: Number of edits by class.
        failed: Reason by name of each tile that stays as it was.
        notes: What was done to the edits, one sentence each.
        made_of: What the probabilities are made of.
    """

    finished: FinishedRun
    settings: MapSettings
    known: KnownGround
    edits: Mapping[str, int]
    failed: Mapping[str, str]
    notes: tuple[str, ...]
    made_of: Ingredients

    @property
    def paths(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.finished.folder)

    @property
    def own(self) -> RunFolder:
        """Where the corrected map lies."""
        return self.paths.corrected

    def write(self, owned: OwnedFolder, watch: Watch, start: float) -> CorrectSummary:
        """Writes doubt, rasters and summary.

        Args:
            owned: The run folder, held.
            watch: Told when there is work.
            start: When the work began, by the monotonic clock.

        Returns:
            The summary.

        Raises:
            RunError: If a file cannot be written.
        """
        scene = self.finished.scene
        made_of = {"mosaic": fingerprint(self.made_of), "scene": scene.fingerprint}
        stage("doubt", self.own.doubt_record, made_of, lambda: self._doubt(owned, watch), watch)
        final = {
            **made_of,
            ORIGINAL: self.made_of[ORIGINAL],
            "edits": self.made_of["edits"],
            "truth": fingerprint(scene.made_of),
            "failed tiles": sorted(self.failed),
        }
        stage("rasters", self.own.rasters_record, final, lambda: self._rasters(start), watch)
        told = read_object(self.own.summary) or {}
        return CorrectSummary(
            self.finished.folder,
            self.own.landcover,
            self.edits,
            told["corrected_ha"],
            told["filled_ha"],
            told["changed_ha"],
            time.monotonic() - start,
            self.failed,
            self._scores,
            self.notes,
        )

    def _doubt(self, owned: OwnedFolder, watch: Watch) -> Iterator[Path]:
        weak, scene = self.settings.weak_labels, self.finished.scene
        sources = plan_sources(weak)
        # What is wanting in them was said when the map was made.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LandcoverWarning)
            matrices = matrices_from_source(
                weak, scene, sources, self.paths.sources, owned, watch.work
            )
        folder = self.finished.folder
        yield write_doubt(DoubtSources(folder, scene, matrices, True, self.known))

    def _rasters(self, start: float) -> Iterator[Path]:
        """Writes all that the newest map of a run is known by; its summary last."""
        own, result = self.own, self.finished.result
        all_ = products_of(self.finished.legend.legend)
        products = drawn_by({stem: all_[stem] for stem in RASTERS}, student=True)
        tags = {**self.finished.origin, "LANDCOVER_EDITS": str(self.made_of["edits"])[:16]}
        yield from with_sidecars(
            write_products(own.probabilities, own.path, tags, products, result)
        )
        with open_raster(own.landcover, "class map") as source:
            extent = Box(0, source.height, 0, source.width)
            parts = ((box, self._ground(box)) for box in blocks(extent))
            ground = write_ground(own.raster(FILLED_STEM), GeoBox.from_rio(source), parts)
        yield from with_sidecars([ground])
        hectares = ground_hectares(ground)
        told: dict[str, Any] = {
            "finished": now(),
            "correction": command_line(),
            "edits": dict(self.edits),
            "corrected_ha": round(hectares[CORRECTED], 4),
            "filled_ha": round(hectares[FILLED], 4),
            "changed_ha": round(self._changed_ha(), 4),
            "doubt": summarise_doubt(own.path, self.finished.scene).content(),
            "scores": {
                name: {"accuracy": s.accuracy, "mean_iou": s.mean_iou}
                for name, s in self._scores.items()
            },
            "correction_notes": list(self.notes),
            "failed_corrections": dict(self.failed),
            "correction_seconds": round(time.monotonic() - start, 1),
        }
        write_text(own.summary, json_text(told))
        yield own.summary

    @cached_property
    def _scores(self) -> dict[str, Scores]:
        truth = files_of(self.settings).truth
        if truth is None or self.finished.scene.truth_legend is None:
            return {}
        return evaluate_run(
            self.finished.folder,
            truth.path,
            truth.legend,
            overlap=True,
            final=self.own.landcover,
        )

    def _ground(self, box: Box) -> NDArray[np.uint8]:
        """How the ground of a window of fine pixels is known: (y, x) uint8 of ``GROUND``."""
        own = self.own
        with (
            open_raster(own.probability(STUDENT), STUDENT) as final,
            open_raster(own.probability(DRAWN), DRAWN) as drawn,
            open_raster(own.edits, "edits") as edits,
        ):
            p = read(final, final.indexes, box)
            filled = (p != read(drawn, drawn.indexes, box)).any(axis=0)
            edited = read(edits, 1, box) > 0
        ground = np.where(filled, FILLED, self._ground_before(box))
        ground = np.where(edited, CORRECTED, ground)
        return np.where(p.any(axis=0), ground, NO_DATA).astype(np.uint8)

    def _ground_before(self, box: Box) -> NDArray[np.uint8]:
        """The same of the run's own map: seen, where nothing was filled in it."""
        path = self.paths.raster(FILLED_STEM)
        if not path.is_file():
            return np.full(box.shape, SEEN, np.uint8)
        with (
            open_raster(path, "filled ground") as source,
            open_raster(self.own.landcover, "class map") as final,
            on_grid(source, GeoBox.from_rio(final), Resampling.nearest) as view,
        ):
            return np.asarray(read(view, 1, box), np.uint8)

    def _changed_ha(self) -> float:
        """Hectares outside of the edits whose class is another than before."""
        changed = 0
        with (
            open_raster(self.paths.landcover, "class map") as before,
            open_raster(self.own.landcover, "class map") as after,
            open_raster(self.own.edits, "edits") as edits,
        ):
            hectare_px = 1e4 / abs(after.res[0] * after.res[1])
            for box in blocks(Box(0, after.height, 0, after.width)):
                differ = read(before, 1, box) != read(after, 1, box)
                changed += int((differ & (read(edits, 1, box) == 0)).sum())
        return float(changed / hectare_px)
