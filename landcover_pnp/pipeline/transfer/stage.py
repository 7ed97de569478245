"""The transfer stage: one city's labels, other cities' maps, every method and matrix source.

    <run>/<city>/<matrix source>/<method>.tif      class maps (of several tiles:
    .../<tile>/<method>.tif) <run>/<city>/<matrix source>/probabilities/    what they were made of
    <run>/<city>/<matrix source>/run/              the map run they start from
    <run>/results.json, table.md, report.html

Truth of a target city is opened by the scoring alone, at the end; by the matrix source ``target``
and the method ``half_city`` too, which say so by their names.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.transfer.cities import (
    City,
    label_configs,
    open_city,
    require_sensible,
    require_usable,
    without_truth,
)
from landcover_pnp.pipeline.transfer.maps import MethodMap, Trained, made_or_kept
from landcover_pnp.pipeline.transfer.methods import LEARNS, WITHOUT_MATRIX, Work
from landcover_pnp.pipeline.transfer.report import REPORT, TABLE, write_report
from landcover_pnp.pipeline.transfer.scores import score_maps
from landcover_pnp.pipeline.transfer.settings import TransferSettings
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings
from landcover_pnp.storage.owned_folder import OwnedFolder, held
from landcover_pnp.storage.records import write_json
from landcover_pnp.student.mapped_scene import MappedScene

NO_MATRIX = "any"
"""Folder, in the matrix source's place, of methods that do not use p(class | code)."""

Say = Callable[[str], None]


RESULTS = "results.json"
"""Scores of a transfer run."""


@dataclass(frozen=True)
class TransferSummary:
    """What a transfer run did.

    Attributes:
        run: The run folder.
        maps: Class maps there.
        kept: How many of them an earlier run had made.
        scored: Cities with truth.
        incomplete: Map runs with tiles or images that failed, no data in the maps.
        table: Markdown table.
        report: HTML report.
        seconds: Time of this run.
    """

    run: Path
    maps: int
    kept: int
    scored: int
    incomplete: int
    table: Path
    report: Path
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 all done, 3 where tiles or images failed."""
        return 3 if self.incomplete else 0


def run_transfer(settings: TransferSettings, run: Path, say: Say | None = None) -> TransferSummary:
    """Maps the source and every target by every method under every matrix source, and scores.

    The same call again keeps what is finished and made of the same settings and inputs.

    Args:
        settings: Cities, matrix sources, methods, seeds.
        run: Run folder.
        say: Called with a sentence whenever there is news.

    Returns:
        Where everything lies.

    Raises:
        RequestError: If a city's files cannot be used; nothing is mapped then.
        RunError: If a map cannot be written.
    """
    start = time.monotonic()
    tell = say or (lambda _: None)
    require_sensible(settings)
    with held(run, "transfer run", (RESULTS,), (RESULTS, TABLE, REPORT)) as owned:
        cities = [open_city(city, owned) for city in (settings.source, *settings.targets)]
        require_usable(cities, settings.resolution_m, settings.methods)
        once: dict[tuple[str, ...], MethodMap] = {}
        incomplete = 0
        for matrix_source in settings.matrix_sources:
            work = _MatrixSource(settings, run, matrix_source, cities, tell, owned)
            for made in work.maps():
                # A method without p(class | code) comes again, kept, under the next matrix source.
                once.setdefault((made.city, made.matrix_source, made.method, str(made.seed)), made)
            incomplete += work.incomplete
        results = score_maps(list(once.values()), cities, settings)
        write_json(run / RESULTS, results.content())
        table, report = write_report(run, results, settings)
    return TransferSummary(
        run=run,
        maps=len(once),
        kept=sum(m.kept for m in once.values()),
        scored=sum(city.truth is not None for city in cities),
        incomplete=incomplete,
        table=table,
        report=report,
        seconds=time.monotonic() - start,
    )


class _MatrixSource:
    """All maps of one matrix source."""

    def __init__(
        self,
        settings: TransferSettings,
        run: Path,
        matrix_source: str,
        cities: Sequence[City],
        say: Say,
        owned: OwnedFolder,
    ) -> None:
        self.settings, self.run, self.matrix_source, self.say = settings, run, matrix_source, say
        self.cities, self._owned = cities, owned
        self.incomplete = 0
        self._trained: Trained = {}

    def maps(self) -> Iterator[MethodMap]:
        source = self._mapped_scenes(self.cities[0])
        for city in self.cities:
            if self.matrix_source == "target" and city.truth is None:
                self.say(f"{city.name}: no truth, hence no matrix source target")
                continue
            mapped_scenes = source if city is self.cities[0] else self._mapped_scenes(city)
            for method in self.settings.methods:
                seen = mapped_scenes
                if method == "half_city":
                    if city.truth is None:
                        continue
                    seen = {
                        t: _with_truth(mapped_scene, city.tiles[t])
                        for t, mapped_scene in mapped_scenes.items()
                    }
                for seed in self.settings.seeds if method in LEARNS else self.settings.seeds[:1]:
                    work = Work(method, seed, source, seen, self.settings.student)
                    yield self._map(city, work)

    def _mapped_scenes(self, city: City) -> dict[str, MappedScene]:
        """The map runs of a city's tiles under this matrix source."""
        name, _, refined = self.matrix_source.partition("_")
        source, grid_m = self.cities[0], self.settings.resolution_m
        # Of a city of several tiles, as published: what they have in common, not each one's own.
        labelled = {"source": source, "target": city}.get(name)
        weak = WeakLabelSettings(
            "source" if labelled else "definitions",
            label_configs(labelled, grid_m, self._owned) if labelled else [],
            self.settings.refinement if refined else None,
        )
        mapped_scenes = {}
        for tile, files in city.tiles.items():
            seen = files if city is source else without_truth(files)
            mapped = MapSettings(
                scene=SceneSettings(rasters=seen, resolution_m=grid_m),
                weak_labels=weak,
                clusters=self.settings.clusters,
                inference=self.settings.inference,
                student=None,
                tiles=self.settings.tiles,
                workers=self.settings.workers,
            )
            folder = self.run / city.name / self.matrix_source / tile / "run"
            summary = map_city(mapped, folder)
            self._owned.kept = True  # whatever truth or another city turns out to be
            self.say(
                f"{city.name} {tile}, matrix source {self.matrix_source}: {summary.seconds:.0f} s"
            )
            if summary.exit_code:
                self.incomplete += 1
                reasons = {**summary.unusable, **summary.reasons}
                failed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
                self.say(f"warning: no data where tiles or images failed in {folder}: {failed}")
            mapped_scenes[tile] = open_mapped_scene(folder)
        return mapped_scenes

    def _map(self, city: City, work: Work) -> MethodMap:
        matrix_source = NO_MATRIX if work.method in WITHOUT_MATRIX else self.matrix_source
        folder = self.run / city.name / matrix_source
        first = work.seed == self.settings.seeds[0]
        name = work.method if first else f"{work.method}-seed{work.seed}"
        record, kept = made_or_kept(work, folder, name, self._trained, self._owned, self.say)
        if not kept:
            self.say(f"{city.name}, {matrix_source}, {name}: {record.seconds:.0f} s")
        return MethodMap(
            city=city.name,
            matrix_source=matrix_source,
            method=work.method,
            seed=work.seed,
            maps={tile: folder / tile / f"{name}.tif" for tile in city.tiles},
            seconds=record.seconds,
            memory_mb=record.figures["memory_mb"],
            kept=kept,
        )


def _with_truth(mapped_scene: MappedScene, files: RasterFiles) -> MappedScene:
    return dataclasses.replace(
        mapped_scene, fine=dataclasses.replace(mapped_scene.fine, files=files)
    )
