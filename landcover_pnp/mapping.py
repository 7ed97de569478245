"""The map stage: a scene's files in, a run folder with georeferenced maps out."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp import __version__
from landcover_pnp.clusters import sample_centres
from landcover_pnp.errors import PriorError, SettingsError, WeakLabelsWarning
from landcover_pnp.evaluation import Protocol, Scores, evaluate_map
from landcover_pnp.geotiff import remove_partials
from landcover_pnp.grid import TileGrid
from landcover_pnp.inference.engine import needs_prior
from landcover_pnp.inference.farm import infer_tiles
from landcover_pnp.inference.tiles import METHODS, TileJob, load_prior
from landcover_pnp.legend import LEGENDS
from landcover_pnp.mosaic import TileResults, blend_tiles, write_products
from landcover_pnp.overview import write_overview
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.protocols import plan_sources, protocol_matrix
from landcover_pnp.runs import Record, changed, ingredients, locked, write_json
from landcover_pnp.settings import MapSettings, TruthFile
from landcover_pnp.sources.enviroatlas import scene_files
from landcover_pnp.sources.preparation import prepare_scene
from landcover_pnp.sources.rasters import ScenePlan, plan_scene


@dataclass(frozen=True)
class Progress:
    """How far the tiles are.

    Attributes:
        total: Tiles of the map.
        kept: Tiles that an earlier run had finished and this one kept.
        done: Tiles this run has inferred.
        failed: Tiles that could not be inferred.
        note: What the run has to say at this moment, mostly nothing.
    """

    total: int
    kept: int = 0
    done: int = 0
    failed: int = 0
    note: str = ""

    @property
    def left(self) -> int:
        """Tiles still to do."""
        return self.total - self.kept - self.done - self.failed


@dataclass(frozen=True)
class MapSummary:
    """What a map run did.

    Attributes:
        run: The run folder.
        products: Cloud-optimised GeoTIFFs, the class map first.
        overview: Picture of the run.
        progress: Tiles done, kept and failed.
        reasons: Reason by name of each failed tile.
        notes: What was done to the layers, one sentence each.
        area_km2: Mapped area.
        seconds: Time of the whole run.
        scores: Scores by method where the scene has truth, else empty.
    """

    run: Path
    products: tuple[Path, ...]
    overview: Path
    progress: Progress
    reasons: Mapping[str, str]
    notes: tuple[str, ...]
    area_km2: float
    seconds: float
    scores: Mapping[str, Scores]

    @property
    def exit_code(self) -> int:
        """0 all tiles done, 3 some failed, 1 none done."""
        if not self.progress.failed:
            return 0
        return 3 if self.progress.done + self.progress.kept else 1


def map_city(
    settings: MapSettings, run: Path, report: Callable[[Progress], None] | None = None
) -> MapSummary:
    """Maps a scene: layers -> weak labels and clusters -> inference by tile -> mosaic.

    The same call again keeps finished tiles whose settings and inputs are unchanged.

    Args:
        settings: Scene, evidence, engine, tiles, seed.
        run: Run folder; made if it does not exist.
        report: Called with the progress whenever it changes.

    Returns:
        Where the map lies and what became of the tiles.

    Raises:
        RequestError: If the request cannot be carried out; nothing is written then.
        RunError: If a product cannot be written.
    """
    start = time.monotonic()
    tell = report or (lambda _: None)
    plan = _plan(settings)
    grid = TileGrid(plan.geobox, settings.tiles.core_px, settings.tiles.ring_px)
    sources = plan_sources(settings.weak_labels)
    prior = _prior(settings)
    tell(Progress(total=len(grid), note=_described(plan, grid)))
    with locked(run):
        remove_partials(run)
        scene = prepare_scene(plan, run / "scene")
        matrix = protocol_matrix(settings.weak_labels, scene, sources, run / "sources")
        sample = scene.sample(settings.clusters.sample_px, settings.seed)
        job = TileJob(
            scene=scene.folder,
            out=run / "tiles",
            grid=grid,
            weak_labels=settings.weak_labels,
            matrix=matrix,
            clusters=settings.clusters,
            centres=sample_centres(sample, settings.clusters, settings.seed),
            inference=settings.inference,
            seed=settings.seed,
            made_of=ingredients(
                version=__version__,
                scene=scene.fingerprint,
                weak_labels=settings.weak_labels,
                matrix=matrix.round(9).ravel().tolist(),
                clusters=settings.clusters,
                inference=settings.inference,
                prior=prior.fingerprint if prior else None,
                seed=settings.seed,
            ),
        )
        write_json(run / "settings.json", ingredients(settings=settings))
        progress, records = _infer(job, settings.workers, tell)
        done = {name for name, record in records.items() if record.status == "done"}
        _warn_of_uniform(records)
        results = TileResults(grid, job.out, done)
        for method in METHODS:
            blend_tiles(results, method, run / "probabilities" / f"{method}.tif")
        products = write_products(run / "probabilities", run)
        overview = write_overview(run)
        truth = plan.files.truth
        # An area of interest cuts the map, not the truth: the plan has compared their ground.
        scores = evaluate_run(run, truth, overlap=True) if truth else {}
        summary = MapSummary(
            run=run,
            products=tuple(products),
            overview=overview,
            progress=progress,
            reasons={n: r.reason for n, r in sorted(records.items()) if r.status == "failed"},
            notes=scene.notes,
            area_km2=scene.valid_px * scene.resolution_m**2 / 1e6,
            seconds=time.monotonic() - start,
            scores=scores,
        )
        _write_summary(summary)
    return summary


def evaluate_run(
    run: Path, truth: TruthFile, protocol: Protocol = "five_classes", *, overlap: bool = False
) -> dict[str, Scores]:
    """Scores a run's map beside its weak labels and its evidence.

    Args:
        run: Folder of a finished run.
        truth: Truth raster and its legend.
        protocol: ``five_classes`` or ``published``, see ``evaluation.Protocol``.
        overlap: Whether truth and map may cover different ground.

    Returns:
        Scores by method: weak labels, evidence, map.

    Raises:
        RasterError: If the run has no map or the truth cannot be read.
        GridError: If the truth covers other ground.
        LegendError: If the truth holds unknown codes.
    """
    files = {"weak labels": "weak_labels", "evidence": "evidence", "map": "landcover"}
    legend = LEGENDS[truth.legend]
    return {
        name: evaluate_map(run / f"{stem}.tif", truth.path, legend, protocol, overlap=overlap)
        for name, stem in files.items()
    }


def _plan(settings: MapSettings) -> ScenePlan:
    files = scene_files(settings.scene)
    if settings.weak_labels.protocol == "target" and files.truth is None:
        raise SettingsError(
            found="weak_labels.protocol is target, but the scene has no truth",
            expected="truth of the scene, from which p(class | NLCD) is counted",
            way_out="give scene.rasters.truth, or choose the protocol source or definitions",
        )
    return plan_scene(files, settings.scene.resolution_m)


def _prior(settings: MapSettings) -> Prior | None:
    if not needs_prior(settings.inference.engine):
        return None
    prior = load_prior(settings.inference.prior)
    if prior.resolution_m != settings.scene.resolution_m:
        raise PriorError(
            found=f"a prior of label maps at {prior.resolution_m:g} m for a working grid of "
            f"{settings.scene.resolution_m:g} m",
            expected="the same ground resolution",
            way_out=f"set scene.resolution_m to {prior.resolution_m:g}, name another prior, or "
            "take the engine evidence, which needs none",
        )
    return prior


def _described(plan: ScenePlan, grid: TileGrid) -> str:
    height, width = plan.geobox.shape
    return (
        f"{width} x {height} px of {abs(plan.geobox.resolution.x):g} m in {plan.geobox.crs}, "
        f"{len(grid)} tiles; " + "; ".join(plan.notes)
    )


def _infer(
    job: TileJob, workers: int | None, tell: Callable[[Progress], None]
) -> tuple[Progress, dict[str, Record]]:
    records: dict[str, Record] = {}
    renewed: set[str] = set()
    for tile in job.grid:
        before = Record.read(job.record(tile))
        if before is not None and before.status == "done":
            differing = changed(before.ingredients, job.made_of_tile(tile))
            renewed.update(differing)
            if not differing and all(job.raster(tile, m).exists() for m in METHODS):
                records[tile.id] = before
    progress = Progress(total=len(job.grid), kept=len(records))
    note = f"changed since the last run: {', '.join(sorted(renewed))}" if renewed else ""
    tell(dataclasses.replace(progress, note=note))
    todo = [tile.id for tile in job.grid if tile.id not in records]
    if todo:
        for name, record in infer_tiles(job, todo, workers):
            records[name] = record
            failed = record.status == "failed"
            progress = dataclasses.replace(
                progress, done=progress.done + (not failed), failed=progress.failed + failed
            )
            reason = record.reason.replace("\n", ";")
            tell(dataclasses.replace(progress, note=f"{name} failed: {reason}" if failed else ""))
    return progress, records


def _warn_of_uniform(records: Mapping[str, Record]) -> None:
    uniform = int(sum(r.figures.get("uniform_px", 0) for r in records.values()))
    if uniform:
        warnings.warn(
            f"nothing is known of {uniform} pixels: neither NLCD nor roads, buildings or water "
            "reach them; their weak labels are uniform",
            WeakLabelsWarning,
            stacklevel=2,
        )


def _write_summary(summary: MapSummary) -> None:
    write_json(
        summary.run / "summary.json",
        {
            **{k: v for k, v in dataclasses.asdict(summary.progress).items() if k != "note"},
            "failed_tiles": dict(summary.reasons),
            "products": [path.name for path in summary.products],
            "notes": list(summary.notes),
            "area_km2": summary.area_km2,
            "seconds": round(summary.seconds, 1),
            "scores": {
                name: {"accuracy": s.accuracy, "mean_iou": s.mean_iou}
                for name, s in summary.scores.items()
            },
        },
    )
