"""Mapped scenes: finished map runs as image models see them, read and mapped by window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import block_mean, normalise
from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.rasters import class_product, write_products
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, decode, encode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import RunFolder

WINDOW_PX = 64
"""Side of the training windows, working pixels: 256 m, a crop of the prior."""

PART_PX = 32
"""Side of what is learned of a window of a city that has too many: places count, not their size."""

DRAWN_PX = 128
"""Side of the windows that a map is drawn by, working pixels: what lies around is seen twice."""

Predict = Callable[[NDArray[np.float32], Box], NDArray[np.float32]]
"""From (band, fine y, fine x) and the working pixels it covers to (class, fine y, fine x)."""


@dataclass(frozen=True)
class MappedScene:
    """One finished map run.

    Attributes:
        run: The run folder.
        scene: Its prepared scene.
        fine: The scene's image at its own resolution.
    """

    run: Path
    scene: Scene
    fine: FineImage

    def windows(self) -> list[Box]:
        """Windows of ``WINDOW_PX`` that show ground and partition the scene, in row-major order."""
        return [box for box in blocks(self.scene.extent, WINDOW_PX) if self.scene.seen(box).any()]

    def probabilities(self, method: str, box: Box) -> NDArray[np.float32]:
        """Probabilities of the run: (class, y, x) float32, sum to 1, or 0 without data.

        Args:
            method: One of ``tiles.METHODS``.
            box: Working pixels.
        """
        with open_raster(RunFolder(self.run).probability(method), method) as source:
            return decode(read(source, source.indexes, box))

    def upsampled(self, p: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., y, x) working pixels -> (..., fine y, fine x), each repeated."""
        k = self.fine.factor
        return np.asarray(p.repeat(k, axis=-2).repeat(k, axis=-1))

    def pooled(self, p: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., fine y, fine x) -> (..., y, x) working pixels, the mean of each one's."""
        return block_mean(p, self.fine.factor)

    def predicted(self, predict: Predict, box: Box, reach_px: int) -> NDArray[np.float32]:
        """What a model says of a window, seeing its surroundings.

        Args:
            predict: The model.
            box: Working pixels.
            reach_px: Fine pixels around a pixel that its prediction depends on.

        Returns:
            (class, fine y, fine x) float32; 0 where there is no data.
        """
        around = box.grow(math.ceil(reach_px / self.fine.factor)).clip(self.scene.extent)
        p = predict(self.fine.image(around), around)
        inside = self.fine.fine(box).within(self.fine.fine(around))
        valid, seen = self.scene.valid(box), self.scene.seen(box)
        found = np.asarray(p[:, *inside] * self.upsampled(valid.astype(np.float32)), np.float32)
        if (valid & ~seen).any():  # of what the image does not show, the engine's map is known
            engine, hidden = self.probabilities("map", box), (valid & ~seen).astype(np.float32)
            found = np.where(self.upsampled(hidden) > 0, self.upsampled(engine), found)
        return found

    def seen(self, box: Box) -> NDArray[np.float32]:
        """1 where the image shows the ground, else 0: (fine y, fine x) float32."""
        return self.upsampled(self.scene.seen(box).astype(np.float32))

    def drawn(self, predict: Predict, box: Box, reach_px: int) -> NDArray[np.float32]:
        """What a model says of the image's own pixels in a window.

        Args:
            predict: The model.
            box: Working pixels.
            reach_px: Fine pixels around a pixel that its prediction depends on.

        Returns:
            (class, map y, map x) float32, sums to 1; 0 where there is no data.
        """
        if self.fine.shift is not None:
            return self.fine.on_map(self.predicted(predict, box, reach_px), box, box)
        around = box.grow(1).clip(self.scene.extent)
        p = self.fine.on_map(self.predicted(predict, around, reach_px), around, box)
        valid = self.fine.overlay.spread(self.scene.valid(box), box)
        return np.asarray(np.where(valid, normalise(p), 0), np.float32)


Place = tuple[MappedScene, Box]
"""A window of a mapped scene."""


def chosen_places(mapped_scenes: Sequence[MappedScene], limit: int, seed: int) -> list[Place]:
    """Windows that are learned from: all of them, or a random part of some of a large city's.

    Every window is looked at in every round, so these bound what learning costs a city.

    Args:
        mapped_scenes: The city's runs.
        limit: Most windows.
        seed: Seed of the choice.
    """
    places = [
        (mapped_scene, box) for mapped_scene in mapped_scenes for box in mapped_scene.windows()
    ]
    if len(places) <= limit:
        return places
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(places), limit, replace=False)
    return [_part(places[number], rng) for number in sorted(chosen)]


def _part(place: Place, rng: np.random.Generator) -> Place:
    """A random square of a window; all of it where the square would hold no data."""
    mapped_scene, box = place
    spare = [max(side - PART_PX, 0) for side in box.shape]
    down, across = (int(v) for v in rng.integers(0, spare, endpoint=True))
    y, x = box.y0 + down, box.x0 + across
    part = Box(y, y + PART_PX, x, x + PART_PX).clip(box)
    return mapped_scene, part if mapped_scene.scene.seen(part).any() else box


def map_with_model(
    mapped_scene: MappedScene, predict: Predict, reach_px: int, out: Path, name: str
) -> Path:
    """Maps the image's own pixels of a whole mapped scene in one pass over its windows.

    Args:
        mapped_scene: The mapped scene.
        predict: The model.
        reach_px: Fine pixels around a pixel that its prediction depends on.
        out: Folder of the map ``<name>.tif``; its probabilities (class, y, x) uint16 lie in the
            folder ``probabilities`` there, under the same name.
        name: Name of the method.

    Returns:
        The class map, a cloud-optimised GeoTIFF with colours and class names.

    Raises:
        RunError: If a file cannot be written and read back.
    """

    def parts() -> Iterator[tuple[Box, NDArray[np.uint16]]]:
        for box in blocks(mapped_scene.scene.extent, DRAWN_PX):
            p = mapped_scene.drawn(predict, box, reach_px)
            yield mapped_scene.fine.overlay.box(box), encode(p)

    geobox = mapped_scene.fine.overlay.geobox
    write_raster(RunFolder(out).probability(name), geobox, BAND, parts())
    return publish_map(out, name)


def publish_map(out: Path, name: str) -> Path:
    """The class map ``<out>/<name>.tif`` of its probabilities."""
    title = name.replace("_", " ")
    products = {name: class_product(title, name)}
    return write_products(RunFolder(out).probabilities, out, products=products)[0]
