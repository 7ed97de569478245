"""A finished run, as its folder tells: what publishing, reports and comparisons start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from odc.geo.crs import CRS

from landcover_pnp.config.loading import settings_from
from landcover_pnp.errors import RasterError
from landcover_pnp.grid import Box, TileGrid
from landcover_pnp.legends.palettes import Palette, coloured
from landcover_pnp.legends.result_legend import FIVE, ResultLegend
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.products.rasters import provenance_tags
from landcover_pnp.products.result_classes import ResultClasses, map_legend
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings
from landcover_pnp.storage.checked_json import parsed_object
from landcover_pnp.storage.integrity import require_intact
from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.newest import newest, newest_summary
from landcover_pnp.storage.records import Ingredients, Record, ingredients
from landcover_pnp.storage.run_folder import FILLED, STUDENT, RunFolder


@dataclass(frozen=True)
class FinishedRun:
    """A run folder with a map in it.

    Attributes:
        folder: The run folder.
        scene: Its prepared layers.
        summary: Counts, scores and notes of the map stage.
        settings: Settings by dotted name.
        records: What became of each tile, by name.
        legend: Legend of its map, in the colours of the palette.
        original: Whether the run's own map is meant, whatever corrections there are.
        palette: Colours in which its classes are drawn.
    """

    folder: Path
    scene: Scene
    summary: Mapping[str, Any]
    settings: Ingredients
    records: Mapping[str, Record]
    legend: ResultLegend
    original: bool = False
    palette: Palette = "standard"

    @classmethod
    def open(
        cls, run: Path, *, original: bool = False, palette: Palette = "standard"
    ) -> FinishedRun:
        """Opens a run folder.

        Args:
            run: The run folder.
            original: Whether the run's own map is meant, whatever corrections there are.
            palette: Colours in which its classes are drawn.

        Raises:
            RasterError: If there is no finished map in it, or it is being made anew, or is not as
                it was written.
        """
        paths = RunFolder(run)
        try:
            summary, settings = _object(paths.summary), _object(paths.settings)
            summary = summary if original else newest_summary(paths) or summary
            finished = datetime.fromisoformat(summary["finished"])
            told = {key: kind for key, kind in _SUMMARY.items() if type(summary[key]) not in kind}
            if told:
                raise ValueError(f"{paths.summary.name} has no usable {', '.join(told)}")
            flat, scene = ingredients(**settings), Scene.open(paths.scene)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RasterError(
                found=f"{run} holds no finished map ({error})",
                expected="the folder of a run that `landcover map` has finished",
                fix="repeat `landcover map CONFIG --run` with this folder, or correct the path",
            ) from error
        begun = Journal(run).broken_off
        if begun is not None:
            raise RasterError(
                found=f"{run} holds a map of {finished}, but a run that began at {begun} to make "
                "it anew has not finished",
                expected="the folder of a run that `landcover map` has finished",
                fix=f"wait for it, or go on with it by `landcover resume {run}`",
            )
        require_intact(run, original=original)
        read = {path.stem: Record.read(path) for path in sorted(paths.tiles.glob("r*c*.json"))}
        records = {name: record for name, record in read.items() if record is not None}
        legend = coloured(map_legend(paths.landcover), palette)
        return cls(run, scene, summary, flat, records, legend, original, palette)

    @property
    def title(self) -> str:
        """Name of the city where the scene has one, else of the folder."""
        city = self.settings.get("scene.enviroatlas.city")
        return str(city or self.folder.resolve().name)

    @property
    def files(self) -> RasterFiles:
        """The files that its scene was prepared from, whether they are still there or not.

        Raises:
            LandcoverError: If its settings name none, or a data set that has gone.
        """
        told = _object(RunFolder(self.folder).settings).get("scene", {})
        given = {k: told.get(k) for k in ("rasters", "enviroatlas")}
        blocks = {k: json.dumps(v) for k, v in given.items() if v is not None}
        return scene_files(settings_from(SceneSettings, None, blocks))

    @property
    def newest(self) -> RunFolder:
        """Where the newest map lies: the run folder, or that of the corrected map in it."""
        own = RunFolder(self.folder)
        return own if self.original else newest(own)

    @property
    def probabilities(self) -> Path:
        """File of the newest map's class probabilities."""
        return self.newest.probability(STUDENT if self.student else "map")

    @property
    def ground(self) -> Path | None:
        """Raster of filled and corrected ground; None where all of the map was seen."""
        found = (paths.raster(FILLED) for paths in (self.newest, RunFolder(self.folder)))
        return next(filter(Path.is_file, found), None)

    @property
    def result(self) -> ResultClasses:
        """How its probabilities are read in the legend of its map."""
        return ResultClasses.of(self.folder, self.legend)

    @property
    def truth_legend(self) -> SharedLegend:
        """The classes in which map and truth are compared; truth is in the working classes."""
        return SharedLegend.of(self.legend, FIVE)

    @property
    def student(self) -> bool:
        """Whether the map is a student's, at the image's resolution."""
        drawn = RunFolder(self.folder).probability(STUDENT)
        return "student.model" in self.settings and drawn.is_file()

    @property
    def engine(self) -> str:
        """Name of the engine; where none was asked for, the one that the run has chosen."""
        return str(self.summary.get("engine") or self.settings["inference.engine"])

    @property
    def crs(self) -> CRS:
        """CRS of the map."""
        return CRS(str(self.scene.geobox.crs))

    @property
    def finished(self) -> datetime:
        """When the map was finished."""
        return datetime.fromisoformat(self.summary["finished"]).astimezone(UTC)

    @property
    def failed(self) -> dict[str, str]:
        """Reason by name of the tiles that are no data in the map because they failed."""
        return dict(self.summary["failed_tiles"])

    @property
    def stages(self) -> dict[str, float]:
        """Seconds by stage of the process that finished the run."""
        if "stages" in self.summary:
            return dict(self.summary["stages"])
        seconds: dict[str, float] = {}  # version 0.1.0
        for event in Journal(self.folder).events():
            if event["event"] == "start":
                seconds = {}
            elif event["event"] == "stage":
                seconds[event["stage"]] = event["seconds"]
        return seconds

    @property
    def attribution(self) -> tuple[str, ...]:
        """Makers and licence of each layer that the map is made of, as its scene says them."""
        return tuple(self.settings.get("scene.attribution") or ())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the layers, and where nothing was known; one sentence each."""
        uniform = int(sum(r.figures.get("uniform_px", 0) for r in self.records.values()))
        said = (f"nothing but uniform weak labels at {uniform} pixels",) if uniform else ()
        return (*self.summary["notes"], *self.summary.get("correction_notes", ()), *said)

    @property
    def origin(self) -> dict[str, str]:
        """Metadata of the map: hashes of what its tiles are made of."""
        shared = next(iter(self.records.values())).ingredients if self.records else {}
        made_of = {k: v for k, v in shared.items() if k not in ("core", "canvas")}
        return provenance_tags(made_of) if made_of else {}

    @property
    def provenance(self) -> dict[str, str]:
        """Metadata of the products: hashes, and the command and date of the run."""
        corrected = self.summary.get("correction")
        return {
            **self.origin,
            **({"LANDCOVER_CORRECTION": corrected} if corrected else {}),
            **({"LANDCOVER_STUDENT": self.settings["student.model"]} if self.student else {}),
            **({"TIFFTAG_COPYRIGHT": "; ".join(self.attribution)} if self.attribution else {}),
            "LANDCOVER_COMMAND": self.summary["command"],
            "TIFFTAG_DATETIME": self.finished.strftime("%Y:%m:%d %H:%M:%S"),
        }

    def core(self, tile: str) -> Box:
        """The pixels a tile answers for."""
        halo = "halo_px" if "tiles.halo_px" in self.settings else "ring_px"  # as 0.1.0 called it
        cut = self.settings["tiles.core_px"], self.settings[f"tiles.{halo}"]
        return TileGrid(self.scene.geobox, *cut).tile_by_id(tile).core

    def bounds(self, box: Box) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of a box of pixels in the CRS of the map."""
        left, bottom, right, top = self.scene.geobox[box.within(self.scene.extent)].boundingbox
        return left, bottom, right, top


_SUMMARY: dict[str, tuple[type, ...]] = {
    "finished": (str,),
    "command": (str,),
    "failed_tiles": (dict,),
    "notes": (list,),
    "scores": (dict,),
    "area_km2": (int, float),
    "done": (int,),
    "kept": (int,),
}
"""What is read of a summary."""


def _object(path: Path) -> dict[str, Any]:
    content = parsed_object(path.read_bytes())
    if content is None:
        raise ValueError(f"{path.name} is damaged")
    return content
