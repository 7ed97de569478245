"""The demo stage: a synthetic city, mapped by every profile, scored by its truth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from landcover_pnp.config import plain
from landcover_pnp.config.loading import settings_from
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.profiles import DEFAULT_PROFILE, PROFILES
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import DemoSettings, MapSettings
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
)
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.storage.records import write_json
from landcover_pnp.storage.run_folder import RunFolder

SOURCE_SEED = 1
"""Added to the city's seed for the source city: other streets, the same look."""

WINDOWED = "paper"
"""The profile that maps a window of the city: its engine takes minutes for all of it."""

_SOURCE, _WINDOW = "cities/source.yaml", "cities/window.geojson"


@dataclass(frozen=True)
class DemoSummary(MapSummary):
    """What the demo did: the map of the default profile, and those of the others.

    Attributes:
        profiles: Maps by profile, the default one's first.
        report: Report of the default one's map, among its other products.
    """

    profiles: Mapping[str, MapSummary] = dataclasses.field(default_factory=dict)
    report: Path = Path()

    def table(self) -> str:
        """Quality and cost of each profile, as Markdown.

        The last column scores ``evidence`` on the same ground: a window is another exam.
        """
        lines = [
            "| profile | km2 | seconds | accuracy / mean IoU | `evidence` there |",
            "|---|---:|---:|---:|---:|",
        ]
        for word, m in self.profiles.items():
            map_, evidence = (_figures(m.scores.get(name)) for name in ("map", "evidence"))
            lines.append(f"| {word} | {m.area_km2:.2f} | {m.seconds:.1f} | {map_} | {evidence} |")
        return "\n".join(lines)


def run_demo(
    settings: DemoSettings, report: Callable[[Progress], None] | None = None
) -> DemoSummary:
    """Draws two cities, learns what NLCD means from one, maps and publishes the other.

    The other is mapped by every profile, by the paper's a window of it, and scored. The truth of
    the mapped city is read by the evaluation alone.

    Args:
        settings: City, engine and folder.
        report: Called with the progress whenever it changes.

    Returns:
        Summary of the default profile's map, with scores, and those of the others.

    Raises:
        LandcoverError: As ``map_city``.
    """
    make_owned(settings.out, "demo", _SOURCE, _WINDOW)
    root = settings.out / "cities"
    city = dataclasses.replace(settings.city, look=settings.look or settings.city.look)
    target = tile_files(_draw(city, root))
    source = _draw(dataclasses.replace(city, seed=city.seed + SOURCE_SEED), root)
    tile = {"root": ".", "city": source.city, "split": source.split, "tile": source.tile}
    write_json(settings.out / _SOURCE, {"scene": {"enviroatlas": tile}})  # JSON is YAML
    window = dataclasses.replace(target, area=settings.out / _WINDOW)
    write_json(settings.out / _WINDOW, _square(target.image, settings.window_m))
    found = {}
    for word in sorted(PROFILES, key=[DEFAULT_PROFILE].__contains__, reverse=True):
        files = window if word == WINDOWED else target
        run = settings.out / ("run" if word == DEFAULT_PROFILE else f"run-{word}")
        found[word] = map_city(_settings(word, files, settings), run, report)
    first = found[DEFAULT_PROFILE]
    fields = {f.name: getattr(first, f.name) for f in dataclasses.fields(MapSummary)}
    title = f"A synthetic city: {city.look.replace('_', ' ')}"
    products = publish_run(first.run, PublishSettings(title=title)).folder
    return DemoSummary(**fields, profiles=found, report=RunFolder(products).report)


def _settings(word: str, files: RasterFiles, settings: DemoSettings) -> MapSettings:
    """A profile's settings, and what the demo's own say of engines and student."""
    options: dict[str, Any] = {
        "profile": word,
        "scene": json.dumps(plain(SceneSettings(rasters=files))),
        "weak_labels.matrix_source": "source",
        "weak_labels.source_scenes": [settings.out / _SOURCE],
        "tiles.core_px": 128,  # four tiles: something to do for every core
        "seed": settings.seed,
        "workers": 0,  # what takes seconds does not wait for workers
    }
    mapped = settings_from(MapSettings, None, options)
    engine = mapped.inference.engine
    if word == DEFAULT_PROFILE:
        return dataclasses.replace(
            mapped,
            inference=settings.inference,
            student=settings.student,
            workers=settings.workers,
        )
    inference = dataclasses.replace(settings.inference, engine=engine, prior=None)
    if inference.needs_prior:
        inference = dataclasses.replace(inference, prior=settings.inference.prior)
    return dataclasses.replace(mapped, inference=inference)


def _draw(city: SyntheticSettings, root: Path) -> EnviroAtlasTile:
    drawn = write_city(city, root)
    return EnviroAtlasTile(root, drawn.city, "test", drawn.tile)


def _square(image: Path, side_m: float) -> dict[str, Any]:
    """A square in the middle of an image, no larger than it, as GeoJSON in the image's system."""
    with rasterio.open(image) as opened:
        left, bottom, right, top = opened.bounds
        code = opened.crs.to_epsg()
    x, y = (left + right - side_m) / 2, (bottom + top - side_m) / 2
    x0, y0, x1, y1 = max(x, left), max(y, bottom), min(x + side_m, right), min(y + side_m, top)
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    return {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}},
        "features": [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        ],
    }


def _figures(scores: Scores | None) -> str:
    return "-" if scores is None else f"{scores.accuracy:.3f} / {scores.mean_iou:.3f}"
