"""Legends of the map for tests: three that can be used, and one for every way to be wrong."""

from pathlib import Path
from typing import Any

import yaml

from landcover_pnp.legend import WORKING
from landcover_pnp.legends.result_legend import BUILDINGS_APART, FIVE, ResultClass, ResultLegend

WATER, IMPERVIOUS, SOIL, TREES, GRASS = WORKING.names

COARSE = ResultLegend(
    "sealing",
    [
        ResultClass(200, "other", [200, 190, 120], [SOIL]),
        ResultClass(10, "sealed", [180, 60, 60], [IMPERVIOUS, "buildings"]),
        ResultClass(20, "<b>Végétation</b> & $x$", [60, 160, 60], [TREES, GRASS]),
        ResultClass(30, "水面", [40, 90, 220], [WATER]),
    ],
)
"""A user's own: codes in no order, names in several scripts and with markup."""

LEGENDS = {"five": FIVE, "buildings": BUILDINGS_APART, "own": COARSE}


def as_values(legend: ResultLegend) -> dict[str, Any]:
    """A legend as a file has it."""
    classes = [
        {"code": c.code, "name": c.name, "colour": c.colour, "of": c.of} for c in legend.classes
    ]
    return {"name": legend.name, "classes": classes}


def write_legend(path: Path, legend: ResultLegend | dict[str, Any] = COARSE) -> Path:
    values = legend if isinstance(legend, dict) else as_values(legend)
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return path
