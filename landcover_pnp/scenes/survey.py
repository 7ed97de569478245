"""What a scene's layers hold on the working grid: read as for a map, and nothing written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.preparation import write_layers
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.scenes.scene import CLOUDS, covered_share, scaled_image
from landcover_pnp.storage.geotiff import Band


@dataclass(frozen=True)
class Survey:
    """What the prepared scene would hold.

    Attributes:
        valid_px: Working pixels with imagery, in the area of interest.
        labelled_px: Those of them with a coarse map and a class of truth, where p(class | code) can
            be counted, for the map with the fewest; 0 without truth.
        notes: What would be done to the layers, one sentence each.
        windows: The windows that were asked for.
    """

    valid_px: int
    labelled_px: int
    notes: tuple[str, ...]
    windows: SeenWindows


@dataclass(frozen=True, eq=False)
class SeenWindows:
    """Windows of a scene that is not on disk, read as those of a ``Scene``.

    Attributes:
        extent: All pixels of the scene.
        resolution_m: Side of a pixel in metres.
        bands: Names of the image's bands.
        image_scale: Image value that becomes 1.0.
        legends: Legends of the coarse maps.
        layers: (band, y, x) pixels by layer and window.
    """

    extent: Box
    resolution_m: float
    bands: tuple[str, ...]
    image_scale: float
    legends: tuple[CoarseLegend, ...]
    layers: Mapping[str, Mapping[Box, NDArray[Any]]]

    def image(self, box: Box) -> NDArray[np.float32]:
        """The image of a window: (band, y, x) float32, 0..1."""
        return scaled_image(self.layers["image"][box], self.image_scale)

    def valid(self, box: Box) -> NDArray[np.bool_]:
        """Where a window has data: (y, x) bool."""
        return np.asarray(self.layers["valid"][box][0] == 1)

    def seen(self, box: Box) -> NDArray[np.bool_]:
        """Where a window has data and no cloud: (y, x) bool."""
        clouds, valid = self.coverage(CLOUDS, box), self.valid(box)
        return valid if clouds is None else valid & (clouds == 0)

    def coarse(self, box: Box) -> NDArray[np.uint8]:
        """Numbers of the coarse maps' classes in a window: (map, y, x) uint8, 0 = no data."""
        return np.asarray(self.layers["coarse"][box])

    def coverage(self, layer: str, box: Box) -> NDArray[np.float32] | None:
        """Share of each pixel that a weak layer covers: (y, x) float32; None without it."""
        found = self.layers.get(layer)
        return None if found is None else covered_share(found[box][0])


def survey_scene(plan: ScenePlan, windows: Iterable[Box] = ()) -> Survey:
    """Reads every layer onto the working grid, by the code that prepares a scene.

    Args:
        plan: From ``plan_scene``.
        windows: Windows whose pixels are wanted.

    Returns:
        What was found.

    Raises:
        RequestError: As ``prepare_scene``: whatever it refuses.
    """
    known = _Known(list(windows))
    content = write_layers(plan, Path(), known.note)
    height, width = map(int, plan.geobox.shape)
    seen = SeenWindows(
        Box(0, height, 0, width),
        float(abs(plan.geobox.resolution.x)),
        tuple(content["bands"]),
        content["image_scale"],
        tuple(map(CoarseLegend.of, content["legends"])),
        known.layers,
    )
    return Survey(content["valid_px"], known.labelled_px, tuple(content["notes"]), seen)


class _Known:
    """Which pixels have a value in the three layers that pairs of labels are counted in.

    Args:
        windows: Windows of which all layers' pixels are kept.
    """

    def __init__(self, windows: list[Box]) -> None:
        self._windows = windows
        self.layers: dict[str, dict[Box, NDArray[Any]]] = {}
        self._bits: dict[str, dict[Box, NDArray[np.uint8]]] = {
            "valid": {},
            "coarse": {},
            "truth": {},
        }

    def note(
        self, path: Path, _grid: GeoBox, _band: Band, parts: Iterable[tuple[Box, NDArray[Any]]]
    ) -> None:
        """Takes the place of ``write_raster``."""
        bits, kept = self._bits.get(path.stem), self.layers.setdefault(path.stem, {})
        for box, pixels in parts:
            for window in self._windows:
                both = window.clip(box)
                if not both.is_empty:
                    blank = np.zeros((len(pixels), *window.shape), pixels.dtype)
                    there = kept.setdefault(window, blank)
                    there[:, *both.within(window)] = pixels[:, *both.within(box)]
            if bits is not None:
                known = (pixels != 0).reshape(len(pixels), -1)
                bits[box] = np.packbits(known, axis=1)  # a bit a pixel: a city is large

    @property
    def labelled_px(self) -> int:
        """Pixels with a value in all three; 0 where there is no truth."""
        valid, coarse, truth = self._bits.values()
        all_three = (valid[box] & coarse[box] & bits for box, bits in truth.items())
        by_map = sum(np.unpackbits(bits, axis=1).sum(axis=1) for bits in all_three)
        return int(np.min(by_map))
