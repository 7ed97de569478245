"""The demo stage: a synthetic city, mapped from its image and weak layers, scored by its truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import DemoSettings, MapSettings, TileSettings
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.scenes.settings import EnviroAtlasTile, SceneSettings, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.storage.records import write_json

SOURCE_SEED = 1
"""Added to the city's seed for the source city: other streets, the same look."""


def run_demo(
    settings: DemoSettings, report: Callable[[Progress], None] | None = None
) -> MapSummary:
    """Draws two cities, learns what NLCD means from one, maps the other and scores the map.

    The truth of the mapped city is read by the evaluation alone.

    Args:
        settings: City, engine and folder.
        report: Called with the progress whenever it changes.

    Returns:
        Summary of the map, with scores.

    Raises:
        LandcoverError: As ``map_city``.
    """
    make_owned(settings.out, "demo", "cities/source.yaml")
    root = settings.out / "cities"
    target = _draw(settings.city, root)
    source = _draw(dataclasses.replace(settings.city, seed=settings.city.seed + SOURCE_SEED), root)
    config = root / "source.yaml"  # JSON is YAML
    tile = {"root": ".", "city": source.city, "split": source.split, "tile": source.tile}
    write_json(config, {"scene": {"enviroatlas": tile}})
    mapped = MapSettings(
        scene=SceneSettings(enviroatlas=target),
        weak_labels=WeakLabelSettings("source", [config]),
        inference=settings.inference,
        student=settings.student,
        tiles=TileSettings(core_px=128),  # four tiles: something to do for every core
        seed=settings.seed,
        workers=settings.workers,
    )
    return map_city(mapped, settings.out / "run", report)


def _draw(city: SyntheticSettings, root: Path) -> EnviroAtlasTile:
    drawn = write_city(city, root)
    return EnviroAtlasTile(root, drawn.city, "test", drawn.tile)
