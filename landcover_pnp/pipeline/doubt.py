"""The doubt of a finished map: its sources held against each other, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp.evidence.contradictions import (
    ANCHORS,
    KINDS,
    NO_DOUBT_DATA,
    anchor_conflicts,
    combined,
    conflict,
    label_conflict,
    matrix_conflict,
    percent,
    strongest,
)
from landcover_pnp.evidence.looks import ClassesByLook, Floats, Looks, look_features
from landcover_pnp.grid import Box, blocks
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.geotiff import Band, write_raster
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, STUDENT, RunFolder
from landcover_pnp.student.known_ground import KnownGround

BAND = Band("uint8", ("doubt, percent", f"strongest contradiction, 1 to {len(KINDS)}"))
"""Format of the stored doubt: percent, 255 = no data; and which of ``KINDS``, 0 = none."""

_BLOCK_PX = 256
_SAMPLE_PX = 6000
_WINDOW_PX = 64
_REACH_PX = 1
_SEED = 0


@dataclass(frozen=True)
class DoubtSources:
    """What the doubt of a run's map is found from.

    Attributes:
        run: The run folder, whose probabilities are blended.
        scene: Its prepared scene.
        matrices: p(class | code) of the run's coarse maps, (code class, class) each.
        student: Whether a student has drawn the map.
        known: Of a corrected map, the ground whose class its user has said: nothing of that is
            doubtful, whatever the sources say.
    """

    run: Path
    scene: Scene
    matrices: Sequence[NDArray[np.float64]]
    student: bool
    known: KnownGround | None = None

    @property
    def drawn(self) -> RunFolder:
        """Where the student's map lies, and its doubt."""
        paths = RunFolder(self.run)
        return paths if self.known is None else paths.corrected

    def probabilities(self, method: str, box: Box) -> Floats:
        """Probabilities of a method on the working grid, of a student the mean of its pixels.

        Args:
            method: One of ``METHODS``, or the student.
            box: Working pixels.

        Returns:
            (class, y, x) float32, sum to 1, or 0 without data.
        """
        paths = self.drawn if method == STUDENT else RunFolder(self.run)
        with open_raster(paths.probability(method), method) as source:
            overlay = self._overlay(source)
            p = decode(read(source, source.indexes, overlay.box(box)))
        return overlay.mean(p, box)

    def look(self, box: Box) -> Floats:
        """Features of the looks of a window, (feature, y, x) float32."""
        around = box.grow(_REACH_PX).clip(self.scene.extent)
        features = look_features(self.scene.image(around), self.scene.valid(around))
        return features[:, *box.within(around)]

    def sample(self) -> Floats:
        """Features of random pixels with data of the whole scene, (feature, n) float32."""
        rng = np.random.default_rng(_SEED)
        windows = list(blocks(self.scene.extent, _WINDOW_PX))
        parts: list[Floats] = []
        for number in rng.permutation(len(windows)):
            box = windows[number]
            known = self.look(box)[:, self.scene.valid(box)]
            # A part of many windows rather than all of a few.
            parts.append(known[:, rng.permutation(known.shape[1])[: _WINDOW_PX**2 // 4]])
            if sum(part.shape[1] for part in parts) >= _SAMPLE_PX:
                break
        return np.concatenate(parts, axis=1)[:, :_SAMPLE_PX]

    def _overlay(self, source: DatasetReader) -> Overlay:
        return Overlay(self.scene.geobox, GeoBox.from_rio(source))


def write_doubt(sources: DoubtSources) -> Path:
    """Writes the doubt of a map on the map's grid, to ``probabilities/doubt.tif``.

    Two passes over the scene: the first counts what pixels of each look are by the evidence, the
    second compares the sources. On the working grid, since none of them but the student's map is
    finer; a student's map is compared by the mean of each working pixel.

    Args:
        sources: The run and what its map was made of.

    Returns:
        The file: (2, y, x) uint8, see ``BAND``.

    Raises:
        RunError: If it cannot be written.
    """
    paths = sources.drawn
    final = paths.probability(STUDENT if sources.student else "map")
    with open_raster(final, "probabilities") as source:
        overlay = sources._overlay(source)
    sample = sources.sample()
    looks = Looks.of(sample) if sample.size else None
    extent = sources.scene.extent

    def counted() -> Iterator[tuple[Box, NDArray[np.intp], Floats]]:
        for box in blocks(extent, _BLOCK_PX):
            if looks is not None:
                number = looks.number(sources.look(box))
                yield box, number, sources.probabilities("evidence", box)

    known = ClassesByLook.of(extent, len(looks.centres) if looks else 1, counted())

    def parts() -> Iterator[tuple[Box, NDArray[np.uint8]]]:
        for box in blocks(extent, _BLOCK_PX):
            pixels = np.stack(_doubt(sources, looks, known, box))
            fine = overlay.spread(pixels, box)
            if sources.known is not None:
                fine[:, (sources.known.codes(box) > 0) & (fine[0] != NO_DOUBT_DATA)] = 0
            yield overlay.box(box), fine

    write_raster(paths.probability(DOUBT), overlay.geobox, BAND, parts())
    return paths.probability(DOUBT)


def _doubt(
    sources: DoubtSources, looks: Looks | None, known: ClassesByLook, box: Box
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Doubt in percent and the strongest contradiction of a window, (y, x) each."""
    scene, shares = sources.scene, known.shares
    weak, engine = (sources.probabilities(m, box) for m in ("weak_labels", "map"))
    p = sources.probabilities(STUDENT, box) if sources.student else engine
    valid = np.asarray(p.any(axis=0))
    if looks is None or not valid.any():
        return percent(np.zeros(box.shape, np.float32), valid), np.zeros(box.shape, np.uint8)
    by_look, new = known.elsewhere(box, looks.number(sources.look(box)))
    coverage = {layer: scene.coverage(layer, box) for layer in ANCHORS}
    objects_image, objects_map = anchor_conflicts(coverage, by_look, p, shares)
    found: dict[str, Any] = {
        "image and weak labels": conflict(by_look, weak, shares),
        "image and map": conflict(by_look, p, shares),
        "weak labels and map": conflict(weak, p, shares),
        "objects and image": objects_image,
        "objects and map": objects_map,
        "new look": new,
        "matrix": _matrices(sources, box),
    }
    labels = scene.labels(box)
    if labels is not None:
        found["labels and map"] = label_conflict(labels, p)
    if sources.student:
        found["engine and student"] = np.clip(1 - np.minimum(p, engine).sum(axis=0), 0, 1)
    return percent(combined(found), valid), np.where(valid, strongest(found), np.uint8(0))


def _matrices(sources: DoubtSources, box: Box) -> Floats:
    """How far p(class | code) of the run contradicts the legends' texts, for the worst map."""
    scene = sources.scene
    maps = zip(scene.coarse(box), sources.matrices, scene.legends, strict=True)
    found = [matrix_conflict(numbers, m, legend.definitions) for numbers, m, legend in maps]
    return np.asarray(np.max(found, axis=0))
