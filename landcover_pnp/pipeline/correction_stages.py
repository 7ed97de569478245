"""The stages of a corrected map before its rasters: edits, student, tiles, completion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from landcover_pnp.grid import Box, TileGrid, blocks
from landcover_pnp.pipeline.completion import Completion
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.pipeline.map_stages import own_tiles, stage
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.student_tiles import StudentJob, join_tiles, student_tile, trained
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.scenes.edits import DRAWN as EDITS_BAND
from landcover_pnp.scenes.edits import Edits
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.newest import ORIGINAL, original_hash
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.probabilities import BAND
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    fingerprint,
    ingredients,
)
from landcover_pnp.storage.run_folder import DRAWN, STUDENT, RunFolder
from landcover_pnp.student.correction import Correction
from landcover_pnp.student.known_ground import KnownGround
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.version import __version__


@dataclass(frozen=True)
class CorrectedProbabilities:
    """The stages by which the probabilities of a corrected map are made.

    Attributes:
        finished: The run.
        run_settings: Its settings.
        mapped_scene: The run as a student sees it.
        chosen: How edits are learned from and spread.
        edits: The edits, on the map's grid.
        completion: The prior's part; None where it has none.
        owned: The run folder, held.
        watch: Told when there is work.
    """

    finished: FinishedRun
    run_settings: MapSettings
    mapped_scene: MappedScene
    chosen: CorrectSettings
    edits: Edits
    completion: Completion | None
    owned: OwnedFolder
    watch: Watch

    @property
    def paths(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.finished.folder)

    @property
    def own(self) -> RunFolder:
        """Where the corrected map lies."""
        return self.paths.corrected

    @property
    def known(self) -> KnownGround:
        """The edits as the student learns from them."""
        return KnownGround(self.own.edits, self.mapped_scene.scene.geobox, self.chosen.share)

    @property
    def correction(self) -> Correction:
        """How the map is changed around them."""
        chosen = self.chosen
        reaches = chosen.learning_reach_m, chosen.reach_m
        return Correction(self.known, *reaches, chosen.strength)

    def map(self) -> tuple[Ingredients, dict[str, str]]:
        """Makes the probabilities of the corrected map.

        Returns:
            What they are made of, and the reason by name of each tile that stays as it was.
        """
        drawn_edits = self._edits()
        student = {**drawn_edits, **ingredients(student=self._student), "share": self.chosen.share}
        model = trained(
            self.finished.folder,
            self._student,
            student,
            self.watch,
            known=self.known,
            into=self.own,
        )
        drawn, failed = self._drawn(student, model.files[self.own.model.name])
        return self._completed(drawn), failed

    @property
    def _student(self) -> Any:
        return self.run_settings.student

    def _edits(self) -> Ingredients:
        """Draws the edits on the map's grid; returns what all that follows depends on."""
        before = Record.read(self.paths.student_mosaic_record)
        digest = hashlib.sha256(self.edits.codes.tobytes())
        for shape in shapely.to_wkb(self.edits.shapes):
            digest.update(shape)
        made_of = {
            "version": __version__,
            ORIGINAL: original_hash(self.paths),
            "mosaic": fingerprint(before.ingredients) if before else "",
            "edits": digest.hexdigest(),
        }

        def parts() -> Iterator[tuple[Box, Any]]:
            height, width = self.edits.geobox.shape
            for box in blocks(Box(0, int(height), 0, int(width))):
                yield box, self.edits.drawn(box)[None]

        def draw() -> Iterator[Path]:
            write_raster(self.own.edits, self.edits.geobox, EDITS_BAND, parts())
            yield self.own.edits

        stage("edits", self.own.edits.with_suffix(".json"), made_of, draw, self.watch)
        return made_of

    def _drawn(self, student: Ingredients, model: str) -> tuple[Ingredients, dict[str, str]]:
        """Draws the tiles that an edit reaches; returns what the map is made of, and failures."""
        tiles, chosen, paths = self.run_settings.tiles, self.chosen, self.paths
        grid = TileGrid(self.mapped_scene.scene.geobox, tiles.core_px, tiles.halo_px)
        changes = {
            "learning_reach_m": chosen.learning_reach_m,
            "reach_m": chosen.reach_m,
            "strength": chosen.strength,
        }
        made_of = {**student, **changes}
        job = StudentJob(
            paths.path.absolute(), grid, self._student, model, made_of,
            into=RunFolder(self.own.path.absolute()), correction=self.correction,
        )  # fmt: skip
        own_tiles(job, self.owned)
        wanted = [tile for tile in grid if self.correction.reaches(self.mapped_scene, tile.core)]
        counts, pool = TileCounts(), WorkerPool(chosen.workers, None, shared=job.run)
        with TaskPool(pool, len(wanted), self.watch.say) as task_pool:
            for _ in run_tiles(job, student_tile, wanted, counts, task_pool, self.watch):
                pass
        made_of = {**made_of, "finished tiles": counts.hash}
        final = self.own.probability(DRAWN)

        def join() -> Iterator[Path]:
            yield join_tiles(job, counts.done, final, paths.probability(STUDENT))

        stage("drawn", self.own.drawn_record, made_of, join, self.watch)
        return made_of, counts.failed

    def _completed(self, made_of: Ingredients) -> Ingredients:
        """Lets the prior complete what stays unsure; returns what the map is made of."""
        completion = self.completion
        prior = (
            ingredients(
                prior=completion.prior.fingerprint,
                fill_weight=completion.weight,
                fill_reach_m=completion.reach_m,
                fill_below=completion.below,
            )
            if completion
            else {"prior": None}
        )
        path, grid = self.own.probability(STUDENT), self.edits.geobox

        def complete() -> Iterator[Path]:
            whole = completion or Completion(None, 0.0, 0.0)
            write_raster(path, grid, BAND, whole.parts(self.mapped_scene, self.known))
            yield path

        final = {**made_of, **prior}
        stage("completed", self.own.student_mosaic_record, final, complete, self.watch)
        return final
