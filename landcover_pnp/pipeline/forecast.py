"""What a map would take, told before anything is fetched or computed."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.loading import settings_from
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.plan import BYTES_PER_FINE_PX, BYTES_PER_PX, plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.settings import EnviroAtlasTile, SceneSettings, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.checked_json import read_object
from landcover_pnp.storage.run_folder import RunFolder

PROBE_M = 256
"""Side of the synthetic city that is mapped to learn how fast this machine is, metres."""

LEAST_KM2 = 0.5
"""Area of a finished run from which its speed tells: smaller ones are mostly beginning and end."""


@dataclass(frozen=True)
class Throughput:
    """How fast this machine maps.

    Attributes:
        seconds_per_km2: Seconds a square kilometre, of one process.
        measured: How that is known.
    """

    seconds_per_km2: float
    measured: str


@dataclass(frozen=True)
class Forecast:
    """What would be fetched and computed.

    Attributes:
        area_km2: Surface of the area.
        images: Number of images.
        read_gb: Gigabytes to be read of images, coarse map and objects; 0 of files that are here.
        disk_gb: Gigabytes on disk, of the scene and of the run.
        hours: Hours of the map on this machine, with as many processes as it would take.
        processes: Number of those.
        throughput: How fast one of them is, and how that is known.
        notes: What would be done, one sentence each.
    """

    area_km2: float
    images: int
    read_gb: float
    disk_gb: float
    hours: float
    processes: int
    throughput: Throughput
    notes: tuple[str, ...]


def forecast_map(settings: MapSettings, runs: Path) -> Forecast:
    """Forecasts the map of a configuration.

    Args:
        settings: Its settings; headers of its files are read.
        runs: Folder of finished runs, whose speed tells.

    Returns:
        The forecast.

    Raises:
        RequestError: If the map would be refused.
    """
    plan = plan_map(settings)
    height, width = plan.grid.extent.shape
    km2 = height * width * plan.scene.resolution_m**2 / 1e6
    if plan.scene.area is not None:
        km2 = plan.scene.area.area / 1e6
    return forecast(
        settings,
        runs,
        area_km2=km2,
        images=len(plan.scene.imagery.images),
        read_bytes=0,
        disk_bytes=plan.needed_bytes,
        notes=plan.notes,
    )


def run_bytes(settings: MapSettings, area_km2: float, image_m: float) -> int:
    """Estimate of the size of a run folder.

    Args:
        settings: Settings of the map.
        area_km2: Surface of the area.
        image_m: Pixel side of the images, metres.
    """
    pixels = area_km2 * 1e6 / settings.scene.resolution_m**2
    drawn = BYTES_PER_FINE_PX * (settings.scene.resolution_m / image_m) ** 2
    return round(pixels * (BYTES_PER_PX + (drawn if settings.student is not None else 0)))


def forecast(
    settings: MapSettings,
    runs: Path,
    *,
    area_km2: float,
    images: int,
    read_bytes: int,
    disk_bytes: int,
    notes: tuple[str, ...],
) -> Forecast:
    """A forecast of a map whose size is known; the other arguments are its fields."""
    processes = settings.workers or os.cpu_count() or 1
    speed = measured_in(runs, settings) or probed(settings)
    hours = speed.seconds_per_km2 * area_km2 / processes / 3600
    return Forecast(
        area_km2,
        images,
        read_bytes / 1e9,
        disk_bytes / 1e9,
        hours,
        processes,
        speed,
        notes,
    )


def measured_in(runs: Path, settings: MapSettings) -> Throughput | None:
    """The speed of the largest finished run that was made as a map would be; None without one.

    Args:
        runs: Folder of run folders.
        settings: Settings of the map: engine, student and working grid must be the same.
    """
    best: tuple[float, float, Path] | None = None
    for folder in sorted(runs.glob("*/")) if runs.is_dir() else []:
        for km2, seconds in _speed_of(folder, settings):
            if km2 >= LEAST_KM2 and (best is None or km2 > best[0]):
                best = km2, seconds, folder
    if best is None:
        return None
    km2, seconds, folder = best
    return Throughput(seconds / km2, f"by {folder}, {km2:.2f} km2 in {seconds:.0f} processor s")


def _speed_of(folder: Path, settings: MapSettings) -> Iterator[tuple[float, float]]:
    """Square kilometres and seconds of one process of a run that did all of its work at once."""
    summary, told = read_object(RunFolder(folder).summary), read_object(RunFolder(folder).settings)
    try:
        if summary is None or told is None or summary["kept"] or summary["failed"]:
            return
        student = (told.get("student") or {}).get("model")
        wanted = settings.student.model if settings.student else None
        same_grid = told["scene"]["resolution_m"] == settings.scene.resolution_m
        engine = settings.inference.engine
        if student == wanted and same_grid and engine in (None, summary["engine"]):
            processes = told.get("workers")
            if processes is not None:
                yield float(summary["area_km2"]), float(summary["seconds"]) * max(processes, 1)
    except (KeyError, TypeError, ValueError, AttributeError):
        return


def probed(settings: MapSettings) -> Throughput:
    """Maps a small synthetic city by the settings, in one process, and takes the time.

    Raises:
        LandcoverError: As ``map_city``.
    """
    with tempfile.TemporaryDirectory(prefix="landcover-plan-") as name:
        folder = Path(name)
        city = write_city(SyntheticSettings("piedmont", PROBE_M, 0), folder / "city")
        tile = EnviroAtlasTile(folder / "city", city.city, "test", city.tile)
        labels = dataclasses.replace(
            settings.weak_labels, matrix_source="definitions", source_scenes=[]
        )
        probe = dataclasses.replace(
            settings,
            scene=SceneSettings(enviroatlas=tile, resolution_m=settings.scene.resolution_m),
            weak_labels=labels,
            workers=0,
            scheduler=None,
        )
        summary = map_city(probe, folder / "run")
    km2 = PROBE_M**2 / 1e6
    return Throughput(
        summary.seconds / km2,
        f"by a synthetic city of {PROBE_M} m just now; a larger map is faster a km2",
    )


def profile_settings(profile: str, resolution_m: float) -> MapSettings:
    """Settings of a map by a profile, of a scene that is not there yet."""
    scene = {"rasters": {"image": "image.tif", "nlcd": "nlcd.tif"}, "resolution_m": resolution_m}
    options = {
        "profile": profile,
        "scene": json.dumps(scene),
        "weak_labels.matrix_source": "definitions",
    }
    return settings_from(MapSettings, None, options)
