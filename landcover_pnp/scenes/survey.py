"""What a scene's layers hold on the working grid: read as for a map, and nothing written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box
from landcover_pnp.scenes.preparation import write_layers
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.storage.geotiff import Band


@dataclass(frozen=True)
class Survey:
    """What the prepared scene would hold.

    Attributes:
        valid_px: Working pixels with imagery, in the area of interest.
        labelled_px: Those of them with NLCD and a class of truth, where p(class | NLCD) can be
            counted; 0 without truth.
        notes: What would be done to the layers, one sentence each.
    """

    valid_px: int
    labelled_px: int
    notes: tuple[str, ...]


def survey_scene(plan: ScenePlan) -> Survey:
    """Reads every layer onto the working grid, by the code that prepares a scene.

    Args:
        plan: From ``plan_scene``.

    Returns:
        What was found.

    Raises:
        RequestError: As ``prepare_scene``: whatever it refuses.
    """
    known = _Known()
    content = write_layers(plan, Path(), known.note)
    return Survey(content["valid_px"], known.labelled_px, tuple(content["notes"]))


class _Known:
    """Which pixels have a value in the three layers that pairs of labels are counted in."""

    def __init__(self) -> None:
        self._bits: dict[str, dict[Box, NDArray[np.uint8]]] = {"valid": {}, "nlcd": {}, "truth": {}}

    def note(
        self, path: Path, _grid: GeoBox, _band: Band, parts: Iterable[tuple[Box, NDArray[Any]]]
    ) -> None:
        """Takes the place of ``write_raster``."""
        bits = self._bits.get(path.stem)
        for box, pixels in parts:
            if bits is not None:
                bits[box] = np.packbits(pixels[0] != 0)  # a bit a pixel: a city is large

    @property
    def labelled_px(self) -> int:
        """Pixels with a value in all three; 0 where there is no truth."""
        valid, nlcd, truth = self._bits.values()
        both = (valid[box] & nlcd[box] & bits for box, bits in truth.items())
        return sum(int(np.unpackbits(bits).sum()) for bits in both)
