"""The demo stage: a synthetic city, mapped from its image and weak layers, scored by its truth."""

from __future__ import annotations

from collections.abc import Callable

from landcover_pnp.mapping import MapSummary, Progress, map_city
from landcover_pnp.settings import (
    DemoSettings,
    EnviroAtlasTile,
    MapSettings,
    SceneSettings,
    TileSettings,
)
from landcover_pnp.sources.synthetic import write_city


def run_demo(
    settings: DemoSettings, report: Callable[[Progress], None] | None = None
) -> MapSummary:
    """Draws a city, maps it without looking at its truth, and scores the map.

    Args:
        settings: City, engine and folder.
        report: Called with the progress whenever it changes.

    Returns:
        Summary of the map, with scores.

    Raises:
        LandcoverError: As ``map_city``.
    """
    root = settings.out / "cities"
    city = write_city(settings.city, root)
    scene = SceneSettings(enviroatlas=EnviroAtlasTile(root, city.city, "test", city.tile))
    mapped = MapSettings(
        scene=scene,
        inference=settings.inference,
        tiles=TileSettings(core_px=128),  # four tiles: something to do for every core
        seed=settings.seed,
        workers=settings.workers,
    )
    return map_city(mapped, settings.out / "run", report)
