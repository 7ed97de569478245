"""Legends that truth may have, and what each of them tells apart."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    Legend,
    count_values,
    remap,
    to_working,
)
from landcover_pnp.legends.result_legend import FIVE, ResultLegend

TruthName = Literal["enviroatlas", "working", "buildings"]
"""Legends of truth that can be named."""

Scheme = Literal["five_classes", "published"]
"""``five_classes`` counts shrubs and wetlands as trees and agriculture as grass; ``published``
takes only the five EnviroAtlas classes as truth, but predictions on other truth still count
in the unions (Graikos et al. 2022, section 4)."""

TruthLegend = Legend | ResultLegend
"""EnviroAtlas or the working classes by their codes; or the legend of a map."""

_PUBLISHED = {10: 1, 20: 2, 30: 3, 40: 4, 70: 5}


def truth_legend(which: str | Path) -> TruthLegend:
    """The legend of truth by its name, or of a YAML file.

    Raises:
        SettingsError: If there is no such legend.
    """
    return LEGENDS.get(str(which)) or ResultLegend.load(which)


def told_by(legend: TruthLegend) -> ResultLegend:
    """The classes that truth tells apart."""
    return legend if isinstance(legend, ResultLegend) else FIVE


def codes_of(legend: TruthLegend) -> Legend:
    """The values that a raster of truth may hold."""
    return legend.legend if isinstance(legend, ResultLegend) else legend


def told_classes(
    codes: NDArray[np.integer], legend: TruthLegend, scheme: Scheme
) -> NDArray[np.uint8]:
    """Truth in the classes that it tells apart and a scoring scheme counts.

    Args:
        codes: (y, x) values of the raster.
        legend: Its legend.
        scheme: See ``Scheme``.

    Returns:
        (y, x) uint8 codes of ``told_by``, 0 = no data, or truth that does not count.

    Raises:
        LegendError: On values that the legend does not have.
    """
    if isinstance(legend, ResultLegend):
        legend.legend.require_known(count_values(codes), "truth")
        return codes.astype(np.uint8)
    if scheme == "published" and legend.name == ENVIROATLAS.name:
        return remap(codes, legend, _PUBLISHED, "truth")
    return to_working(codes, legend, "truth")
