"""The legend of a map on disk: each of its rasters says it, wherever it is copied to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rasterio.io import DatasetReader

from landcover_pnp.config import plain
from landcover_pnp.errors import DamagedError, SettingsError
from landcover_pnp.legends.result_legend import FIVE, ResultLegend
from landcover_pnp.storage.checked_json import parsed_object
from landcover_pnp.storage.raster import name_of

TAG = "LANDCOVER_LEGEND"
"""Metadata of a raster whose legend or colours are not those of the working classes: the legend as
JSON."""


def legend_tags(legend: ResultLegend) -> dict[str, str]:
    """Metadata by which ``legend_of`` knows a legend; none for the working classes."""
    return {} if legend.ordered == FIVE.ordered else {TAG: json.dumps(plain(legend))}


def legend_of(source: DatasetReader) -> ResultLegend:
    """The legend that a map's raster says of itself; of one that says nothing the working classes.

    Raises:
        DamagedError: If what it says is no legend.
    """
    return legend_in(source.tags(), name_of(source))


def legend_in(tags: Mapping[str, Any], where: str = "the map") -> ResultLegend:
    """The legend that metadata says, of a raster or of a dataset's variable.

    Args:
        tags: The metadata.
        where: What has them, for the message.

    Raises:
        DamagedError: If what it says is no legend.
    """
    text = tags.get(TAG)
    if text is None:
        return FIVE
    try:
        return ResultLegend.of(parsed_object(text) or {})
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        what = error.found if isinstance(error, SettingsError) else str(error)
        raise DamagedError(
            found=f"{where}: its metadata {TAG} is no legend of a map ({what})",
            expected="a map as `landcover map` or `landcover publish` wrote it",
            fix="make the map again, or take a copy that is as it was written",
        ) from error
