"""Every pixel and every object of a scene's files, read and described one by one."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import LandcoverError, LegendError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    NO_DATA,
    Legend,
    count_values,
    nlcd_legend,
    require_labels,
)
from landcover_pnp.scenes.inputs import input_files
from landcover_pnp.scenes.scene import WEAK_LAYERS
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.scenes.vector_files import count_features, vector_layers
from landcover_pnp.storage.georeference import sides
from landcover_pnp.storage.raster import (
    label_band,
    open_image,
    open_raster,
    read,
    read_bands,
    read_labels,
    read_mask,
)

MOST_VALUES = 20
"""Values of a layer that its report names, the most frequent ones."""


@dataclass(frozen=True)
class LayerReport:
    """What one input file holds.

    Attributes:
        layer: Name of the layer.
        path: The file.
        found: What was read.
        error: What is wrong with it, None if nothing.
    """

    layer: str
    path: Path
    found: str
    error: LandcoverError | None = None


def read_layers(files: RasterFiles) -> list[LayerReport]:
    """Reads every pixel and every object of a scene's files, of those at addresses the headers.

    Whether the layers fit each other and the map that is wanted, a plan and a survey tell: NLCD
    that fits no legend far from the imagery does no harm.

    Args:
        files: The files.

    Returns:
        One report a file.
    """
    reports = []
    try:
        inputs = input_files(files)
    except LandcoverError as error:
        return [LayerReport("image", files.image, "unusable", error)]
    for layer, path in inputs.items():
        try:
            reports.append(LayerReport(layer, path, _read_layer(layer, path, files)))
        except LandcoverError as error:
            reports.append(LayerReport(layer, path, "unusable", error))
    return reports


def _read_layer(layer: str, path: Path, files: RasterFiles) -> str:
    if layer in (*WEAK_LAYERS, "labels", "area") and vector_layers(path, layer) is not None:
        return f"{count_features(path)} features"
    is_image = layer.startswith("image")
    with open_image(path, files.bands) if is_image else open_raster(path, layer) as source:
        extent = Box(0, source.height, 0, source.width)
        size = f"{source.width} x {source.height} px of {sides(source)}"
        bands = read_bands(source, files.bands) if is_image else None
        if is_address(path):
            kind = f"{bands}" if bands else f"{source.dtypes[label_band(source, layer) - 1]}"
            return f"{size}, {kind}; its pixels are read where the map needs them"
        if bands:
            valid, darkest, brightest = 0, np.inf, -np.inf
            for box in blocks(extent):
                pixels, mask = read(source, bands.indexes, box), read_mask(source, box)
                valid += int(mask.sum())
                darkest, brightest = min(darkest, pixels.min()), max(brightest, pixels.max())
            share = valid / (source.width * source.height)
            return (
                f"{size}, {len(bands.names)} bands of {source.dtypes[bands.indexes[0] - 1]}, "
                f"{darkest} to {brightest}, {share:.1%} with data; {bands}"
            )
        label_band(source, layer)
        counts: Counter[int] = Counter()
        for box in blocks(extent):
            counts.update(count_values(read_labels(source, box)))
    return f"{size}, " + _listed(counts, _legend(layer, path, counts, files))


def _legend(layer: str, path: Path, counts: Counter[int], files: RasterFiles) -> Legend | None:
    if layer == "nlcd":
        with suppress(LegendError):  # of the whole file; the survey looks at what is mapped
            return nlcd_legend(counts, str(path), files.nlcd_values)
    if layer == "truth":
        legend = LEGENDS[files.truth.legend] if files.truth else ENVIROATLAS
        legend.require_known(counts, str(path))
        require_labels(counts, f"{path} (truth)")
        return legend
    return None


def _listed(counts: Counter[int], legend: Legend | None) -> str:
    classes = {c.code: f"{c.code} {c.name}" for c in legend.classes} if legend else {}
    names = {NO_DATA: f"{NO_DATA} no data", **classes} if legend else {}
    total = sum(counts.values())
    frequent = sorted(counts.most_common(MOST_VALUES))
    kind = f"legend {legend.name}: " if legend else "values "
    shares = ", ".join(f"{names.get(v, v)} {n / total:.1%}" for v, n in frequent)
    others = len(counts) - len(frequent)
    return kind + shares + (f" and {others} others" if others else "")
